/** Several things at a service that were made of one request: one is used, the others are booked as what they cost. */
import { twinAttemptId } from '../base/derived-ids.ts';
import { settle } from '../ledger/end.ts';
import { holdTwin } from '../ledger/twin.ts';
import { attemptById, insertIntent, markSent, updateAttempt } from '../store/attempts.ts';
import { insertBatch, type OpenBatch } from '../store/embed-batches.ts';
import { findHold } from '../store/holds.ts';
import type { Trx } from '../store/open.ts';
import type { AttemptRow } from '../store/schema.ts';
import { TWIN_OPERATION } from '../store/twins.ts';
import type { PipelineDeps, StageEvent } from './stage.ts';

type Deps = Pick<PipelineDeps, 'store' | 'clock' | 'settings'>;

/** Commits facts and an event in one transaction: the `record` of a stage, or the same without a lease. */
export type Commit = (write: (trx: Trx) => Promise<void>, more: { event: StageEvent }) => Promise<unknown>;

/** The one that is used, and those it was made with; `remoteId` is missing where none was found. */
export interface Chosen {
  remoteId: string | undefined;
  twins: readonly string[];
}

/** Rolls back what another process, or this one before it was killed, has written already. */
class BookedError extends Error {}

/**
 * Chooses among what a service has `listed` (oldest first) for one request: the oldest that is no twin yet. The others are booked, each
 * in a transaction of its own together with its event, once whatever dies or looks again in between; so the caller adopts
 * after this, and a look that is repeated chooses the same.
 *
 * A twin gets an attempt (`parse_twin`, `embed_batch_twin`) that no other part of the pipeline takes for a request, and a hold
 * of its own by `holdTwin`, which stops budgets. That of a parse is settled at once, provisionally: `correctCharges` posts the
 * true figure. That of a batch stays open until the batch has ended, for one that is cancelled in time costs nothing:
 * `settleBatchesLeft` ends it.
 */
export async function chooseOne(
  original: AttemptRow | OpenBatch,
  listed: readonly string[],
  commit: Commit,
  deps: Deps,
): Promise<Chosen> {
  // A list that grows while it is read may name one on two pages: nothing is its own twin.
  const found = [...new Set(listed)];
  const [only, ...more] = found;
  if (more.length === 0) return { remoteId: only, twins: [] };
  const { db } = deps.store;
  const free: string[] = [];
  for (const id of found)
    if ((await attemptById(db, twinAttemptId(original.attempt_id, id))) === undefined) free.push(id);
  // Where each is a twin already the oldest is used: the request arrived, and as absent it would be sent again.
  const [remoteId = only, ...unbooked] = free;
  const held = await findHold(db, original.attempt_id);
  for (const id of unbooked) {
    const data = {
      remote_id: id,
      twin_attempt_id: twinAttemptId(original.attempt_id, id),
      // A request from before there was a ledger has no hold, and neither has what was made of it.
      nano_usd: held?.amount ?? null,
    };
    const code = original.service === 'parse' ? 'PARSE_OVERRUN' : 'EMBED_BATCH_OVERRUN';
    const event: StageEvent = { code, severity: 'error', attemptId: original.attempt_id, data };
    await commit((trx) => book(trx, original, id, deps), { event }).catch((error: unknown) => {
      if (!(error instanceof BookedError)) throw error;
    });
  }
  return { remoteId, twins: found.filter((id) => id !== remoteId) };
}

async function book(trx: Trx, original: AttemptRow | OpenBatch, remoteId: string, deps: Deps): Promise<void> {
  const { attempt_id: of, job_id: jobId, service, origin } = original;
  const attemptId = twinAttemptId(of, remoteId);
  if ((await attemptById(trx, attemptId)) !== undefined) throw new BookedError();
  const now = deps.clock.now();
  await insertIntent(trx, {
    ...{ attemptId, jobId, service, origin, now },
    operation: TWIN_OPERATION[service],
    requestHash: original.request_hash,
    units: original.units,
    runId: original.run_id,
    options: JSON.stringify({ twin_of: of }),
  });
  await markSent(trx, attemptId, original.sent ?? original.started_at);
  // Nothing looks for it, sends it or waits for it: of a parse all is known but its price.
  await updateAttempt(trx, attemptId, { outcome: service === 'parse' ? 'ok' : 'adopted', remote_id: remoteId });
  const held = await findHold(trx, of);
  if (held !== undefined) await holdTwin(trx, { attemptId, of: held, now, timeZone: deps.settings.TVDB_TIMEZONE });
  if ('space' in original)
    await insertBatch(trx, { attempt_id: attemptId, job_id: jobId, space: original.space, rows: original.rows });
  else if (held !== undefined) await settle(trx, { attemptId, now, actual: null });
}
