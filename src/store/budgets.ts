/** Budgets: what is limited, by how much, and which are stopped. */
import type { ServiceName } from '../domain/service-mode.ts';
import type { BudgetRow } from './money-schema.ts';
import type { Db, Trx } from './open.ts';
import { sqlRows } from './statement.ts';

/** Whose budgets count a request. */
export interface SpendSubject {
  service: ServiceName;
  costCenter: string | null;
  runId: string;
}

/** What tells one budget from another. */
export type BudgetKey = Pick<BudgetRow, 'scope' | 'scope_value' | 'span' | 'measure'>;

/** Every budget, those that are not in force included, in a fixed order. */
export async function allBudgets(db: Db): Promise<BudgetRow[]> {
  return db.selectFrom('budgets').selectAll().orderBy('budget_id').execute();
}

/**
 * Condition on budgets named `b`: they count requests of the subject whose `subjectValues` are bound to it. Said as pairs,
 * not as `(scope, scope_value) IN (VALUES …)`: SQLite fills a table for that each time, which takes twice as long.
 */
export const COUNTS = `(b.scope = 'all' AND b.scope_value = '' OR b.scope = 'service' AND b.scope_value = ?
  OR b.scope = 'cost_center' AND b.scope_value = ? OR b.scope = 'run' AND b.scope_value = ''
  OR b.scope = 'run' AND b.scope_value = ?)`;

/** What is bound to the three places of `COUNTS`. */
export function subjectValues({ service, costCenter, runId }: SpendSubject): readonly string[] {
  return [service, costCenter ?? '', runId];
}

const IN_FORCE = `SELECT b.* FROM budgets b WHERE ${COUNTS} AND b.limit_value IS NOT NULL`;

/** The budgets in force that count requests of a subject. */
export async function budgetsOf(db: Db, subject: SpendSubject): Promise<BudgetRow[]> {
  return sqlRows<BudgetRow>(db, IN_FORCE, subjectValues(subject));
}

/** Adds a budget. */
export async function insertBudget(
  trx: Trx,
  budget: Omit<BudgetRow, 'budget_id' | 'frozen_by' | 'updated_at'>,
): Promise<void> {
  await trx
    .insertInto('budgets')
    .values({ ...budget, frozen_by: null, updated_at: budget.created_at })
    .execute();
}

/** Changes a budget. One that is no longer in force loses its totals: they are added up anew when it is again. */
export async function updateBudget(
  trx: Trx,
  budgetId: number,
  set: Partial<Pick<BudgetRow, 'limit_value' | 'hard' | 'source' | 'user_limit' | 'user_hard'>>,
  now: number,
): Promise<void> {
  await trx
    .updateTable('budgets')
    .set({ ...set, updated_at: now })
    .where('budget_id', '=', budgetId)
    .execute();
  if (set.limit_value === null) await trx.deleteFrom('budget_windows').where('budget_id', '=', budgetId).execute();
}

const FREEZE = `UPDATE budgets AS b SET frozen_by = ? WHERE ${COUNTS} AND b.hard = 1 AND b.measure = 'cost'
  AND b.limit_value IS NOT NULL AND b.frozen_by IS NULL RETURNING *`;

/** Stops the hard budgets of money that count a subject, unless they are stopped already; returns which. */
export async function freezeBudgets(trx: Trx, subject: SpendSubject, attemptId: string): Promise<BudgetRow[]> {
  return sqlRows<BudgetRow>(trx, FREEZE, [attemptId, ...subjectValues(subject)]);
}

const HAND_OVER = `UPDATE budgets AS b SET frozen_by = ? WHERE b.frozen_by = ? AND ${COUNTS}`;

/** Leaves the budgets an attempt has stopped, and that count a subject, to another attempt. */
export async function handOver(trx: Trx, from: string, to: string, subject: SpendSubject): Promise<void> {
  await sqlRows(trx, HAND_OVER, [to, from, ...subjectValues(subject)]);
}

/** Lets go of the budgets an attempt has stopped; returns which. */
export async function unfreezeBudgets(trx: Trx, attemptId: string): Promise<BudgetRow[]> {
  return trx
    .updateTable('budgets')
    .set({ frozen_by: null })
    .where('frozen_by', '=', attemptId)
    .returningAll()
    .execute();
}
