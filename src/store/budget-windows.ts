/** Cached totals of budgets in their periods: found, opened, raised in one conditional update, added up anew. */
import { sql } from 'kysely';
import { COUNTS, type SpendSubject, subjectValues } from './budgets.ts';
import type { BudgetRow, BudgetWindowRow } from './money-schema.ts';
import type { Db, Trx } from './open.ts';
import { FOLD, type Totals } from './spend.ts';
import { sqlRows } from './statement.ts';

/** A period of a budget: a run, or a stretch of time. */
export type WindowSpan = Pick<BudgetWindowRow, 'period_id' | 'run_id' | 'from_at' | 'until_at'>;

// CROSS keeps SQLite from walking all closed windows of each budget instead of the few that end later.
const OPEN = `
  SELECT w.* FROM budget_windows w CROSS JOIN budgets b ON b.budget_id = w.budget_id
  WHERE w.until_at > ? AND w.from_at <= ? AND ${COUNTS}
  UNION ALL
  SELECT w.* FROM budget_windows w CROSS JOIN budgets b ON b.budget_id = w.budget_id WHERE w.run_id = ? AND ${COUNTS}`;

/**
 * The open windows that count a request of a subject made at a time. In whatever time zone they were opened: when the zone
 * is changed in the middle of a day, that day of the old one still counts.
 */
export async function windowsOf(db: Db, subject: SpendSubject, at: number): Promise<BudgetWindowRow[]> {
  const values = subjectValues(subject);
  return sqlRows<BudgetWindowRow>(db, OPEN, [at, at, ...values, subject.runId, ...values]);
}

/** What the ledger adds up to for a budget in a period: the whole truth, whether or not there is a window. */
export async function foldWindow(
  db: Db,
  budget: Pick<BudgetRow, 'scope' | 'scope_value'>,
  span: WindowSpan,
): Promise<Totals> {
  const column = { service: 's.service', cost_center: 's.cost_center', run: 's.run_id' } as const;
  const whose =
    budget.scope === 'all' || budget.scope_value === ''
      ? sql`TRUE`
      : sql`${sql.ref(column[budget.scope])} = ${budget.scope_value}`;
  const when =
    span.run_id === null
      ? sql`h.held_at >= ${span.from_at} AND h.held_at < ${span.until_at}`
      : sql`h.run_id = ${span.run_id}`;
  const { rows } = await sql<Record<keyof Totals, number | null>>`
    SELECT ${FOLD.spent} AS spent, ${FOLD.held} AS held, ${FOLD.requests} AS requests
    FROM hold_states h CROSS JOIN spend s ON s.attempt_id = h.attempt_id WHERE ${when} AND ${whose}`.execute(db);
  return { spent: rows[0]?.spent ?? 0, held: rows[0]?.held ?? 0, requests: rows[0]?.requests ?? 0 };
}

/** What a window adds up to. */
export type WindowTotals = Pick<BudgetWindowRow, 'budget_id' | 'period_id' | keyof Totals>;

/** Opens a window with what was spent in it before. */
export async function openWindow(trx: Trx, window: BudgetWindowRow): Promise<void> {
  await trx.insertInto('budget_windows').values(window).execute();
}

/**
 * Adds to windows and returns them as they are now. With `gate`, the comparison with the limit is in the same statement: a
 * window whose hard limit would be exceeded is left as it is and is missing from what is returned.
 */
export async function addToWindows(
  trx: Trx,
  windows: readonly Pick<BudgetWindowRow, 'budget_id' | 'period_id'>[],
  delta: Totals,
  gate: boolean,
): Promise<WindowTotals[]> {
  const { spent, held, requests } = delta;
  const moved: WindowTotals[] = [];
  for (const { budget_id, period_id } of windows) {
    const values = [spent, held, requests, budget_id, period_id];
    if (gate) moved.push(...(await sqlRows<WindowTotals>(trx, RAISE_WITHIN, [...values, held, requests])));
    else moved.push(...(await sqlRows<WindowTotals>(trx, RAISE, values)));
  }
  return moved;
}

const RETURNING = 'RETURNING budget_id, period_id, spent, held, requests';
const MOVE = `UPDATE budget_windows AS w SET spent = spent + ?, held = held + ?, requests = requests + ?
  WHERE w.budget_id = ? AND w.period_id = ?`;
const RAISE = `${MOVE} ${RETURNING}`;
const RAISE_WITHIN = `${MOVE} AND (SELECT b.hard = 0 OR CASE b.measure
    WHEN 'cost' THEN w.spent + w.held + ? <= b.limit_value ELSE w.requests + ? <= b.limit_value END
  FROM budgets b WHERE b.budget_id = w.budget_id) ${RETURNING}`;

/** Drops windows that closed before a time, and the caps of single runs set before it; the ledger keeps what they counted. */
export async function pruneWindows(trx: Trx, before: number): Promise<number> {
  const { numDeletedRows } = await trx
    .deleteFrom('budget_windows')
    .where((is) =>
      is.or([is('until_at', '<', before), is.and([is('run_id', 'is not', null), is('opened_at', '<', before)])]),
    )
    .executeTakeFirst();
  await trx
    .deleteFrom('budgets')
    .where('source', '=', 'flag')
    .where('updated_at', '<', before)
    .where('frozen_by', 'is', null)
    .execute();
  return Number(numDeletedRows);
}
