/** One step of one job: runs its stage and commits what happened – output, status and event together or not at all. */
import { asTvdbError, storedError } from '../base/errors.ts';
import { reach } from '../base/fault.ts';
import { type ActiveStatus, failureOf, isEnded, type ParkReason, stepOf } from '../domain/job-state.ts';
import { appendEvent } from '../store/events.ts';
import { jobById } from '../store/jobs/find.ts';
import { LostLeaseError, moveJob, updateHeldJob } from '../store/jobs/move.ts';
import { parkJob, releaseJob } from '../store/jobs/park.ts';
import type { Trx } from '../store/open.ts';
import type { JobEventRow, JobRow } from '../store/schema.ts';
import { isStoreFailure } from '../store/store-error.ts';
import { afterFailure } from './after-failure.ts';
import { isBudgetStop, overBudget } from './over-budget.ts';
import {
  type Hands,
  InsteadError,
  type Outcome,
  type PipelineDeps,
  type StageContext,
  type StageEvent,
} from './stage.ts';
import { STAGES } from './stages.ts';

/** Told of every event after its commit. */
export type OnEvent = (event: JobEventRow, job: JobRow) => void;

/** How a step left the job: `on` it can go on at once, `off` it ended, parked or was given back, `lost` it is somebody else's. */
export interface StepResult {
  state: 'on' | 'off' | 'lost';
  job: JobRow;
}

/**
 * Runs the stage of the job's status once. Failures of the stage become outcomes (retry, failure); failures of the
 * store itself are thrown, because then nothing can be recorded and the worker must stop.
 */
export async function runStep(
  claimed: JobRow,
  deps: PipelineDeps,
  hands: Hands,
  onEvent: OnEvent,
): Promise<StepResult> {
  const { status } = claimed;
  if (isEnded(status)) return { state: 'off', job: claimed };
  const job = { ...claimed };
  const started = deps.clock.monotonic();
  const notify = (event: JobEventRow, row: JobRow) => {
    deps.log(event.severity === 'debug' ? 'info' : event.severity, event.code, {
      correlation_id: event.correlation_id,
      job_id: event.job_id,
      run_id: event.run_id,
      status: event.to_status,
      duration_ms: event.duration_ms,
    });
    onEvent(event, row);
  };
  const context: StageContext = { ...deps, ...hands, record: recorder(job, status, deps, notify) };
  const finish = async (outcome: Outcome): Promise<StepResult> => {
    reach('stage.before_commit');
    const { row, events } = await commit(job, status, outcome, deps, deps.clock.monotonic() - started);
    reach('stage.after_commit');
    for (const event of events) notify(event, row);
    return { state: row.lease_owner === null ? 'off' : 'on', job: row };
  };
  let outcome: Outcome | undefined;
  try {
    outcome = await attempt(job, status, context);
    return await finish(outcome).catch(async (error: unknown) => {
      // An outcome that cannot be written (a constraint, a bug) fails its job; it must not end the worker.
      if (error instanceof LostLeaseError || isStoreFailure(error)) throw error;
      if (error instanceof InsteadError) return finish(error.outcome);
      const known = asTvdbError(error);
      // The money for an attempt is refused in the transaction of its intent; nothing of it was written.
      if (isBudgetStop(known)) return finish(await overBudget(job, known, context));
      return finish({ kind: 'fail', error: known });
    });
  } catch (error) {
    if (!(error instanceof LostLeaseError)) throw error;
    if (outcome?.kind === 'move') await outcome.takeBack?.();
    return { state: 'lost', job };
  }
}

/** The stage's outcome; what it throws becomes one. */
async function attempt(job: JobRow, status: ActiveStatus, context: StageContext): Promise<Outcome> {
  try {
    return await STAGES[status](job, context);
  } catch (error) {
    if (error instanceof LostLeaseError) throw error;
    // Before the store is looked at: a failed heartbeat aborts with the store's error, and the job can still be given back.
    if (context.abort.aborted) return { kind: 'yield' };
    if (isStoreFailure(error)) throw error;
    return afterFailure(job, asTvdbError(error), context);
  }
}

/** Writes an outcome in one transaction and returns the job as it is then. */
async function commit(job: JobRow, status: ActiveStatus, outcome: Outcome, deps: PipelineDeps, durationMs: number) {
  const { store, clock, ids } = deps;
  const held = { jobId: job.job_id, fence: job.fence, now: clock.now() };
  const event = (trx: Trx, stageEvent: StageEvent, to: JobRow['status'], took: number | null = durationMs) =>
    appendEvent(trx, {
      ...stageEvent,
      eventId: ids.uuid(),
      at: held.now,
      subject: job,
      from: status,
      to,
      stage: stepOf(status),
      durationMs: took,
    });
  // That the result is not there yet need not outlive a power cut: the lease it ends does not either.
  const isWait = outcome.kind === 'park' && outcome.reason === 'awaiting_result';
  return (isWait ? store.writeRelaxed : store.write)(async (trx) => {
    const events: JobEventRow[] = [];
    if (outcome.kind === 'yield') {
      await releaseJob(trx, held);
    } else if (outcome.kind === 'park') {
      await outcome.write?.(trx);
      await parkJob(trx, {
        ...held,
        status,
        reason: outcome.reason,
        until: outcome.until,
        note: outcome.note,
        set: outcome.set ?? {},
      });
      const { reason, note, until } = outcome;
      events.push(await event(trx, outcome.event ?? parkEvent(reason, note, until), status));
    } else if (outcome.kind === 'fail') {
      await outcome.write?.(trx);
      const to = failureOf(status);
      const stored = storedError(outcome.error);
      await moveJob(trx, {
        ...held,
        from: status,
        to,
        set: { last_error: JSON.stringify(stored), processing_completed_at: held.now },
      });
      events.push(await event(trx, { code: 'FAILED', severity: 'error', data: { error: stored } }, to));
    } else {
      await outcome.check?.(trx);
      await moveJob(trx, { ...held, from: status, to: outcome.to, set: outcome.set ?? {} });
      await outcome.write?.(trx);
      for (const one of outcome.before ?? []) events.push(await event(trx, one, status, null));
      const data = { ...outcome.event.data, ...outcome.found?.() };
      events.push(await event(trx, { ...outcome.event, data }, outcome.to));
    }
    const row = await jobById(trx, job.job_id);
    if (row === undefined) throw new LostLeaseError(job.job_id);
    return { row, events };
  });
}

function parkEvent(reason: ParkReason, note: string, until: number | null): StageEvent {
  return { code: reason === 'retry' ? 'RETRY_SCHEDULED' : 'PARKED', severity: 'warn', data: { reason, note, until } };
}

/** `record` of a running stage: commits facts under the lease, and tells of the event after the commit. */
function recorder(job: JobRow, status: ActiveStatus, deps: PipelineDeps, notify: OnEvent): StageContext['record'] {
  const { store, clock, ids } = deps;
  return async (write, { event, set } = {}) => {
    const now = clock.now();
    const row = await store.write(async (trx) => {
      await updateHeldJob(trx, { jobId: job.job_id, status, fence: job.fence, now, set: set ?? {} });
      await write(trx);
      if (event === undefined) return null;
      return appendEvent(trx, {
        ...event,
        eventId: ids.uuid(),
        at: now,
        subject: job,
        from: status,
        to: status,
        stage: stepOf(status),
      });
    });
    // The stage goes on with what is stored now: its next failure must count from the new number of tries.
    Object.assign(job, set);
    if (row !== null) notify(row, { ...job });
  };
}
