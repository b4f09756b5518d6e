/**
 * Turns a PDF into markdown, page by page, with a second reader for what the first cannot read. Runs only in the child
 * process.
 */
import { TvdbError } from '../../base/errors.ts';
import type { ParsedPage } from '../../domain/parsed-page.ts';
import { flattenPageTree } from './page-tree.ts';
import { pdfBytes } from './pdf-bytes.ts';
import { type PdfiumPage, readPages } from './pdfium.ts';
import { plainText } from './plain-text.ts';

/**
 * Every page from 1 to `expected` (the inspected count) exactly once: its markdown, `''` for a page without text, or
 * why it could not be read. Same bytes, same result.
 *
 * PDFium's result is taken when it has as many pages as were counted. If it has not, `/Count` lies or the file is
 * damaged: it is written anew by pdf-lib with a flat page tree and read again, so that no page is lost silently. What
 * PDFium cannot read is read as plain text by pdf.js.
 *
 * Throws E402 (not a PDF), E403 (empty), E404 (password), E405 (no page can be read), E408 (no page has text), E409
 * (file), E414 (too much text).
 */
export async function extract(path: string, expected: number): Promise<ParsedPage[]> {
  let bytes = await pdfBytes(path);
  // One page more than expected, to notice that there are more.
  let read = await readPages(bytes, expected + 1);
  if (read?.length !== expected) {
    const flat = await flattenPageTree(bytes);
    const again = flat === undefined ? undefined : await readPages(flat, expected + 1);
    if (flat !== undefined && again !== undefined && again.length >= Math.min(read?.length ?? 0, expected)) {
      bytes = flat;
      read = again;
    }
  }
  const pages = numbered(read ?? [], expected);
  const failed = pages.flatMap((page) => ('error' in page ? [page.number] : []));
  if (failed.length > 0) {
    const rescued = await plainText(bytes, failed);
    for (const [number, markdown] of rescued) pages[number - 1] = { number, markdown };
  }
  return withText(pages);
}

function numbered(read: readonly PdfiumPage[], expected: number): ParsedPage[] {
  if (read.length > expected) {
    throw new TvdbError('E405', {
      message: 'the page tree of the PDF contradicts itself',
      why: `${expected} pages were counted, but the reader finds more`,
      facts: { counted: expected },
    });
  }
  return Array.from({ length: expected }, (_, index) => ({
    number: index + 1,
    ...(read[index] ?? { error: 'no reader can open the page' }),
  }));
}

/** The pages, if any of them has text; otherwise the refusal that says what is wrong with all of them. */
function withText(pages: ParsedPage[]): ParsedPage[] {
  if (pages.some((page) => 'markdown' in page && page.markdown !== '')) return pages;
  if (pages.every((page) => 'error' in page)) {
    throw new TvdbError('E405', { message: 'the PDF is damaged', why: 'no reader can open any of its pages' });
  }
  throw new TvdbError('E408', { message: 'the PDF has no text', facts: { pages: pages.length } });
}
