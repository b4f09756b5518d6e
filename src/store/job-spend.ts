/** What single jobs have spent: their parts of the holds of their requests. */
import { sql } from 'kysely';
import type { ServiceName } from '../domain/service-mode.ts';
import type { Db } from './open.ts';
import { IS_TWIN } from './twins.ts';

/**
 * Nano-USD a job has spent or has reserved, nothing that was given back. Of a request that carries chunks of several jobs
 * each has the part its units are; figures billed above or below the hold are shared out alike.
 */
export async function spentByJob(db: Db, jobId: string): Promise<number> {
  return (await spentByJobs(db, [jobId])).get(jobId) ?? 0;
}

/**
 * The part of it that was agreed to, or has to be: what a service did a second time on its own account is not asked for,
 * and whether anything more is spent after it is agreed to where it is acknowledged.
 */
export async function agreedSpendOf(db: Db, jobId: string): Promise<number> {
  const { rows } = await sql<{ nano: number | null }>`
    SELECT SUM(nano) AS nano FROM (${parts([jobId], sql`NOT ${IS_TWIN}`)})`.execute(db);
  return rows[0]?.nano ?? 0;
}

/** The same for many jobs; those that spent nothing are missing. */
export async function spentByJobs(db: Db, jobIds: readonly string[]): Promise<Map<string, number>> {
  const { rows } = await sql<{ job_id: string; nano: number }>`
    SELECT job_id, SUM(nano) AS nano FROM (${parts(jobIds)}) GROUP BY job_id`.execute(db);
  return new Map(rows.map(({ job_id, nano }) => [job_id, nano]));
}

export interface ServiceSpend {
  nano: number;
  /** Settled at the hold for want of a figure of the service. */
  provisional: boolean;
}

/** What a job has spent or has reserved at each service; services it paid nothing are missing. */
export async function spentByService(db: Db, jobId: string): Promise<Map<ServiceName, ServiceSpend>> {
  const { rows } = await sql<{ service: ServiceName; nano: number; provisional: number }>`
    SELECT service, nano, provisional FROM (${parts([jobId])})`.execute(db);
  return new Map(rows.map(({ service, nano, provisional }) => [service, { nano, provisional: provisional === 1 }]));
}

/** The parts of jobs in their holds, summed by job and service; of the attempts `a` that meet a condition. */
function parts(jobIds: readonly string[], which = sql`TRUE`) {
  const wanted = sql`(SELECT value FROM json_each(${JSON.stringify(jobIds)}))`;
  return sql`
    WITH parts AS (
      SELECT a.attempt_id, s.job_id, s.units FROM attempt_shares s JOIN attempts a ON a.attempt_id = s.attempt_id
      WHERE s.job_id IN ${wanted}
      UNION ALL
      SELECT a.attempt_id, a.job_id,
        a.units - COALESCE((SELECT SUM(units) FROM attempt_shares o WHERE o.attempt_id = a.attempt_id), 0)
      FROM attempts a WHERE a.job_id IN ${wanted} AND ${which}
    )
    SELECT p.job_id, h.service, MAX(h.provisional) AS provisional,
      CAST(SUM(ROUND(1.0 * COALESCE(h.settled_amount, h.amount) * p.units / h.units)) AS INTEGER) AS nano
    FROM parts p JOIN holds h ON h.attempt_id = p.attempt_id
    WHERE h.state <> 'released' GROUP BY p.job_id, h.service`;
}

/** What a job that asked paid services has cost. */
export interface JobCost {
  /** Nano-USD settled. */
  charged: number;
  /** Reserved, or of unknown outcome: charged at the most. */
  open: number;
  /** Paid requests without a hold, of which nobody knows what they cost. */
  unpriced: number;
}

/** The cost of each of some jobs; those that asked no paid service are missing: they were free. */
export async function costsOfJobs(db: Db, jobIds: readonly string[]): Promise<Map<string, JobCost>> {
  const wanted = sql`(SELECT value FROM json_each(${JSON.stringify(jobIds)}))`;
  const { rows } = await sql<JobCost & { job_id: string }>`
    WITH parts AS (
      SELECT a.attempt_id, s.job_id, s.units FROM attempt_shares s JOIN attempts a ON a.attempt_id = s.attempt_id
      WHERE s.job_id IN ${wanted} AND a.origin = 'real'
      UNION ALL
      SELECT a.attempt_id, a.job_id,
        a.units - COALESCE((SELECT SUM(units) FROM attempt_shares o WHERE o.attempt_id = a.attempt_id), 0)
      FROM attempts a WHERE a.job_id IN ${wanted} AND a.origin = 'real'
    )
    SELECT p.job_id, SUM(h.attempt_id IS NULL AND a.sent IS NOT NULL) AS unpriced,
      CAST(COALESCE(SUM(ROUND(1.0 * h.settled_amount * p.units / h.units)), 0) AS INTEGER) AS charged,
      CAST(COALESCE(SUM(IIF(h.state IN ('open', 'unknown'), ROUND(1.0 * h.amount * p.units / h.units), 0)), 0) AS INTEGER) AS open
    FROM parts p JOIN attempts a ON a.attempt_id = p.attempt_id LEFT JOIN holds h ON h.attempt_id = p.attempt_id
    GROUP BY p.job_id`.execute(db);
  return new Map(rows.map(({ job_id, ...cost }) => [job_id, cost]));
}
