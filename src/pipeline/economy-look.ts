/** A batch whose order may have arrived: looked for at the service, adopted when it is there, never ordered twice. */
import { asTvdbError, type TvdbError } from '../base/errors.ts';
import type { EmbedBatchService } from '../services/embed/port.ts';
import { searchWindow, updateAttempt } from '../store/attempts.ts';
import type { OpenBatch } from '../store/embed-batches.ts';
import type { AttemptRow } from '../store/schema.ts';
import { isStoreFailure } from '../store/store-error.ts';
import { endAttempt } from './attempt-money.ts';
import type { Outcome, StageContext } from './stage.ts';
import { chooseOne } from './twins.ts';

/** First look for an order whose outcome is unknown: the service needs a moment to list it. */
export const FIRST_LOOK_MS = 1_000;
/** Between two looks at the least; they grow with the age of the order. */
const LEAST_WAIT_MS = 500;

/**
 * Looks once. Absence is proven only after UNKNOWN_OUTCOME_WINDOW and a grace of a quarter of it, by a list that was read
 * far enough back. Two batches of one order: the older is adopted, the others are booked as overruns and
 * cancelled.
 */
export async function lookForBatch(
  open: OpenBatch,
  batch: EmbedBatchService,
  context: StageContext,
): Promise<{ remoteId: string } | { absent: true } | Outcome> {
  const { clock, settings, abort, record } = context;
  const attemptId = open.attempt_id;
  const { from } = searchWindow(open, clock.now());
  const found = await batch.find(attemptId, from, abort).catch(passing(context));
  if (!Array.isArray(found)) return again(found.message, open, context);
  const { remoteId, twins } = await chooseOne(open, found, record, context);
  if (remoteId !== undefined) {
    const data = { remote_id: remoteId, rows: open.rows, tokens: open.units, adopted: true };
    await record((trx) => updateAttempt(trx, attemptId, { outcome: 'adopted', remote_id: remoteId }), {
      event: { code: 'EMBED_BATCH_CREATED', attemptId, data },
    });
    // One that cannot be told now is told by `settleBatchesLeft`.
    for (const id of twins) await batch.cancel(id, abort).catch(passing(context));
    return { remoteId };
  }
  const deadline = (open.sent ?? open.started_at) + settings.UNKNOWN_OUTCOME_WINDOW * 1.25;
  if (clock.now() < deadline) return again('the service does not list it', open, context, deadline);
  return { absent: true };
}

function again(why: string, open: OpenBatch, context: StageContext, deadline?: number): Outcome {
  const { clock, settings } = context;
  const now = clock.now();
  const least = Math.min(LEAST_WAIT_MS, settings.UNKNOWN_OUTCOME_WINDOW / 4);
  const next = now + Math.min(settings.BATCH_POLL_CAP, Math.max(least, ageOf(open, now)));
  return {
    kind: 'park',
    reason: 'unknown_outcome',
    until: deadline !== undefined && deadline > now ? Math.min(next, deadline) : next,
    note: `it is not known whether the order of the batch arrived: ${why}; nothing is ordered again until that is known`,
    write: (trx) => endAttempt(trx, open.attempt_id, { outcome: 'unknown' }, context),
  };
}

/**
 * The error of a question that is simply asked again later, however often that happens: the batch goes on meanwhile, and
 * failing its job would only hide it. Throws every other one.
 */
export function passing({ abort }: Pick<StageContext, 'abort'>): (thrown: unknown) => TvdbError {
  return (thrown) => {
    const error = asTvdbError(thrown);
    if (abort.aborted || isStoreFailure(thrown) || error.retry.kind === 'never') throw thrown;
    return error;
  };
}

/** Milliseconds since an attempt left. */
export function ageOf({ sent, started_at: started }: Pick<AttemptRow, 'sent' | 'started_at'>, now: number): number {
  return Math.max(0, now - (sent ?? started));
}

/** Rests a job until the next look at its batch: BATCH_POLL_FIRST after the order, then at growing distances. */
export function resting(
  attempt: Pick<AttemptRow, 'sent' | 'started_at'>,
  happens: string,
  { clock, settings }: Pick<StageContext, 'clock' | 'settings'>,
  { soon = false }: { soon?: boolean } = {},
): Outcome {
  const { BATCH_POLL_FIRST: first, BATCH_POLL_CAP: cap } = settings;
  const growing = Math.max(first, Math.round(ageOf(attempt, clock.now()) / 2));
  return {
    kind: 'park',
    reason: 'awaiting_result',
    until: clock.now() + (soon ? first : Math.min(Math.max(cap, first), growing)),
    note: `${happens}; it takes up to 24 hours, and \`tvdb run\` collects it`,
  };
}
