/** The requests of a period of `costs`, and which of them nobody knows the price of. */
import { type AttemptTotal, type RequestTotal, requestTotals, unpricedRequests } from '../../store/attempt-totals.ts';
import type { Db } from '../../store/open.ts';
import type { SpendPiece } from '../../store/spend-report.ts';
import type { Period } from './costs-period.ts';

/** The requests that left in a period, each counted once, and whether every paid one is known to have a hold. */
export async function requestsIn(
  db: Db,
  period: Period,
  pieces: readonly SpendPiece[],
): Promise<{ once: AttemptTotal[]; allHeld: boolean }> {
  const sums = await requestTotals(db, period);
  const allHeld = isAllHeld(sums, pieces);
  const unpriced = allHeld ? null : await unpricedRequests(db, period);
  const once = sums
    .filter(({ requests }) => requests > 0)
    .map((sum) => ({
      ...{ ...sum, key: null, filename: null },
      unpriced: sum.origin === 'real' ? (unpriced?.get(sum.service) ?? 0) : 0,
    }));
  return { once, allHeld };
}

/**
 * Whether every paid request of a period has a hold: as many holds as requests, for as many pages and tokens. What is not
 * equal need not lack one (a hold may be made a moment before midnight), so each request is looked for then.
 */
function isAllHeld(sums: readonly RequestTotal[], pieces: readonly SpendPiece[]): boolean {
  const paid = sums.filter(({ origin }) => origin === 'real');
  const made = (of: 'made' | 'made_units') => paid.reduce((total, one) => total + one[of], 0);
  const held = (of: 'holds' | 'units') =>
    pieces.reduce((total, { llamaparse, openai }) => total + llamaparse[of] + openai[of], 0);
  return made('made') === held('holds') && made('made_units') === held('units');
}
