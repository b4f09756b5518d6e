/** Sums of money: read exactly, refused when hostile, never shown as zero when they are not. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  add,
  costOf,
  decimalUsd,
  formatUsd,
  LARGEST_SUM,
  parseUsd,
  positiveSum,
  wholeSum,
} from '../../src/domain/money.ts';

const sums = fc.integer({ min: 0, max: LARGEST_SUM });
const HOSTILE = [
  -5,
  -1,
  0.1,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  Number('1e309'),
  2 ** 53,
  LARGEST_SUM + 1,
  '12',
  null,
];

describe('sums', () => {
  it.each(HOSTILE)('T13 refuse %s', (value) => {
    expect(() => wholeSum(value, 'it')).toThrow(RangeError);
    expect(() => positiveSum(value, 'it')).toThrow(RangeError);
    expect(() => costOf(value as number, 1)).toThrow(RangeError);
    expect(() => costOf(1, value as number)).toThrow(RangeError);
  });

  it('T13 refuse zero where money moves, and a total that cannot be exact', () => {
    expect(() => positiveSum(0, 'it')).toThrow(RangeError);
    expect(() => positiveSum(-0, 'it')).toThrow(RangeError);
    expect(Object.is(wholeSum(-0, 'it'), 0)).toBe(true);
    expect(() => add(Number.MAX_SAFE_INTEGER, 1)).toThrow(RangeError);
    expect(() => costOf(LARGEST_SUM, 2)).toThrow(RangeError);
  });

  it('cost what the price table says: 24 pages and 48,128 tokens', () => {
    expect(costOf(24, 3_750_000) + costOf(48_128, 20)).toBe(90_962_560);
  });
});

describe('parseUsd', () => {
  it.each([
    ['0.25', 250_000_000],
    ['5', 5_000_000_000],
    ['0', 0],
    ['0.000000001', 1],
    ['0.1', 100_000_000],
    ['1000000', LARGEST_SUM],
  ])('reads %s exactly', (text, nano) => {
    expect(parseUsd(text)).toBe(nano);
  });

  it.each([
    '',
    ' 5',
    '5 ',
    '-1',
    '+1',
    '1e3',
    '.5',
    '5.',
    '$5',
    '1,5',
    '0x10',
    '0.0000000001',
    '1000000.1',
    'NaN',
    '٣',
  ])('refuses "%s"', (text) => {
    expect(parseUsd(text)).toBeNull();
  });

  it('gives every sum back that decimalUsd wrote', () => {
    fc.assert(fc.property(sums, (nano) => parseUsd(decimalUsd(nano)) === nano));
  });
});

describe('formatUsd', () => {
  it.each([
    [0, '$0.0000'],
    [1, '<$0.0001'],
    [99_999, '<$0.0001'],
    [100_000, '$0.0001'],
    [149_999, '$0.0001'],
    [150_000, '$0.0002'],
    [90_962_560, '$0.0910'],
    [999_950_000, '$1.0000'],
    [5_000_000_000, '$5.0000'],
    [1_234_567_890_000, '$1,234.5679'],
    [-150_000, '-$0.0002'],
    [null, 'unknown'],
    [Number.MAX_SAFE_INTEGER, '$9,007,199.2547'],
  ])('writes %s as %s', (nano, text) => {
    expect(formatUsd(nano)).toBe(text);
  });

  it.each([
    [0, '$0.0000'],
    [1, '$0.0001'],
    [100_000, '$0.0001'],
    [100_001, '$0.0002'],
    [Number.MAX_SAFE_INTEGER, '$9,007,199.2548'],
  ])('rounds an estimate of %s up to %s', (nano, text) => {
    expect(formatUsd(nano, 'up')).toBe(text);
  });

  it('never writes a positive sum as zero, nor an estimate below what it is', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: LARGEST_SUM }), (nano) => {
        expect(formatUsd(nano)).not.toMatch(/^\$0\.0000$/);
        expect(parseUsd(formatUsd(nano, 'up').replace(/[$,]/g, ''))).toBeGreaterThanOrEqual(nano);
      }),
    );
  });

  it('refuses what is not a whole sum', () => {
    expect(() => formatUsd(Number.NaN)).toThrow(RangeError);
    expect(() => formatUsd(0.5)).toThrow(RangeError);
  });
});
