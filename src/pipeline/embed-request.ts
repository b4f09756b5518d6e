/** One embedding request: its intent committed, one POST, its answer checked and committed with the end of the attempt. */
import { asTvdbError } from '../base/errors.ts';
import { reach } from '../base/fault.ts';
import { canonicalJson, sha256 } from '../base/hash.ts';
import type { EmbedResult, EmbedService } from '../services/embed/port.ts';
import { insertIntent, markSent } from '../store/attempts.ts';
import { rememberVectors } from '../store/embedding-cache.ts';
import { jobsWithDocument } from '../store/jobs/live.ts';
import { LostLeaseError } from '../store/jobs/move.ts';
import type { Trx } from '../store/open.ts';
import type { BufferedChunk, JobRow } from '../store/schema.ts';
import { endAttempt, holdEmbed } from './attempt-money.ts';
import { failEmbedding } from './fail-embedding.ts';
import type { PipelineDeps } from './stage.ts';
import { usableVectors } from './usable-vectors.ts';

/** What a job wants: vectors for the first of these chunks, as many as fit. */
export interface EmbedAsk {
  job: Pick<JobRow, 'job_id' | 'correlation_id' | 'cost_center' | 'run_id' | 'consent_nano_usd'>;
  service: EmbedService;
  chunks: readonly BufferedChunk[];
  /** Whether the job is still held; asked inside the transaction of the intent. */
  held: (trx: Trx) => Promise<boolean>;
}

export interface EmbeddedPart {
  attemptId: string;
  /** The first chunks of the ask. */
  chunks: readonly BufferedChunk[];
  /** Stored form, in their order. */
  vectors: readonly Buffer[];
  tokens: number;
}

/** What one job has in a request. */
export interface Share<A extends EmbedAsk = EmbedAsk> {
  ask: A;
  chunks: readonly BufferedChunk[];
}

export interface Sent<A extends EmbedAsk> {
  parts: readonly { ask: A; part: EmbeddedPart }[];
  /** Jobs that belong to somebody else by now; nothing was sent for them. */
  lost: readonly A[];
  /** The jobs of a request that brought nothing, and why. */
  failed: readonly Share<A>[];
  error: unknown;
}

interface Line {
  deps: PipelineDeps;
  runId: string | null;
  abort: AbortSignal;
}

/** Sends the shares of the jobs that are still held as one request. Does not throw. */
export async function sendShares<A extends EmbedAsk>(shares: readonly Share<A>[], line: Line): Promise<Sent<A>> {
  const lost: A[] = [];
  let held = shares;
  for (;;) {
    try {
      const still = await stillHeld(held, line);
      lost.push(...held.filter((share) => !still.includes(share)).map(({ ask }) => ask));
      held = still;
      return { parts: held.length === 0 ? [] : await post(held, line), lost, failed: [], error: null };
    } catch (error) {
      // A job was lost while the request waited for its turn, and nothing has left: the others go without it.
      if (!(error instanceof LostLeaseError)) return { parts: [], lost, failed: held, error };
    }
  }
}

/** The shares whose jobs this worker still has, before anything is asked of the service. */
async function stillHeld<A extends EmbedAsk>(
  shares: readonly Share<A>[],
  { deps: { store } }: Line,
): Promise<readonly Share<A>[]> {
  return store.write(async (trx) => {
    const held: Share<A>[] = [];
    for (const share of shares) if (await share.ask.held(trx)) held.push(share);
    return held;
  });
}

/** Commits the attempt and the mark that it is about to leave. Throws `LostLeaseError` when a job was lost meanwhile. */
async function intend(attemptId: string, shares: readonly Share[], { deps, runId }: Line): Promise<void> {
  const { store, clock } = deps;
  const [first, ...others] = shares;
  if (first === undefined) return;
  const chunks = shares.flatMap((share) => share.chunks);
  const { space, origin } = first.ask.service;
  await store.write(async (trx) => {
    for (const { ask } of shares) if (!(await ask.held(trx))) throw new LostLeaseError(ask.job.job_id);
    await insertIntent(trx, {
      attemptId,
      jobId: first.ask.job.job_id,
      service: 'embed',
      operation: 'embed',
      requestHash: sha256(canonicalJson({ space: space.name, texts: chunks.map(({ chunk_sha }) => chunk_sha) })),
      units: tokensOf(chunks),
      origin,
      now: clock.now(),
      runId,
      shares: others.map((share) => ({ jobId: share.ask.job.job_id, units: tokensOf(share.chunks) })),
    });
    if (origin === 'real') {
      const payer = {
        attemptId,
        runId: runId ?? first.ask.job.run_id,
        costCenter: first.ask.job.cost_center,
        shares: shares.map((share) => ({ job: share.ask.job, units: tokensOf(share.chunks) })),
      };
      await holdEmbed(trx, payer, tokensOf(chunks), space.model, deps);
    }
    await markSent(trx, attemptId, clock.now());
  });
}

