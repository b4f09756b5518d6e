/** The vector of a search query: from the cache, or by one request whose intent and money are committed before it leaves. */
import { asTvdbError, TvdbError } from '../base/errors.ts';
import { canonicalJson, sha256 } from '../base/hash.ts';
import { costOf } from '../domain/money.ts';
import { tokenPrice } from '../domain/price-book.ts';
import { loadTokenizer } from '../domain/tokens.ts';
import { checkVector, decodeVector, encodeVector } from '../domain/vector.ts';
import { ensureBudgets } from '../ledger/budget-settings.ts';
import type { EmbedResult, EmbedService } from '../services/embed/port.ts';
import { insertIntent, markSent } from '../store/attempts.ts';
import { cachedVectors, rememberVectors, touchVectors } from '../store/embedding-cache.ts';
import { endAttempt, holdEmbed } from './attempt-money.ts';
import { failEmbedding } from './fail-embedding.ts';
import type { PipelineDeps } from './stage.ts';

export interface QueryVector {
  vector: Float32Array;
  /** Tokens as billed; 0 from the cache and for a mock. */
  tokens: number;
  /** It was embedded before; no request was made. */
  cached: boolean;
  /** What the request cost; `null` when the service did not say what it counted. */
  costNanoUsd: number | null;
}

/** What the embedding of queries needs of the pipeline. */
export interface QueryDeps
  extends Pick<PipelineDeps, 'store' | 'clock' | 'ids' | 'settings' | 'prices' | 'budgets' | 'log'> {
  /**
   * Asked for consent before a paid request is made, with the most it costs in nano-USD; throws E202 when there is none.
   * Returns the run whose money it is, if it is that of one.
   */
  agree?: (mostNanoUsd: number) => Promise<{ runId?: string }>;
}

/**
 * Embeds a query. Throws what the service throws, E201, E203 or E204 when the money for it is not there, E418 for a vector
 * that cannot be used. The attempt belongs to no job: it stands under an id of its own.
 */
export async function embedQuery(
  deps: QueryDeps,
  service: EmbedService,
  query: string,
  signal: AbortSignal,
): Promise<QueryVector> {
  const { store, clock, ids } = deps;
  const { space } = service;
  if (service.origin === 'mock') {
    const id = ids.uuid();
    const result = await service.embed([query], { attemptId: id, jobId: id, correlationId: id }, signal);
    return { vector: usable(result, space.dimensions), tokens: result.tokensBilled, cached: false, costNanoUsd: 0 };
  }
  const sha = sha256(query);
  const known = (await cachedVectors(store.db, space, [sha])).get(sha);
  if (known !== undefined) {
    await store.write((trx) => touchVectors(trx, space.name, [sha], clock.now()));
    return { vector: decodeVector(known.vector), tokens: 0, cached: true, costNanoUsd: 0 };
  }
  return send(deps, service, { query, sha, tokens: Math.max(1, (await loadTokenizer()).count(query)) }, signal);
}

interface Question {
  query: string;
  sha: string;
  tokens: number;
}

/** One POST, as `embed-request.ts` does it for chunks: intent, money and mark first; its end with the vector. */
async function send(
  deps: QueryDeps,
  service: EmbedService,
  { query, sha, tokens }: Question,
  signal: AbortSignal,
): Promise<QueryVector> {
  const { store, clock, ids } = deps;
  const { space, origin } = service;
  const attemptId = ids.uuid();
  const queryId = ids.uuid();
  let sentAt: number | null = null;
  const most = costOf(tokens, tokenPrice(deps.prices, space.model, clock.now()).nanoUsd);
  const runId = (await deps.agree?.(most))?.runId ?? queryId;
  const leaving = async () => {
    if (sentAt !== null) return;
    const now = clock.now();
    await store.write(async (trx) => {
      await ensureBudgets(trx, deps.budgets, now);
      await insertIntent(trx, {
        attemptId,
        jobId: queryId,
        service: 'embed',
        operation: 'search',
        requestHash: sha256(canonicalJson({ space: space.name, texts: [sha] })),
        units: tokens,
        origin,
        now,
        runId,
      });
      await holdEmbed(trx, { attemptId, runId, costCenter: null, shares: [] }, tokens, space.model, deps);
      await markSent(trx, attemptId, now);
    });
    sentAt = clock.monotonic();
  };
  try {
    const attempt = { attemptId, jobId: queryId, correlationId: queryId, tokens, leaving };
    const result = await service.embed([query], attempt, signal);
    if (sentAt === null) throw new Error('an embedding service sent a request without saying so');
    const vector = usable(result, space.dimensions);
    const ending = {
      outcome: 'ok',
      latency_ms: Math.round(clock.monotonic() - sentAt),
      billed_units: result.tokensBilled,
      http_status: result.httpStatus ?? null,
      upstream_request_id: result.requestId ?? null,
    } as const;
    await store.write(async (trx) => {
      await endAttempt(trx, attemptId, ending, deps);
      await rememberVectors(trx, space, [{ chunkSha: sha, vector: encodeVector(vector), tokens }], clock.now());
    });
    const price = tokenPrice(deps.prices, space.model, clock.now()).nanoUsd;
    const costNanoUsd = result.tokensBilled > 0 ? costOf(result.tokensBilled, price) : null;
    return { vector, tokens: result.tokensBilled, cached: false, costNanoUsd };
  } catch (thrown) {
    if (sentAt !== null) await failEmbedding(attemptId, asTvdbError(thrown), deps, { givenUp: signal.aborted });
    throw thrown;
  }
}

function usable({ vectors }: EmbedResult, dimensions: number): Float32Array {
  const [vector] = vectors;
  const problem = vector === undefined ? 'it is missing' : checkVector(vector, dimensions);
  if (vector !== undefined && problem === null) return vector;
  throw new TvdbError('E418', {
    message: `The embedding of the query cannot be used: ${problem}`,
    fix: 'Try other words.',
  });
}
