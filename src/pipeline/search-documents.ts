/** Search from words to hits: cleans and embeds the query with the service of the wanted space, then compares. */
import type { Clock } from '../base/clock.ts';
import { TvdbError } from '../base/errors.ts';
import type { Ids } from '../base/ids.ts';
import { cleanText } from '../domain/clean-text.ts';
import type { Route, ServiceMode } from '../domain/service-mode.ts';
import { checkVector } from '../domain/vector.ts';
import { type SearchHit, searchSpace } from '../search/query.ts';
import { listSpaces, type SpaceSize } from '../search/vector-index.ts';
import type { EmbedService } from '../services/embed/port.ts';
import type { Router } from '../services/router.ts';
import type { Store } from '../store/open.ts';

/** Longest query; embedding models take 8,191 tokens, and no token is shorter than one character. */
const LONGEST_QUERY = 8_000;

export interface SearchDeps {
  store: Store;
  router: Router;
  clock: Clock;
  ids: Ids;
}

export interface SearchRequest {
  query: string;
  k: number;
  /** What new jobs would use: names the space to search when none is given. */
  mode: ServiceMode;
  space?: string | undefined;
  /** Only chunks of these documents; absent means all. */
  documentIds?: readonly string[] | undefined;
  minScore?: number | undefined;
}

export interface FoundChunks {
  /** As it was embedded. */
  query: string;
  space: string;
  /** Who embedded the query, and why. */
  route: Route;
  /** Best first by words and vectors together, none below the least score. */
  hits: SearchHit[];
  rankedBy: 'hybrid' | 'vector';
  searched: number;
  excluded: { space: string; chunks: number }[];
  method: 'exact' | 'coarse';
  /** Score of the nearest chunk, wanted or not; `null` when there was none to compare. */
  bestScore: number | null;
  /** Tokens of the query, as billed. */
  tokens: number;
  /** A mock embeds for nothing; `null` where the price is not known. */
  costNanoUsd: number | null;
  ms: number;
}

/**
 * Finds the best chunks for a query. Throws E505 for an empty query, E003 for one that is too long, E504 for a space
 * nobody knows, E101 or E102 when no service can embed the query.
 */
export async function searchDocuments(
  deps: SearchDeps,
  request: SearchRequest,
  signal: AbortSignal,
): Promise<FoundChunks> {
  const { store, clock, ids } = deps;
  const started = clock.monotonic();
  const query = cleanText(request.query).trim();
  if (query === '') throw new TvdbError('E505', { message: 'The query is empty' });
  if (query.length > LONGEST_QUERY) {
    throw new TvdbError('E003', {
      message: `The query is ${query.length} characters long, at most ${LONGEST_QUERY} are possible`,
      fix: 'Search for a sentence or two.',
    });
  }
  const { service, route } = await serviceFor(deps, request);
  const { name, dimensions } = service.space;
  const id = ids.uuid();
  // A query belongs to no job; the id serves as the reference sent along with it.
  const { vectors, tokensBilled } = await service.embed(
    [query],
    { attemptId: id, jobId: id, correlationId: id },
    signal,
  );
  const [vector] = vectors;
  const problem = vector === undefined ? 'it is missing' : checkVector(vector, dimensions);
  if (vector === undefined || problem !== null) {
    throw new TvdbError('E418', {
      message: `The embedding of the query cannot be used: ${problem}`,
      fix: 'Try other words.',
    });
  }
  await store.loadVectorExtension();
  const { documentIds, k, minScore } = request;
  const answer = await searchSpace(store.db, {
    space: name,
    query: vector,
    text: query,
    k,
    ...(documentIds !== undefined && { documentIds }),
    ...(minScore !== undefined && { minScore }),
  });
  return {
    ...answer,
    query,
    space: name,
    route,
    tokens: tokensBilled,
    costNanoUsd: service.origin === 'mock' ? 0 : null,
    ms: Math.round(clock.monotonic() - started),
  };
}

/** The service that speaks the wanted space; naming a space is no fallback, whoever speaks it. */
async function serviceFor(
  deps: SearchDeps,
  { mode, space }: SearchRequest,
): Promise<{ service: EmbedService; route: Route }> {
  const { router, store } = deps;
  if (space === undefined) {
    const decision = router.decide(mode);
    const route = decision.services.openai;
    if (route.use === null) router.refuseUnusable(decision);
    return { service: await router.embedService(route.use ?? 'mock'), route };
  }
  const named = (service: EmbedService) => ({
    service,
    route: { use: service.origin, why: 'override', fallback: false } as const,
  });
  const mock = await router.embedService('mock');
  if (mock.space.name === space) return named(mock);
  const known = await listSpaces(store.db);
  if (!known.some(({ name }) => name === space)) throw unknownSpace(space, known, mock.space.name);
  const decision = router.decide('real');
  router.refuseUnusable({
    ...decision,
    services: { ...decision.services, llamaparse: { use: 'mock', why: 'override', fallback: false } },
  });
  const real = await router.embedService('real');
  if (real.space.name === space) return named(real);
  throw new TvdbError('E504', {
    message: `No service of this version embeds queries in space "${space}"`,
    why: `its chunks are in the store; searchable are ${mock.space.name} and ${real.space.name}`,
    facts: { value: space, spaces: known.map(({ name }) => name) },
  });
}

function unknownSpace(space: string, known: readonly SpaceSize[], mock: string): TvdbError {
  const names = [...new Set([...known.map(({ name }) => name), mock])].sort();
  return new TvdbError('E504', {
    message: `Unknown embedding space "${space}"`,
    why: `the spaces here are ${names.join(', ')}`,
    facts: { value: space, spaces: names },
  });
}
