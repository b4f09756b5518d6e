/**
 * What PDFium makes of a document, through liteparse. Runs only in the child process.
 *
 * Three settings that are not the defaults carry weight: OCR off, or liteparse would fetch language models; `maxPages`,
 * or everything after page 1,000 would be dropped without a word; and running headers kept, because their removal takes
 * the text with it: the heading of each page of a report ("Page 7 of …", "# Invoice 12") counts as repeated, and of a
 * document with one line on each page nothing was left.
 *
 * It gets bytes that begin with `%PDF-`, never a path: a path it judges by its extension, and what it takes for
 * anything but a PDF it hands to an installed converter (LibreOffice, ImageMagick).
 */
import type { LiteParse, LiteParseConfig } from '@llamaindex/liteparse';
import { TvdbError } from '../../base/errors.ts';

const OPTIONS: Partial<LiteParseConfig> = {
  ocrEnabled: false,
  outputFormat: 'markdown',
  imageMode: 'off',
  quiet: true,
  keepHeadersFooters: true,
  continueOnPageError: true,
  numWorkers: 1,
};

/**
 * Pages per batch. In batches the child peaks at 116 MB for 180 pages and 176 MB for 1,500; in one piece at 185 MB and
 * 869 MB, as liteparse returns every glyph run. Part of the parser version: heading levels are judged within a batch.
 */
const BATCH = 64;

/**
 * Characters of markdown for one document: some 2,700 dense pages. Cutting that much into chunks takes the main process
 * up to 10 s at a stretch (one table of 8 MB); at twice as much a lease of 30 s would be in danger.
 */
export const MOST_CHARACTERS = 8 * 1024 * 1024;

/** A page by PDFium: its markdown, empty when it has no text, or why it could not be read. */
export type PdfiumPage = { markdown: string } | { error: string };

export type PdfiumCount = { pages: number } | { needsPassword: true } | { unreadable: string };

/** How many pages PDFium sees. It believes a positive `/Count`; asked only about documents pdf-lib cannot vouch for. */
export async function pdfiumCount(bytes: Uint8Array): Promise<PdfiumCount> {
  try {
    const parser = await open({ targetPages: '1' });
    return { pages: (await parser.parse(bytes)).totalPages };
  } catch (thrown) {
    return reasonOf(thrown);
  }
}

/**
 * Reads the pages of a PDF, `atMost` of them, into markdown, page 1 first. Throws E404 when a password is needed,
 * E414 for more than 64 MiB of text; `undefined` when PDFium cannot open the document.
 */
export async function readPages(bytes: Uint8Array, atMost: number): Promise<PdfiumPage[] | undefined> {
  const pages: PdfiumPage[] = [];
  let characters = 0;
  try {
    const parser = await open({ maxPages: atMost });
    // Batches of equal size: a short last batch would judge headings by a page or two.
    const batchSize = Math.ceil(atMost / Math.ceil(atMost / BATCH));
    for await (const { result, totalPages } of parser.parseBatches(bytes, { batchSize })) {
      while (pages.length < Math.min(totalPages, atMost)) pages.push({ error: 'the reader left the page out' });
      for (const { pageNum, message } of result.pageErrors) place(pages, pageNum, { error: message });
      for (const { pageNum, text, markdown } of result.pages) {
        characters += markdown.length;
        if (characters > MOST_CHARACTERS) throw tooMuchText();
        place(pages, pageNum, { markdown: markdownOf(text, markdown) });
      }
    }
    return pages;
  } catch (thrown) {
    if (thrown instanceof TvdbError) throw thrown;
    if ('needsPassword' in reasonOf(thrown)) throw needsPassword();
    return undefined;
  }
}

/** E404. */
export function needsPassword(): TvdbError {
  return new TvdbError('E404', { message: 'the PDF is encrypted and needs a password' });
}

/** E414 for a document whose text is larger than tvdb keeps. */
export function tooMuchText(): TvdbError {
  return new TvdbError('E414', {
    message: 'the PDF unpacks to too much text',
    why: `its text is longer than ${MOST_CHARACTERS} characters`,
    facts: { limit: 'output', characters: MOST_CHARACTERS },
  });
}

async function open(options: Partial<LiteParseConfig>): Promise<LiteParse> {
  const { LiteParse } = await import('@llamaindex/liteparse');
  return new LiteParse({ ...OPTIONS, ...options });
}

function place(pages: PdfiumPage[], number: number, page: PdfiumPage): void {
  if (number >= 1 && number <= pages.length) pages[number - 1] = page;
}

/** Emptiness is decided on the text: of an empty page liteparse makes an empty code fence. */
function markdownOf(text: string, markdown: string): string {
  if (text.trim() === '') return '';
  return markdown.trim() === '' ? text : markdown;
}

/** liteparse has one error class and no codes (2.14), so its text is all there is to tell a password from damage. */
function reasonOf(thrown: unknown): { needsPassword: true } | { unreadable: string } {
  const text = thrown instanceof Error ? thrown.message : String(thrown);
  return /password required/i.test(text) ? { needsPassword: true } : { unreadable: text };
}
