/** `embedding_queued` and `embedding_in_progress`: has the chunks embedded part by part and commits each as it arrives. */
import { vectorSha } from '../domain/vector.ts';
import type { EmbedService } from '../services/embed/port.ts';
import { addBufferedVectors, chunksWithoutVector } from '../store/chunks.ts';
import { cachedVectors, touchVectors } from '../store/embedding-cache.ts';
import { LostLeaseError, updateHeldJob } from '../store/jobs/move.ts';
import type { Trx } from '../store/open.ts';
import type { BufferedChunk, JobRow } from '../store/schema.ts';
import { awaitBatch } from './economy.ts';
import { atFullPrice, orderBatch } from './economy-order.ts';
import type { EmbeddedPart } from './embed-request.ts';
import { routeOf, unusable } from './route.ts';
import type { Outcome, Stage, StageContext, StageEvent } from './stage.ts';
import { progressOf, withProgress } from './stage.ts';
import { afterUnknownEmbedding } from './unknown-embedding.ts';

/** Chunks looked at and stored at a time. */
const SLICE = 256;

/** Has the first part embedded: the job is `embedding_in_progress` once it is stored. */
export const startEmbedding: Stage = async (job, context) => {
  const ready = await prepare(job, context);
  if (!('service' in ready)) return ready;
  const part = await nextPart(job, ready.service, context);
  if (part === null) return { kind: 'move', to: 'embedding_in_progress', event: { code: 'EMBED_STARTED' } };
  if ('kind' in part) return part;
  return {
    kind: 'move',
    to: 'embedding_in_progress',
    event: part.event,
    // Tries are counted for a part, not for all of them together.
    set: { retry_count: 0, progress: withProgress(job, { embeds_done: part.count }) },
    write: part.write,
  };
};

/** Has the rest embedded; moves on when every chunk has its vector. */
export const continueEmbedding: Stage = async (job, context) => {
  const ready = await prepare(job, context);
  if (!('service' in ready)) return ready;
  const { service } = ready;
  const { embeds_total: total } = progressOf(job);
  let done = progressOf(job).embeds_done;
  for (;;) {
    const part = await nextPart(job, service, context);
    if (part === null) break;
    if ('kind' in part) return part;
    done += part.count;
    await context.record(part.write, {
      event: part.event,
      set: { retry_count: 0, progress: withProgress(job, { embeds_done: Math.min(done, total) }) },
    });
    if (context.stopping.aborted) return { kind: 'yield' };
  }
  return {
    kind: 'move',
    to: 'embeddings_stored',
    event: { code: 'EMBED_COMMITTED', data: { vectors: total, space: service.space.name, origin: service.origin } },
    set: { progress: withProgress(job, { embeds_done: total }) },
  };
};

/** The service the vectors of this document come from, or what the job has to do before it may be asked. */
async function prepare(job: JobRow, context: StageContext): Promise<{ service: EmbedService } | Outcome> {
  const { router, clock } = context;
  const waiting = await awaitBatch(job, context);
  if (waiting !== null) return waiting;
  const origin = job.embed_origin ?? 'mock';
  const route = await routeOf('openai', job, context);
  if (route.use === null) return unusable('openai', route, job, clock.now());
  // A document is embedded by one service as a whole: when another one is to be used, all of it is planned anew.
  // One whose vectors are all here asks for nothing, so that no outage can make a stand-in of it.
  const isDone = route.fallback && !(await lacksVectors(job, context));
  if (route.use !== origin && !isDone) {
    const why = `to be embedded by ${route.use} instead of ${origin} (${route.why})`;
    return { kind: 'move', to: 'chunks_stored', event: { code: 'RETRY_SCHEDULED', severity: 'warn', data: { why } } };
  }
  const service = await router.embedService(origin);
  if (service.space.name !== job.embedding_space) {
    const why = `planned for ${job.embedding_space}, the service speaks ${service.space.name}`;
    return { kind: 'move', to: 'chunks_stored', event: { code: 'RETRY_SCHEDULED', severity: 'warn', data: { why } } };
  }
  return (await afterUnknownEmbedding(job, context)) ?? { service };
}

