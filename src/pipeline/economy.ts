/** A job whose embeddings were ordered as a batch: it rests until the batch ends, takes what there is, and goes on. */
import { TvdbError } from '../base/errors.ts';
import { allows } from '../domain/service-mode.ts';
import type { BatchLook, EmbedBatchService, EmbeddingSpace } from '../services/embed/port.ts';
import { bufferedChunks, chunksWithoutVector } from '../store/chunks.ts';
import { noteBatch, type OpenBatch, openBatch } from '../store/embed-batches.ts';
import type { JobRow } from '../store/schema.ts';
import { endAttempt } from './attempt-money.ts';
import { type Collector, collectBatch, endBatch } from './economy-collect.ts';
import { ageOf, lookForBatch, passing, resting } from './economy-look.ts';
import { decisionOf, unusable } from './route.ts';
import { type Outcome, progressOf, type StageContext, withProgress } from './stage.ts';

/** The service promises 24 hours; an hour later it is told to stop, and an hour after that nobody waits any more. */
const DEADLINE_MS = 25 * 3_600_000;
const GRACE_MS = 3_600_000;
/** How long to wait for other batches of the account to leave its queue. */
const QUEUE_WAIT_MS = 900_000;

/**
 * What a job with a batch has to do before anything else may happen to its embedding; `null` when it has none (any more).
 * Whatever mode it has by now: what the batch finishes is paid, so it is waited for, or cancelled and waited for.
 */
export async function awaitBatch(job: JobRow, context: StageContext): Promise<Outcome | null> {
  const { store, router, clock } = context;
  const open = await openBatch(store.db, job.job_id);
  if (open === undefined) return null;
  const wanted = allows(decisionOf(job).overrides?.openai ?? job.service_mode, 'real');
  if (!router.usable('openai')) {
    if (wanted) return unusable('openai', { use: null, why: 'key_missing', fallback: false }, job, clock.now());
    // Nobody can ask without a key. The batch stays open: a later run with one settles it.
    await context.record((trx) => endAttempt(trx, open.attempt_id, { outcome: 'unknown' }, context));
    return null;
  }
  const { batch } = await router.embedService('real');
  if (batch === undefined) throw new Error('the service has lost its batches');
  let remoteId = open.remote_id;
  if (remoteId === null) {
    const found = await lookForBatch(open, batch, context);
    if ('kind' in found) return found;
    if ('absent' in found) return absent(job, open, context);
    ({ remoteId } = found);
  }
  const look = await context.idle(batch.look(remoteId, context.abort)).catch(passing(context));
  if (look instanceof TvdbError) return resting(open, look.message, context);
  return settle(job, { ...open, remote_id: remoteId }, look, { batch, wanted }, context);
}

async function settle(
  job: JobRow,
  open: OpenBatch & { remote_id: string },
  look: BatchLook,
  { batch, wanted }: { batch: EmbedBatchService; wanted: boolean },
  context: StageContext,
): Promise<Outcome | null> {
  const { clock, settings } = context;
  if (look.state === 'working') return wait(open, look, { batch, wanted }, context);
  const collector = await collectorOf(job, open, context);
  if (look.state === 'gone') {
    // What was just made may not be seen everywhere yet.
    if (ageOf(open, clock.now()) < settings.UNKNOWN_OUTCOME_WINDOW)
      return resting(open, 'the service does not know the batch yet', context);
    const error = forgotten(open.remote_id);
    await endBatch(open, { status: 'gone', billed: null, error }, collector);
    throw error;
  }
  if (look.state === 'failed') {
    const { error, queueFull } = look;
    await endBatch(open, { status: 'failed', billed: 0, error, why: error.why ?? error.message }, collector);
    if (!queueFull) throw error;
    return {
      kind: 'park',
      reason: 'rate_limit',
      until: clock.now() + QUEUE_WAIT_MS,
      note: 'too many tokens wait in batches of this account; the batch is ordered again later',
    };
  }
  const failed = await context.idle(collectBatch(open, look, batch, collector)).catch(passing(context));
  if (!(failed instanceof TvdbError)) return null;
  if (ageOf(open, clock.now()) < DEADLINE_MS + GRACE_MS) return resting(open, failed.message, context);
  return stuck(open, `its results cannot be read: ${failed.message}`, context);
}

/** The batch is at work: the job rests; it is told to stop where nobody wants it, or it takes too long. */
async function wait(
  open: OpenBatch & { remote_id: string },
  look: Extract<BatchLook, { state: 'working' }>,
  { batch, wanted }: { batch: EmbedBatchService; wanted: boolean },
  context: StageContext,
): Promise<Outcome> {
  const { status, done, total } = look;
  if (status !== open.status) await context.record((trx) => noteBatch(trx, open.attempt_id, status));
  const age = ageOf(open, context.clock.now());
  if (wanted && age < DEADLINE_MS)
    return resting(open, `the batch is at work (${status}, ${done} of ${total} texts)`, context);
  if (age >= DEADLINE_MS + GRACE_MS) return stuck(open, `it stands at ${status} after a day`, context);
  if (status !== 'cancelling') await batch.cancel(open.remote_id, context.abort).catch(passing(context));
  return resting(open, 'the batch is being cancelled; what it finished is used', context, { soon: true });
}

/** Nobody knows what it costs in the end: people decide. */
function stuck(open: OpenBatch, why: string, context: StageContext): Outcome {
  return {
    kind: 'park',
    reason: 'unknown_outcome',
    until: null,
    note: `the batch ${open.remote_id} does not end: ${why}; \`tvdb retry\` looks again`,
    write: (trx) => endAttempt(trx, open.attempt_id, { outcome: 'unknown' }, context),
  };
}

/** The order never arrived; it is made again, as often as MAX_RETRIES allows. */
async function absent(job: JobRow, open: OpenBatch, context: StageContext): Promise<null> {
  const tries = job.retry_count;
  const why = 'the order never reached the service';
  const collector = await collectorOf(job, open, context);
  await endBatch(open, { status: 'absent', billed: 0, absent: true, why, set: { retry_count: tries + 1 } }, collector);
  if (tries < context.settings.MAX_RETRIES) return null;
  throw new TvdbError('E303', { message: `The order of a batch was lost ${tries + 1} times`, why });
}

async function collectorOf(job: JobRow, open: OpenBatch, context: StageContext): Promise<Collector> {
  const { db } = context.store;
  const { name } = JSON.parse(open.space) as EmbeddingSpace;
  const lacking = await chunksWithoutVector(db, job.job_id, name, Number.MAX_SAFE_INTEGER);
  return {
    deps: context,
    abort: context.abort,
    chunks: await bufferedChunks(db, job.job_id),
    lacking: new Set(lacking.map(({ chunk_id: id }) => id)),
    commit: context.record,
    progress(vectors) {
      const { embeds_done: done, embeds_total: total } = progressOf(job);
      return { retry_count: 0, progress: withProgress(job, { embeds_done: Math.min(done + vectors, total) }) };
    },
  };
}

function forgotten(remoteId: string): TvdbError {
  return new TvdbError('E311', {
    message: `OpenAI does not know the batch ${remoteId} any more`,
    why: 'nobody knows what it was billed',
    fix: '`tvdb retry <id>` orders another one, which costs again.',
    chargedNanoUsd: null,
    facts: { remote_id: remoteId },
  });
}
