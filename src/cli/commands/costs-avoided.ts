/** What work that was not paid for would have cost at list price. For comparison only: it is no spend. */
import type { ParseOptions, ParseTier } from '../../domain/parse-options.ts';
import { creditPrice, type PriceBook, pagePrice, tokenPrice } from '../../domain/price-book.ts';
import type { FreeWork } from '../../store/cache-savings.ts';

/** Nano-USD; `null` where some of it has no price. */
export interface Avoided {
  readonly mock: number | null;
  readonly cache: number | null;
}

/** What the work of a mock is compared with where nothing says otherwise: the settings a new store has. */
const ASSUMED: { tier: ParseTier; model: string } = { tier: 'cost_effective', model: 'text-embedding-3-small' };

/** The prices of `now`: nobody kept those of the day for work that was free. */
export function avoided(work: readonly FreeWork[], prices: PriceBook, now: number): Avoided {
  const sum = (by: FreeWork['by']): number | null => {
    try {
      return work.filter((one) => one.by === by).reduce((total, one) => total + priceOf(one, prices, now), 0);
    } catch {
      // A model or tier without a price: an unknown part makes the whole unknown.
      return null;
    }
  };
  return { mock: sum('mock'), cache: sum('cache') };
}

function priceOf({ service, parse_options: options, model, credits, units }: FreeWork, prices: PriceBook, now: number) {
  if (service === 'embed') return units * tokenPrice(prices, model ?? ASSUMED.model, now).nanoUsd;
  const { tier } = { tier: ASSUMED.tier, ...(JSON.parse(options ?? '{}') as Partial<ParseOptions>) };
  const known = Math.round(credits * creditPrice(prices, now).nanoUsd);
  return known + (units === 0 ? 0 : units * pagePrice(prices, tier, now).nanoUsd);
}
