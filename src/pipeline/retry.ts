/** Takes up jobs that failed, or that wait for the user, at the step they stopped at. */
import { storedError, TvdbError } from '../base/errors.ts';
import { shortId } from '../base/ids.ts';
import {
  type ActiveStatus,
  type FailedStatus,
  isEnded,
  isFailed,
  type JobStatus,
  type ParkReason,
  retryTarget,
  stepOf,
} from '../domain/job-state.ts';
import { documentById } from '../store/documents.ts';
import { appendEvent } from '../store/events.ts';
import { finishedJob, jobById } from '../store/jobs/find.ts';
import { liveJob, setLastError } from '../store/jobs/live.ts';
import { moveJob } from '../store/jobs/move.ts';
import { wakeJobs } from '../store/jobs/park.ts';
import type { Db, Trx } from '../store/open.ts';
import { coverJobs } from '../store/run-jobs.ts';
import type { JobEventRow, JobRow } from '../store/schema.ts';
import type { PipelineDeps } from './stage.ts';
import type { OnEvent } from './step.ts';

/** What became of a job that was to be taken up. */
export type RetryOutcome =
  /** It failed and goes on from `to`. */
  | { state: 'retried'; was: FailedStatus; to: ActiveStatus }
  /** It waited for this reason and may go on at once. */
  | { state: 'woken'; reason: ParkReason }
  /** There was nothing to do. */
  | {
      state:
        | 'already_running'
        | 'already_queued'
        | 'already_waiting'
        | 'already_complete'
        | 'already_duplicate'
        | 'already_cancelled';
    }
  /** It cannot be taken up; it stays as it was. */
  | { state: 'refused'; error: TvdbError };

export interface Retried {
  job: JobRow;
  outcome: RetryOutcome;
}

/** Reasons to wait that the user may overrule. The others end by themselves, and asking early would only cost a request. */
const WAKEABLE: readonly ParkReason[] = ['held_by_user', 'retry', 'service_unavailable', 'rate_limit', 'budget'];

/**
 * Takes up one job and puts it in the scope of `runId`. A failed job keeps its `last_error` until it succeeds. Refused
 * with E417 when the stored bytes it needs are gone, and with E010 when another live job does the same work.
 * `undefined` for an unknown id.
 */
export async function retryJob(
  deps: PipelineDeps,
  jobId: string,
  runId: string,
  onEvent: OnEvent,
): Promise<Retried | undefined> {
  const missing = await missingBytes(deps, jobId);
  const taken = await deps.store.write((trx) => takeUp(trx, deps, { jobId, runId, missing }));
  if (taken === undefined) return undefined;
  const { job, outcome, event } = taken;
  if (event !== undefined) onEvent(event, job);
  return { job, outcome };
}

/** E417 when a failed job could not get past its first step; looked up before the transaction, because it reads a file. */
async function missingBytes({ store, storage }: PipelineDeps, jobId: string): Promise<TvdbError | null> {
  const job = await jobById(store.db, jobId);
  if (job === undefined || !isFailed(job.status)) return null;
  const document = await documentById(store.db, job.document_id);
  if (document === undefined) {
    return new TvdbError('E417', {
      message: `The document of job ${shortId(jobId)} was deleted`,
      facts: { job_id: jobId },
    });
  }
  // Later steps work from what the store holds.
  if (retryTarget(job.status) !== 'uploaded') return null;
  if (await storage.hasLength(document.raw_path, document.bytes_len)) return null;
  return new TvdbError('E417', {
    message: `The stored bytes of job ${shortId(jobId)} are missing or cut short`,
    facts: { job_id: jobId, document_id: document.document_id },
  });
}

/** Where a job would go on if it were taken up now; `null` where nothing would be done. Reads only. */
export async function wouldGoOnAt(deps: PipelineDeps, job: JobRow): Promise<ActiveStatus | null> {
  if (isEnded(job.status) && !isFailed(job.status)) return null;
  if (!isFailed(job.status)) return idleState(job) === undefined ? job.status : null;
  const blocked = (await missingBytes(deps, job.job_id)) !== null || (await doneElsewhere(deps.store.db, job)) !== null;
  return blocked ? null : retryTarget(job.status);
}

interface Wish {
  jobId: string;
  runId: string;
  missing: TvdbError | null;
}

type Taken = Retried & { event?: JobEventRow };

