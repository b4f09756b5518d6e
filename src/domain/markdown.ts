/** Normalised markdown: the one form in which parsed documents are hashed, cut into chunks and stored. */
import { cleanText } from './clean-text.ts';
import { LineNormaliser } from './line-normaliser.ts';

/** Where a page begins in assembled markdown, in UTF-16 units. */
export interface PageStart {
  number: number;
  start: number;
}

/**
 * Normalises markdown: 1 line ends `\n`; 2 at most one blank line in a row; 3 no trailing spaces; 4 one space after `#`s;
 * 5 images become `![img]`, links keep their text; 6 bullets are `-`, children indented by two (under an ordered item by
 * the width of its number, or they would not be children); 7 runs of spaces become one outside code; 8 no zero-width or
 * control characters; 9 exactly one line end at the end, so nothing at all becomes `\n`.
 *
 * Code and the rows of tables stay as they are inside, but for rules 1, 3 and 8; a fence left open is closed. Tabs
 * become spaces. Normalising twice changes nothing. Linear in the length of the text.
 */
export function normalise(markdown: string): string {
  return assemble([{ number: 1, markdown }]).markdown;
}

/**
 * Joins the pages of a document into normalised markdown, one blank line between them. A page without text starts where
 * the next one does (the last page that starts at or before an offset is the one with the text there).
 */
export function assemble(pages: readonly { number: number; markdown: string }[]): {
  markdown: string;
  pageStarts: PageStart[];
} {
  const normaliser = new LineNormaliser();
  const starts: (number | undefined)[] = [];
  for (const page of pages) {
    for (const line of cleanText(page.markdown).split('\n')) normaliser.line(line);
    starts.push(normaliser.endPage());
  }
  const markdown = normaliser.text();
  let next = markdown.length;
  const pageStarts = pages.map(({ number }) => ({ number, start: 0 }));
  for (let index = pages.length - 1; index >= 0; index -= 1) {
    next = starts[index] ?? next;
    const page = pageStarts[index];
    if (page !== undefined) page.start = next;
  }
  return { markdown, pageStarts };
}
