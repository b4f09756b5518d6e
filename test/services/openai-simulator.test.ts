/** The OpenAI client against the simulator, whose log and bill are the witness of what was asked and charged. */
import { describe, expect, it, onTestFinished } from 'vitest';
import { type Clock, systemClock } from '../../src/base/clock.ts';
import { TvdbError } from '../../src/base/errors.ts';
import { nextBatch } from '../../src/domain/batch-plan.ts';
import { loadTokenizer } from '../../src/domain/tokens.ts';
import { createHttp } from '../../src/services/http/client.ts';
import { createDispatcher } from '../../src/services/http/dispatcher.ts';
import type { SimulatorOptions } from '../../src/simulator/options.ts';
import { embedContract } from '../contract/embed.ts';
import { started } from '../simulator/start.ts';
import { ATTEMPT, clientOver, KEYS, working } from './openai-like.ts';
import { liveLane } from './openai-live.ts';

const LIMITS = { connectMs: 2_000, headersMs: 60_000, bodyMs: 60_000, requestMs: 60_000, responseBytes: 50_000_000 };
const TEXTS = ['The deductible of the plan.', 'Bees in the orchard.', 'Invoices are due.'];
const never = new AbortController().signal;

/** A simulator and the client, which asks it for base64 when it is told that this is OpenAI. */
async function both(
  options: Partial<SimulatorOptions> = {},
  {
    keys = KEYS.slice(0, 1),
    limits = LIMITS,
    clock,
  }: { keys?: readonly string[]; limits?: typeof LIMITS; clock?: Clock } = {},
) {
  const simulator = await started(options);
  const dispatcher = createDispatcher(limits);
  onTestFinished(() => dispatcher.destroy());
  const http = createHttp({ dispatcher, limits, clock: clock ?? systemClock, boundary: () => 'unused' });
  const client = (baseUrl = simulator.openaiUrl) => clientOver(working, { keys, options: { baseUrl, http } });
  const official = clientOver(
    (request, signal) =>
      http.send({ ...request, url: request.url.replace('https://api.openai.com', simulator.url) }, signal),
    { keys },
  );
  return { simulator, official, client };
}

liveLane('OpenAI, the live lane on the simulator', async () => ({
  baseUrl: (await started()).openaiUrl,
  key: KEYS[0],
}));
embedContract('OpenAI, simulated, base64', async () => (await both()).official.service);

