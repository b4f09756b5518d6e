/** Lets budgets go on that an overrun has stopped, once somebody has seen it. */
import { handOver, unfreezeBudgets } from '../store/budgets.ts';
import type { BudgetRow } from '../store/money-schema.ts';
import type { Trx } from '../store/open.ts';
import { openOverruns } from '../store/overruns.ts';
import { append, holdOf, subjectOf } from './end.ts';

/**
 * Records that a person (`by`) has seen the overrun of an attempt. The budgets it stopped take holds again, unless another
 * overrun nobody has seen counts in them too. `already`: there is none to be acknowledged.
 */
export async function acknowledge(
  trx: Trx,
  { attemptId, by, now }: { attemptId: string; by: string; now: number },
): Promise<{ state: 'acknowledged'; released: readonly BudgetRow[] } | { state: 'already' }> {
  const open = await openOverruns(trx);
  if (!open.some((one) => one.attempt_id === attemptId)) return { state: 'already' };
  await append(trx, await holdOf(trx, attemptId), { at: now, kind: 'acknowledge', amount: null, detail: by });
  for (const other of open) {
    if (other.attempt_id === attemptId) continue;
    await handOver(trx, attemptId, other.attempt_id, subjectOf(await holdOf(trx, other.attempt_id)));
  }
  return { state: 'acknowledged', released: await unfreezeBudgets(trx, attemptId) };
}
