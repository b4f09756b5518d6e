/** Which waiting chunks go into the next embedding request: filled across jobs, within the limits of one request. */

export interface WaitingChunk {
  id: string;
  jobId: string;
  /** Whole, at least 1. */
  tokens: number;
}

export interface BatchLimits {
  /** Most texts in one request; the service takes 2,048. */
  maxTexts: number;
  /** Most tokens of all texts together; the service takes 300,000, by its own count. */
  maxTokens: number;
  /** Most tokens of one text; 8,191 for the models of today. */
  maxTokensEach: number;
}

export interface NextBatch<C extends WaitingChunk> {
  /** In the order they waited; empty only when nothing that may be sent waits. */
  batch: C[];
  /** Chunks no request may carry. They are in no batch, and hold nobody up. */
  tooLong: C[];
}

/**
 * Takes the next batch out of `waiting` (oldest first). The oldest chunk always goes, so nobody starves. Behind it,
 * whatever still fits, but never a chunk past an earlier one of its own job: a job's vectors arrive in its order.
 * A batch is left unfilled only when it has all texts it may, or a chunk did not fit, which takes more than
 * `maxTokens - maxTokensEach` tokens in it. So `n` chunks of `t` tokens make at most
 * `ceil(n / maxTexts) + ceil(t / (maxTokens - maxTokensEach + 1))` batches: the two lower bounds added, one of them 3 %
 * higher at 250,000 and 8,191. Sorting by size would save a batch now and then and let the oldest wait.
 * Throws a RangeError for limits or counts that are not whole numbers above 0.
 */
export function nextBatch<C extends WaitingChunk>(waiting: readonly C[], limits: BatchLimits): NextBatch<C> {
  for (const limit of [limits.maxTexts, limits.maxTokens, limits.maxTokensEach]) wholeAboveZero(limit, 'a limit');
  const { maxTexts, maxTokens } = limits;
  const maxEach = Math.min(limits.maxTokensEach, maxTokens);
  const batch: C[] = [];
  const tooLong: C[] = [];
  const closed = new Set<string>();
  let room = maxTokens;
  for (const chunk of waiting) {
    wholeAboveZero(chunk.tokens, `the token count of chunk ${chunk.id}`);
    if (chunk.tokens > maxEach) tooLong.push(chunk);
    else if (closed.has(chunk.jobId) || batch.length === maxTexts) continue;
    else if (chunk.tokens > room) closed.add(chunk.jobId);
    else {
      batch.push(chunk);
      room -= chunk.tokens;
    }
  }
  return { batch, tooLong };
}

/**
 * Cuts a batch that the service found too large in two, in order, as near to half of its tokens as it goes. `null` for
 * a single chunk, which cannot be made smaller.
 */
export function halve<C extends WaitingChunk>(batch: readonly C[]): [C[], C[]] | null {
  if (batch.length < 2) return null;
  const total = batch.reduce((sum, { tokens }) => sum + tokens, 0);
  let cut = 0;
  let before = 0;
  while (cut < batch.length - 1 && before * 2 < total) {
    before += batch[cut]?.tokens ?? 0;
    cut += 1;
  }
  return [batch.slice(0, cut), batch.slice(cut)];
}

function wholeAboveZero(value: number, what: string): void {
  if (!Number.isSafeInteger(value) || value < 1)
    throw new RangeError(`${what} is ${value}, not a whole number above 0`);
}
