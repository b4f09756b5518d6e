/** Jobs that a later run takes up: the link that puts them in the scope of its worker. */
import type { Trx } from './open.ts';

/** Puts jobs in the scope of a run; one that is there already stays. */
export async function coverJobs(trx: Trx, runId: string, jobIds: readonly string[]): Promise<void> {
  for (const jobId of jobIds) {
    await trx
      .insertInto('run_jobs')
      .values({ run_id: runId, job_id: jobId })
      .onConflict((conflict) => conflict.doNothing())
      .execute();
  }
}
