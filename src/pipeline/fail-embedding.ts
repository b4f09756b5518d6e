/** The end of an embedding request that brought no vectors: what it is recorded as, and what becomes of its hold. */
import { storedError, type TvdbError } from '../base/errors.ts';
import { endAttempt } from './attempt-money.ts';
import type { PipelineDeps } from './stage.ts';

/**
 * Ends the attempt in a transaction of its own. `givenUp`: nobody will look for the answer, so whether it was billed stays
 * unknown.
 */
export async function failEmbedding(
  attemptId: string,
  error: TvdbError,
  deps: Pick<PipelineDeps, 'store'> & Parameters<typeof endAttempt>[3],
  { givenUp = false }: { givenUp?: boolean } = {},
): Promise<void> {
  const { http_status: status, request_id: requestId, tokens_billed: billed, sent } = error.facts;
  const unknown = givenUp || error.code === 'E307' || error.code === 'E900';
  const ending = {
    outcome: unknown ? 'unknown' : 'failed',
    error: JSON.stringify(storedError(error)),
    http_status: typeof status === 'number' ? status : null,
    upstream_request_id: typeof requestId === 'string' ? requestId : null,
    billed_units: typeof billed === 'number' ? billed : null,
  } as const;
  const because = sent === false ? 'not_sent' : 'not_charged';
  // Vectors that cannot be used were computed, and are billed as a rule: E308 and E418 give nothing back unasked.
  const charge = error.code === 'E308' || error.code === 'E418' ? 'possible' : 'none';
  await deps.store.write((trx) => endAttempt(trx, attemptId, ending, deps, { because, charge }));
}
