/** Makes jobs and says which ones a run covers. */

import { sql } from 'kysely';
import type { Trx } from '../open.ts';
import { coverJobs } from '../run-jobs.ts';
import type { JobRow, NewJob } from '../schema.ts';
import { isUniqueViolation } from '../store-error.ts';
import { liveJob } from './live.ts';

/**
 * Inserts a job and links it to its run. When a live job with the same user, document and configuration exists, makes
 * none and returns that one instead, linked to the run: the caller attaches to it.
 */
export async function insertJob(trx: Trx, job: NewJob): Promise<{ job: JobRow; attached: boolean }> {
  try {
    const made = await trx.insertInto('upload_jobs').values(job).returningAll().executeTakeFirstOrThrow();
    await coverJobs(trx, job.run_id, [made.job_id]);
    return { job: made, attached: false };
  } catch (error) {
    if (!isUniqueViolation(error)) throw error;
    const key = { userId: job.user_id, documentId: job.document_id, configKey: job.config_key };
    const live = await liveJob(trx, key);
    if (!live) throw error;
    await coverJobs(trx, job.run_id, [live.job_id]);
    return { job: live, attached: true };
  }
}

/** Raises what a later upload of the same work asks for: a higher priority, keeping the earlier version searchable. */
export async function urgeJob(
  trx: Trx,
  jobId: string,
  { priority, keepOld }: { priority: number; keepOld: boolean },
): Promise<void> {
  await trx
    .updateTable('upload_jobs')
    .set({
      processing_priority: sql<number>`max(processing_priority, ${priority})`,
      ...(keepOld ? { keep_old: 1 } : {}),
    })
    .where('job_id', '=', jobId)
    .execute();
}
