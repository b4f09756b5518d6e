/** Changes the mode of jobs that are not finished; each follows it at its next stage. */
import { isEnded, type ParkReason, stepOf } from '../domain/job-state.ts';
import type { ServiceMode } from '../domain/service-mode.ts';
import type { Overrides } from '../services/router.ts';
import { appendEvent } from '../store/events.ts';
import { jobById } from '../store/jobs/find.ts';
import { setDecision } from '../store/jobs/live.ts';
import { wakeJobs } from '../store/jobs/park.ts';
import { recordModeChange } from '../store/mode-changes.ts';
import type { JobRow } from '../store/schema.ts';
import { decisionOf } from './route.ts';
import type { PipelineDeps } from './stage.ts';
import type { OnEvent } from './step.ts';

/** Reasons to rest that lie in the services a job uses, or in what they cost. */
const OF_THE_MODE: readonly ParkReason[] = ['service_unavailable', 'rate_limit', 'retry', 'unknown_outcome', 'budget'];

/** What became of a job whose mode was to be changed. */
export type ModeChange =
  | { state: 'changed'; job: JobRow; from: ServiceMode }
  | { state: 'unchanged'; job: JobRow }
  | { state: 'ended'; job: JobRow };

/**
 * Sets mode and per-service wishes of one job and decides its routes anew. A remote parse that exists is still collected:
 * it is paid. Vectors of another origin than the new mode allows are made anew. `undefined` for an unknown id.
 */
export async function changeMode(
  deps: PipelineDeps,
  jobId: string,
  { mode, overrides }: { mode: ServiceMode; overrides: Overrides },
  onEvent: OnEvent,
): Promise<ModeChange | undefined> {
  const { store, router, clock, ids } = deps;
  const decision = await router.decideNow(mode, overrides);
  const done = await store.write(async (trx) => {
    const job = await jobById(trx, jobId);
    if (job === undefined) return undefined;
    if (isEnded(job.status)) return { change: { state: 'ended' as const, job } };
    const before = decisionOf(job);
    const same = before.mode === mode && JSON.stringify(before.overrides ?? {}) === JSON.stringify(overrides);
    if (same) return { change: { state: 'unchanged' as const, job } };
    await setDecision(trx, jobId, { mode, decision: JSON.stringify(decision), now: clock.now() });
    await recordModeChange(trx, {
      changed_at: clock.now(),
      from_mode: before.mode,
      to_mode: mode,
      changed_by: job.user_id,
      job_id: jobId,
    });
    // What it rests for may be over with the new mode; a wait for a result, or for the user, is not.
    if (job.park_reason !== null && OF_THE_MODE.includes(job.park_reason)) await wakeJobs(trx, [jobId], clock.now());
    const event = await appendEvent(trx, {
      code: 'MODE_CHANGED',
      eventId: ids.uuid(),
      at: clock.now(),
      subject: job,
      from: job.status,
      to: job.status,
      stage: stepOf(job.status),
      data: { from: before.mode, to: mode, ...decision.services },
    });
    const changed = (await jobById(trx, jobId)) ?? job;
    return { change: { state: 'changed' as const, job: changed, from: before.mode }, event };
  });
  if (done === undefined) return undefined;
  if ('event' in done && done.event !== undefined) onEvent(done.event, done.change.job);
  return done.change;
}
