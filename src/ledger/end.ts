/** Ends holds: settled with what was charged, released when nothing was, or unknown, which keeps the money. */
import { wholeSum } from '../domain/money.ts';
import { addToWindows, windowsOf } from '../store/budget-windows.ts';
import { freezeBudgets } from '../store/budgets.ts';
import { findHold } from '../store/holds.ts';
import type { BudgetRow, HoldRow } from '../store/money-schema.ts';
import type { Trx } from '../store/open.ts';
import { appendSpend, type NewSpend } from '../store/spend.ts';
import { isCheckViolation } from '../store/store-error.ts';
import { assertMoved, imbalance } from './balance.ts';

/** An ending that came too late: the hold is as it was, and nothing was written. */
export interface Already {
  state: 'already';
  as: HoldRow['state'];
}

export interface Settled {
  state: 'settled';
  /** All that was charged. */
  nanoUsd: number;
  /** Settled at the hold: the service has not billed yet, `correct` posts the true figure. */
  provisional: boolean;
  /** What was charged above the hold; 0 when nothing. */
  overrun: number;
  /** Budgets that the overrun has stopped. */
  stopped: readonly BudgetRow[];
}

export interface Ending {
  attemptId: string;
  now: number;
}

/**
 * Ends a hold with what was charged (nano-USD) and gives the rest back. `null` and 0 mean that the service has not billed
 * yet: then at the hold, provisionally. More than the hold is an overrun: recorded whole, and every hard budget that counts
 * it takes no new holds until it is acknowledged. Posts to the periods the hold was made in. Throws `RangeError` for a
 * sum that is none (the hold stays), E205 when there is no hold.
 */
export async function settle(trx: Trx, ending: Ending & { actual: number | null }): Promise<Settled | Already> {
  const actual = wholeSum(ending.actual ?? 0, 'a charge');
  const held = await holdOf(trx, ending.attemptId);
  if (held.state !== 'open' && held.state !== 'unknown') return { state: 'already', as: held.state };
  const provisional = actual === 0;
  const charged = provisional ? held.amount : actual;
  const overrun = Math.max(0, charged - held.amount);
  await post(trx, held, { spent: charged, held: -held.amount });
  const detail = provisional ? 'provisional' : null;
  await append(trx, held, { at: ending.now, kind: 'settle', amount: charged - overrun, detail });
  if (overrun > 0) await append(trx, held, { at: ending.now, kind: 'overrun', amount: overrun, detail: null });
  const stopped = overrun > 0 ? await freezeBudgets(trx, subjectOf(held), held.attempt_id) : [];
  return { state: 'settled', nanoUsd: charged, provisional, overrun, stopped };
}

/** Why nothing was charged: it never left; the service refused or failed it free of charge; it was looked for and is not there. */
export type ReleaseProof = 'not_sent' | 'not_charged' | 'absent';

/**
 * Gives the whole hold back, on proof that nothing was charged. An unknown hold left, so `not_sent` does not release it:
 * that is reported as `already` unknown.
 */
export async function release(
  trx: Trx,
  ending: Ending & { because: ReleaseProof },
): Promise<{ state: 'released'; nanoUsd: number } | Already> {
  const held = await holdOf(trx, ending.attemptId);
  const may = held.state === 'open' || (held.state === 'unknown' && ending.because !== 'not_sent');
  if (!may) return { state: 'already', as: held.state };
  await post(trx, held, { spent: 0, held: -held.amount });
  await append(trx, held, { at: ending.now, kind: 'release', amount: held.amount, detail: ending.because });
  return { state: 'released', nanoUsd: held.amount };
}

/** Records that nobody knows whether the request was charged: the hold stays as if spent, until `settle` or `release`. */
export async function markUnknown(trx: Trx, ending: Ending): Promise<{ state: 'unknown'; nanoUsd: number } | Already> {
  const held = await holdOf(trx, ending.attemptId);
  if (held.state !== 'open') return { state: 'already', as: held.state };
  await append(trx, held, { at: ending.now, kind: 'unknown', amount: held.amount, detail: null });
  return { state: 'unknown', nanoUsd: held.amount };
}

export type Corrected =
  | {
      state: 'corrected';
      /** What was charged in the end. */
      nanoUsd: number;
      /** Difference to the provisional sum; above 0 is an overrun. */
      difference: number;
      stopped: readonly BudgetRow[];
    }
  /** The service still says `null` or 0. */
  | { state: 'pending' }
  | Already;

/**
 * Posts the true figure of a provisional settlement, exactly once. A hold that is not provisional (any more) is reported
 * as `already`. Throws as `settle` does.
 */
export async function correct(trx: Trx, ending: Ending & { actual: number | null }): Promise<Corrected> {
  const actual = wholeSum(ending.actual ?? 0, 'a charge');
  const held = await holdOf(trx, ending.attemptId);
  if (held.settled_amount === null || held.provisional !== 1) return { state: 'already', as: held.state };
  if (actual === 0) return { state: 'pending' };
  const difference = actual - held.settled_amount;
  if (difference !== 0) await post(trx, held, { spent: difference, held: 0 });
  await append(trx, held, {
    at: ending.now,
    kind: difference > 0 ? 'correction_up' : difference < 0 ? 'correction_down' : 'confirm',
    amount: difference === 0 ? null : Math.abs(difference),
    detail: null,
  });
  const stopped = difference > 0 ? await freezeBudgets(trx, subjectOf(held), held.attempt_id) : [];
  return { state: 'corrected', nanoUsd: actual, difference, stopped };
}

/** The hold of an attempt. Throws E205 when there is none: what may be billed has one before it leaves. */
export async function holdOf(trx: Trx, attemptId: string): Promise<HoldRow> {
  const held = await findHold(trx, attemptId);
  if (held === undefined) throw imbalance('an attempt has no hold', { attempt_id: attemptId });
  return held;
}

/** Whose budgets count a hold. */
export function subjectOf(held: HoldRow) {
  return { service: held.service, costCenter: held.cost_center, runId: held.run_id };
}

/** Moves the totals of the periods the hold was made in, wherever time is now. Dropped windows are not opened again. */
async function post(trx: Trx, held: HoldRow, moved: { spent: number; held: number }): Promise<void> {
  const windows = await windowsOf(trx, subjectOf(held), held.held_at);
  const delta = { ...moved, requests: 0 };
  const after = await addToWindows(trx, windows, delta, false).catch((error: unknown) => {
    throw isCheckViolation(error) ? imbalance('a total would fall below zero', { attempt_id: held.attempt_id }) : error;
  });
  assertMoved(windows, after, delta, { within: false });
}

/** Appends a row about a hold. */
export async function append(
  trx: Trx,
  held: HoldRow,
  row: Pick<NewSpend, 'at' | 'kind' | 'amount' | 'detail'>,
): Promise<void> {
  const { attempt_id, job_id, run_id, service, cost_center, held_at, amount: hold_amount } = held;
  const { units, unit_price, price_version } = held;
  await appendSpend(trx, {
    ...{ attempt_id, job_id, run_id, service, cost_center, held_at, hold_amount, units, unit_price, price_version },
    ...row,
  });
}
