/** Takes the next job for a worker, in one statement. */
import { sql } from 'kysely';
import { ACTIVE_STATUSES } from '../../domain/job-state.ts';
import type { ServiceMode } from '../../domain/service-mode.ts';
import type { Db, Trx } from '../open.ts';
import type { JobRow } from '../schema.ts';

/** Which jobs a worker may take. */
export interface ClaimScope {
  /** Only jobs this run covers (its own and those it attached to). */
  runId?: string | undefined;
  /** Only jobs of this mode. */
  mode?: ServiceMode | undefined;
}

const ACTIVE = sql.join(ACTIVE_STATUSES.map((status) => sql.lit(status)));

/** The condition of a scope on `upload_jobs j`. */
function within({ runId, mode }: ClaimScope) {
  const inRun = sql`AND j.job_id IN (SELECT job_id FROM run_jobs WHERE run_id = ${runId})`;
  return sql`${runId === undefined ? sql`` : inRun} ${mode === undefined ? sql`` : sql`AND j.service_mode = ${mode}`}`;
}

/** Jobs nobody works on. The literals match the partial index `claimable_jobs`. */
function unleased(scope: ClaimScope) {
  return sql`j.lease_owner IS NULL AND j.status IN (${ACTIVE}) ${within(scope)}`;
}

/**
 * Claims the job that is next: highest priority first, then oldest, leaving out those parked for later. The claim
 * raises the fence, so that every write of an earlier holder fails from here on. `null` when there is none.
 *
 * One UPDATE with a sub-select, not read-then-write: two workers can never get the same row.
 */
export async function claimJob(
  trx: Trx,
  { owner, now, leaseMs, scope = {} }: { owner: string; now: number; leaseMs: number; scope?: ClaimScope },
): Promise<JobRow | null> {
  const { rows } = await sql<JobRow>`
    UPDATE upload_jobs
    SET lease_owner = ${owner}, lease_until = ${now + leaseMs}, fence = fence + 1, updated_at = ${now},
      park_reason = NULL, park_note = NULL, run_after = NULL,
      processing_started_at = COALESCE(processing_started_at, ${now})
    WHERE job_id = (
      SELECT j.job_id FROM upload_jobs j
      WHERE ${unleased(scope)} AND (j.park_reason IS NULL OR j.run_after <= ${now})
      ORDER BY j.processing_priority DESC, j.created_at, j.job_id
      LIMIT 1
    )
    RETURNING *`.execute(trx);
  return rows[0] ?? null;
}

/** What is left for a worker with this scope: jobs it could take now, and when the next parked one is due. */
export interface Outlook {
  ready: number;
  /** Parked with a time, and the earliest of these times. */
  parked: number;
  nextAt: number | null;
  /** Parked until the user acts. */
  held: number;
  /** Leased by any worker. */
  leased: number;
}

/** Counts what is left in scope. */
export async function outlook(db: Db, now: number, scope: ClaimScope = {}): Promise<Outlook> {
  const { rows } = await sql<{ ready: number; parked: number; next_at: number | null; held: number }>`
    SELECT
      COALESCE(SUM(j.park_reason IS NULL OR j.run_after <= ${now}), 0) AS ready,
      COALESCE(SUM(j.park_reason IS NOT NULL AND j.run_after > ${now}), 0) AS parked,
      MIN(CASE WHEN j.park_reason IS NOT NULL AND j.run_after > ${now} THEN j.run_after END) AS next_at,
      COALESCE(SUM(j.park_reason IS NOT NULL AND j.run_after IS NULL), 0) AS held
    FROM upload_jobs j WHERE ${unleased(scope)}`.execute(db);
  const { rows: leased } = await sql<{ leased: number }>`
    SELECT COUNT(*) AS leased FROM upload_jobs j WHERE j.lease_owner IS NOT NULL ${within(scope)}`.execute(db);
  const row = rows[0];
  return {
    ready: row?.ready ?? 0,
    parked: row?.parked ?? 0,
    nextAt: row?.next_at ?? null,
    held: row?.held ?? 0,
    leased: leased[0]?.leased ?? 0,
  };
}
