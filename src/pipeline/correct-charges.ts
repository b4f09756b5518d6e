/** Settlements that were made before the service had billed get the service's own figure, each exactly once. */
import { asTvdbError } from '../base/errors.ts';
import { creditPrice, creditsCost } from '../domain/price-book.ts';
import { type Corrected, correct } from '../ledger/end.ts';
import type { ParseService } from '../services/parse/port.ts';
import { updateAttempt } from '../store/attempts.ts';
import { type ProvisionalHold, provisionalHolds } from '../store/holds.ts';
import { parseOptions } from './route.ts';
import type { PipelineDeps } from './stage.ts';

type Deps = Pick<PipelineDeps, 'store' | 'clock' | 'router' | 'settings' | 'prices' | 'log'>;

export interface CorrectOptions {
  /** Most settlements to ask about: each is a request, free but counted by the service. */
  limit: number;
  /** Only those made since then. */
  since?: number;
  signal: AbortSignal;
}

export interface Corrections {
  /** Provisional settlements the service was asked about. */
  asked: number;
  /** What was posted: the request, what it cost in the end, and how much that is above (or below) the provisional sum. */
  corrected: { attemptId: string; nanoUsd: number; difference: number }[];
  /** The service has no figure yet. */
  pending: number;
  /** The service could not be asked; then nothing after it was asked either. */
  error: string | null;
}

/**
 * Asks the parse service what it billed for provisional settlements and posts the difference. With nothing provisional it
 * costs one indexed query. A service that cannot be asked is no failure of the caller: the sums stay provisional.
 */
export async function correctCharges(deps: Deps, { limit, since, signal }: CorrectOptions): Promise<Corrections> {
  const result: Corrections = { asked: 0, corrected: [], pending: 0, error: null };
  const holds = await provisionalHolds(deps.store.db, limit, since);
  const open = holds.filter(({ service, remote_id: id }) => service === 'llamaparse' && id !== null);
  if (open.length === 0 || !deps.router.usable('llamaparse')) return result;
  const service = await deps.router.parseService('real', parseOptions(deps.settings));
  for (const held of open) {
    if (signal.aborted) break;
    try {
      const done = await correctOne(held, service, deps, signal);
      result.asked += 1;
      if (done.state === 'pending') result.pending += 1;
      else if (done.state === 'corrected')
        result.corrected.push({ attemptId: held.attempt_id, nanoUsd: done.nanoUsd, difference: done.difference });
    } catch (thrown) {
      if (signal.aborted) break;
      const error = asTvdbError(thrown);
      // A ledger that does not add up is nothing to go on with; a service that does not answer is.
      if (error.category !== 'upstream' && error.category !== 'environment' && error.category !== 'budget') throw error;
      result.error = error.message;
      break;
    }
  }
  return result;
}

async function correctOne(
  held: ProvisionalHold,
  service: ParseService,
  { store, clock, prices, log }: Deps,
  signal: AbortSignal,
): Promise<Corrected> {
  const credits = (await service.usage?.(held.remote_id ?? '', signal)) ?? null;
  const actual = creditsCost(credits, creditPrice(prices, held.held_at));
  if (actual === null) return { state: 'pending' };
  const done = await store.write(async (trx) => {
    const corrected = await correct(trx, { attemptId: held.attempt_id, now: clock.now(), actual });
    if (corrected.state === 'corrected') await updateAttempt(trx, held.attempt_id, { billed_units: credits });
    return corrected;
  });
  if (done.state === 'corrected' && done.difference > 0)
    log('warn', 'a service billed more than was reserved', { attempt_id: held.attempt_id, nano_usd: done.difference });
  return done;
}
