/** Takes money for a request before it leaves, out of every budget that counts it at once, or out of none. */
import { positiveSum } from '../domain/money.ts';
import { addToWindows, openWindow } from '../store/budget-windows.ts';
import { budgetsOf } from '../store/budgets.ts';
import type { Trx } from '../store/open.ts';
import { appendSpend } from '../store/spend.ts';
import { assertMoved } from './balance.ts';
import { periodIds, refusalOf, type SpendMoment, statesOf } from './budget-state.ts';

export interface HoldRequest extends SpendMoment {
  attemptId: string;
  /** `null` for a request that belongs to no job (a search). */
  jobId: string | null;
  /** The most it can cost, nano-USD. Never made smaller to fit. */
  amount: number;
  /** Pages or tokens. */
  units: number;
  unitPrice: number;
  priceVersion: string;
}

/**
 * Holds the ceiling of one request that may be billed. Belongs into the transaction that commits the attempt's intent; the
 * request may leave once that is committed. A hold counts in the periods of `now` for good, whenever it ends.
 *
 * Throws E201 when a hard budget has too little left, E204 when one is stopped by an overrun, E205 when totals are not what
 * they must be, `RangeError` for a sum that is none. Whatever is thrown must leave the transaction, so that it is rolled
 * back: the intent belongs to the hold.
 *
 * With `gated: false` nothing is refused and no limit is looked at: for what a service has done already (`twin.ts`).
 */
export async function hold(trx: Trx, request: HoldRequest, { gated = true } = {}): Promise<void> {
  const amount = positiveSum(request.amount, 'a hold');
  positiveSum(request.unitPrice, 'a unit price');
  const states = await statesOf(trx, await budgetsOf(trx, request), request);
  const refusal = refusalOf(states, () => ({ amount, requests: 1 }));
  if (gated && refusal !== null) throw refusal;
  for (const { budget: _budget, limit: _limit, open, ...window } of states) if (!open) await openWindow(trx, window);
  const delta = { spent: 0, held: amount, requests: 1 };
  // The look above makes the message; the statement that raises the totals compares again by itself.
  assertMoved(states, await addToWindows(trx, states, delta, gated), delta, { within: gated });
  await appendSpend(trx, {
    attempt_id: request.attemptId,
    job_id: request.jobId,
    run_id: request.runId,
    service: request.service,
    cost_center: request.costCenter,
    held_at: request.now,
    units: request.units,
    unit_price: request.unitPrice,
    price_version: request.priceVersion,
    at: request.now,
    kind: 'hold',
    hold_amount: amount,
    amount,
    detail: JSON.stringify(periodIds(request)),
  });
}