/** One POST; its answer checked, and committed with the end of the attempt. */
async function post<A extends EmbedAsk>(
  shares: readonly Share<A>[],
  line: Line,
): Promise<{ ask: A; part: EmbeddedPart }[]> {
  const { deps, abort } = line;
  const { clock, ids } = deps;
  const [first] = shares;
  if (first === undefined) return [];
  const attemptId = ids.uuid();
  const { service, job } = first.ask;
  const chunks = shares.flatMap((share) => share.chunks);
  // A text that stands in several chunks is sent, and paid, once.
  const texts = [...new Map(chunks.map((chunk) => [chunk.chunk_sha, chunk])).values()];
  let sentAt: number | null = null;
  const leaving = async () => {
    if (sentAt !== null) return;
    await intend(attemptId, shares, line);
    sentAt = clock.monotonic();
    reach('embed.before_batch');
  };
  let result: EmbedResult;
  let vectors: Map<string, Buffer>;
  try {
    const attempt = {
      attemptId,
      jobId: job.job_id,
      correlationId: job.correlation_id,
      tokens: tokensOf(texts),
      leaving,
    };
    result = await service.embed(
      texts.map(({ text }) => text),
      attempt,
      abort,
    );
    if (sentAt === null) throw new Error('an embedding service sent a request without saying so');
    vectors = usableVectors(texts, result, service.space.dimensions);
  } catch (thrown) {
    // A request that we stopped waiting for may be billed: the attempt stays `sent`, and is looked at before another.
    // One that never left has no attempt.
    if (!abort.aborted && sentAt !== null) await failEmbedding(attemptId, asTvdbError(thrown), deps);
    throw thrown;
  }
  reach('embed.after_batch');
  // Outside the `try`: a store that cannot take the answer leaves the attempt `sent`, because it was paid.
  await commit(attemptId, { shares, texts, vectors, result, ms: Math.round(clock.monotonic() - sentAt) }, deps);
  reach('embed.batch_committed');
  return shares.map(({ ask, chunks: own }) => ({
    ask,
    part: {
      attemptId,
      chunks: own,
      vectors: own.flatMap(({ chunk_sha: sha }) => vectors.get(sha) ?? []),
      tokens: tokensOf(own),
    },
  }));
}

interface Answer {
  shares: readonly Share[];
  texts: readonly BufferedChunk[];
  /** By the SHA-256 of the text. */
  vectors: ReadonlyMap<string, Buffer>;
  result: EmbedResult;
  ms: number;
}

/** The end of the attempt and the vectors, durable together before any document has stored its part. */
async function commit(attemptId: string, answer: Answer, deps: PipelineDeps): Promise<void> {
  const { store, clock } = deps;
  const { shares, texts, vectors, result, ms } = answer;
  const service = shares[0]?.ask.service;
  await store.write(async (trx) => {
    const ending = {
      outcome: 'ok',
      latency_ms: ms,
      billed_units: result.tokensBilled,
      http_status: result.httpStatus ?? null,
      upstream_request_id: result.requestId ?? null,
    } as const;
    await endAttempt(trx, attemptId, ending, deps);
    if (service?.origin !== 'real') return;
    // A document that was deleted meanwhile leaves nothing behind.
    const jobs = await jobsWithDocument(
      trx,
      shares.map(({ ask }) => ask.job.job_id),
    );
    const wanted = new Set(
      shares.flatMap(({ ask, chunks }) => (jobs.has(ask.job.job_id) ? chunks.map((chunk) => chunk.chunk_sha) : [])),
    );
    const kept = texts.flatMap(({ chunk_sha: chunkSha, token_count: tokens }) => {
      const vector = vectors.get(chunkSha);
      return vector === undefined || !wanted.has(chunkSha) ? [] : [{ chunkSha, tokens, vector }];
    });
    await rememberVectors(trx, service.space, kept, clock.now());
  });
}

function tokensOf(chunks: readonly BufferedChunk[]): number {
  return chunks.reduce((sum, { token_count }) => sum + token_count, 0);
}
