/** `embedding_queued` and `embedding_in_progress`: sends the chunks batch by batch and commits each as it arrives. */
import { asTvdbError, storedError, TvdbError } from '../base/errors.ts';
import { reach } from '../base/fault.ts';
import { canonicalJson, sha256 } from '../base/hash.ts';
import { checkVector, encodeVector } from '../domain/vector.ts';
import type { EmbedResult, EmbedService } from '../services/embed/port.ts';
import { insertIntent, markSent, updateAttempt } from '../store/attempts.ts';
import { addBufferedVectors, chunksWithoutVector, type NewVector } from '../store/chunks.ts';
import type { Trx } from '../store/open.ts';
import type { BufferedChunk, JobRow } from '../store/schema.ts';
import type { Stage, StageContext, StageEvent } from './stage.ts';
import { progressOf, withProgress } from './stage.ts';

/** Sends the first batch: the job is `embedding_in_progress` once its answer is stored. */
export const startEmbedding: Stage = async (job, context) => {
  const service = await serviceOf(job, context);
  const batch = await nextBatch(job, service, context);
  if (batch.length === 0) return { kind: 'move', to: 'embedding_in_progress', event: { code: 'EMBED_STARTED' } };
  const { write, event } = await sendBatch(job, batch, service, context);
  return {
    kind: 'move',
    to: 'embedding_in_progress',
    event,
    // Tries are counted for a batch, not for all of them together.
    set: { retry_count: 0, progress: withProgress(job, { embeds_done: batch.length }) },
    write,
  };
};

/** Sends the rest; moves on when every chunk has its vector. */
export const continueEmbedding: Stage = async (job, context) => {
  const service = await serviceOf(job, context);
  const { embeds_total: total } = progressOf(job);
  let done = progressOf(job).embeds_done;
  for (;;) {
    const batch = await nextBatch(job, service, context);
    if (batch.length === 0) break;
    if (context.stopping.aborted) return { kind: 'yield' };
    const { write, event } = await sendBatch(job, batch, service, context);
    done += batch.length;
    await context.record(write, {
      event,
      set: { retry_count: 0, progress: withProgress(job, { embeds_done: Math.min(done, total) }) },
    });
  }
  return {
    kind: 'move',
    to: 'embeddings_stored',
    event: { code: 'EMBED_COMMITTED', data: { vectors: total, space: service.space.name, origin: service.origin } },
    set: { progress: withProgress(job, { embeds_done: total }) },
  };
};

async function serviceOf(job: JobRow, { router }: StageContext): Promise<EmbedService> {
  const service = await router.embedService(job.embed_origin ?? 'mock');
  if (service.space.name !== job.embedding_space) {
    throw new Error(`planned for ${job.embedding_space}, but the service speaks ${service.space.name}`);
  }
  return service;
}

async function nextBatch(
  job: JobRow,
  service: EmbedService,
  { store, settings }: StageContext,
): Promise<BufferedChunk[]> {
  return chunksWithoutVector(store.db, job.job_id, service.space.name, settings.EMBED_BATCH_SIZE);
}

/** One request for one batch, its intent committed first. Returns the write that stores the answer. */
async function sendBatch(job: JobRow, batch: readonly BufferedChunk[], service: EmbedService, context: StageContext) {
  const { clock, ids } = context;
  const attemptId = ids.uuid();
  const tokens = batch.reduce((sum, chunk) => sum + chunk.token_count, 0);
  await context.record(async (trx) => {
    await insertIntent(trx, {
      attemptId,
      jobId: job.job_id,
      service: 'embed',
      operation: 'embed',
      requestHash: sha256(canonicalJson({ space: service.space.name, texts: batch.map((chunk) => chunk.chunk_sha) })),
      units: tokens,
      origin: service.origin,
      now: clock.now(),
    });
    await markSent(trx, attemptId, clock.now());
  });
  const sentAt = clock.monotonic();
  reach('embed.before_batch');
  try {
    const texts = batch.map((chunk) => chunk.text);
    const result = await service.embed(
      texts,
      { attemptId, jobId: job.job_id, correlationId: job.correlation_id },
      context.abort,
    );
    const vectors = validated(batch, result, service.space.dimensions);
    reach('embed.after_batch');
    const write = async (trx: Trx) => {
      await addBufferedVectors(trx, job.job_id, service.space.name, service.origin, vectors);
      await updateAttempt(trx, attemptId, { outcome: 'ok', latency_ms: Math.round(clock.monotonic() - sentAt) });
    };
    const event: StageEvent = {
      code: 'EMBED_BUFFERED',
      attemptId,
      data: { vectors: batch.length, tokens, origin: service.origin },
    };
    return { write, event };
  } catch (error) {
    const known = error instanceof TvdbError ? error : asTvdbError(error);
    await context.record((trx) =>
      updateAttempt(trx, attemptId, { outcome: 'failed', error: JSON.stringify(storedError(known)) }),
    );
    throw error;
  }
}

/** Checks count and every vector before anything is stored. Throws E418. */
function validated(batch: readonly BufferedChunk[], { vectors }: EmbedResult, dimensions: number): NewVector[] {
  if (vectors.length !== batch.length) {
    throw new TvdbError('E418', { message: `Asked for ${batch.length} vectors, got ${vectors.length}` });
  }
  return batch.map((chunk, index) => {
    const vector = vectors[index];
    const problem = vector === undefined ? 'is missing' : checkVector(vector, dimensions);
    if (vector === undefined || problem !== null) {
      throw new TvdbError('E418', { message: `The vector of chunk ${chunk.chunk_ord} ${problem}` });
    }
    const encoded = encodeVector(vector);
    return { chunkId: chunk.chunk_id, vector: encoded, vectorSha: sha256(encoded) };
  });
}
