/** Counts the pages of a PDF so that no more can be processed than were reserved. Runs only in the child process. */
import { TvdbError } from '../../base/errors.ts';
import type { Inspection } from './messages.ts';
import { MOST_PAGES, tooManyPages, walkPageTree } from './page-tree.ts';
import { pdfBytes } from './pdf-bytes.ts';
import { needsPassword, pdfiumCount } from './pdfium.ts';

/**
 * The pages of the PDF at `path`. A sound tree is believed, whatever its `/Count` says. One with missing
 * parts or cycles is shown to PDFium as well and the larger count wins, so that pages one reader cannot see are still
 * reserved. Where only PDFium can read the document its count is taken, though it trusts a positive `/Count`:
 * there the `max_pages` of the parse request is what bounds the bill.
 *
 * Throws E402 (not a PDF), E403 (empty), E404 (password), E405 (no reader can open it), E407 (more than 100,000
 * pages), E409 (file), E415 (no pages).
 */
export async function inspect(path: string): Promise<Inspection> {
  const bytes = await pdfBytes(path);
  const tree = await walkPageTree(bytes);
  if (tree?.sound && tree.pages > 0) return { pages: tree.pages, encrypted: tree.encrypted };
  const second = await pdfiumCount(bytes);
  if ('needsPassword' in second) throw needsPassword();
  if (tree === undefined && 'unreadable' in second) {
    throw new TvdbError('E405', { message: 'the PDF is damaged', why: `no reader can open it (${second.unreadable})` });
  }
  const pages = Math.max(tree?.pages ?? 0, 'pages' in second ? second.pages : 0);
  if (pages > MOST_PAGES) throw tooManyPages();
  if (pages === 0) throw new TvdbError('E415', { message: 'the PDF has no pages' });
  return { pages, encrypted: tree?.encrypted ?? false };
}
