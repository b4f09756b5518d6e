/** How spending will go on until the end of a period, as a figure with a range; or that nobody can say yet. */

/** Spending at a time, nano-USD. */
export interface SpendPoint {
  readonly at: number;
  readonly nanoUsd: number;
}

export type Forecast =
  /** Too little is known: less than an hour since the first spending. */
  | { readonly state: 'not_enough_history'; readonly basisMs: number }
  | {
      readonly state: 'ok';
      /** Time it rests on: from the first spending until now. */
      readonly basisMs: number;
      /** Nano-USD at the end of the period. */
      readonly likelyNanoUsd: number;
      /** Four times of five the end is between these two, if the days to come are like the time it rests on. */
      readonly lowNanoUsd: number;
      readonly highNanoUsd: number;
      readonly nanoUsdPerHour: number;
    };

/** Less than this tells one burst from a pace no better than a coin. */
const LEAST_HISTORY_MS = 3_600_000;
/** Pieces the history is cut into at the most: 15 minutes of a whole day. */
const MOST_PIECES = 96;
/** An hour makes four pieces of 15 minutes. */
const PIECE_MS = 900_000;
/** Four fifths of a normal distribution lie within so many standard deviations. */
const FOUR_FIFTHS = 1.2816;

/**
 * Forecast of `points` (those at or after `now` are left out) at `until`. The pace is what was spent from the first
 * spending on, over that time: a night before the first document says nothing about the day. The range is made of how much
 * pieces of the history differ, and grows with the time ahead and with how short the history is. A steady series has none.
 */
export function forecast(points: readonly SpendPoint[], { now, until }: { now: number; until: number }): Forecast {
  const known = points.filter(({ at, nanoUsd }) => at < now && nanoUsd > 0);
  const first = known.reduce((least, { at }) => Math.min(least, at), now);
  const basisMs = now - first;
  if (basisMs < LEAST_HISTORY_MS) return { state: 'not_enough_history', basisMs };
  const pieces = Math.min(MOST_PIECES, Math.floor(basisMs / PIECE_MS));
  const width = basisMs / pieces;
  const sums = new Array<number>(pieces).fill(0);
  for (const { at, nanoUsd } of known) {
    const piece = Math.min(pieces - 1, Math.floor((at - first) / width));
    sums[piece] = (sums[piece] ?? 0) + nanoUsd;
  }
  const spent = sums.reduce((sum, one) => sum + one, 0);
  const mean = spent / pieces;
  const variance = sums.reduce((sum, one) => sum + (one - mean) ** 2, 0) / (pieces - 1);
  const ahead = Math.max(0, until - now) / width;
  const half = FOUR_FIFTHS * Math.sqrt(variance * (ahead + ahead ** 2 / pieces));
  return {
    state: 'ok',
    basisMs,
    likelyNanoUsd: Math.round(spent + mean * ahead),
    lowNanoUsd: Math.round(spent + Math.max(0, mean * ahead - half)),
    highNanoUsd: Math.round(spent + mean * ahead + half),
    nanoUsdPerHour: Math.round((spent / basisMs) * 3_600_000),
  };
}

/** When a sum that is left will be spent at the pace of a forecast; `null` when that is not before `until`. */
export function reachedAt(
  found: Forecast,
  leftNanoUsd: number,
  { now, until }: { now: number; until: number },
): number | null {
  if (found.state !== 'ok' || found.nanoUsdPerHour <= 0) return null;
  const at = now + (leftNanoUsd / found.nanoUsdPerHour) * 3_600_000;
  return at < until ? Math.round(at) : null;
}
