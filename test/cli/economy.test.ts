/** `tvdb upload --economy` against a simulator: half the price, an answer that says when to come back, and no kill that pays twice. */
import { copyFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { FAULT_POINTS } from '../../src/base/fault.ts';
import { systemIds } from '../../src/base/ids.ts';
import type { SimulatorOptions } from '../../src/simulator/options.ts';
import { startSimulator } from '../../src/simulator/simulator.ts';
import { openStore } from '../../src/store/open.ts';
import { tvdb } from '../crash/processes.ts';
import { assertLedger } from '../setup/ledger.ts';
import { tempDirectory } from '../setup/temp.ts';
import { letThrough } from '../simulator/start.ts';
import { FIXTURES } from './workplace.ts';

const SHORT = {
  ...{ LLAMAPARSE_API_KEY: 'llx-simulated', OPENAI_API_KEY: 'sk-simulated', DAILY_COST_LIMIT_USD: '5' },
  ...{ BATCH_POLL_FIRST: '150ms', BATCH_POLL_CAP: '300ms', POLL_FIRST: '20ms', POLL_INTERVAL: '20ms' },
  ...{ UNKNOWN_OUTCOME_WINDOW: '1s', RETRY_BASE: '20ms', EMBED_LINGER: '20ms' },
  ...{ CHUNK_TARGET_TOKENS: '60', CHUNK_MAX_TOKENS: '100', CHUNK_OVERLAP_TOKENS: '10' },
};

/** A simulator of its own, a document, and a store that a real process works on. */
async function place(options: Partial<SimulatorOptions> = {}) {
  const simulator = await startSimulator({
    ...{ clock: systemClock, ids: systemIds, latency: { batch: 300 } },
    ...options,
  });
  onTestFinished(() => simulator.close());
  const home = tempDirectory();
  mkdirSync(join(home, 'work'));
  const document = join(home, 'work', 'letter.pdf');
  copyFileSync(join(FIXTURES, 'documents/letter.pdf'), document);
  const env = { ...SHORT, LLAMA_CLOUD_BASE_URL: simulator.llamaUrl, OPENAI_BASE_URL: simulator.openaiUrl };
  const run = (args: readonly string[], more: Record<string, string> = {}) =>
    tvdb(home, [...args, '--no-input'], { ...env, ...more });
  return {
    simulator,
    run,
    upload: (more: Record<string, string> = {}) => run(['upload', document, '--mode', 'real', '--economy'], more),
    /** Files of batches at the service. */
    async files(): Promise<number> {
      letThrough();
      const answer = await fetch(`${simulator.openaiUrl}/files`, { headers: { authorization: 'Bearer sk-simulated' } });
      return ((await answer.json()) as { data: unknown[] }).data.length;
    },
    asked: (operation: string) => simulator.log().filter((one) => one.operation === operation).length,
    /** Jobs, batches and money as the store has them; the ledger must be the simulator's bill. */
    async end() {
      const store = openStore({ home: join(home, 'store') });
      try {
        await assertLedger(store);
        const holds = await store.db.selectFrom('holds').selectAll().execute();
        const spent = holds.reduce((sum, { settled_amount: amount }) => sum + (amount ?? 0), 0);
        const left = holds.filter(({ state }) => state === 'open' || state === 'unknown').length;
        const { nanoUsd, requests } = simulator.bill();
        expect({ spent, left }).toEqual({ spent: nanoUsd, left: 0 });
        const chunks = await store.db.selectFrom('document_chunks').select('token_count').execute();
        const jobs = await store.db.selectFrom('upload_jobs').select('status').execute();
        const batches = await store.db.selectFrom('embed_batches').selectAll().execute();
        return {
          jobs: jobs.map(({ status }) => status),
          batches: batches.map(({ status }) => status),
          chunks: chunks.length,
          // The whole text was billed exactly this often.
          times:
            requests.reduce((sum, { tokens }) => sum + tokens, 0) /
            chunks.reduce((sum, { token_count: tokens }) => sum + tokens, 0),
        };
      } finally {
        await store.close();
      }
    },
  };
}

describe('tvdb upload --economy', () => {
  it('embeds in one batch at half the price, and is done when the batch is soon', async () => {
    const { upload, asked, end, simulator, files } = await place();
    const done = await upload();
    expect([done.code, done.err]).toEqual([0, expect.any(String)]);
    expect(await files()).toBe(0);
    expect([asked('batches.create'), asked('embeddings')]).toEqual([1, 0]);
    const { tokens, requests } = simulator.bill();
    expect(requests.map(({ nanoUsd }) => nanoUsd)).toEqual([tokens * 10]);
    expect(await end()).toMatchObject({ jobs: ['complete'], batches: ['completed'], times: 1 });
  });

  it('ends with exit 8 while the batch is at work and says how it goes on; `tvdb run` collects it', async () => {
    const { upload, run, end } = await place({ latency: { batch: 1_500 } });
    const left = await upload({ DRAIN_WAIT: '500ms', BATCH_POLL_FIRST: '2500ms', BATCH_POLL_CAP: '2500ms' });
    expect(left.code).toBe(8);
    expect(left.out + left.err).toMatch(/waits: .*up to 24 hours, and `tvdb run` collects it/s);
    const done = await run(['run']);
    expect([done.code, done.err]).toEqual([0, expect.any(String)]);
    expect(await end()).toMatchObject({ jobs: ['complete'], times: 1 });
  });

  it('survives a batch that expires half-way, and pays for the finished rows alone', async () => {
    const { upload, asked, end, files } = await place({ faults: 'batch=expired:0.5' });
    expect([(await upload()).code, await files()]).toEqual([0, 0]);
    expect(asked('batches.create')).toBe(2);
    expect(await end()).toMatchObject({ jobs: ['complete'], batches: ['expired', 'completed'], times: 1 });
  });

  it('is no matter to a mock', async () => {
    const { run, asked, simulator } = await place();
    const done = await run(['upload', join(FIXTURES, 'documents/letter.pdf'), '--mode', 'mock', '--economy']);
    expect([done.code, asked('batches.create'), simulator.log().length]).toEqual([0, 0, 0]);
  });
});

describe('T02 a process killed while it orders or collects a batch', () => {
  const points = FAULT_POINTS.filter((point) => point.startsWith('economy.'));

  it.each(points)('at %s is made up for by the next run, and nothing is paid twice', async (point) => {
    const { upload, run, asked, end, files } = await place();
    const killed = await upload({ TVDB_FAULT: point });
    expect(killed.signal).toBe('SIGKILL');
    const next = await run(['run']);
    expect([next.code, next.err]).toEqual([0, expect.any(String)]);
    const { jobs, batches, times } = await end();
    expect({ jobs, times }).toEqual({ jobs: ['complete'], times: 1 });
    // Only the one killed before its order left cannot be told from one that arrived: its absence is proven first.
    expect(batches).toEqual(point === 'economy.before_create' ? ['absent', 'completed'] : ['completed']);
    expect(asked('batches.create')).toBe(1);
    // Killed before it could note the id of its file; the service deletes that one itself after 30 days.
    expect(await files()).toBe(point === 'economy.file_uploaded' ? 1 : 0);
  });
});

describe('T05 a batch that the service made twice of one order', () => {
  it('is adopted and cancelled, both are in the ledger, and the budgets stop until it is seen', async () => {
    const { upload, run, asked, end, simulator } = await place({ faults: 'batches.create=duplicate' });
    const killed = await upload({ TVDB_FAULT: 'economy.after_create' });
    expect(killed.signal).toBe('SIGKILL');
    const json = async (...args: string[]) => JSON.parse((await run([...args, '--json'])).out).data;
    const next = await run(['run']);
    expect([next.code, next.err]).toEqual([0, expect.any(String)]);
    expect([asked('batches.create'), asked('batches.cancel')]).toEqual([1, 1]);
    const made = simulator.log().flatMap((one) => (one.operation === 'batches.create' ? one.made : []));
    const { overruns } = await json('costs', 'acknowledge');
    expect(overruns).toMatchObject([{ service: 'openai', reserved_nano_usd: 0 }]);
    const [{ attempt_id: twin, job_id: job }] = overruns;
    const traced = await json('trace', job);
    expect(traced.events).toContainEqual(
      expect.objectContaining({ code: 'EMBED_BATCH_OVERRUN', severity: 'error', remote_id: made[1] }),
    );
    expect((await json('costs')).caps).toMatchObject([{ stopped_by: twin }]);
    // The job was not kept waiting for it; the next command settles what it did until it was cancelled.
    expect((await run(['run'])).code).toBe(0);
    expect((await end()).jobs).toEqual(['complete']);
    const seen = await json('costs', 'acknowledge', twin);
    expect(seen).toMatchObject({ acknowledged: twin, overruns: [] });
    expect(seen.budgets_released).toHaveLength(1);
  });

  it('and that is found by a cancellation, is told of by it', async () => {
    const { upload, run } = await place({ faults: 'batches.create=duplicate' });
    expect((await upload({ TVDB_FAULT: 'economy.after_create' })).signal).toBe('SIGKILL');
    const cancelled = await run(['cancel', '--all', '--yes']);
    const [id = ''] = (await run(['costs', 'acknowledge', '--quiet'])).out.split('\n');
    expect([cancelled.code, cancelled.err]).toEqual([
      0,
      expect.stringContaining(`tvdb costs acknowledge ${id.slice(0, 8)}`),
    ]);
    expect(id).not.toBe('');
  });
});
