/** Money for what a service made a second time of one request: nobody agreed to it, and it is billed all the same. */
import { freezeBudgets } from '../store/budgets.ts';
import type { BudgetRow, HoldRow } from '../store/money-schema.ts';
import type { Trx } from '../store/open.ts';
import { subjectOf } from './end.ts';
import { hold } from './hold.ts';

/**
 * Holds for a twin as much as was held for the request it was made of: the same work has the same ceiling. No limit is
 * asked, for the charge cannot be refused; all of it is an overrun, so every hard budget that counts it takes nothing more
 * until the twin is acknowledged. Returns the budgets this has stopped. The hold is open: end it like any other.
 *
 * It counts from the moment it is known, in the periods of `now`. It also counts as a request where requests are limited:
 * the service has taken two, and the rows of the ledger are what such a total is the sum of.
 */
export async function holdTwin(
  trx: Trx,
  { attemptId, of, now, timeZone }: { attemptId: string; of: HoldRow; now: number; timeZone: string },
): Promise<BudgetRow[]> {
  const { job_id: jobId, amount, units, unit_price: unitPrice, price_version: priceVersion } = of;
  const subject = subjectOf(of);
  const request = { attemptId, jobId, amount, units, unitPrice, priceVersion, ...subject, now, timeZone };
  await hold(trx, request, { gated: false });
  return freezeBudgets(trx, subject, attemptId);
}