describe('the OpenAI client against the simulator', () => {
  it('gets the same bits as base64 and as numbers, and is billed what it reports', async () => {
    const { simulator, official, client } = await both();
    const exact = await official.service.embed(TEXTS, ATTEMPT, never);
    const numbers = await client().service.embed(TEXTS, ATTEMPT, never);
    expect(exact.vectors).toEqual(numbers.vectors);
    expect(simulator.bill().requests.map(({ tokens, attemptId, requestId }) => [tokens, attemptId, requestId])).toEqual(
      [exact, numbers].map(({ tokensBilled, requestId }) => [tokensBilled, ATTEMPT.attemptId, requestId]),
    );
    expect(official.reported[0]?.headers).toMatchObject({ 'x-ratelimit-limit-requests': '3000' });
  });

  const faults: [string, string, object?][] = [
    ['500', 'E307'],
    ['500:accepted', 'E307'],
    ['503:retry-after=1', 'E307'],
    ['408', 'E307'],
    ['cut', 'E307'],
    ['cut-before', 'E307'],
    ['hang', 'E307'],
    ['hang-before', 'E307'],
    ['stall', 'E307'],
    ['truncated', 'E307'],
    ['malformed', 'E307'],
    ['html', 'E307'],
    ['html:502', 'E307'],
    ['204', 'E307'],
    ['wrong-shape', 'E307'],
    ['huge', 'E307'],
    ['redirect', 'E307'],
    ['rate:retry-after=2', 'E301', { retry: { kind: 'after', ms: 2000 } }],
    ['rate', 'E301', { retry: { kind: 'later' } }],
    ['quota', 'E302'],
    ['quota:code=credit_balance_exhausted', 'E302'],
    ['402', 'E302'],
    ['401', 'E112'],
    ['401:echo', 'E112'],
    ['403:echo', 'E112'],
    ['404', 'E309'],
    ['400:echo', 'E309'],
    ['missing-index', 'E308'],
    ['duplicate-index', 'E308'],
    ['missing-row', 'E308'],
    ['short-vector', 'E308'],
    ['wrong-dims', 'E308'],
    ['nan', 'E308'],
    ['zero', 'E308'],
    ['not-unit', 'E308'],
    ['wrong-model', 'E308', { retry: { kind: 'never' } }],
  ];

  it.each(faults)(
    'T03 embeddings=%s: one POST, %s, and no claim on money that the bill contradicts',
    async (fault, code, more = {}) => {
      const { simulator, official } = await both({ faults: `embeddings=${fault}` });
      const controller = new AbortController();
      const running = official.service.embed(TEXTS, ATTEMPT, controller.signal).catch((thrown: unknown) => thrown);
      if (/^(hang|stall)/.test(fault)) {
        while (simulator.log().length === 0) await new Promise((resolve) => setImmediate(resolve));
        controller.abort(new Error('stopped by the user'));
      }
      const error = await running;
      if (!(error instanceof TvdbError)) throw new Error('no TvdbError', { cause: error });
      expect(error).toMatchObject({ code, ...more });
      const asked = simulator.log().map(({ operation, attemptId }) => [operation, attemptId]);
      expect(asked).toEqual([['embeddings', ATTEMPT.attemptId]]);
      const { tokens } = simulator.bill();
      if (tokens > 0) expect(error.chargedNanoUsd).toBeNull();
      if (code === 'E308') expect(error.facts.tokens_billed).toBe(tokens);
      if (error.chargedNanoUsd === 0) expect([tokens, simulator.log()[0]?.accepted]).toEqual([0, false]);
      expect(JSON.stringify([error.message, error.why, error.facts])).not.toContain('sk-');
    },
  );

  it.each(['reorder', 'floats'])('embeddings=%s is no trouble', async (fault) => {
    const { official, client } = await both({ faults: `embeddings=${fault}` });
    const odd = await official.service.embed(TEXTS.slice(0, 2), ATTEMPT, never);
    expect(odd.vectors).toEqual((await client().service.embed(TEXTS.slice(0, 2), ATTEMPT, never)).vectors);
  });

  it('changes keys when the first is refused, and both refusals are two requests', async () => {
    const { simulator, official } = await both({ keys: { refused: [KEYS[0]] } }, { keys: KEYS });
    await official.service.embed(TEXTS, ATTEMPT, never);
    expect(simulator.log().map(({ status }) => status)).toEqual([401, 200]);
    simulator.control.keys({ refused: [...KEYS] });
    await expect(official.service.embed(TEXTS, ATTEMPT, never)).rejects.toMatchObject({ code: 'E112' });
    expect(simulator.log().map(({ status }) => status)).toEqual([401, 200, 401]);
    expect(simulator.bill().requests).toHaveLength(1);
  });

  it('is told about a model that is not there, for nothing', async () => {
    const { simulator, client } = await both();
    expect(await client().service.health(never)).toMatchObject({ ok: true });
    simulator.control.faults('models=404,models=cut');
    expect(await client().service.health(never)).toMatchObject({ ok: false });
    expect(await client().service.health(never)).toMatchObject({ ok: false });
    expect(simulator.bill().nanoUsd).toBe(0);
  });

  it('never has a planned batch refused for its size: 3,000 texts, 330,000 tokens', async () => {
    const tokenizer = await loadTokenizer();
    const paragraph = 'Every member pays the deductible before the plan begins to share the cost of care. ';
    const texts = Array.from({ length: 3_000 }, (_, at) => `Section ${at}. ${paragraph.repeat(1 + (at % 11))}`);
    let waiting = texts.map((text, at) => ({ id: `${at}`, jobId: `${at % 7}`, text, tokens: tokenizer.count(text) }));
    const { simulator, official } = await both();
    let vectors = 0;
    while (waiting.length > 0) {
      const { batch } = nextBatch(waiting, { maxTexts: 2048, maxTokens: 250_000, maxTokensEach: 8191 });
      const tokens = batch.reduce((sum, chunk) => sum + chunk.tokens, 0);
      const result = await official.service.embed(
        batch.map(({ text }) => text),
        { ...ATTEMPT, tokens },
        never,
      );
      expect(result.tokensBilled).toBe(tokens);
      vectors += result.vectors.length;
      const taken = new Set(batch);
      waiting = waiting.filter((chunk) => !taken.has(chunk));
    }
    expect(vectors).toBe(3_000);
    expect(simulator.log().map(({ status }) => status)).toEqual([200, 200]);
  });
});
