/** The one place that changes a job's status: compare-and-set on (job, from status, fence). */

import type { Updateable } from 'kysely';
import { canMove, isEnded, type JobStatus, stepOf } from '../../domain/job-state.ts';
import type { Trx } from '../open.ts';
import type { UploadJobsTable } from '../schema.ts';

/** The writer does not hold the job any more (its lease was taken over, or the user cancelled): it must write nothing. */
export class LostLeaseError extends Error {
  override readonly name = 'LostLeaseError';
  constructor(jobId: string) {
    super(`the lease on job ${jobId} was lost`);
  }
}

/** Columns a move may set besides the status. */
export type JobChanges = Omit<
  Updateable<UploadJobsTable>,
  'job_id' | 'status' | 'fence' | 'lease_owner' | 'lease_until' | 'updated_at'
>;

export interface Move {
  jobId: string;
  from: JobStatus;
  to: JobStatus;
  /** The fence the writer got when it claimed the job. */
  fence: number;
  now: number;
  set?: JobChanges;
  /** For a move by the user (`cancel`, `retry`): raises the fence and ends the lease, so that a worker's later writes fail. */
  takeOver?: boolean;
}

/**
 * Moves a job. Keeps the lease unless the job ends. Throws `LostLeaseError`, having written nothing, when the job is
 * not in `from` under that fence; throws an `Error` for a move that `MOVES` does not know (a bug).
 */
export async function moveJob(
  trx: Trx,
  { jobId, from, to, fence, now, set = {}, takeOver = false }: Move,
): Promise<void> {
  if (!canMove(from, to)) throw new Error(`illegal move ${from} -> ${to}`);
  const release = takeOver || isEnded(to);
  // Counters of a step last until the job enters the next one; otherwise a job that goes back within a step (a lost
  // parse is submitted again) would never reach their bounds.
  const advanced = takeOver || stepOf(from) !== stepOf(to);
  const { numUpdatedRows } = await trx
    .updateTable('upload_jobs')
    .set({
      ...(advanced ? { retry_count: 0, recoveries: 0 } : {}),
      park_reason: null,
      park_note: null,
      run_after: null,
      ...set,
      status: to,
      updated_at: now,
      ...(takeOver ? { fence: fence + 1 } : {}),
      ...(release ? { lease_owner: null, lease_until: null } : {}),
      ...(to === 'complete' || to === 'cancelled' ? { processing_completed_at: now } : {}),
    })
    .where('job_id', '=', jobId)
    .where('status', '=', from)
    .where('fence', '=', fence)
    .executeTakeFirstOrThrow();
  if (numUpdatedRows !== 1n) throw new LostLeaseError(jobId);
}

/**
 * Writes columns of a job without moving it, under the same guard. Also the way to check inside a transaction that the
 * lease is still held: with no changes it only touches `updated_at`.
 */
export async function updateHeldJob(
  trx: Trx,
  {
    jobId,
    status,
    fence,
    now,
    set = {},
  }: { jobId: string; status: JobStatus; fence: number; now: number; set?: JobChanges },
): Promise<void> {
  const { numUpdatedRows } = await trx
    .updateTable('upload_jobs')
    .set({ ...set, updated_at: now })
    .where('job_id', '=', jobId)
    .where('status', '=', status)
    .where('fence', '=', fence)
    .where('lease_owner', 'is not', null)
    .executeTakeFirstOrThrow();
  if (numUpdatedRows !== 1n) throw new LostLeaseError(jobId);
}
