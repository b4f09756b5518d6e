import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parts } from '../../src/cli/ui/format.ts';

describe('the calendar parts of a moment', () => {
  it('are the same in UTC, read off without Intl, as Intl has them', () => {
    const moments = fc.integer({ min: Date.UTC(1970, 0), max: Date.UTC(9999, 11, 31) });
    // Another name of the same zone, which does go through Intl.
    fc.assert(fc.property(moments, (at) => void expect(parts(at, 'UTC')).toEqual(parts(at, 'Etc/UTC'))));
  });

  it('are refused for no moment, in UTC as elsewhere', () => {
    for (const zone of ['UTC', 'Etc/UTC']) expect(() => parts(Number.NaN, zone)).toThrow(RangeError);
  });
});
