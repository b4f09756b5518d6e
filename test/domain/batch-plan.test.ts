import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type BatchLimits, halve, nextBatch, type WaitingChunk } from '../../src/domain/batch-plan.ts';

fc.configureGlobal({ seed: 20261124 });

const LIVE: BatchLimits = { maxTexts: 2048, maxTokens: 250_000, maxTokensEach: 8191 };

const sum = (chunks: readonly WaitingChunk[]) => chunks.reduce((total, { tokens }) => total + tokens, 0);

/** Chunks of several jobs, mixed, each job in its own order. */
const waitingChunks = (mostTokens: number) =>
  fc
    .array(fc.record({ job: fc.integer({ min: 0, max: 5 }), tokens: fc.integer({ min: 1, max: mostTokens }) }), {
      maxLength: 120,
    })
    .map((rows) => rows.map(({ job, tokens }, at) => ({ id: `c${at}`, jobId: `j${job}`, tokens })));

const limits = fc.record({
  maxTexts: fc.integer({ min: 1, max: 20 }),
  maxTokens: fc.integer({ min: 1, max: 400 }),
  maxTokensEach: fc.integer({ min: 1, max: 60 }),
});

type Planner = typeof nextBatch;

/** Every batch until nothing is left, as the pipeline takes them. */
function allBatches(waiting: readonly WaitingChunk[], within: BatchLimits, plan: Planner = nextBatch) {
  const batches: WaitingChunk[][] = [];
  let rest = [...waiting];
  let { tooLong } = plan(rest, within);
  const refused = tooLong;
  for (;;) {
    const next = plan(rest, within);
    tooLong = next.tooLong;
    if (next.batch.length === 0) return { batches, refused, rest };
    batches.push(next.batch);
    const taken = new Set(next.batch);
    rest = rest.filter((chunk) => !taken.has(chunk));
    if (batches.length > waiting.length) throw new Error('it does not end');
  }
}

/** What must hold for any chunks and limits. */
function checkPlan(waiting: readonly WaitingChunk[], within: BatchLimits, plan: Planner = nextBatch): void {
  const { batches, refused, rest } = allBatches(waiting, within, plan);
  const most = Math.min(within.maxTokensEach, within.maxTokens);
  const fitting = waiting.filter(({ tokens }) => tokens <= most);

  for (const batch of batches) {
    expect(batch.length).toBeLessThanOrEqual(within.maxTexts);
    expect(sum(batch)).toBeLessThanOrEqual(within.maxTokens);
  }
  expect(rest).toEqual(refused);
  expect(refused).toEqual(waiting.filter(({ tokens }) => tokens > most));
  const sent = batches.flat();
  expect([...sent].sort((a, b) => Number(a.id.slice(1)) - Number(b.id.slice(1)))).toEqual(fitting);
  for (const job of new Set(fitting.map(({ jobId }) => jobId))) {
    const ofJob = (chunk: WaitingChunk) => chunk.jobId === job;
    expect(sent.filter(ofJob)).toEqual(fitting.filter(ofJob));
  }
  let left = [...fitting];
  for (const batch of batches) {
    expect(batch[0]).toBe(left[0]);
    left = left.filter((chunk) => !batch.includes(chunk));
  }
  const bound = Math.ceil(fitting.length / within.maxTexts) + Math.ceil(sum(fitting) / (within.maxTokens - most + 1));
  expect(batches.length).toBeLessThanOrEqual(bound);
}

