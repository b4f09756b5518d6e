/** Orders a batch for the chunks of a document that have no vector: the file first, then the one request that may be billed. */
import { createHash } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { asTvdbError, storedError, TvdbError } from '../base/errors.ts';
import { reach } from '../base/fault.ts';
import { canonicalJson, sha256 } from '../base/hash.ts';
import type { EmbedBatchService, EmbeddingSpace, EmbedService } from '../services/embed/port.ts';
import { onDisk } from '../storage/storage-error.ts';
import { insertIntent, markSent, updateAttempt } from '../store/attempts.ts';
import { batchFilesOption } from '../store/batch-files.ts';
import { chunksWithoutVector } from '../store/chunks.ts';
import { closeBatch, endedBatches, insertBatch } from '../store/embed-batches.ts';
import { cachedVectors } from '../store/embedding-cache.ts';
import type { BufferedChunk, JobRow } from '../store/schema.ts';
import { endAttempt, holdEmbed } from './attempt-money.ts';
import { FIRST_LOOK_MS, resting } from './economy-look.ts';
import type { Outcome, StageContext } from './stage.ts';

/** Batches of one job, after which the rest is embedded at once. */
const MOST_BATCHES = 3;
/** Batches that expire cost a day each. */
const MOST_EXPIRED = 2;
/** Bytes of the file written at a time. */
const PART_BYTES = 1_000_000;

/**
 * Orders a batch for every text of the job that has no vector yet, each once, and rests the job. `null` where the
 * ordinary way is to be taken: the job is not to be cheap, its service has no batches, or earlier batches brought too
 * little. Throws what provably was not accepted, and a refusal of the money (E201, E202, E204).
 */
export async function orderBatch(job: JobRow, service: EmbedService, context: StageContext): Promise<Outcome | null> {
  const { batch, space } = service;
  if (job.economy !== 1 || service.origin !== 'real' || batch === undefined) return null;
  const before = await endedBatches(context.store.db, job.job_id);
  const ran = before.filter(({ status }) => ['completed', 'expired', 'cancelled'].includes(status));
  const expired = ran.filter(({ status }) => status === 'expired').length;
  // What was refused for its text is refused again; at once, the service says so in its own words.
  const refused = ran.some((one) => one.refused > 0);
  if (refused || expired >= MOST_EXPIRED || ran.length >= MOST_BATCHES) return null;
  const rows = await unknownTexts(job, space, batch, context);
  return rows.length === 0 ? null : send({ job, batch, space, rows }, context);
}

/** Says of a refusal of the money that the half price was tried. */
export function atFullPrice(error: unknown): unknown {
  if (!(error instanceof TvdbError) || error.code !== 'E202') return error;
  const { why, fix, commands, chargedNanoUsd, facts } = error;
  return new TvdbError('E202', {
    message: `Batches left some texts without a vector, and at once they cost the full price: ${error.message}`,
    fix: `${fix} Without it, the same command orders another batch.`,
    ...{ commands, facts, cause: error },
    ...(why !== undefined && { why }),
    ...(chargedNanoUsd !== undefined && { chargedNanoUsd }),
  });
}

interface Order {
  job: JobRow;
  batch: EmbedBatchService;
  space: EmbeddingSpace;
  /** One chunk for each text. */
  rows: readonly BufferedChunk[];
}

/** One chunk for each text that neither the job nor the cache has a vector of, as many as fit into a batch. */
async function unknownTexts(
  job: JobRow,
  space: EmbeddingSpace,
  { mostRows, mostTokens }: EmbedBatchService,
  { store }: StageContext,
): Promise<BufferedChunk[]> {
  const chunks = await chunksWithoutVector(store.db, job.job_id, space.name, mostRows);
  const shas = chunks.map(({ chunk_sha: sha }) => sha);
  const taken = new Set((await cachedVectors(store.db, space, shas, job.no_cache === 1 ? job.created_at : 0)).keys());
  const rows: BufferedChunk[] = [];
  let tokens = 0;
  for (const chunk of chunks) {
    if (taken.has(chunk.chunk_sha)) continue;
    if (rows.length > 0 && tokens + chunk.token_count > mostTokens) break;
    taken.add(chunk.chunk_sha);
    tokens += chunk.token_count;
    rows.push(chunk);
  }
  return rows;
}

