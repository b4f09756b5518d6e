/** Batches whose jobs have ended without them: told to stop, looked at, and settled with what they did. */

import { isFailed } from '../domain/job-state.ts';
import { searchWindow, updateAttempt } from '../store/attempts.ts';
import { documentById } from '../store/documents.ts';
import { batchesLeftBehind, type OpenBatch, openBatch } from '../store/embed-batches.ts';
import { jobById } from '../store/jobs/find.ts';
import type { JobRow } from '../store/schema.ts';
import { endAttempt } from './attempt-money.ts';
import { type Collector, collectBatch, endBatch } from './economy-collect.ts';
import { ageOf } from './economy-look.ts';
import type { PipelineDeps } from './stage.ts';
import { chooseOne } from './twins.ts';
import { unleased } from './unleased.ts';

/**
 * Cancels the batch of a job that was just stopped, as far as that is possible; what goes wrong is logged, and a later
 * run settles it.
 */
export async function stopBatch(job: JobRow, deps: PipelineDeps, abort: AbortSignal): Promise<void> {
  const open = await openBatch(deps.store.db, job.job_id);
  if (open !== undefined) await settleLogged(open, deps, abort);
}

/**
 * Settles the batches that ended jobs left at the service: what they did is billed and goes into the cache; what is still
 * at work for a cancelled job is told to stop, and stays for the next time. Asks nobody where there is none.
 */
export async function settleBatchesLeft(deps: PipelineDeps, abort: AbortSignal): Promise<void> {
  for (const open of await batchesLeftBehind(deps.store.db)) await settleLogged(open, deps, abort);
}

async function settleLogged(open: OpenBatch, deps: PipelineDeps, abort: AbortSignal): Promise<void> {
  try {
    await settleOne(open, deps, abort);
  } catch (error) {
    deps.log('warn', 'a batch could not be settled', {
      job_id: open.job_id,
      attempt_id: open.attempt_id,
      error: String(error),
    });
  }
}

async function settleOne(open: OpenBatch, deps: PipelineDeps, abort: AbortSignal): Promise<void> {
  const { store, router, clock, settings } = deps;
  const job = await jobById(store.db, open.job_id);
  if (job === undefined || !router.usable('openai')) return;
  const { batch } = await router.embedService('real');
  if (batch === undefined) return;
  const collector = await collectorOf(job, deps, abort);
  const age = ageOf(open, clock.now());
  const ids =
    open.remote_id === null
      ? await batch.find(open.attempt_id, searchWindow(open, clock.now()).from, abort)
      : [open.remote_id];
  const { remoteId, twins } = await chooseOne(open, ids, collector.commit, deps);
  for (const id of twins) await batch.cancel(id, abort);
  if (remoteId === undefined) {
    if (age < settings.UNKNOWN_OUTCOME_WINDOW * 1.25)
      return store.write((trx) => endAttempt(trx, open.attempt_id, { outcome: 'unknown' }, deps));
    return endBatch(open, { status: 'absent', billed: 0, absent: true }, collector);
  }
  if (open.remote_id === null)
    await store.write((trx) => updateAttempt(trx, open.attempt_id, { outcome: 'adopted', remote_id: remoteId }));
  let look = await batch.look(remoteId, abort);
  // A job that failed may be taken up again: what it ordered goes on.
  if (look.state === 'working' && look.status !== 'cancelling' && !isFailed(job.status)) {
    await batch.cancel(remoteId, abort);
    look = await batch.look(remoteId, abort);
  }
  const found = { ...open, remote_id: remoteId };
  if (look.state === 'ended') return collectBatch(found, look, batch, collector);
  if (look.state === 'failed') return endBatch(found, { status: 'failed', billed: 0, error: look.error }, collector);
  if (look.state === 'gone' && age >= settings.UNKNOWN_OUTCOME_WINDOW)
    return endBatch(found, { status: 'gone', billed: null }, collector);
}

/** Without a lease: nobody works on a job that has ended. Vectors of a deleted document are not kept. */
async function collectorOf(job: JobRow, deps: PipelineDeps, abort: AbortSignal): Promise<Collector> {
  const isKept = (await documentById(deps.store.db, job.document_id)) !== undefined;
  return {
    deps,
    abort,
    chunks: isKept ? null : [],
    lacking: new Set(),
    commit: unleased(job, deps),
  };
}
