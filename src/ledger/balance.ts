/** The checks every transaction makes of what it changed itself. They stay on in production: a wrong ledger must not go on. */
import { TvdbError } from '../base/errors.ts';
import type { WindowTotals } from '../store/budget-windows.ts';
import type { Totals } from '../store/spend.ts';

/** The error that rolls a transaction back and stops: the ledger is not what it must be. */
export function imbalance(what: string, facts: Record<string, unknown>): TvdbError {
  return new TvdbError('E205', {
    message: `The ledger does not add up: ${what}`,
    why: 'totals and entries disagree; nothing was written',
    facts,
  });
}

type Window = WindowTotals & {
  readonly budget?: { readonly hard: number; readonly measure: string };
  readonly limit?: number;
};

/**
 * Throws E205 unless every window moved by exactly `delta`; with `within`, also unless every hard limit still holds.
 */
export function assertMoved(
  before: readonly Window[],
  after: readonly WindowTotals[],
  delta: Totals,
  { within }: { within: boolean },
): void {
  if (before.length !== after.length) {
    throw imbalance('a budget refused what it had room for', { windows: before.length, moved: after.length });
  }
  for (const old of before) {
    const now = after.find((one) => one.budget_id === old.budget_id && one.period_id === old.period_id);
    const facts = { budget_id: old.budget_id, period: old.period_id };
    if (
      now === undefined ||
      now.spent !== old.spent + delta.spent ||
      now.held !== old.held + delta.held ||
      now.requests !== old.requests + delta.requests
    ) {
      throw imbalance('a total moved by another sum than its entry', facts);
    }
    if (!within || old.budget?.hard !== 1) continue;
    const used = old.budget.measure === 'cost' ? now.spent + now.held : now.requests;
    if (!(used <= (old.limit ?? 0))) throw imbalance('a hard limit was passed', facts);
  }
}
