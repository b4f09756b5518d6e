/** The move of a job in hybrid mode to a stand-in, once its real service cannot be used. */
import { storedError, type TvdbError } from '../base/errors.ts';
import type { RouteReason, ServiceName } from '../domain/service-mode.ts';
import { latestAttempt } from '../store/attempts.ts';
import { openBatch } from '../store/embed-batches.ts';
import { wakeSlotWaiter } from '../store/jobs/wake.ts';
import type { JobRow } from '../store/schema.ts';
import { endAttempt } from './attempt-money.ts';
import { decisionOf, requireSameDecision, routeChange } from './route.ts';
import type { Outcome, PipelineDeps } from './stage.ts';

/** Errors after which `hybrid` uses a mock, and the reason that is stored; the others are the document's or ours. */
export const FALLBACK_REASONS: Partial<Record<TvdbError['code'], RouteReason>> = {
  E112: 'key_refused',
  E201: 'budget',
  E204: 'budget',
  E301: 'rate_limited',
  E302: 'no_credit',
  E303: 'service_unavailable',
  E304: 'breaker_open',
  E307: 'service_unavailable',
  E308: 'service_unavailable',
};

/** A job that is at its start and goes on from there at once with a stand-in for the parser. */
function startAgain(job: JobRow, why: RouteReason, error: TvdbError, { clock }: PipelineDeps): Outcome {
  const { set, before } = routeChange(job, 'llamaparse', { use: 'mock', why, fallback: true });
  const [event] = before;
  return {
    kind: 'park',
    reason: 'retry',
    until: clock.now(),
    note: `a mock stands in for the parse service: ${error.message}`,
    ...(event !== undefined && { event: { ...event, data: { ...event.data, note: error.message } } }),
    set,
    write: (trx) => requireSameDecision(trx, job),
  };
}

/**
 * The move to a stand-in, for a job in hybrid mode whose real service cannot be used: the parse is made anew as a mock,
 * the vectors of the whole document are made anew in the mock space. `null` when that is not allowed: another mode, a
 * mock in use already, or a remote parse that exists or may exist (it is paid; the job waits for it).
 */
export async function fallbackOf(
  job: JobRow,
  service: ServiceName,
  error: TvdbError,
  deps: PipelineDeps,
): Promise<Outcome | null> {
  const { store } = deps;
  const why = FALLBACK_REASONS[error.code];
  const { overrides } = decisionOf(job);
  if (why === undefined || (overrides?.[service] ?? job.service_mode) !== 'hybrid') return null;
  const attempt = await latestAttempt(store.db, job.job_id, 'parse');
  const unsent = attempt?.outcome === 'intent' ? attempt.attempt_id : undefined;
  if (service === 'llamaparse') {
    const mayExist = attempt !== undefined && attempt.outcome !== 'failed' && attempt.outcome !== 'intent';
    // Refused its money before it had an intent: it starts again where it is, as a mock.
    if (job.status === 'uploaded') return mayExist ? null : startAgain(job, why, error, deps);
    if (job.status !== 'parse_queued' || job.parse_origin !== 'real' || mayExist) return null;
    // Its other pages are paid and here; mixing them with those of a mock would help nobody.
    if (attempt?.operation === 'parse_pages') return null;
  } else if (job.embed_origin !== 'real' || job.status === 'chunks_stored') return null;
  // A batch at work is paid for as far as it gets; the job waits for it.
  else if ((await openBatch(store.db, job.job_id)) !== undefined) return null;
  const { set, before } = routeChange(job, service, { use: 'mock', why, fallback: true });
  return {
    kind: 'move',
    to: service === 'llamaparse' ? 'uploaded' : 'chunks_stored',
    before,
    event: { code: 'RETRY_SCHEDULED', severity: 'warn', data: { why: error.message, error_code: error.label } },
    set: { ...set, retry_count: 0, last_error: JSON.stringify(storedError(error)) },
    check: (trx) => requireSameDecision(trx, job),
    write: async (trx) => {
      if (unsent === undefined) return;
      await endAttempt(trx, unsent, { outcome: 'failed' }, deps, { because: 'not_sent' });
      await wakeSlotWaiter(trx, deps.clock.now());
    },
  };
}
