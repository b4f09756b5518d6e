/** Cached totals of budgets in their periods: found, opened, raised in one conditional update, added up anew. */
import { CompiledQuery, sql } from 'kysely';
import { COUNTS, type SpendSubject, subjectValues } from './budgets.ts';
import type { BudgetRow, BudgetWindowRow } from './money-schema.ts';
import type { Db, Trx } from './open.ts';
import { FOLD, type Totals } from './spend.ts';

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
  const { rows } = await db.executeQuery<BudgetWindowRow>(
    CompiledQuery.raw(OPEN, [at, at, ...values, subject.runId, ...values]),
  );
  return rows;
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
      ? sql`s.held_at >= ${span.from_at} AND s.held_at < ${span.until_at}`
      : sql`s.attempt_id IN (SELECT attempt_id FROM holds WHERE run_id = ${span.run_id})`;
  const { rows } = await sql<Record<keyof Totals, number | null>>`
    SELECT ${FOLD.spent} AS spent, ${FOLD.held} AS held, ${FOLD.requests} AS requests FROM spend s
    WHERE ${when} AND ${whose}`.execute(db);
  return { spent: rows[0]?.spent ?? 0, held: rows[0]?.held ?? 0, requests: rows[0]?.requests ?? 0 };
}

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
): Promise<BudgetWindowRow[]> {
  if (windows.length === 0) return [];
  const keys = sql.join(windows.map((one) => sql`(${one.budget_id}, ${one.period_id})`));
  const fits = sql`(SELECT b.hard = 0 OR CASE b.measure
      WHEN 'cost' THEN w.spent + w.held + ${delta.held} <= b.limit_value
      ELSE w.requests + ${delta.requests} <= b.limit_value END
    FROM budgets b WHERE b.budget_id = w.budget_id)`;
  const { rows } = await sql<BudgetWindowRow>`
    UPDATE budget_windows AS w SET spent = spent + ${delta.spent}, held = held + ${delta.held},
      requests = requests + ${delta.requests}
    WHERE (w.budget_id, w.period_id) IN (VALUES ${keys}) ${gate ? sql`AND ${fits}` : sql``} RETURNING *`.execute(trx);
  return rows;
}

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
