/** Search from words to hits: cleans and embeds the query with the service of the wanted space, then compares. */
import { asTvdbError, TvdbError } from '../base/errors.ts';
import { cleanText } from '../domain/clean-text.ts';
import type { Route, ServiceMode } from '../domain/service-mode.ts';
import { type SearchHit, searchSpace } from '../search/query.ts';
import { listSpaces, type SpaceSize } from '../search/vector-index.ts';
import type { EmbedService } from '../services/embed/port.ts';
import type { Overrides, Router, RouterDecision } from '../services/router.ts';
import { type ChunkOrigin, chunkOrigins } from '../store/chunk-origins.ts';
import { embedQuery, type QueryDeps } from './embed-query.ts';
import { FALLBACK_REASONS } from './fall-back.ts';

/** Longest query; embedding models take 8,191 tokens, and no token is shorter than one character. */
const LONGEST_QUERY = 8_000;

export type SearchDeps = QueryDeps & { router: Router };

export interface SearchRequest {
  query: string;
  k: number;
  /** What new jobs would use: names the space to search when none is given. */
  mode: ServiceMode;
  /** What is wanted of single services, over the mode. */
  overrides?: Overrides;
  space?: string | undefined;
  /** Only chunks of these documents; absent means all. */
  documentIds?: readonly string[] | undefined;
  minScore?: number | undefined;
}

/** A hit with who made it. */
export type LabelledHit = SearchHit & ChunkOrigin;

export interface FoundChunks {
  /** As it was embedded. */
  query: string;
  space: string;
  /** Who embedded the query, and why. */
  route: Route;
  /** Best first by words and vectors together, none below the least score. */
  hits: LabelledHit[];
  rankedBy: 'hybrid' | 'vector';
  searched: number;
  excluded: { space: string; chunks: number }[];
  method: 'exact' | 'coarse';
  /** Score of the nearest chunk, wanted or not; `null` when there was none to compare. */
  bestScore: number | null;
  /** Tokens of the query, as billed. */
  tokens: number;
  /** The query was embedded before: no request was made. */
  cached: boolean;
  /** The error of the real service for which a mock stands in, where one was met just now. */
  failure: TvdbError | null;
  /** A mock and the cache cost nothing; `null` where it is not known. */
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
  const { store, clock } = deps;
  const started = clock.monotonic();
  const query = cleanText(request.query).trim();
  if (query === '') throw new TvdbError('E505', { message: 'The query is empty' });
  if (query.length > LONGEST_QUERY) {
    throw new TvdbError('E003', {
      message: `The query is ${query.length} characters long, at most ${LONGEST_QUERY} are possible`,
      fix: 'Search for a sentence or two.',
    });
  }
  const embedded = await embedWithFallback(deps, request, query, signal);
  const { vector, route, space: name, tokens, cached, costNanoUsd, failure } = embedded;
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
  const chunkIds = answer.hits.map(({ chunkId }) => chunkId);
  const origins = await chunkOrigins(store.db, name, chunkIds);
  return {
    ...answer,
    hits: answer.hits.map((hit) => ({ parseOrigin: null, fallback: false, ...origins.get(hit.chunkId), ...hit })),
    query,
    space: name,
    route,
    tokens,
    cached,
    failure,
    costNanoUsd,
    ms: Math.round(clock.monotonic() - started),
  };
}

/** The vector of the query; in hybrid a mock stands in for a service that fails, as it does for documents. */
async function embedWithFallback(deps: SearchDeps, request: SearchRequest, query: string, signal: AbortSignal) {
  const { service, route } = await serviceFor(deps, request);
  try {
    const embedded = await embedQuery(deps, service, query, signal);
    return { ...embedded, route, space: service.space.name, failure: null };
  } catch (thrown) {
    const error = asTvdbError(thrown);
    const why = FALLBACK_REASONS[error.code];
    const hybrid = (request.overrides?.openai ?? request.mode) === 'hybrid';
    if (signal.aborted || why === undefined || !hybrid || request.space !== undefined || route.use !== 'real')
      throw thrown;
    const mock = await deps.router.embedService('mock');
    const embedded = await embedQuery(deps, mock, query, signal);
    const fallen: Route = { use: 'mock', why, fallback: true };
    return { ...embedded, route: fallen, space: mock.space.name, failure: error };
  }
}

/** The service that speaks the wanted space; naming a space is no fallback, whoever speaks it. */
async function serviceFor(
  deps: SearchDeps,
  { mode, overrides, space }: SearchRequest,
): Promise<{ service: EmbedService; route: Route }> {
  const { router, store } = deps;
  if (space === undefined) {
    // Which space documents of this mode are in does not change with the state of the parser; who can embed now does.
    const decision = router.decide(mode, overrides);
    const wanted = decision.services.openai;
    const route = wanted.use === 'real' ? await router.route('openai', { mode, overrides }) : wanted;
    // Only the embedding is used: a missing key of the parser is in nobody's way.
    if (route.use === null) router.refuseUnusable(withoutParse(decision));
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
  router.refuseUnusable(withoutParse(router.decide('real')));
  const real = await router.embedService('real');
  if (real.space.name === space) return named(real);
  throw new TvdbError('E504', {
    message: `No service of this version embeds queries in space "${space}"`,
    why: `its chunks are in the store; searchable are ${mock.space.name} and ${real.space.name}`,
    facts: { value: space, spaces: known.map(({ name }) => name) },
  });
}

function withoutParse(decision: RouterDecision): RouterDecision {
  const llamaparse = { use: 'mock', why: 'override', fallback: false } as const;
  return { ...decision, services: { ...decision.services, llamaparse } };
}

function unknownSpace(space: string, known: readonly SpaceSize[], mock: string): TvdbError {
  const names = [...new Set([...known.map(({ name }) => name), mock])].sort();
  return new TvdbError('E504', {
    message: `Unknown embedding space "${space}"`,
    why: `the spaces here are ${names.join(', ')}`,
    facts: { value: space, spaces: names },
  });
}
