/** The figures in rate-limit headers, and text that only looks like them. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { rateFigures } from '../../src/services/rate-headers.ts';

const reset = (text: string) => rateFigures({ 'x-ratelimit-reset-requests': text }, 'requests').resetMs;

describe('rateFigures', () => {
  it('reads limit, what is left and when all of it is back', () => {
    const headers = {
      'x-ratelimit-limit-requests': '3000',
      'x-ratelimit-remaining-requests': '2999',
      'x-ratelimit-reset-requests': '20ms',
      'x-ratelimit-limit-tokens': '1000000',
      'x-ratelimit-remaining-tokens': '0',
      'x-ratelimit-reset-tokens': '6m0s',
    };
    expect(rateFigures(headers, 'requests')).toEqual({ limit: 3000, remaining: 2999, resetMs: 20 });
    expect(rateFigures(headers, 'tokens')).toEqual({ limit: 1_000_000, remaining: 0, resetMs: 360_000 });
    expect(rateFigures({}, 'requests')).toEqual({ limit: null, remaining: null, resetMs: null });
  });

  it('takes the narrower of the limits of organisation and project', () => {
    const headers = {
      'x-ratelimit-limit-tokens': '1000000',
      'x-ratelimit-remaining-tokens': '900',
      'x-ratelimit-limit-project-tokens': '50000',
      'x-ratelimit-remaining-project-tokens': '40000',
      'x-ratelimit-reset-project-tokens': '1s',
    };
    expect(rateFigures(headers, 'tokens')).toEqual({ limit: 50_000, remaining: 900, resetMs: 1_000 });
  });

  it('reads durations as services write them', () => {
    expect(['1s', '120ms', '6m0s', '7.66s', '1h2m3s', '2m59.56s', '0s', '8h'].map(reset)).toEqual([
      1_000, 120, 360_000, 7_660, 3_723_000, 179_560, 0, 28_800_000,
    ]);
    expect(reset('999h')).toBe(86_400_000);
  });

  it('takes nothing else for a figure', () => {
    expect(['', '5', '-1s', '1e9s', 's', '1s2m', 'soon', '1 s', 'NaN', '1764072000'].map(reset)).toEqual(
      Array.from({ length: 10 }, () => null),
    );
    const limit = (text: string) => rateFigures({ 'x-ratelimit-limit-requests': text }, 'requests').limit;
    expect(['0', '-5', '1.5', '1e3', 'Infinity', '0x10', '9'.repeat(20), ''].map(limit)).toEqual(
      Array.from({ length: 8 }, () => null),
    );
  });

  it('gives a finite figure or none for any text', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const headers = { 'x-ratelimit-limit-tokens': text, 'x-ratelimit-reset-tokens': text };
        for (const figure of Object.values(rateFigures(headers, 'tokens')))
          expect(figure === null || (Number.isFinite(figure) && figure >= 0)).toBe(true);
      }),
    );
  });
});
