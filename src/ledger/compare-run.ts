/** The ledger of one run against what the services said they counted for its requests. Only reads. */
import { costOf } from '../domain/money.ts';
import { creditPrice, creditsCost, type PriceBook } from '../domain/price-book.ts';
import type { Db } from '../store/open.ts';

export interface RunComparison {
  /** Requests that had money reserved. */
  readonly requests: number;
  /** Nano-USD the ledger says was spent. */
  readonly ledgerNanoUsd: number;
  /** Credits and tokens the services counted, at the prices of the book; those not billed yet at what was reserved. */
  readonly usageNanoUsd: number;
  /** Settled at the reserved sum, because the service has not billed yet. */
  readonly provisional: number;
  /** Reserved sums that have not ended, or of which nobody knows whether they were charged. */
  readonly open: number;
}

/** Compares every hold of a run with the usage recorded of its request. */
export async function compareRun(db: Db, runId: string, prices: PriceBook): Promise<RunComparison> {
  const rows = await db
    .selectFrom('holds as h')
    .innerJoin('attempts as a', 'a.attempt_id', 'h.attempt_id')
    .select(['h.service', 'h.state', 'h.amount', 'h.unit_price', 'h.held_at', 'h.settled_amount', 'h.provisional'])
    .select('a.billed_units')
    .where('h.run_id', '=', runId)
    .execute();
  const settled = rows.filter(({ state }) => state === 'settled');
  const usage = settled.map(({ service, billed_units: billed, unit_price: price, held_at: at, amount }) => {
    if (billed === null || billed <= 0) return amount;
    return service === 'openai' ? costOf(billed, price) : (creditsCost(billed, creditPrice(prices, at)) ?? amount);
  });
  return {
    requests: rows.length,
    ledgerNanoUsd: settled.reduce((sum, { settled_amount: spent }) => sum + (spent ?? 0), 0),
    usageNanoUsd: usage.reduce((sum, nano) => sum + nano, 0),
    provisional: settled.filter(({ provisional }) => provisional === 1).length,
    open: rows.filter(({ state }) => state === 'open' || state === 'unknown').length,
  };
}
