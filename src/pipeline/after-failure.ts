/** What a failed stage leads to: a mock in its place, another try later, a wait that costs no try, or the end. */
import { storedError, type TvdbError } from '../base/errors.ts';
import { backoffMs } from '../domain/backoff.ts';
import { stepOf } from '../domain/job-state.ts';
import type { ServiceName } from '../domain/service-mode.ts';
import { latestAttempt } from '../store/attempts.ts';
import type { JobRow } from '../store/schema.ts';
import { fallbackOf } from './fall-back.ts';
import { isBudgetStop, overBudget } from './over-budget.ts';
import type { Outcome, PipelineDeps, StageContext } from './stage.ts';

/** Of these, the ones that no further try can mend: the account is refused, or nothing is let through. */
const AT_ONCE: readonly TvdbError['code'][] = ['E112', 'E302', 'E304'];

/** Longest wait for a retry that the shared budget of retries does not allow yet. */
const NO_BUDGET_WAIT_MS = 60_000;

/** The outcome of a stage that threw. Reads only. */
export async function afterFailure(job: JobRow, error: TvdbError, deps: StageContext): Promise<Outcome> {
  const { settings, clock, random, router } = deps;
  if (isBudgetStop(error)) return overBudget(job, error, deps);
  const service = serviceAt(job);
  // A parse that was started is paid, and to ask for it is free: it is asked for until its time is over.
  const deadline = service === 'llamaparse' ? await deadlineOf(job, deps) : null;
  const awaited = deadline !== null && clock.now() < deadline;
  const triesLeft = awaited || job.retry_count < settings.MAX_RETRIES;
  // To be told on this machine to wait one's turn is no reason for a mock: nothing was asked, and it passes by itself.
  const turn = error.code === 'E301' && isLocal(error);
  if (service !== null && !turn && (AT_ONCE.includes(error.code) || !triesLeft)) {
    const fallback = await fallbackOf(job, service, error, deps);
    if (fallback !== null) return fallback;
  }
  if (error.code === 'E307' && service === 'openai') return inDoubt(error, clock.now() + settings.EMBED_UNKNOWN_WAIT);
  if (error.retry.kind === 'never') return { kind: 'fail', error };
  // Refused on this machine before anything left: waiting for one's turn is not a failed try.
  if (isLocal(error)) {
    const wait = error.retry.kind === 'after' ? error.retry.ms : NO_BUDGET_WAIT_MS;
    const reason = error.code === 'E301' ? 'rate_limit' : 'service_unavailable';
    return { kind: 'park', reason, until: clock.now() + wait, note: error.message };
  }
  if (!triesLeft) return { kind: 'fail', error };
  if (service !== null && error.category === 'upstream' && !(await router.retryAllowed(service))) {
    const until = clock.now() + Math.round(NO_BUDGET_WAIT_MS * (0.5 + random() / 2));
    return { kind: 'park', reason: 'rate_limit', until, note: `${error.message} (too many retries at once)` };
  }
  const growing = backoffMs(job.retry_count, { base: settings.RETRY_BASE, cap: settings.RETRY_CAP }, random);
  const wait = error.retry.kind === 'after' ? Math.max(error.retry.ms, growing) : growing;
  const until = clock.now() + wait;
  const note = awaited
    ? `${error.message} (the parse is under way and is asked for again)`
    : `${error.message} (try ${job.retry_count + 1} of ${settings.MAX_RETRIES + 1})`;
  const reason = error.code === 'E301' ? 'rate_limit' : 'retry';
  return {
    kind: 'park',
    reason,
    until,
    note,
    event: { code: 'RETRY_SCHEDULED', severity: 'warn', data: { reason, note, until, error_code: error.label } },
    set: { retry_count: job.retry_count + 1, last_error: JSON.stringify(storedError(error)) },
  };
}

/** Until when a paid parse that has an id is asked for; `null` when there is none. */
async function deadlineOf(job: JobRow, { store, settings }: PipelineDeps): Promise<number | null> {
  if (job.status !== 'parse_queued') return null;
  const attempt = await latestAttempt(store.db, job.job_id, 'parse');
  if (attempt === undefined || attempt.origin === 'mock' || attempt.remote_id === null) return null;
  const ended = attempt.outcome === 'failed' || attempt.outcome === 'ok';
  return ended ? null : (attempt.sent ?? attempt.started_at) + settings.PARSE_DEADLINE;
}

/** An embedding request that may have arrived: the next look decides whether it may be sent once more. */
function inDoubt(error: TvdbError, until: number): Outcome {
  return {
    kind: 'park',
    reason: 'unknown_outcome',
    until,
    note: `${error.message}; it is sent once more after a wait, and both requests may be paid`,
    event: { code: 'EMBED_UNKNOWN', severity: 'warn', data: { why: error.message, until } },
    set: { last_error: JSON.stringify(storedError(error)) },
  };
}

/** The real service a job uses at the step it stands at; `null` at the steps that use none. */
function serviceAt(job: JobRow): ServiceName | null {
  const step = stepOf(job.status);
  return step === 'parse' ? 'llamaparse' : step === 'embed' ? 'openai' : null;
}

/** Whether the limiter or the breaker of this machine refused, and no answer of the service. */
function isLocal({ code, facts }: TvdbError): boolean {
  return (code === 'E301' || code === 'E304') && facts.http_status === undefined;
}
