/** A pipeline whose documents are embedded in batches of a simulated OpenAI; the simulator's bill and our ledger side by side. */
import { onTestFinished } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import type { Settings } from '../../src/config/variables.ts';
import { createHttp } from '../../src/services/http/client.ts';
import { createDispatcher } from '../../src/services/http/dispatcher.ts';
import { createRouter, type RouterOptions } from '../../src/services/router.ts';
import type { SimulatorOptions } from '../../src/simulator/options.ts';
import { answer, clientOver, KEYS } from '../services/openai-like.ts';
import { assertLedger } from '../setup/ledger.ts';
import { started } from '../simulator/start.ts';
import { memoryEmbedder, memoryParser, pipeline } from './harness.ts';

export const HOUR = 3_600_000;
const LIMITS = { connectMs: 2_000, headersMs: 20_000, bodyMs: 20_000, requestMs: 20_000, responseBytes: 64_000_000 };

export interface PlaceOptions {
  simulator?: Partial<SimulatorOptions>;
  settings?: Partial<Settings>;
  stateOf?: RouterOptions['stateOf'];
  pages?: number;
}

/** Text of a page that makes a chunk of its own; every page has other words. */
const page = (number: number) =>
  `# Part ${number}\n\n${Array.from({ length: 12 }, (_, at) => `Sentence ${at} of part ${number} says ${number * 31 + at}.`).join(' ')}`;

/** Batches take an hour unless told otherwise. The key can be taken away and given back. */
export async function economyPlace({ simulator: told = {}, settings = {}, stateOf, pages = 8 }: PlaceOptions = {}) {
  const simulator = await started({ latency: { batch: HOUR }, ...told });
  const dispatcher = createDispatcher(LIMITS);
  onTestFinished(() => dispatcher.destroy());
  const http = createHttp({ dispatcher, limits: LIMITS, clock: systemClock, boundary: () => 'boundary' });
  const { service } = clientOver(() => answer(500, ''), { options: { baseUrl: simulator.openaiUrl, http } });
  const { clock } = simulator;
  const parser = memoryParser({
    async fetchResult() {
      const markdown = Array.from({ length: pages }, (_, at) => ({ number: at + 1, markdown: page(at + 1) }));
      return { pages: markdown, creditsBilled: 0 };
    },
  });
  const place = pipeline({
    clock,
    parser,
    settings: {
      ...{
        DRAIN_WAIT: 0,
        CHUNK_TARGET_TOKENS: 80,
        CHUNK_MAX_TOKENS: 160,
        CHUNK_OVERLAP_TOKENS: 5,
        EMBED_BATCH_SIZE: 100,
      },
      ...settings,
    },
  });
  const routed = (key: string | undefined) =>
    createRouter({
      keys: { llamaparse: undefined, openai: key },
      parse: { mock: async () => parser },
      embed: { mock: async () => memoryEmbedder(), real: async () => service },
      ...(stateOf && { stateOf }),
    });
  place.deps.router = routed(KEYS[0]);
  const { store, deps } = place;
  const job = async () => {
    const [first] = await place.jobs();
    if (first === undefined) throw new Error('no job');
    return first;
  };
  const asked = (operation: string) => simulator.log().filter((one) => one.operation === operation);
  return {
    ...place,
    simulator,
    clock,
    job,
    asked,
    service,
    parser,
    key: (key: string | undefined) => {
      deps.router = routed(key);
    },
    /** Accepts one document that may wait; mode and wishes as `--mode mock --service openai=…`. */
    accept: (openai: 'real' | 'hybrid' = 'real', accept: object = {}) =>
      place.upload('document', { pages, economy: true, decision: deps.router.decide('mock', { openai }), ...accept }),
    /** Works until nothing is due, while time creeps on: the worker and requests wait a little now and then. */
    async work(changes: Parameters<typeof place.drain>[0] = {}) {
      let done = false;
      const working = place.drain(changes).finally(() => {
        done = true;
      });
      while (!done) await clock.advance(1);
      await working;
    },
    /** Works until nothing is due, time moves on by `ms`, and so on until the job ends or `most` rounds are over. */
    async until(wanted: string, ms = HOUR, most = 12) {
      for (let round = 0; round < most; round++) {
        await this.work();
        if ((await job()).status === wanted) return job();
        await clock.advance(ms);
      }
      const { status, park_reason: reason, park_note: note, last_error: error } = await job();
      throw new Error(`still ${status} (${reason}: ${note}; ${error})`);
    },
    /** Reserved and spent, by the holds; the windows and the chain are folded and must agree. */
    async ledger() {
      await assertLedger(store);
      const holds = await store.db.selectFrom('holds').selectAll().execute();
      const of = (...states: string[]) => holds.filter(({ state }) => states.includes(state));
      return {
        spent: holds.reduce((sum, { settled_amount: amount }) => sum + (amount ?? 0), 0),
        open: of('open', 'unknown').length,
        holds: holds.length,
        prices: [...new Set(holds.map(({ unit_price: price }) => price))].sort((a, b) => a - b),
      };
    },
    batches: () => store.db.selectFrom('embed_batches').selectAll().execute(),
    codes: () => place.events.map(({ code }) => code).filter((code) => code.startsWith('EMBED')),
  };
}
