/** Stops jobs on the user's word: the status, the fence and the buffers change at once, whoever works on the job. */
import { type ActiveStatus, type EndedStatus, isEnded, stepOf } from '../domain/job-state.ts';
import { latestAttempt, searchWindow } from '../store/attempts.ts';
import { clearBuffers } from '../store/chunks.ts';
import { appendEvent } from '../store/events.ts';
import { jobById } from '../store/jobs/find.ts';
import { moveJob } from '../store/jobs/move.ts';
import { wakeSlotWaiter } from '../store/jobs/wake.ts';
import type { Trx } from '../store/open.ts';
import type { AttemptRow, JobEventRow, JobRow } from '../store/schema.ts';
import { endAttempt } from './attempt-money.ts';
import { stopBatch } from './economy-stop.ts';
import { parseOptionsOf } from './route.ts';
import type { PipelineDeps } from './stage.ts';
import type { OnEvent } from './step.ts';

/** What became of a job that was to be stopped. */
export type CancelOutcome =
  /** `was` is where it stood; `held` whether a worker had it in hand and now loses it. */
  | { state: 'cancelled'; was: ActiveStatus; held: boolean }
  /** It had ended before, in this status; nothing was changed. */
  | { state: 'ended'; was: EndedStatus };

export interface Cancelled {
  job: JobRow;
  outcome: CancelOutcome;
}

/**
 * Cancels a job that is not ended. The fence goes up in the same transaction, so every later write of a worker that has
 * the job in hand fails. A parse that runs is then stopped at its service if it can be; a service that cannot be asked
 * changes nothing about the cancelled job. `undefined` for an unknown id.
 */
export async function cancelJob(
  deps: PipelineDeps,
  jobId: string,
  onEvent: OnEvent,
  abort: AbortSignal,
): Promise<Cancelled | undefined> {
  const stopped = await deps.store.write((trx) => stopJob(trx, deps, jobId));
  if (stopped === undefined) return undefined;
  const { job, outcome, event, attempt } = stopped;
  if (event !== undefined) onEvent(event, job);
  if (attempt !== undefined) await stopParse(attempt, job, deps, abort);
  await stopBatch(job, deps, abort);
  return { job, outcome };
}

/** A stopped job, with what is left to do once the transaction is committed. */
export interface Stopped extends Cancelled {
  event?: JobEventRow;
  /** A parse request that may still run at its service. */
  attempt?: AttemptRow;
}

/** Cancels a job that is not ended, inside the transaction of the caller: status, fence, buffers, event. */
export async function stopJob(trx: Trx, deps: PipelineDeps, jobId: string): Promise<Stopped | undefined> {
  const { clock, ids } = deps;
  const job = await jobById(trx, jobId);
  if (job === undefined) return undefined;
  const was = job.status;
  if (isEnded(was)) return { job, outcome: { state: 'ended', was } };
  const now = clock.now();
  const held = job.lease_owner !== null;
  await moveJob(trx, { jobId, from: was, to: 'cancelled', fence: job.fence, now, takeOver: true });
  await clearBuffers(trx, jobId);
  if (was === 'parse_queued') await wakeSlotWaiter(trx, now);
  const attempt = await latestAttempt(trx, jobId, 'parse');
  // A request that never left has ended; what became of one that left is only known to its service.
  if (attempt?.outcome === 'intent')
    await endAttempt(trx, attempt.attempt_id, { outcome: 'failed' }, deps, { because: 'not_sent' });
  const event = await appendEvent(trx, {
    code: 'CANCELLED',
    eventId: ids.uuid(),
    at: now,
    subject: job,
    from: was,
    to: 'cancelled',
    stage: stepOf(was),
    data: { held },
  });
  const runs = attempt !== undefined && ['sent', 'adopted', 'unknown'].includes(attempt.outcome);
  const after = await jobById(trx, jobId);
  return { job: after ?? job, outcome: { state: 'cancelled', was, held }, event, ...(runs && { attempt }) };
}

/** Stops a parse at its service as far as that is possible; what goes wrong is logged, the job is cancelled already. */
export async function stopParse(
  attempt: AttemptRow,
  job: JobRow,
  { router, log, clock, settings }: PipelineDeps,
  abort: AbortSignal,
): Promise<void> {
  try {
    const service = await router.parseService(attempt.origin, parseOptionsOf(job, settings));
    const window = searchWindow(attempt, clock.now());
    const remoteIds =
      attempt.remote_id === null ? await service.findByAttempt(attempt.attempt_id, window, abort) : [attempt.remote_id];
    for (const remoteId of remoteIds) await service.cancel(remoteId, abort);
  } catch (error) {
    log('warn', 'a parse could not be stopped', {
      correlation_id: job.correlation_id,
      job_id: job.job_id,
      error: String(error),
    });
  }
}
