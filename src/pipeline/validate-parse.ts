/** `parsed`: normalises the pages into one markdown text, and lets only a complete parse pass. */
import { TvdbError } from '../base/errors.ts';
import { sha256 } from '../base/hash.ts';
import { assemble } from '../domain/markdown.ts';
import type { ParsedPage } from '../domain/parsed-page.ts';
import { documentById } from '../store/documents.ts';
import { type PageStart, pageStartsOf, pagesOf, parseById, setMarkdown } from '../store/parses.ts';
import type { ParseRow } from '../store/schema.ts';
import type { Stage } from './stage.ts';

export const validateParse: Stage = async (job, { store }) => {
  const parse = job.parse_id === null ? undefined : await parseById(store.db, job.parse_id);
  if (parse === undefined) {
    return {
      kind: 'move',
      to: 'uploaded',
      event: { code: 'RETRY_SCHEDULED', severity: 'warn', data: { why: 'the stored parse is gone' } },
    };
  }
  const document = await documentById(store.db, job.document_id);
  const pages = completePages(pagesOf(parse), document?.pages ?? 0);
  const { markdown, pageStarts } = assemble(pages);
  if (markdown.trim() === '') throw new TvdbError('E408', { message: 'The document has no text on any page' });
  const hash = sha256(markdown);
  return {
    kind: 'move',
    to: 'parse_validated',
    event: { code: 'PARSE_VALIDATED', data: { pages: pages.length, characters: markdown.length, sha256: hash } },
    set: { parsed_sha256: hash },
    write: (trx) => setMarkdown(trx, parse.parse_id, { markdown, pageStarts, sha256: hash }),
  };
};

/**
 * The validated text of a parse: as stored, or made again of the same pages when another job of the document has stored
 * its parse anew meanwhile.
 */
export function validatedText(parse: ParseRow): { markdown: string; pageStarts: PageStart[]; sha256: string } {
  if (parse.markdown !== null && parse.markdown_sha256 !== null) {
    return { markdown: parse.markdown, pageStarts: pageStartsOf(parse), sha256: parse.markdown_sha256 };
  }
  const { markdown, pageStarts } = assemble(pagesOf(parse).flatMap((page) => ('markdown' in page ? [page] : [])));
  return { markdown, pageStarts, sha256: sha256(markdown) };
}

/** The pages, when every page of the document is there and readable. Throws E419 naming those that are not. */
function completePages(pages: readonly ParsedPage[], expected: number): { number: number; markdown: string }[] {
  const readable = pages.flatMap((page) => ('markdown' in page ? [page] : []));
  const present = new Set(readable.map((page) => page.number));
  const missing = Array.from({ length: expected }, (_, index) => index + 1).filter((number) => !present.has(number));
  if (missing.length > 0) {
    const shown = missing.slice(0, 10).join(', ');
    throw new TvdbError('E419', {
      message: `The parse is incomplete: ${missing.length} of ${expected} pages are missing or failed`,
      why: `pages ${shown}${missing.length > 10 ? ', …' : ''}`,
      facts: { missing_pages: missing },
    });
  }
  return readable.sort((a, b) => a.number - b.number);
}
