/** What waits, runs, rests and failed: the queue as a table of counts. Reads only. */
import { sql } from 'kysely';
import { ACTIVE_STATUSES, FAILED_STATUSES, type JobStatus, type ParkReason } from '../domain/job-state.ts';
import type { Db } from './open.ts';

/** Jobs of one status that is active or failed. */
export interface QueueCount {
  status: JobStatus;
  /** Held by a living worker, so far as is known. */
  active: number;
  /** Can be taken at once; a job whose worker died is among them. */
  waiting: number;
  /** Waiting for a time or for the user. */
  parked: number;
  /** Creation of the oldest job that waits; `null` when none does. */
  oldestWaiting: number | null;
}

/** Parked jobs that rest for the same reason. */
export interface ParkedGroup {
  reason: ParkReason;
  jobs: number;
  /** Earliest time one of them may go on; `null` when all wait for the user. */
  until: number | null;
}

const QUEUED = sql.join([...ACTIVE_STATUSES, ...FAILED_STATUSES].map((status) => sql.lit(status)));
const ACTIVE = sql.join(ACTIVE_STATUSES.map((status) => sql.lit(status)));

/** Counts by status at `now`. Leases of `deadWorkers` and leases that ran out count as waiting, because any worker takes them over. */
export async function countQueue(db: Db, now: number, deadWorkers: readonly string[]): Promise<QueueCount[]> {
  const held = sql`(lease_owner IS NOT NULL AND lease_until > ${now} AND lease_owner NOT IN (SELECT value FROM json_each(${JSON.stringify(deadWorkers)})))`;
  const resting = sql`(park_reason IS NOT NULL AND (run_after IS NULL OR run_after > ${now}))`;
  const { rows } = await sql<QueueCount>`
    SELECT status, SUM(held) AS active, SUM(NOT held AND resting) AS parked, SUM(NOT held AND NOT resting) AS waiting,
      MIN(CASE WHEN NOT held AND NOT resting THEN created_at END) AS oldestWaiting
    FROM (SELECT status, created_at, ${held} AS held, ${resting} AS resting FROM upload_jobs WHERE status IN (${QUEUED}))
    GROUP BY status`.execute(db);
  return rows;
}

/** Why jobs rest at `now`, the most frequent reason first; those that go on by themselves apart from those that do not. */
export async function parkedGroups(db: Db, now: number): Promise<ParkedGroup[]> {
  const { rows } = await sql<ParkedGroup>`
    SELECT park_reason AS reason, COUNT(*) AS jobs, MIN(run_after) AS until
    FROM upload_jobs
    WHERE lease_owner IS NULL AND status IN (${ACTIVE}) AND park_reason IS NOT NULL AND (run_after IS NULL OR run_after > ${now})
    GROUP BY park_reason, run_after IS NULL ORDER BY jobs DESC, reason, until`.execute(db);
  return rows;
}

/** How many of some jobs stand in each status. */
export async function statusesOf(db: Db, jobIds: readonly string[]): Promise<Map<JobStatus, number>> {
  const { rows } = await sql<{ status: JobStatus; jobs: number }>`
    SELECT status, COUNT(*) AS jobs FROM upload_jobs
    WHERE job_id IN (SELECT value FROM json_each(${JSON.stringify(jobIds)})) GROUP BY status`.execute(db);
  return new Map(rows.map(({ status, jobs }) => [status, jobs]));
}

/** Documents and searchable chunks there are. */
export async function countContent(db: Db): Promise<{ documents: number; chunks: number }> {
  const { rows } = await sql<{ documents: number; chunks: number }>`
    SELECT (SELECT COUNT(*) FROM documents) AS documents, (SELECT COUNT(*) FROM document_chunks) AS chunks`.execute(db);
  return rows[0] ?? { documents: 0, chunks: 0 };
}
