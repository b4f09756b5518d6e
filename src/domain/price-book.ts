/** What the paid services cost: dated prices with their source, looked up for an instant. A price that is not here is not guessed. */
import { TvdbError } from '../base/errors.ts';
import { costOf, LARGEST_SUM, parseUsd } from './money.ts';
import type { ParseTier } from './parse-options.ts';

/** One price. Dates are UTC days: in force from the start of `from` until the start of `until`. */
export interface PriceRow {
  /** `llamaparse/credit`, `llamaparse/<tier>`, `openai/<model>`, `openai/<model>/batch`. */
  readonly item: string;
  /** Nano-USD for one credit or token; credits for one page. */
  readonly amount: number;
  readonly from: string;
  readonly until: string | null;
  readonly source: string;
  /** The book it is from; stored with every charge. */
  readonly version: string;
}

export interface PriceBook {
  readonly version: string;
  readonly currency: 'USD';
  /** The first row in force counts: those of an override come before the built-in ones. */
  readonly rows: readonly PriceRow[];
}

/** A price that was looked up. */
export interface UnitPrice {
  readonly nanoUsd: number;
  readonly version: string;
}

const VERSION = '2026-11-01';
const FROM = '2026-01-01';

const row = (item: string, amount: number, source: string): PriceRow => ({
  item,
  amount,
  from: FROM,
  until: null,
  source,
  version: VERSION,
});

const CREDITS = 'https://www.llamaindex.ai/pricing';
const TOKENS = 'https://platform.openai.com/docs/pricing';

/** The list prices this build was made with. */
export const BUILT_IN_PRICES: PriceBook = {
  version: VERSION,
  currency: 'USD',
  rows: [
    row('llamaparse/credit', 1_250_000, CREDITS),
    row('llamaparse/fast', 1, CREDITS),
    row('llamaparse/cost_effective', 3, CREDITS),
    row('llamaparse/agentic', 10, CREDITS),
    row('llamaparse/agentic_plus', 45, CREDITS),
    row('openai/text-embedding-3-small', 20, TOKENS),
    row('openai/text-embedding-3-small/batch', 10, TOKENS),
    row('openai/text-embedding-3-large', 130, TOKENS),
    row('openai/text-embedding-3-large/batch', 65, TOKENS),
  ],
};

/** Nano-USD for one LlamaParse credit at an instant. Throws E203 when there is no price. */
export function creditPrice(book: PriceBook, at: number): UnitPrice {
  const { amount, version } = inForce(book, 'llamaparse/credit', at);
  return { nanoUsd: amount, version };
}

/** Nano-USD for one page in a tier at an instant, and its credits. Throws E203 when there is no price. */
export function pagePrice(book: PriceBook, tier: ParseTier, at: number): UnitPrice & { readonly credits: number } {
  const credit = inForce(book, 'llamaparse/credit', at);
  const page = inForce(book, `llamaparse/${tier}`, at);
  return {
    nanoUsd: costOf(page.amount, credit.amount),
    credits: page.amount,
    version: page.version === credit.version ? page.version : `${page.version}+${credit.version}`,
  };
}

/** Nano-USD for one token of an embedding model at an instant. Throws E203 when there is no price. */
export function tokenPrice(
  book: PriceBook,
  model: string,
  at: number,
  how: 'at_once' | 'batch' = 'at_once',
): UnitPrice {
  const { amount, version } = inForce(book, `openai/${model}${how === 'batch' ? '/batch' : ''}`, at);
  return { nanoUsd: amount, version };
}

/**
 * What a number of billed credits costs, to the nearest nano-USD; `null` when the figure is none: absent, 0 (a service that
 * has not billed yet says so), negative, not a number, or beyond any real charge.
 */
export function creditsCost(credits: unknown, credit: UnitPrice): number | null {
  if (typeof credits !== 'number' || !(credits > 0)) return null;
  const nano = Math.round(credits * credit.nanoUsd);
  return nano > 0 && nano <= LARGEST_SUM ? nano : null;
}

function inForce(book: PriceBook, item: string, at: number): PriceRow {
  const found = book.rows.find(
    (one) => one.item === item && Date.parse(one.from) <= at && (one.until === null || at < Date.parse(one.until)),
  );
  if (found !== undefined) return found;
  throw new TvdbError('E203', {
    message: `There is no price for ${item}`,
    why: `the price book ${book.version} has none at this time; what has no price is not sent`,
    chargedNanoUsd: 0,
    facts: { item, price_version: book.version },
  });
}

