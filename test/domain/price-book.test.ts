/** Prices by date, overrides from a file, and what a document may cost. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DEFAULT_CHUNK_OPTIONS } from '../../src/domain/chunk-options.ts';
import { documentEstimate, embedEstimate, parseEstimate, tokensEstimate } from '../../src/domain/cost-estimate.ts';
import { PARSE_TIERS } from '../../src/domain/parse-options.ts';
import {
  BUILT_IN_PRICES,
  creditPrice,
  creditsCost,
  overridePrices,
  pagePrice,
  tokenPrice,
} from '../../src/domain/price-book.ts';

const NOW = Date.UTC(2026, 10, 27, 12);
const SMALL = 'text-embedding-3-small';
const FINGERPRINT = '0123456789abcdef';

const price = (changes: Record<string, unknown> = {}) => ({
  item: 'llamaparse/credit',
  usd: '0.001',
  from: '2026-12-01',
  source: 'contract 4711',
  ...changes,
});
const book = (...prices: unknown[]) => overridePrices({ version: 'acme-2027', currency: 'USD', prices }, FINGERPRINT);

describe('the built-in prices', () => {
  it('are those of November 2026', () => {
    expect(creditPrice(BUILT_IN_PRICES, NOW)).toEqual({ nanoUsd: 1_250_000, version: '2026-11-01' });
    expect(PARSE_TIERS.map((tier) => pagePrice(BUILT_IN_PRICES, tier, NOW))).toEqual(
      [1, 3, 10, 45].map((credits) => ({ nanoUsd: credits * 1_250_000, credits, version: '2026-11-01' })),
    );
    const tokens = [SMALL, 'text-embedding-3-large'].flatMap((model) => [
      tokenPrice(BUILT_IN_PRICES, model, NOW).nanoUsd,
      tokenPrice(BUILT_IN_PRICES, model, NOW, 'batch').nanoUsd,
    ]);
    expect(tokens).toEqual([20, 10, 130, 65]);
  });

  it('say where they are from', () => {
    expect(BUILT_IN_PRICES.rows.filter(({ source }) => !source.startsWith('https://'))).toEqual([]);
  });

  it('have no price for an unknown model, nor for a time before them', () => {
    for (const ask of [
      () => tokenPrice(BUILT_IN_PRICES, 'text-embedding-9', NOW),
      () => creditPrice(BUILT_IN_PRICES, Date.UTC(1970, 0, 1)),
      () => pagePrice(BUILT_IN_PRICES, 'unheard-of' as 'fast', NOW),
    ]) {
      expect(ask).toThrow(expect.objectContaining({ code: 'E203', exit: 5, chargedNanoUsd: 0 }));
    }
  });
});

describe('an override', () => {
  it('counts from its date to its end, and is seen by its version', () => {
    const prices = book(price({ until: '2027-01-01' }));
    const at = (date: string) => pagePrice(prices, 'fast', Date.parse(date));
    const list = { nanoUsd: 1_250_000, credits: 1, version: '2026-11-01' };
    expect(at('2026-11-30T23:59:59.999Z')).toEqual(list);
    expect(at('2026-12-01')).toEqual({ nanoUsd: 1_000_000, credits: 1, version: '2026-11-01+acme-2027-01234567' });
    expect(at('2027-01-01')).toEqual(list);
    expect(tokenPrice(prices, SMALL, Date.parse('2026-12-01')).version).toBe('2026-11-01');
  });

  it('reads prices of a million, credits of a tier and models that are not built in', () => {
    const prices = book(
      price({ item: `openai/${SMALL}`, usd: undefined, usd_per_million: '0.018' }),
      price({ item: 'llamaparse/agentic', usd: undefined, credits: 8 }),
      price({ item: 'openai/other', usd: '0.00000003' }),
    );
    const at = Date.UTC(2026, 11, 2);
    expect(tokenPrice(prices, SMALL, at)).toEqual({ nanoUsd: 18, version: 'acme-2027-01234567' });
    expect(tokenPrice(prices, 'other', at).nanoUsd).toBe(30);
    expect(pagePrice(prices, 'agentic', at)).toMatchObject({ credits: 8, nanoUsd: 10_000_000 });
  });

  it('may have one price after the other for an item, never two at a time', () => {
    expect(() => book(price({ until: '2027-01-01' }), price({ from: '2027-01-01' }))).not.toThrow();
    expect(() => book(price({ until: '2027-01-02' }), price({ from: '2027-01-01' }))).toThrow('second price');
    expect(() => book(price(), price({ from: '2030-01-01' }))).toThrow('second price');
  });

  it.each([
    ['no object', [], 'must be an object'],
    ['no version', { currency: 'USD', prices: [price()] }, 'version'],
    ['a version with a space', { version: 'a b', currency: 'USD', prices: [price()] }, 'version'],
    ['another currency', { version: 'a', currency: 'EUR', prices: [price()] }, 'currency'],
    ['no prices', { version: 'a', currency: 'USD', prices: [] }, 'prices'],
    ['a name too many', { version: 'a', currency: 'USD', prices: [price()], extra: 1 }, '"extra"'],
  ])('is refused with %s', (_what, value, message) => {
    expect(() => overridePrices(value, FINGERPRINT)).toThrow(message);
  });

  it.each<[string, Record<string, unknown>]>([
    ['item', { item: 'azure/x' }],
    ['source', { source: '' }],
    ['from', { from: '2026-02-30' }],
    ['from', { from: '2026-1-1' }],
    ['from', { from: undefined }],
    ['until', { until: '2026-12-01' }],
    ['usd', { usd: 0.001 }],
    ['usd', { usd: '0' }],
    ['usd', { usd: '-1' }],
    ['usd', { usd: '0.0000000001' }],
    ['one of usd', { usd_per_million: '1' }],
    ['one of usd', { usd: undefined }],
    ['one of usd', { usd: undefined, credits: 1 }],
    ['usd_per_million', { usd: undefined, usd_per_million: '0.0005' }],
    ['credits', { item: 'llamaparse/fast' }],
    ['credits', { item: 'llamaparse/fast', usd: undefined, credits: 0 }],
    ['credits', { item: 'llamaparse/fast', usd: undefined, credits: 1.5 }],
    ['"form"', { form: '2026-01-01' }],
  ])('is refused for its %s in %j', (message, changes) => {
    expect(() => book(price(changes))).toThrow(message);
  });
});

describe('creditsCost', () => {
  const credit = creditPrice(BUILT_IN_PRICES, NOW);

  it('is exact for whole credits and rounds parts of one', () => {
    expect(creditsCost(72, credit)).toBe(90_000_000);
    expect(creditsCost(0.3, credit)).toBe(375_000);
  });

  it.each([null, undefined, 0, -0, -5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, '12', {}, 1e-9])(
    'T13 takes %s as not billed yet',
    (credits) => {
      expect(creditsCost(credits, credit)).toBeNull();
    },
  );
});

describe('an estimate', () => {
  const parse = pagePrice(BUILT_IN_PRICES, 'cost_effective', NOW);
  const embed = tokenPrice(BUILT_IN_PRICES, SMALL, NOW);

  it('of parsing is the pages at their price', () => {
    expect(parseEstimate(24, parse)).toEqual({
      units: 24,
      unitPrice: 3_750_000,
      priceVersion: '2026-11-01',
      ceilingNanoUsd: 90_000_000,
      likelyNanoUsd: 90_000_000,
    });
  });

  it('of embedding bounds what is not parsed yet and is exact once tokens were counted', () => {
    const before = embedEstimate(24, embed, DEFAULT_CHUNK_OPTIONS);
    expect(before.ceilingNanoUsd).toBe(24 * 80_100 * 20);
    expect(before.likelyNanoUsd).toBe(24 * 770 * 20);
    expect(tokensEstimate(48_128, embed)).toMatchObject({ units: 48_128, ceilingNanoUsd: 962_560 });
  });

  it('of a document is the sum of what is paid for', () => {
    const parts = { parse: parseEstimate(2, parse), embed: embedEstimate(2, embed, DEFAULT_CHUNK_OPTIONS) };
    expect(documentEstimate(2, parts)).toMatchObject({ ceilingNanoUsd: 7_500_000 + 2 * 80_100 * 20 });
    expect(documentEstimate(2, { parse: null, embed: null })).toMatchObject({ ceilingNanoUsd: 0, likelyNanoUsd: 0 });
  });

  it('is never likelier than its ceiling, for any sizes of chunks', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 5000 }),
        fc.integer({ min: 32, max: 8000 }),
        fc.double({ min: 0, max: 0.5, noNaN: true }),
        (pages, targetTokens, share) => {
          const sizes = { targetTokens, overlapTokens: Math.floor(targetTokens * share) };
          const { likelyNanoUsd, ceilingNanoUsd, units, unitPrice } = embedEstimate(pages, embed, sizes);
          expect(likelyNanoUsd).toBeLessThanOrEqual(ceilingNanoUsd);
          expect(units * unitPrice).toBe(ceilingNanoUsd);
        },
      ),
    );
  });

  it.each([0, -5, 1.5, Number.NaN, 2 ** 53])('T13 of %s pages is refused', (pages) => {
    expect(() => parseEstimate(pages, parse)).toThrow(RangeError);
    expect(() => embedEstimate(pages, embed, DEFAULT_CHUNK_OPTIONS)).toThrow(RangeError);
    expect(() => tokensEstimate(pages, embed)).toThrow(RangeError);
  });
});
