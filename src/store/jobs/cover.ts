/** Says that a run covers jobs that were made before it. */
import { sql } from 'kysely';
import { ENDED_STATUSES } from '../../domain/job-state.ts';
import type { Trx } from '../open.ts';
import type { JobRow } from '../schema.ts';

/** Links jobs to a run; links that exist already stay. */
export async function coverJobs(trx: Trx, runId: string, jobIds: readonly string[]): Promise<void> {
  for (const jobId of jobIds) {
    await trx
      .insertInto('run_jobs')
      .values({ run_id: runId, job_id: jobId })
      .onConflict((conflict) => conflict.doNothing())
      .execute();
  }
}

/** The job in flight or complete that does the same work as `job`, the newest first; there may be none. */
export async function sameWork(trx: Trx, job: Pick<JobRow, 'job_id' | 'user_id' | 'document_id' | 'config_key'>): Promise<JobRow | undefined> {
  return trx
    .selectFrom('upload_jobs')
    .selectAll()
    .where('user_id', '=', job.user_id)
    .where('document_id', '=', job.document_id)
    .where('config_key', '=', job.config_key)
    .where('job_id', '!=', job.job_id)
    .where((where) =>
      where.or([
        where('status', '=', 'complete'),
        where('status', 'not in', ENDED_STATUSES),
      ]),
    )
    // One in flight blocks another of the same work, whatever else there is.
    .orderBy(sql`status = 'complete'`)
    .orderBy('created_at', 'desc')
    .executeTakeFirst();
}
