/** Brings the limits of variables into the store for commands that show or change budgets outside of a run. */
import { budgetsAreInLine, ensureBudgets } from '../../ledger/budget-settings.ts';
import type { World } from '../../world.ts';

/** After it, the budgets in the store are those in force. Writes only where something changed since the last command. */
export async function bringBudgetsInLine({ store, clock, pipeline: { budgets } }: World): Promise<void> {
  if (await budgetsAreInLine(store.db, budgets)) return;
  await store.write((trx) => ensureBudgets(trx, budgets, clock.now()));
}
