import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RETRY_AFTER_CAP_MS, retryAfterMs } from '../../src/services/retry-after.ts';

const NOW = Date.UTC(2026, 10, 23, 12);
const date = (ms: number) => new Date(NOW + ms).toUTCString();

describe('the wait a service asks for (T71)', () => {
  it.each<[string, Record<string, string | string[]>, number | null]>([
    ['no header', {}, null],
    ['zero', { 'retry-after': '0' }, 0],
    ['a second', { 'retry-after': '1' }, 1_000],
    ['a fraction', { 'retry-after': '1.5' }, 1_500],
    ['spaces around', { 'retry-after': ' 7 ' }, 7_000],
    ['a negative number', { 'retry-after': '-1' }, null],
    ['garbage', { 'retry-after': 'soon' }, null],
    ['nothing', { 'retry-after': '' }, null],
    ['infinity', { 'retry-after': 'Infinity' }, null],
    ['hexadecimal', { 'retry-after': '0x10' }, null],
    ['an exponent', { 'retry-after': '1e9' }, null],
    ['31 years', { 'retry-after': '1000000000' }, RETRY_AFTER_CAP_MS],
    ['285 years', { 'retry-after': '9000000000' }, RETRY_AFTER_CAP_MS],
    ['more digits than a number holds', { 'retry-after': '9'.repeat(400) }, null],
    ['a date ahead', { 'retry-after': date(90_000) }, 90_000],
    ['a date far ahead', { 'retry-after': date(9e9) }, RETRY_AFTER_CAP_MS],
    ['a date in the past', { 'retry-after': date(-90_000) }, 0],
    ['a date of RFC 850', { 'retry-after': 'Monday, 23-Nov-26 12:00:30 GMT' }, 30_000],
    ['a date without a day name', { 'retry-after': '2026-11-23T12:00:30Z' }, null],
    ['a day name alone', { 'retry-after': 'Mon, never' }, null],
    ['two headers: the longer', { 'retry-after': ['2', '5'] }, 5_000],
    ['two headers joined: the longer', { 'retry-after': '9, 3' }, 9_000],
    ['two dates joined: the later', { 'retry-after': `${date(5_000)}, ${date(8_000)}` }, 8_000],
    ['one of two is garbage', { 'retry-after': ['x', '4'] }, 4_000],
    ['milliseconds', { 'retry-after-ms': '250' }, 250],
    ['milliseconds before seconds', { 'retry-after-ms': '250', 'retry-after': '9' }, 250],
    ['broken milliseconds, then seconds', { 'retry-after-ms': '-3', 'retry-after': '9' }, 9_000],
    ['many milliseconds', { 'retry-after-ms': '900000000' }, RETRY_AFTER_CAP_MS],
  ])('%s', (_name, headers, expected) => {
    expect(retryAfterMs(headers, NOW)).toBe(expected);
  });

  it('is null or a whole number in [0, 300 s] for any text', () => {
    const text = fc.oneof(fc.string(), fc.double().map(String), fc.integer().map(String), fc.date().map(String));
    fc.assert(
      fc.property(text, fc.option(text, { nil: undefined }), fc.integer(), (seconds, ms, now) => {
        const wait = retryAfterMs({ 'retry-after': seconds, ...(ms !== undefined && { 'retry-after-ms': ms }) }, now);
        return wait === null || (Number.isInteger(wait) && wait >= 0 && wait <= RETRY_AFTER_CAP_MS);
      }),
      { numRuns: 2_000 },
    );
  });
});
