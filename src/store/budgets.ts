/** Budgets: what is limited, by how much, and which are stopped. */
import { type RawBuilder, sql } from 'kysely';
import type { ServiceName } from '../domain/service-mode.ts';
import type { BudgetRow } from './money-schema.ts';
import type { Db, Trx } from './open.ts';

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

/** Condition on budgets named `b`: they count requests of a subject. */
export function counts({ service, costCenter, runId }: SpendSubject): RawBuilder<boolean> {
  return sql`(b.scope, b.scope_value) IN (VALUES ('all', ''), ('service', ${service}), ('cost_center', ${costCenter ?? ''}),
    ('run', ''), ('run', ${runId}))`;
}

/** The budgets in force that count requests of a subject. */
export async function budgetsOf(db: Db, subject: SpendSubject): Promise<BudgetRow[]> {
  const { rows } = await sql<BudgetRow>`
    SELECT b.* FROM budgets b WHERE ${counts(subject)} AND b.limit_value IS NOT NULL ORDER BY b.budget_id`.execute(db);
  return rows;
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

/** Stops the hard budgets of money that count a subject, unless they are stopped already; returns which. */
export async function freezeBudgets(trx: Trx, subject: SpendSubject, attemptId: string): Promise<BudgetRow[]> {
  const { rows } = await sql<BudgetRow>`
    UPDATE budgets AS b SET frozen_by = ${attemptId}
    WHERE ${counts(subject)} AND b.hard = 1 AND b.measure = 'cost' AND b.limit_value IS NOT NULL AND b.frozen_by IS NULL
    RETURNING *`.execute(trx);
  return rows;
}

/** Lets go of the budgets an attempt has stopped, or leaves them to another attempt; returns which. */
export async function refreeze(
  trx: Trx,
  from: string,
  to: string | null,
  subject?: SpendSubject,
): Promise<BudgetRow[]> {
  const whose = subject === undefined ? sql`TRUE` : counts(subject);
  const { rows } = await sql<BudgetRow>`
    UPDATE budgets AS b SET frozen_by = ${to} WHERE b.frozen_by = ${from} AND ${whose} RETURNING *`.execute(trx);
  return rows;
}