async function takeUp(trx: Trx, deps: PipelineDeps, { jobId, runId, missing }: Wish): Promise<Taken | undefined> {
  const job = await jobById(trx, jobId);
  if (job === undefined) return undefined;
  if (isFailed(job.status))
    return missing === null ? restart(trx, deps, job, job.status, runId) : refuse(trx, deps, job, missing);
  const idle = idleState(job);
  if (idle !== undefined) return { job, outcome: { state: idle } };
  return wake(trx, deps, job, runId);
}

/** Why there is nothing to do for a job that has not failed; `undefined` when it can be woken. */
function idleState(job: JobRow): Exclude<RetryOutcome['state'], 'retried' | 'woken' | 'refused'> | undefined {
  if (job.status === 'complete') return 'already_complete';
  if (job.status === 'duplicate') return 'already_duplicate';
  if (job.status === 'cancelled') return 'already_cancelled';
  if (job.lease_owner !== null) return 'already_running';
  if (job.park_reason === null) return 'already_queued';
  // Without a time, an outcome stays unknown until the user decides.
  const stuck = job.park_reason === 'unknown_outcome' && job.run_after === null;
  return stuck || WAKEABLE.includes(job.park_reason) ? undefined : 'already_waiting';
}

/** What is said of a failed job whose work another job has done since, or is at; `null` where none does. */
async function doneElsewhere(db: Db, job: JobRow): Promise<RetryOutcome | null> {
  const key = { userId: job.user_id, documentId: job.document_id, configKey: job.config_key };
  const done = await finishedJob(db, key);
  if (done !== undefined && done.created_at >= job.created_at) return { state: 'already_complete' };
  const live = await liveJob(db, key);
  if (live === undefined) return null;
  const error = new TvdbError('E010', {
    message: `Job ${shortId(job.job_id)} cannot be retried: job ${shortId(live.job_id)} does the same work and stands at ${live.status}`,
    fix: '',
    commands: [`tvdb status ${shortId(live.job_id)}`],
    facts: { job_id: job.job_id, live_job_id: live.job_id },
  });
  return { state: 'refused', error };
}

async function restart(trx: Trx, deps: PipelineDeps, job: JobRow, was: FailedStatus, runId: string): Promise<Taken> {
  // Looked up under the write lock, so the unique index `one_live_job` is never run into.
  const elsewhere = await doneElsewhere(trx, job);
  if (elsewhere !== null) return { job, outcome: elsewhere };
  const to = retryTarget(was);
  const now = deps.clock.now();
  await moveJob(trx, {
    jobId: job.job_id,
    from: was,
    to,
    fence: job.fence,
    now,
    takeOver: true,
    set: { processing_completed_at: null },
  });
  await coverJobs(trx, runId, [job.job_id]);
  return finish(trx, deps, job, to, { by: 'user' }, { state: 'retried', was, to });
}

async function wake(trx: Trx, deps: PipelineDeps, job: JobRow, runId: string): Promise<Taken> {
  const reason = job.park_reason;
  if (reason === null) throw new Error('only a parked job can be woken');
  await wakeJobs(trx, [job.job_id], deps.clock.now());
  await coverJobs(trx, runId, [job.job_id]);
  return finish(trx, deps, job, job.status, { by: 'user', reason }, { state: 'woken', reason });
}

/** Records the event of a job that goes on, and returns the job as it is now. */
async function finish(
  trx: Trx,
  { clock, ids }: PipelineDeps,
  job: JobRow,
  to: JobStatus,
  data: Record<string, unknown>,
  outcome: RetryOutcome,
): Promise<Taken> {
  const event = await appendEvent(trx, {
    code: 'RESUMED',
    eventId: ids.uuid(),
    at: clock.now(),
    subject: job,
    from: job.status,
    to,
    stage: stepOf(to),
    data,
  });
  return { job: (await jobById(trx, job.job_id)) ?? job, outcome, event };
}

/** The job stays failed; why is now that its bytes are gone. */
async function refuse(trx: Trx, { clock, ids }: PipelineDeps, job: JobRow, error: TvdbError): Promise<Taken> {
  const now = clock.now();
  const stored = storedError(error);
  await setLastError(trx, job, JSON.stringify(stored), now);
  const event = await appendEvent(trx, {
    code: 'FAILED',
    severity: 'error',
    eventId: ids.uuid(),
    at: now,
    subject: job,
    from: job.status,
    to: job.status,
    stage: stepOf(job.status),
    data: { error: stored },
  });
  return { job: (await jobById(trx, job.job_id)) ?? job, outcome: { state: 'refused', error }, event };
}
