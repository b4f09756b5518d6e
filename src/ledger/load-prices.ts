/** The price book in force: the built-in prices, or those of a file before them. */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { TvdbError } from '../base/errors.ts';
import { sha256 } from '../base/hash.ts';
import { BUILT_IN_PRICES, overridePrices, type PriceBook } from '../domain/price-book.ts';

/** A price book is a page of text; more is some other file. */
const MOST_BYTES = 1_000_000;

/**
 * Reads PRICE_BOOK_FILE (relative to `cwd`). Throws E108 when it cannot be read, E103 when it is not a price book: a wrong
 * file never falls back to the list prices.
 */
export function loadPrices(file: string | undefined, cwd: string): PriceBook {
  if (file === undefined) return BUILT_IN_PRICES;
  const path = resolve(cwd, file);
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    throw new TvdbError('E108', { message: `The price book ${path} cannot be read`, cause: error });
  }
  try {
    if (bytes.length > MOST_BYTES) throw new Error('it is too large');
    return overridePrices(JSON.parse(bytes.toString('utf8')), sha256(bytes));
  } catch (error) {
    throw new TvdbError('E103', {
      message: `PRICE_BOOK_FILE ${path} is not a price book`,
      why: error instanceof SyntaxError ? 'it is not JSON' : (error as Error).message,
      facts: { setting: 'PRICE_BOOK_FILE' },
      cause: error,
    });
  }
}
