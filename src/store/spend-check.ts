/** Compares the holds and the totals of budgets with the rows they must add up to. Only reads. */
import { sql } from 'kysely';
import type { Db } from './open.ts';
import { FOLD, type Totals } from './spend.ts';

/** A hold that is not what its rows in the ledger make of it. */
export interface HoldDrift {
  attempt_id: string;
  /** State in `hold_states`; `null` when it has no row there. */
  stored: string | null;
  /** State its rows make; `null` when it has none. */
  folded: string | null;
}

/** How many findings of one kind are listed. */
const MOST = 20;

/** Holds that differ in any column from the fold of their rows, the first 20. */
export async function holdDrift(db: Db): Promise<HoldDrift[]> {
  const { rows } = await sql<HoldDrift>`
    WITH f AS (
      SELECT s.attempt_id, MIN(s.held_at) AS held_at, SUM(s.kind = 'hold') AS holds, MIN(s.seq) AS first,
        CASE WHEN SUM(s.kind = 'settle') > 0 THEN 'settled' WHEN SUM(s.kind = 'release') > 0 THEN 'released'
          WHEN SUM(s.kind = 'unknown') > 0 THEN 'unknown' ELSE 'open' END AS state,
        ${FOLD.spent} AS spent, ${FOLD.held} AS held,
        SUM(s.kind = 'settle' AND s.detail IS 'provisional') - SUM(s.kind IN ('correction_up', 'correction_down', 'confirm')) AS provisional,
        MAX(CASE WHEN s.kind IN ('settle', 'release') THEN s.at END) AS ended_at,
        MIN(s.hold_amount) = MAX(s.hold_amount) AND MIN(s.held_at) = MAX(s.held_at) AND MIN(s.service) = MAX(s.service)
          AND MIN(s.run_id) = MAX(s.run_id) AND MIN(COALESCE(s.cost_center, '')) = MAX(COALESCE(s.cost_center, ''))
          AND MIN(COALESCE(s.job_id, '')) = MAX(COALESCE(s.job_id, '')) AS agree
      FROM spend s GROUP BY s.attempt_id
    )
    SELECT COALESCE(f.attempt_id, h.attempt_id) AS attempt_id, h.state AS stored, f.state AS folded
    FROM f FULL JOIN hold_states h ON h.held_at = f.held_at AND h.attempt_id = f.attempt_id LEFT JOIN spend o ON o.seq = f.first
    WHERE h.attempt_id IS NULL OR f.attempt_id IS NULL OR f.holds <> 1 OR o.kind <> 'hold' OR f.agree = 0
      OR h.state IS NOT f.state OR h.amount IS NOT o.amount OR h.settled_amount IS NOT NULLIF(f.spent, 0)
      OR f.held <> CASE WHEN f.state IN ('open', 'unknown') THEN h.amount ELSE 0 END
      OR h.provisional IS NOT f.provisional OR h.ended_at IS NOT f.ended_at
      OR h.run_id IS NOT o.run_id OR h.service IS NOT o.service OR h.units IS NOT o.units
    LIMIT ${MOST}`.execute(db);
  return rows;
}

/** A window of a budget with what is stored of it and what the ledger adds up to. */
export interface WindowFold {
  budget_id: number;
  period_id: string;
  /** Most that may be used, where the budget is hard and in force. */
  hard_limit: number | null;
  measure: 'cost' | 'requests';
  stored: Totals;
  folded: Totals;
}

/** The fold of the windows that close after `openAfter`, and of all runs; all windows when it is left out. */
export async function foldWindows(db: Db, openAfter = Number.MIN_SAFE_INTEGER): Promise<WindowFold[]> {
  interface Flat {
    budget_id: number;
    period_id: string;
    hard_limit: number | null;
    measure: 'cost' | 'requests';
    spent: number;
    held: number;
    requests: number;
    f_spent: number | null;
    f_held: number | null;
    f_requests: number | null;
  }
  const { rows } = await sql<Flat>`
    SELECT w.budget_id, w.period_id, CASE WHEN b.hard = 1 THEN b.limit_value END AS hard_limit, b.measure,
      w.spent, w.held, w.requests,
      ${FOLD.spent} AS f_spent, ${FOLD.held} AS f_held, ${FOLD.requests} AS f_requests
    FROM budget_windows w JOIN budgets b ON b.budget_id = w.budget_id
    LEFT JOIN hold_states h ON h.held_at >= w.from_at AND h.held_at < w.until_at
    LEFT JOIN spend s ON s.attempt_id = h.attempt_id AND ${WHOSE}
    WHERE w.until_at > ${openAfter}
    GROUP BY w.budget_id, w.period_id
    UNION ALL
    SELECT w.budget_id, w.period_id, CASE WHEN b.hard = 1 THEN b.limit_value END AS hard_limit, b.measure,
      w.spent, w.held, w.requests, f.spent, f.held, f.requests
    FROM budget_windows w JOIN budgets b ON b.budget_id = w.budget_id
    LEFT JOIN (${RUNS}) f ON f.budget_id = w.budget_id AND f.period_id = w.period_id
    WHERE w.run_id IS NOT NULL`.execute(db);
  return rows.map(({ budget_id, period_id, hard_limit, measure, ...sums }) => ({
    ...{ budget_id, period_id, hard_limit, measure },
    stored: { spent: sums.spent, held: sums.held, requests: sums.requests },
    folded: { spent: sums.f_spent ?? 0, held: sums.f_held ?? 0, requests: sums.f_requests ?? 0 },
  }));
}

/** Rows `s` that a budget `b` counts. */
const WHOSE = sql`CASE b.scope WHEN 'service' THEN s.service = b.scope_value WHEN 'cost_center' THEN s.cost_center = b.scope_value
  WHEN 'run' THEN b.scope_value IN ('', s.run_id) ELSE TRUE END`;

// One walk over all rows for all runs: nothing finds the rows of one run without a walk.
const RUNS = sql`SELECT w.budget_id, w.period_id, ${FOLD.spent} AS spent, ${FOLD.held} AS held, ${FOLD.requests} AS requests
  FROM spend s CROSS JOIN budget_windows w ON w.run_id = s.run_id CROSS JOIN budgets b ON b.budget_id = w.budget_id
  WHERE ${WHOSE} AND EXISTS (SELECT 1 FROM budget_windows WHERE run_id IS NOT NULL) GROUP BY w.budget_id, w.period_id`;
