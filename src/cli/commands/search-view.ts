/** `search` on a screen and in a pipe. Passages are text of documents: they reach the screen only through the page. */
import { shortId } from '../../base/ids.ts';
import type { Route, ServiceMode } from '../../domain/service-mode.ts';
import type { FoundChunks, LabelledHit } from '../../pipeline/search-documents.ts';
import { bestPassage } from '../../search/passage.ts';
import { display } from '../ui/display.ts';
import { count, duration, plural, usd } from '../ui/format.ts';
import { accent, type Cell, dim, strong, type Text, warn } from '../ui/text.ts';
import type { Page } from '../ui/ui.ts';
import { wrap } from '../ui/wrap.ts';
import { routeJson } from './route-text.ts';

const INDENT = 3;
const LINES = 3;
/** Longer lines are hard to read, however wide the terminal is. */
const WIDEST = 110;

/** What was searched, then each hit with the passage that matches best. */
export function searchPage(
  page: Page,
  found: FoundChunks,
  { full, why }: { full: boolean; why: readonly string[] },
): void {
  page.line(
    strong(`${count(found.hits.length)} of ${plural(found.searched, 'chunk')}`),
    `   space ${found.space}   ${seconds(found.ms)}   ${usd(found.costNanoUsd)}${found.cached ? ' (known query)' : ''}`,
  );
  for (const [index, hit] of found.hits.entries()) {
    page.blank();
    page.line(
      strong(String(index + 1).padEnd(INDENT)),
      `${hit.score.toFixed(3)}  `,
      strong(hit.filename),
      `  ${pages(hit)}   `,
      accent(`${shortId(hit.documentId)}#${hit.chunkOrd}`),
      '   ',
      originText(hit),
    );
    if (hit.headingPath.length > 0) page.line(' '.repeat(INDENT), dim(hit.headingPath.join(' > ')));
    page.passage(full ? hit.text : snippet(hit.text, found.query, page.cols), INDENT);
    if (hit.supersededBy !== null)
      page.line(' '.repeat(INDENT), dim(`a newer version is ${shortId(hit.supersededBy)}`));
  }
  if (why.length > 0) page.blank();
  for (const line of why) page.line(line);
}

/** Who made a hit: `real` or `mock` for parse and vector alike, the two apart where they differ. A stand-in is shouted. */
function originText({ parseOrigin, origin, fallback }: LabelledHit): Text {
  const text = parseOrigin === null || parseOrigin === origin ? origin : `${parseOrigin} parse, ${origin} vector`;
  return fallback ? warn(`${text.replaceAll('mock', 'MOCK')} (fallback)`) : dim(text);
}

/** At most three lines of a chunk at this width. */
function snippet(text: string, query: string, cols: number): string {
  const width = Math.max(20, Math.min(cols, WIDEST)) - INDENT;
  for (let room = width * LINES - 8; room > width; room -= 8) {
    const { text: passage, cutBefore, cutAfter } = bestPassage(text, query, room);
    const shown = `${cutBefore ? '... ' : ''}${passage}${cutAfter ? ' ...' : ''}`;
    if (wrap([{ text: display(shown), style: 'plain' }], width, 0).length <= LINES) return shown;
  }
  return bestPassage(text, query, Math.floor(width / 2)).text;
}

function pages({ pageFrom, pageTo }: LabelledHit): string {
  return pageFrom === pageTo ? `p.${pageFrom}` : `pp.${pageFrom}-${pageTo}`;
}

function seconds(ms: number): string {
  return ms < 10_000 ? `${(ms / 1000).toFixed(2)}s` : duration(ms);
}

/** One hit for a pipe: rank, score, file, pages, document, chunk, headings, text, parse origin, vector origin, fallback. */
export function hitRow(hit: LabelledHit, index: number): Cell[] {
  const { pageFrom, pageTo } = hit;
  return [
    index + 1,
    hit.score.toFixed(4),
    hit.filename,
    pageFrom === pageTo ? pageFrom : `${pageFrom}-${pageTo}`,
    hit.documentId,
    hit.chunkOrd,
    hit.headingPath.join(' > '),
    hit.text,
    hit.parseOrigin,
    hit.origin,
    hit.fallback ? 'fallback' : null,
  ];
}

/** `data` of `tvdb.search/v1`. `route` says who embedded the query. */
export function searchJson(
  found: FoundChunks,
  { k, mode, route }: { k: number; mode: ServiceMode; route: Route },
): Record<string, unknown> {
  const { costNanoUsd: cost } = found;
  return {
    query: found.query,
    k,
    mode,
    services: { openai: routeJson(route) },
    embedding_space: found.space,
    method: found.method,
    ranked_by: found.rankedBy,
    searched_chunks: found.searched,
    excluded: found.excluded.map(({ space, chunks }) => ({ embedding_space: space, chunks })),
    best_score: found.bestScore,
    cost: { total_nano_usd: cost, total_usd: cost === null ? null : cost / 1e9, tokens: found.tokens },
    cached: found.cached,
    ms: found.ms,
    results: found.hits.map((hit, index) => ({
      rank: index + 1,
      score: hit.score,
      relevance: hit.relevance,
      document_id: hit.documentId,
      chunk_id: hit.chunkId,
      chunk: hit.chunkOrd,
      page: hit.pageFrom,
      page_to: hit.pageTo,
      filename: hit.filename,
      path: hit.sourcePath,
      heading_path: hit.headingPath,
      origin: hit.origin,
      parse_origin: hit.parseOrigin,
      embed_origin: hit.origin,
      fallback: hit.fallback,
      superseded_by: hit.supersededBy,
      text: hit.text,
    })),
  };
}
