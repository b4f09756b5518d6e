/** The pages of a LlamaParse result: each page that was asked for exactly once, with its text or why there is none. */
import { cleanText } from '../../domain/clean-text.ts';
import type { ParsedPage } from '../../domain/parsed-page.ts';

/**
 * The service keeps 65,536 bytes of the text of a page and drops the rest without a word. A cut never splits a character
 * of up to 4 bytes, so that up to 3 bytes less may be left of a page that was cut.
 */
const CUT_BYTES = 65_536 - 3;

/** Why a page that was asked for is not in the answer. */
const MISSING = 'missing';

const ERROR_LENGTH = 300;

/**
 * Pages out of an answer with `markdown` or `text` expanded, in page order; `undefined` when it holds neither.
 * `asked` are the pages the result must have: others are dropped, absent ones come as `missing`. Without it, the pages
 * from 1 to the highest one answered are asked for. Of several entries for a page the first readable one counts. Markdown
 * comes before text because only markdown says which pages failed.
 */
export function readPages(body: unknown, asked?: readonly number[]): ParsedPage[] | undefined {
  const entries = entriesOf(body, 'markdown') ?? entriesOf(body, 'text');
  if (entries === undefined) return undefined;
  const found = new Map<number, ParsedPage>();
  for (const entry of entries) {
    const page = readPage(entry);
    if (page === undefined) continue;
    const known = found.get(page.number);
    if (known === undefined || ('error' in known && 'markdown' in page)) found.set(page.number, page);
  }
  const highest = Math.max(0, ...found.keys());
  const wanted = asked ?? Array.from({ length: highest }, (_, index) => index + 1);
  return [...new Set(wanted)]
    .sort((a, b) => a - b)
    .map((number): ParsedPage => found.get(number) ?? { number, error: MISSING });
}

type Entry = { page: Record<string, unknown>; text: unknown };

function entriesOf(body: unknown, key: 'markdown' | 'text'): Entry[] | undefined {
  const pages = (body as Record<string, { pages?: unknown } | null> | null)?.[key]?.pages;
  if (!Array.isArray(pages)) return undefined;
  return pages
    .filter((page) => page !== null && typeof page === 'object')
    .map((page: Record<string, unknown>) => ({ page, text: page[key] }));
}

/** More pages than any document may have; bounds what a wild page number makes us write down. */
const HIGHEST = 10_000;

/** A page without a usable number belongs nowhere: the page it should have been is then missing. */
function readPage({ page, text }: Entry): ParsedPage | undefined {
  const number = page.page_number;
  if (typeof number !== 'number' || !Number.isInteger(number) || number < 1 || number > HIGHEST) return undefined;
  if (page.success === false) {
    const said = typeof page.error === 'string' ? cleanText(page.error).replace(/\s+/g, ' ').trim() : '';
    return { number, error: said.slice(0, ERROR_LENGTH) || 'failed' };
  }
  if (typeof text !== 'string') return { number, error: 'no text came' };
  const cut = Buffer.byteLength(text, 'utf8') >= CUT_BYTES;
  return { number, markdown: text, ...(cut && { cut: true as const }) };
}
