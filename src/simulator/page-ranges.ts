/** Page ranges as parse v2 reads them: 1-based, `1,3,5-8`, no page twice; `target_pages` wins over `max_pages`. */

export interface PageRanges {
  max_pages?: number | null;
  target_pages?: string | null;
}

/** The pages a text asks for, or what is wrong with it. */
export function readTargetPages(text: string): number[] | string {
  const pages = new Set<number>();
  for (const part of text.split(',')) {
    const match = /^\s*(\d+)(?:\s*-\s*(\d+))?\s*$/.exec(part);
    const first = Number(match?.[1]);
    const last = Number(match?.[2] ?? match?.[1]);
    if (match === null || first < 1 || last < first)
      return `"${part.trim()}" is not a page or a range of pages (1-based)`;
    if (last - first > 100_000) return `"${part.trim()}" is too long a range`;
    for (let page = first; page <= last; page++) {
      if (pages.has(page)) return `page ${page} is named twice`;
      pages.add(page);
    }
  }
  return [...pages].sort((a, b) => a - b);
}

/** The pages of a document of `count` pages that are processed and billed. */
export function selectPages(ranges: PageRanges | null | undefined, count: number): number[] {
  const all = Array.from({ length: count }, (_, index) => index + 1);
  if (ranges?.target_pages) {
    const wanted = readTargetPages(ranges.target_pages);
    return typeof wanted === 'string' ? [] : wanted.filter((page) => page <= count);
  }
  return all.slice(0, ranges?.max_pages ?? count);
}