async function lacksVectors(job: JobRow, { store }: StageContext): Promise<boolean> {
  const { job_id: jobId, embedding_space: space } = job;
  return space === null || (await chunksWithoutVector(store.db, jobId, space, 1)).length > 0;
}

/** Vectors of some chunks, ready to be written under the lease. */
interface Part {
  count: number;
  event: StageEvent;
  write: (trx: Trx) => Promise<void>;
}

/**
 * The next vectors: those that are known already, else what the batcher gets; `null` when none is missing. An outcome
 * where a batch was ordered for all of them.
 */
async function nextPart(job: JobRow, service: EmbedService, context: StageContext): Promise<Part | Outcome | null> {
  const { store, settings } = context;
  const slice = Math.max(SLICE, settings.EMBED_BATCH_SIZE);
  const chunks = await chunksWithoutVector(store.db, job.job_id, service.space.name, slice);
  if (chunks.length === 0) return null;
  const known = await cachedPart(job, chunks, service, context);
  if (known !== null) return known;
  const ordered = await orderBatch(job, service, context);
  if (ordered !== null) return ordered;
  const part = await context
    .idle(context.batcher.embed({ job, service, chunks, held: (trx) => isHeld(trx, job, context) }))
    .catch((error: unknown) => {
      throw job.economy === 1 ? atFullPrice(error) : error;
    });
  return sentPart(job, part, service);
}

function sentPart(job: JobRow, { attemptId, chunks, vectors, tokens }: EmbeddedPart, service: EmbedService): Part {
  const { space, origin } = service;
  return {
    count: chunks.length,
    event: { code: 'EMBED_BUFFERED', attemptId, data: { vectors: chunks.length, tokens, origin } },
    write: (trx) => addBufferedVectors(trx, job.job_id, space.name, origin, rows(chunks, vectors)),
  };
}

/** Those of the chunks whose text was embedded before, in this space; nothing is asked and nothing is paid. */
async function cachedPart(
  job: JobRow,
  chunks: readonly BufferedChunk[],
  service: EmbedService,
  { store, clock }: StageContext,
): Promise<Part | null> {
  const { space, origin } = service;
  if (origin === 'mock') return null;
  // A job that was to be made without the cache may still use what was made for it.
  const madeSince = job.no_cache === 1 ? job.created_at : 0;
  const known = await cachedVectors(
    store.db,
    space,
    chunks.map(({ chunk_sha: sha }) => sha),
    madeSince,
  );
  const found = chunks.filter(({ chunk_sha: sha }) => known.has(sha));
  if (found.length === 0) return null;
  const vectors = found.flatMap(({ chunk_sha: sha }) => known.get(sha)?.vector ?? []);
  const tokens = found.reduce((sum, { token_count }) => sum + token_count, 0);
  return {
    count: found.length,
    event: { code: 'EMBED_CACHE_HIT', data: { vectors: found.length, tokens, origin } },
    write: async (trx) => {
      await addBufferedVectors(trx, job.job_id, space.name, origin, rows(found, vectors));
      await touchVectors(
        trx,
        space.name,
        found.map(({ chunk_sha: sha }) => sha),
        clock.now(),
      );
    },
  };
}

function rows(chunks: readonly BufferedChunk[], vectors: readonly Buffer[]) {
  return chunks.flatMap(({ chunk_id: chunkId }, index) => {
    const vector = vectors[index];
    return vector === undefined ? [] : [{ chunkId, vector, vectorSha: vectorSha(vector) }];
  });
}

/** Whether the job is still this worker's, in the status it was taken up in; says so to the store at the same time. */
async function isHeld(trx: Trx, job: JobRow, { clock }: StageContext): Promise<boolean> {
  try {
    await updateHeldJob(trx, { jobId: job.job_id, status: job.status, fence: job.fence, now: clock.now() });
    return true;
  } catch (error) {
    if (error instanceof LostLeaseError) return false;
    throw error;
  }
}