/**
 * The built-in prices with those of an override before them. `value` is the parsed file; `fingerprint` (of its bytes)
 * goes into the version, so that an edited file is another version. Throws an `Error` that says what is wrong.
 */
export function overridePrices(value: unknown, fingerprint: string): PriceBook {
  const file = record(value, 'the file');
  known(file, ['version', 'currency', 'prices'], 'the file');
  const name = file.version;
  if (typeof name !== 'string' || !/^[\w.-]{1,40}$/.test(name))
    throw new Error('version must be a name of letters, digits, dots and hyphens');
  if (file.currency !== 'USD') throw new Error('currency must be "USD"');
  if (!Array.isArray(file.prices) || file.prices.length === 0) throw new Error('prices must be a list of prices');
  const version = `${name}-${fingerprint.slice(0, 8)}`;
  const rows = file.prices.map((one: unknown, index) => readRow(one, `prices[${index}]`, version));
  for (const [index, one] of rows.entries()) {
    const other = rows.slice(0, index).find((before) => before.item === one.item && overlap(before, one));
    if (other !== undefined) throw new Error(`prices[${index}] is a second price of ${one.item} for the same time`);
  }
  return { version, currency: 'USD', rows: [...rows, ...BUILT_IN_PRICES.rows] };
}

function readRow(value: unknown, where: string, version: string): PriceRow {
  const one = record(value, where);
  known(one, ['item', 'usd', 'usd_per_million', 'credits', 'from', 'until', 'source'], where);
  const { item, source } = one;
  if (typeof item !== 'string' || !/^(llamaparse\/[a-z0-9_]+|openai\/[A-Za-z0-9._-]+(\/batch)?)$/.test(item)) {
    throw new Error(
      `${where}.item must be llamaparse/credit, llamaparse/<tier>, openai/<model> or openai/<model>/batch`,
    );
  }
  if (typeof source !== 'string' || source.length === 0 || source.length > 200)
    throw new Error(`${where}.source must say where the price is from`);
  const from = date(one.from, `${where}.from`);
  const until = one.until === undefined || one.until === null ? null : date(one.until, `${where}.until`);
  if (until !== null && until <= from) throw new Error(`${where}.until must be after from`);
  return { item, amount: amount(one, item, where), from, until, source, version };
}

/** Credits for a page of a tier; nano-USD for everything else. */
function amount(one: Record<string, unknown>, item: string, where: string): number {
  const given = (['usd', 'usd_per_million', 'credits'] as const).filter((name) => one[name] !== undefined);
  const isTier = item.startsWith('llamaparse/') && item !== 'llamaparse/credit';
  const [name] = given;
  if (given.length !== 1 || (name === 'credits') !== isTier) {
    throw new Error(`${where} must have ${isTier ? 'credits' : 'one of usd and usd_per_million'}`);
  }
  if (name === 'credits') {
    const credits = one.credits;
    if (typeof credits !== 'number' || !Number.isInteger(credits) || credits < 1 || credits > 100_000)
      throw new Error(`${where}.credits must be a whole number from 1 to 100000`);
    return credits;
  }
  const text = name === undefined ? undefined : one[name];
  const nano = typeof text === 'string' ? parseUsd(text) : null;
  const each = nano === null ? 0 : name === 'usd' ? nano : nano / 1_000_000;
  if (!Number.isInteger(each) || each < 1)
    throw new Error(`${where}.${name} must be a text such as "0.00125" that makes whole nano-USD for each unit`);
  return each;
}

function overlap(a: PriceRow, b: PriceRow): boolean {
  return (a.until === null || b.from < a.until) && (b.until === null || a.from < b.until);
}

function date(value: unknown, where: string): string {
  const isDate =
    typeof value === 'string' &&
    /^\d{4}-\d\d-\d\d$/.test(value) &&
    // A day no month has is read as one of the next month, or not at all.
    !Number.isNaN(Date.parse(value)) &&
    new Date(value).toISOString().startsWith(value);
  if (!isDate) throw new Error(`${where} must be a date such as 2026-11-01`);
  return value;
}

function record(value: unknown, where: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Error(`${where} must be an object`);
  return value as Record<string, unknown>;
}

/** A misspelt name would silently leave the list price in force. */
function known(value: Record<string, unknown>, names: readonly string[], where: string): void {
  const strange = Object.keys(value).find((name) => !names.includes(name));
  if (strange !== undefined)
    throw new Error(`${where} has "${strange.slice(0, 40)}", which is not one of ${names.join(', ')}`);
}
