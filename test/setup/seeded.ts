/** Ids and random numbers that are the same at every run. */
import type { Ids, Random } from '../../src/base/ids.ts';

/** mulberry32: 32-bit state, good enough to shuffle test data. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** UUIDs that count up: `00000000-0000-4000-8000-000000000001`, … with a prefix to tell two sources apart. */
export function countingIds(prefix = '0000'): Ids {
  let last = 0;
  return {
    uuid() {
      last += 1;
      return `${prefix}${last.toString(16).padStart(4, '0')}-0000-4000-8000-${last.toString(16).padStart(12, '0')}`;
    },
  };
}
