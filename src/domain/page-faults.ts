/** What is wrong with the pages of a parse that calls itself complete. */
import type { ParsedPage } from './parsed-page.ts';

/** Page numbers, ascending; no page is in two lists. */
export interface PageFaults {
  /** The service says that it could not read them. */
  failed: number[];
  /** The document has them and the answer does not. */
  missing: number[];
  /** No text at all. May be blank pages. */
  empty: number[];
  /** At the size where the service drops the rest without a word. */
  cut: number[];
}

/** The faults of `pages` for a document of `expected` pages. */
export function faultsOf(pages: readonly ParsedPage[], expected: number): PageFaults {
  const faults: PageFaults = { failed: [], missing: [], empty: [], cut: [] };
  const byNumber = new Map(pages.map((page) => [page.number, page]));
  for (let number = 1; number <= expected; number += 1) {
    const page = byNumber.get(number);
    if (page === undefined) faults.missing.push(number);
    else if ('error' in page) faults.failed.push(number);
    else if (page.cut === true) faults.cut.push(number);
    else if (page.markdown.trim() === '') faults.empty.push(number);
  }
  return faults;
}