async function send({ batch, ...asked }: Order, context: StageContext): Promise<Outcome> {
  const { clock, ids, abort } = context;
  const { job } = asked;
  const attemptId = ids.uuid();
  const { file, written } = await write(asked.rows, batch, attemptId, context);
  const order = { ...asked, batch, rows: written };
  let fileId: string;
  try {
    fileId = await context.idle(batch.upload(file, abort));
  } finally {
    await rm(file.path, { force: true });
  }
  reach('economy.file_uploaded');
  let sentAt: number | null = null;
  const leaving = async () => {
    if (sentAt !== null) return;
    const now = clock.now();
    await intend(order, { attemptId, fileId, now }, context);
    sentAt = now;
    reach('economy.before_create');
  };
  const attempt = {
    attemptId,
    jobId: job.job_id,
    correlationId: job.correlation_id,
    tokens: tokensOf(written),
    leaving,
  };
  try {
    const receipt = await context.idle(batch.create(fileId, attempt, abort));
    reach('economy.after_create');
    const facts = {
      remote_id: receipt.batchId,
      http_status: receipt.httpStatus,
      upstream_request_id: receipt.requestId ?? null,
    };
    const data = { remote_id: receipt.batchId, rows: written.length, tokens: attempt.tokens, space: order.space.name };
    await context.record((trx) => updateAttempt(trx, attemptId, facts), {
      event: { code: 'EMBED_BATCH_CREATED', attemptId, data },
    });
    reach('economy.id_recorded');
    return resting({ sent: sentAt, started_at: clock.now() }, 'the batch is ordered', context);
  } catch (thrown) {
    // What became of a request that we stopped waiting for is not known: the attempt stays `sent` and is looked for.
    if (sentAt === null) await batch.remove(fileId, abort).catch(() => {});
    if (abort.aborted || sentAt === null) throw thrown;
    return afterRefusal(attemptId, thrown, context);
  }
}

/** The intent, its money at the price of batches, and the mark that it is about to leave, in one transaction. */
async function intend(
  { job, space, rows }: Order,
  { attemptId, fileId, now }: { attemptId: string; fileId: string; now: number },
  context: StageContext,
) {
  const runId = context.runId ?? job.run_id;
  const units = tokensOf(rows);
  await context.record(async (trx) => {
    await insertIntent(trx, {
      attemptId,
      jobId: job.job_id,
      service: 'embed',
      operation: 'embed_batch',
      requestHash: sha256(canonicalJson({ space: space.name, texts: rows.map(({ chunk_sha }) => chunk_sha) })),
      units,
      origin: 'real',
      now,
      runId,
      // From here on it is known which file is to be deleted when the batch has ended, however that comes about.
      options: batchFilesOption([fileId]) ?? undefined,
    });
    const payer = { attemptId, runId, costCenter: job.cost_center, shares: [{ job, units }] };
    await holdEmbed(trx, payer, units, space.model, context, 'batch');
    const row = { attempt_id: attemptId, job_id: job.job_id, space: JSON.stringify(space), rows: rows.length };
    await insertBatch(trx, row);
    await markSent(trx, attemptId, now);
  });
}

/** After an order that brought no id: it is looked for when it may exist, else it has ended. */
async function afterRefusal(attemptId: string, thrown: unknown, context: StageContext): Promise<Outcome> {
  const { clock } = context;
  const error = asTvdbError(thrown);
  const { http_status: status, request_id: requestId, sent } = error.facts;
  const facts = {
    error: JSON.stringify(storedError(error)),
    http_status: typeof status === 'number' ? status : null,
    upstream_request_id: typeof requestId === 'string' ? requestId : null,
  };
  if (error.code === 'E307' || error.code === 'E900') {
    return {
      kind: 'park',
      reason: 'unknown_outcome',
      until: clock.now() + FIRST_LOOK_MS,
      note: `${error.message}; it is looked for before anything is ordered again`,
      event: { code: 'EMBED_UNKNOWN', severity: 'warn', attemptId, data: { why: error.message } },
      write: (trx) => endAttempt(trx, attemptId, { ...facts, outcome: 'unknown' }, context),
    };
  }
  const because = sent === false ? 'not_sent' : 'not_charged';
  await context.record(async (trx) => {
    await closeBatch(trx, attemptId, { status: 'refused', now: clock.now() });
    await endAttempt(trx, attemptId, { ...facts, outcome: 'failed' }, context, { because });
  });
  throw error;
}

/** The file of a batch, in the place of incoming copies: what a killed process leaves there is swept. */
async function write(
  rows: readonly BufferedChunk[],
  batch: EmbedBatchService,
  name: string,
  { storage }: StageContext,
): Promise<{ file: { path: string; sha256: string }; written: BufferedChunk[] }> {
  const { path, handle } = await storage.openIncoming(name);
  const hash = createHash('sha256');
  const written: BufferedChunk[] = [];
  let bytes = 0;
  let part = '';
  const flush = async () => {
    hash.update(part);
    await onDisk(path, () => handle.writeFile(part));
    part = '';
  };
  try {
    for (const row of rows) {
      const line = batch.line(row.chunk_sha, row.text);
      bytes += Buffer.byteLength(line);
      if (written.length > 0 && bytes > batch.mostBytes) break;
      written.push(row);
      part += line;
      if (part.length > PART_BYTES) await flush();
    }
    await flush();
    return { file: { path, sha256: hash.digest('hex') }, written };
  } catch (error) {
    await rm(path, { force: true });
    throw error;
  } finally {
    await handle.close();
  }
}

function tokensOf(chunks: readonly BufferedChunk[]): number {
  return chunks.reduce((sum, { token_count }) => sum + token_count, 0);
}
