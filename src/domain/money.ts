/**
 * Money: whole nano-USD (10⁻⁹ USD), how it is read, checked and written.
 *
 * Numbers, not bigint: one sum may be up to $1,000,000, which leaves room for nine of them below 2^53 nano-USD
 * ($9,007,199.25); every total is checked to stay below it, in SQL and here. bigint would have to be turned into a number
 * at each border (JSON, SQLite, comparison) and buys nothing at these sizes.
 */

const NANO_PER_USD = 1_000_000_000;
/** Largest single sum that is taken: $1,000,000. More than that in one request is a misread figure. */
export const LARGEST_SUM = 1_000_000 * NANO_PER_USD;

/** Returns a positive sum of whole nano-USD, at most `LARGEST_SUM`; throws `RangeError` for anything else (0 too). */
export function positiveSum(value: unknown, what: string): number {
  const sum = wholeSum(value, what);
  if (sum === 0) throw new RangeError(`${what} must be more than 0 nano-USD`);
  return sum;
}

/** Returns a sum of whole nano-USD from 0 to `LARGEST_SUM`; throws `RangeError` for anything else (texts too). */
export function wholeSum(value: unknown, what: string): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0 || value > LARGEST_SUM) {
    throw new RangeError(`${what} must be whole nano-USD from 0 to ${LARGEST_SUM}, not ${String(value).slice(0, 40)}`);
  }
  // -0 is an integer too, and is written as "-0".
  return value === 0 ? 0 : value;
}

/** The sum of two amounts; throws `RangeError` where it can no longer be exact. */
export function add(a: number, b: number): number {
  const sum = a + b;
  if (!Number.isSafeInteger(sum)) throw new RangeError('a sum of money is beyond what can be counted exactly');
  return sum;
}

/** What a number of units costs; throws `RangeError` unless both are positive integers and the product is a sum. */
export function costOf(units: number, unitPrice: number): number {
  if (!Number.isSafeInteger(units) || units <= 0)
    throw new RangeError(`units must be a positive integer, not ${units}`);
  return positiveSum(units * positiveSum(unitPrice, 'a unit price'), 'a cost');
}

/** Nano-USD of a decimal such as `5`, `0.25` or `0.000000001`, exactly; `null` for anything else (`-1`, `1e3`, `.5`, `$5`). */
export function parseUsd(text: string): number | null {
  const match = /^(\d{1,7})(?:\.(\d{1,9}))?$/.exec(text);
  if (match === null) return null;
  const nano = Number(match[1]) * NANO_PER_USD + Number((match[2] ?? '').padEnd(9, '0'));
  return nano > LARGEST_SUM ? null : nano;
}

/** The exact decimal of a sum, as it is written in a file: `5`, `0.05`. `parseUsd` reads it back. */
export function decimalUsd(nano: number): string {
  const rest = String(nano % NANO_PER_USD)
    .padStart(9, '0')
    .replace(/0+$/, '');
  return `${Math.floor(nano / NANO_PER_USD)}${rest === '' ? '' : `.${rest}`}`;
}

/** The last digit that is shown: $0.0001. */
const STEP = 100_000;

/**
 * A sum for people, always with 4 decimals so that figures of one block can be compared: `$0.0910`, `$1,250.0000`. Actual
 * sums round half up, and a positive one below the last digit is `<$0.0001`, never zero. Estimates round up. An unknown
 * sum is `unknown`, never zero.
 */
export function formatUsd(nano: number | null, rounding: 'half_up' | 'up' = 'half_up'): string {
  if (nano === null) return 'unknown';
  if (!Number.isSafeInteger(nano)) throw new RangeError(`not a sum of money: ${nano}`);
  if (nano < 0) return `-${formatUsd(-nano, rounding)}`;
  if (nano > 0 && nano < STEP && rounding === 'half_up') return '<$0.0001';
  // By the rest, not by adding half a step: near 2^53 the addition would no longer be exact.
  const rest = nano % STEP;
  const steps = Math.floor(nano / STEP) + (rounding === 'up' ? Math.sign(rest) : rest >= STEP / 2 ? 1 : 0);
  const dollars = String(Math.floor(steps / 10_000)).replace(/\B(?=(\d{3})+$)/g, ',');
  return `$${dollars}.${String(steps % 10_000).padStart(4, '0')}`;
}
