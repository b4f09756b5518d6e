/** What a search says besides its hits: what it left out, and why it found nothing. */
import { shortId } from '../../base/ids.ts';
import type { FoundChunks } from '../../pipeline/search-documents.ts';
import { commandLine } from '../command-line.ts';
import { plural } from '../ui/format.ts';
import type { Warning } from '../ui/ui.ts';
import { routeReason } from './route-text.ts';

/** What narrows a search. */
export interface Filters {
  readonly documentIds: readonly string[] | undefined;
  readonly space: string | undefined;
  readonly minScore: number | undefined;
}

/** That a mock stands in for the service that was asked for: its space is another one. */
export function fallbackWarnings({ route, space, failure }: FoundChunks): Warning[] {
  if (!route.fallback) return [];
  const why = failure === null ? routeReason(route, 'openai') : `${failure.message} (${failure.label})`;
  const message = `openai falls back to MOCK: ${why}; searched is ${space}, where only mock vectors are`;
  return [{ code: 'TVDB-W302', message }];
}

/** Chunks that could not be compared, and hits that are missing. */
export function searchWarnings(
  { excluded, hits, space }: FoundChunks,
  filters: Filters,
  wanted: number | undefined,
): Warning[] {
  const left = filters.space === undefined ? excluded : [];
  const list = left.map(({ space: other, chunks }) => ({
    code: 'TVDB-W305',
    message: `${chunks} ${chunks === 1 ? 'chunk is' : 'chunks are'} in space ${other} and ${chunks === 1 ? 'was' : 'were'} not compared with this query of space ${space} (--space ${other})`,
  }));
  return wanted === undefined
    ? list
    : [...list, { code: 'TVDB-W306', message: `${hits.length} of at least ${wanted} hits (--min-results)` }];
}

/** Why nothing was found and the one thing to try. */
export function emptyAdvice(
  { searched, excluded, space, bestScore }: FoundChunks,
  filters: Filters,
  query: string,
): { why: string[]; next?: string } {
  const [other] = [...excluded].sort((a, b) => b.chunks - a.chunks);
  if (bestScore !== null) {
    const lower = Math.floor(bestScore * 100) / 100;
    return {
      why: [`No hit: the nearest chunk scores ${bestScore.toFixed(3)}, and --min-score asks for ${filters.minScore}.`],
      next: commandLine(['search', '--min-score', String(lower), query]),
    };
  }
  if (searched === 0 && other !== undefined) {
    return {
      why: [`No hit: nothing is in space ${space}; ${plural(other.chunks, 'chunk')} in ${other.space}.`],
      next: commandLine(['search', '--space', other.space, query]),
    };
  }
  if (filters.documentIds !== undefined) {
    const [one] = filters.documentIds;
    return {
      why: [
        filters.documentIds.length === 0
          ? 'No hit: no document fits --doc and --tag.'
          : 'No hit: these documents have nothing searchable yet.',
      ],
      next: commandLine(one === undefined ? ['search', query] : ['status', shortId(one)]),
    };
  }
  return { why: ['No hit: nothing is searchable yet.'], next: 'tvdb status' };
}