describe('nextBatch', () => {
  it('keeps every limit, sends each chunk once, keeps the order of a job, and fills', () => {
    fc.assert(
      fc.property(waitingChunks(70), limits, (waiting, within) => checkPlan(waiting, within)),
      { numRuns: 500 },
    );
  });

  it('is held to that: planners with one fault each fail the same check', () => {
    const waiting = Array.from({ length: 60 }, (_, at) => ({
      id: `c${at}`,
      jobId: `j${at % 3}`,
      tokens: 1 + ((at * 7) % 40),
    }));
    const cases = [9, 3].map((maxTexts) => ({ maxTexts, maxTokens: 100, maxTokensEach: 39 }));
    const checkAll = (plan: Planner) => cases.forEach((within) => void checkPlan(waiting, within, plan));
    checkAll(nextBatch);
    const broken: Record<string, Planner> = {
      'sums too high': (chunks, lim) => nextBatch(chunks, { ...lim, maxTokens: lim.maxTokens + 30 }),
      'takes too many': (chunks, lim) => nextBatch(chunks, { ...lim, maxTexts: lim.maxTexts + 1 }),
      'sends one at a time': (chunks, lim) => nextBatch(chunks, { ...lim, maxTexts: 1 }),
      'overtakes within a job': (chunks, lim) =>
        nextBatch(
          [...chunks].sort((a, b) => a.tokens - b.tokens),
          lim,
        ),
      'lets the oldest wait': (chunks, lim) => {
        const { batch, tooLong } = nextBatch(chunks.slice(1), lim);
        return batch.length > 0 ? { batch, tooLong } : nextBatch(chunks, lim);
      },
      'drops what is too long': (chunks, lim) => ({ ...nextBatch(chunks, lim), tooLong: [] }),
    };
    for (const [fault, plan] of Object.entries(broken)) {
      expect(() => checkAll(plan), fault).toThrow();
    }
  });

  it('needs no batch more than the count demands when tokens are no matter', () => {
    fc.assert(
      fc.property(waitingChunks(50), fc.integer({ min: 1, max: 30 }), (waiting, maxTexts) => {
        const { batches } = allBatches(waiting, { maxTexts, maxTokens: 50 * maxTexts, maxTokensEach: 50 });
        expect(batches).toHaveLength(Math.ceil(waiting.length / maxTexts));
      }),
    );
  });

  it('needs one batch more than the tokens demand at most, for 12 million tokens in chunks of usual size', () => {
    const waiting = Array.from({ length: 20_000 }, (_, at) => ({
      id: `c${at}`,
      jobId: `j${at % 40}`,
      tokens: 400 + ((at * 7919) % 401),
    }));
    const { batches } = allBatches(waiting, LIVE);
    expect(batches.length).toBeLessThanOrEqual(Math.ceil(sum(waiting) / LIVE.maxTokens) + 1);
  });

  it('never makes a request of more than 2,048 texts or 300,000 tokens', () => {
    const short = Array.from({ length: 5_000 }, (_, at) => ({ id: `c${at}`, jobId: 'j', tokens: 147 }));
    const long = Array.from({ length: 200 }, (_, at) => ({ id: `d${at}`, jobId: 'k', tokens: 8_191 }));
    const { batches } = allBatches([...short, ...long], { ...LIVE, maxTokens: 300_000 });
    expect(Math.max(...batches.map((batch) => batch.length))).toBeLessThanOrEqual(2048);
    expect(Math.max(...batches.map(sum))).toBeLessThanOrEqual(300_000);
    expect(Math.max(...batches.map(sum))).toBeGreaterThan(290_000);
  });

  it('fills up with chunks of other jobs behind one that does not fit, and leaves its own job in order', () => {
    const chunk = (id: string, jobId: string, tokens: number) => ({ id, jobId, tokens });
    const waiting = [chunk('a1', 'a', 60), chunk('a2', 'a', 60), chunk('a3', 'a', 1), chunk('b1', 'b', 30)];
    const { batch } = nextBatch(waiting, { maxTexts: 10, maxTokens: 100, maxTokensEach: 100 });
    expect(batch.map(({ id }) => id)).toEqual(['a1', 'b1']);
  });

  it('reports a chunk that is too long for any request and goes on with the rest of its job', () => {
    const waiting = [8192, 8191].map((tokens, at) => ({ id: `c${at}`, jobId: 'j', tokens }));
    const { batch, tooLong } = nextBatch(waiting, LIVE);
    expect([batch, tooLong]).toEqual([[waiting[1]], [waiting[0]]]);
  });

  it('refuses limits and counts that are not whole numbers above 0', () => {
    for (const bad of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(() => nextBatch([{ id: 'c', jobId: 'j', tokens: bad }], LIVE)).toThrow(RangeError);
      expect(() => nextBatch([], { ...LIVE, maxTexts: bad })).toThrow(RangeError);
    }
  });
});

describe('halve', () => {
  it('parts a batch in two that are not empty, in order, until one text is left, in at most 25 cuts deep', () => {
    const checkHalves = (batch: readonly WaitingChunk[]): number => {
      const halves = halve(batch);
      if (halves === null) {
        expect(batch.length).toBeLessThan(2);
        return 0;
      }
      expect(halves.flat()).toEqual(batch);
      expect(Math.min(...halves.map((half) => half.length))).toBeGreaterThan(0);
      return 1 + Math.max(...halves.map(checkHalves));
    };
    fc.assert(
      fc.property(waitingChunks(8191), (batch) => {
        expect(checkHalves(batch)).toBeLessThanOrEqual(25);
      }),
    );
    const even = Array.from({ length: 2048 }, (_, at) => ({ id: `c${at}`, jobId: 'j', tokens: 100 }));
    expect(checkHalves(even)).toBe(11);
  });

  it('parts by tokens, not by texts: neither half keeps more than one text over half of them', () => {
    fc.assert(
      fc.property(waitingChunks(8191), (batch) => {
        const halves = halve(batch);
        if (halves === null) return;
        const largest = Math.max(...batch.map(({ tokens }) => tokens));
        for (const half of halves) expect(sum(half)).toBeLessThanOrEqual(sum(batch) / 2 + largest);
      }),
    );
  });
});
