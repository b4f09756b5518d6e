/** A parse request that may have arrived: looked for at the service, adopted when it is there, never paid twice. */
import { asTvdbError } from '../base/errors.ts';
import type { ParseService } from '../services/parse/port.ts';
import { searchWindow, updateAttempt } from '../store/attempts.ts';
import type { AttemptRow, JobRow } from '../store/schema.ts';
import { endAttempt } from './attempt-money.ts';
import type { Outcome, StageContext } from './stage.ts';
import { chooseOne } from './twins.ts';

/** What a look found: the remote job, proof that there is none, or nothing yet (the job rests until the next look). */
export type Looked = { remoteId: string } | { absent: string } | Outcome;

/** Between two looks at the least; they grow with the age of the request, because each costs one of few requests. */
const LEAST_WAIT_MS = 500;

/**
 * Looks once. Two remote jobs for one attempt: the service made both of one request; the older is adopted and the other
 * is booked as an overrun. Absence is proven only after UNKNOWN_OUTCOME_WINDOW and a grace of a quarter of it, and by a list that was
 * read to its end.
 */
export async function lookFor(
  job: JobRow,
  attempt: AttemptRow,
  service: ParseService,
  context: StageContext,
): Promise<Looked> {
  const { clock, settings, abort } = context;
  const sentAt = attempt.sent ?? attempt.started_at;
  // Where absence would be proven, our clock is not believed: a re-sent parse is paid twice.
  const deadline = sentAt + settings.UNKNOWN_OUTCOME_WINDOW * 1.25;
  const isLast = clock.now() >= deadline;
  const window = searchWindow(attempt, clock.now(), isLast ? 'wide' : 'near');
  let found: string[];
  try {
    found = await service.findByAttempt(attempt.attempt_id, window, abort);
  } catch (thrown) {
    if (abort.aborted) throw thrown;
    const { message, retry } = asTvdbError(thrown);
    return again(message, attempt, context, { leastMs: retry.kind === 'after' ? retry.ms : 0 });
  }
  const { remoteId } = await chooseOne(attempt, found, context.record, context);
  if (remoteId !== undefined) {
    await context.record((trx) => updateAttempt(trx, attempt.attempt_id, { outcome: 'adopted', remote_id: remoteId }), {
      event: { code: 'PARSE_ADOPTED', attemptId: attempt.attempt_id, data: { remote_id: remoteId } },
    });
    return { remoteId };
  }
  // What ran in a process that is gone needs no grace.
  if (service.runsHere || service.origin === 'mock') return { absent: 'the attempt never reached the parser' };
  if (!isLast) return again('the service does not list it', attempt, context, { deadline });
  await context.record(async () => {}, {
    event: {
      code: 'PARSE_ABSENT',
      attemptId: attempt.attempt_id,
      data: { job_id: job.job_id, looked_for_ms: clock.now() - sentAt },
    },
  });
  return { absent: 'the request never reached the service' };
}

/** Rests until the next look: not before `leastMs` (the service asked for a pause), and not after `deadline`. */
function again(
  why: string,
  attempt: AttemptRow,
  context: StageContext,
  { leastMs = 0, deadline = Number.POSITIVE_INFINITY }: { leastMs?: number; deadline?: number },
): Outcome {
  const { clock, settings } = context;
  const now = clock.now();
  const age = Math.max(0, now - (attempt.sent ?? attempt.started_at));
  // An outage does not end sooner for being old: looks are never further apart than the window is wide.
  const growing = Math.min(Math.max(LEAST_WAIT_MS, age), settings.UNKNOWN_OUTCOME_WINDOW);
  const until = Math.round(Math.min(now + Math.max(growing, leastMs), deadline));
  return {
    kind: 'park',
    reason: 'unknown_outcome',
    until,
    note: `it is not known whether the parse request arrived: ${why}; nothing is sent again until that is known`,
    write: (trx) => endAttempt(trx, attempt.attempt_id, { outcome: 'unknown' }, context),
  };
}
