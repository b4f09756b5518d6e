/** Lets a job wait: gives the lease back and says why and until when. Waiting is not a status. */
import type { JobStatus, ParkReason } from '../../domain/job-state.ts';
import type { Trx } from '../open.ts';
import { type JobChanges, updateHeldJob } from './move.ts';

export interface Park {
  jobId: string;
  status: JobStatus;
  fence: number;
  now: number;
  reason: ParkReason;
  /** Earliest time of the next claim; `null` waits for the user. */
  until: number | null;
  /** A sentence for people. */
  note: string;
  set?: JobChanges;
}

/** Parks a job its worker holds. Throws `LostLeaseError` when it does not hold it. */
export async function parkJob(trx: Trx, { reason, until, note, set = {}, ...held }: Park): Promise<void> {
  await updateHeldJob(trx, { ...held, set });
  await trx
    .updateTable('upload_jobs')
    .set({ lease_owner: null, lease_until: null, park_reason: reason, park_note: note, run_after: until })
    .where('job_id', '=', held.jobId)
    .execute();
}

/** Gives a lease back without a reason to wait (shutdown): the next worker may take the job at once. */
export async function releaseJob(trx: Trx, held: { jobId: string; fence: number; now: number }): Promise<void> {
  await trx
    .updateTable('upload_jobs')
    .set({ lease_owner: null, lease_until: null, updated_at: held.now })
    .where('job_id', '=', held.jobId)
    .where('fence', '=', held.fence)
    .execute();
}

/** Wakes parked jobs: those whose park reason the user has dealt with. Returns how many woke. */
export async function wakeJobs(trx: Trx, jobIds: readonly string[], now: number): Promise<number> {
  const { numUpdatedRows } = await trx
    .updateTable('upload_jobs')
    .set({ park_reason: null, park_note: null, run_after: null, recoveries: 0, updated_at: now })
    .where('job_id', 'in', jobIds)
    .where('park_reason', 'is not', null)
    .executeTakeFirstOrThrow();
  return Number(numUpdatedRows);
}
