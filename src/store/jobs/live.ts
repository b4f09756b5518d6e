/** The job that does some work right now, if there is one; the unique index `one_live_job` allows no second. */
import { sql } from 'kysely';
import { ACTIVE_STATUSES } from '../../domain/job-state.ts';
import type { ServiceMode } from '../../domain/service-mode.ts';
import type { Db, Trx } from '../open.ts';
import type { JobRow } from '../schema.ts';

/** The live job of a user for a document and configuration. */
export async function liveJob(
  db: Db,
  key: { userId: string; documentId: string; configKey: string },
): Promise<JobRow | undefined> {
  return db
    .selectFrom('upload_jobs')
    .selectAll()
    .where('user_id', '=', key.userId)
    .where('document_id', '=', key.documentId)
    .where('config_key', '=', key.configKey)
    .where('status', 'in', ACTIVE_STATUSES)
    .executeTakeFirst();
}

/** Ids of every job that is not ended, oldest first. */
export async function liveJobIds(db: Db): Promise<string[]> {
  const rows = await db
    .selectFrom('upload_jobs')
    .select('job_id')
    .where('status', 'in', ACTIVE_STATUSES)
    .orderBy('created_at')
    .orderBy('job_id')
    .execute();
  return rows.map((row) => row.job_id);
}

/** Those of some jobs whose document has not been deleted. */
export async function jobsWithDocument(db: Db, jobIds: readonly string[]): Promise<ReadonlySet<string>> {
  const rows = await db
    .selectFrom('upload_jobs as j')
    .innerJoin('documents as d', 'd.document_id', 'j.document_id')
    .select('j.job_id')
    .where('j.job_id', 'in', jobIds)
    .execute();
  return new Set(rows.map((row) => row.job_id));
}

/** How many unfinished jobs are to be parsed by the paid service, as decided so far, and have no text yet. */
export async function liveRealParses(db: Db): Promise<number> {
  const { rows } = await sql<{ jobs: number }>`
    SELECT COUNT(*) AS jobs FROM upload_jobs
    WHERE status IN ('uploaded', 'parse_queued')
      AND json_extract(service_router_config, '$.services.llamaparse.use') = 'real'`.execute(db);
  return rows[0]?.jobs ?? 0;
}

/** Records why a job that failed cannot be taken up; its status stays. */
export async function setLastError(
  trx: Trx,
  job: Pick<JobRow, 'job_id' | 'status'>,
  lastError: string,
  now: number,
): Promise<void> {
  await trx
    .updateTable('upload_jobs')
    .set({ last_error: lastError, updated_at: now })
    .where('job_id', '=', job.job_id)
    .where('status', '=', job.status)
    .execute();
}

/** Sets the mode of a job and what was decided for it, whoever has it in hand: the next write of its decision notices. */
export async function setDecision(
  trx: Trx,
  jobId: string,
  { mode, decision, now }: { mode: ServiceMode; decision: string; now: number },
): Promise<void> {
  await trx
    .updateTable('upload_jobs')
    .set({ service_mode: mode, service_router_config: decision, updated_at: now })
    .where('job_id', '=', jobId)
    .execute();
}
