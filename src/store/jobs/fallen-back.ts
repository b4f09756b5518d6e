/** Complete jobs in which a mock stood in for a real service, and the jobs that redid their parts for real. */
import { sql } from 'kysely';
import { ACTIVE_STATUSES } from '../../domain/job-state.ts';
import type { Db } from '../open.ts';
import type { JobRow } from '../schema.ts';

/** The jobs among `jobIds` (all without) that fell back, oldest first, whatever became of them since. */
export async function fallenBackJobs(db: Db, jobIds?: readonly string[]): Promise<JobRow[]> {
  let query = db
    .selectFrom('upload_jobs')
    .selectAll()
    .where('status', '=', 'complete')
    .where('fallback_triggered', '=', 1)
    .orderBy('created_at')
    .orderBy('job_id');
  if (jobIds !== undefined)
    query = query.where('job_id', 'in', sql<string>`(SELECT value FROM json_each(${JSON.stringify(jobIds)}))`);
  return query.execute();
}

/** The newest job that redoes the parts of `jobId`, or has redone them; one that failed or was cancelled does not count. */
export async function upgradeOf(db: Db, jobId: string): Promise<JobRow | undefined> {
  return db
    .selectFrom('upload_jobs')
    .selectAll()
    .where('upgrades_job', '=', jobId)
    .where('status', 'in', ['complete', ...ACTIVE_STATUSES])
    .orderBy('created_at', 'desc')
    .executeTakeFirst();
}
