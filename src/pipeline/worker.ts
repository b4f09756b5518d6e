/**
 * The loop: claim a job, step it until it ends, parks or is lost, claim the next. Several at a time in one process, and
 * any number of processes on one store. It prints nothing; it tells its listener what happened.
 */
import { setMaxListeners } from 'node:events';
import type { TvdbError } from '../base/errors.ts';
import { reach } from '../base/fault.ts';
import { createNudge } from '../base/nudge.ts';
import { isEnded } from '../domain/job-state.ts';
import { appendEvent } from '../store/events.ts';
import { type ClaimScope, claimJob, type Outlook, outlook } from '../store/jobs/claim.ts';
import { releaseJob } from '../store/jobs/park.ts';
import type { JobRow } from '../store/schema.ts';
import { registerWorker, removeWorker, thisProcess } from '../store/workers.ts';
import { takeUpDeliveries } from './deliveries.ts';
import { createEmbedBatcher } from './embed-batcher.ts';
import { keepLeases, takeBackLeases } from './lease-keeper.ts';
import type { Hands, PipelineDeps } from './stage.ts';
import { type OnEvent, runStep } from './step.ts';

export interface WorkOptions {
  scope?: ClaimScope;
  concurrency: number;
  /** `drain` ends when nothing in scope can go on soon; `forever` only when asked to stop. */
  until: 'drain' | 'forever';
  /** Whether draining also waits for jobs that other processes hold (an upload follows its own jobs to the end). */
  waitForOthers: boolean;
  /** Jobs to take at most; then it ends. */
  limit?: number;
  onEvent: OnEvent;
  /** Told after each look at an empty queue. */
  onIdle?: (left: Outlook) => void;
  /** The run the work is done in; what is spent is counted for it. */
  runId?: string | null;
  /** Told when the cap of the run is reached; the caller stops the work. */
  onCap?: (error: TvdbError) => void;
  /** Told when something arrived that jobs rest for (a webhook): resolves, and the queue is looked at at once. */
  news?: { next(): Promise<void> };
  signals: WorkSignals;
}

export interface WorkSignals {
  /** Ends at once. */
  abort: AbortSignal;
  /** Ends at the next safe place. */
  stopping: AbortSignal;
}

/** Jobs in hand at most, those included that only wait for an answer. */
const MOST_IN_HAND = 64;

export interface WorkSummary {
  workerId: string;
  /** Jobs it took, each counted every time. */
  claims: number;
  /** What is left in its scope. */
  left: Outlook;
  stoppedBy: 'drained' | 'stopped';
}

/**
 * Works until the end `options.until` names. Resolves when every job it held is given back. Throws when the store
 * itself fails (busy for too long, full disk, damage), or when its leases cannot be kept alive.
 */
export async function work(deps: PipelineDeps, options: WorkOptions): Promise<WorkSummary> {
  const { store, clock, ids } = deps;
  const workerId = ids.uuid();
  await store.write((trx) => registerWorker(trx, workerId, thisProcess(), clock.now()));
  // Start-up assumes that the last process was killed in the middle: its jobs are free before the first look at the queue.
  await takeBackLeases(deps, options.onEvent, workerId);
  const failure = new AbortController();
  const abort = AbortSignal.any([options.signals.abort, failure.signal]);
  // Every job in hand and every child process listens to it; Node would warn of the eleventh.
  setMaxListeners(0, abort);
  const holds = new Map<string, AbortController>();
  const keeper = keepLeases(deps, { workerId, onEvent: options.onEvent, holds, failure });
  const runId = options.runId ?? null;
  const batcher = createEmbedBatcher(deps, runId, abort);
  const signals = { abort, stopping: options.signals.stopping };
  const active = new Set<Promise<void>>();
  // Jobs that wait for an answer of a service; they use no processor, so another job may be taken up meanwhile.
  let idle = 0;
  const rested = createNudge();
  const hands: Omit<Hands, 'abort'> = {
    stopping: signals.stopping,
    runId,
    capReached: (error) => options.onCap?.(error),
    batcher,
    async idle(promise) {
      idle += 1;
      rested.now();
      try {
        return await promise;
      } finally {
        idle -= 1;
      }
    },
  };
  let claims = 0;
  try {
    for (;;) {
      if (signals.stopping.aborted || abort.aborted) break;
      // Before the look: what happens during it must not be slept over.
      const told = [rested, ...(options.news ? [options.news] : [])].map((one) => one.next());
      const enough = claims >= (options.limit ?? Number.POSITIVE_INFINITY);
      if (enough && active.size === 0) break;
      await takeUpDeliveries(deps, options.onEvent);
      const free = active.size - idle < options.concurrency && active.size < MOST_IN_HAND;
      const job = !enough && free ? await claim(deps, workerId, options) : null;
      if (job !== null) {
        claims += 1;
        const lost = new AbortController();
        holds.set(job.job_id, lost);
        const own = { ...hands, abort: AbortSignal.any([abort, lost.signal]) };
        const running: Promise<void> = drive(job, deps, workerId, own, options.onEvent)
          .catch((error: unknown) => failure.abort(error))
          .finally(() => {
            holds.delete(job.job_id);
            active.delete(running);
          });
        active.add(running);
        continue;
      }
      // Before the look as well: a job that leaves during it may rest for a moment that the look has not seen.
      const nothingInHand = active.size === 0;
      const left = await outlook(store.db, clock.now(), options.scope);
      if (nothingInHand) {
        options.onIdle?.(left);
        if (options.until === 'drain' && isDrained(left, deps, options.waitForOthers)) break;
      }
      // Everybody in hand waits for company in a request, and nobody is on the way who could join.
      if (batcher.waiting > 0 && active.size === batcher.waiting && !comesSoon(left, deps, enough || !free))
        batcher.flush();
      await pause(nextLook(left, deps), [...active, ...told], deps, signals);
    }
  } finally {
    // Asked to stop, nobody joins any more.
    batcher.close();
    await Promise.all(active);
    await keeper.stop();
    await store.write((trx) => removeWorker(trx, workerId)).catch(() => {});
  }
  if (failure.signal.aborted) throw failure.signal.reason;
  const left = await outlook(store.db, clock.now(), options.scope);
  return { workerId, claims, left, stoppedBy: signals.stopping.aborted || abort.aborted ? 'stopped' : 'drained' };
}

async function claim(deps: PipelineDeps, owner: string, { scope, onEvent }: WorkOptions): Promise<JobRow | null> {
  const { store, clock, ids, settings } = deps;
  // After a power cut nobody holds anything: a claim need not outlive one.
  const claimed = await store.writeRelaxed(async (trx) => {
    const job = await claimJob(trx, {
      owner,
      now: clock.now(),
      leaseMs: settings.LEASE_DURATION,
      ...(scope ? { scope } : {}),
    });
    if (job === null) return null;
    const again = job.retry_count > 0 || job.recoveries > 0;
    const event = again
      ? await appendEvent(trx, {
          code: 'RESUMED',
          eventId: ids.uuid(),
          at: clock.now(),
          subject: job,
          from: job.status,
          to: job.status,
          data: { tries: job.retry_count, recoveries: job.recoveries },
        })
      : null;
    return { job, event };
  });
  if (claimed === null) return null;
  reach('job.claimed');
  if (claimed.event !== null) onEvent(claimed.event, claimed.job);
  return claimed.job;
}

/** Steps one job until it leaves this worker's hands. */
async function drive(job: JobRow, deps: PipelineDeps, owner: string, hands: Hands, onEvent: OnEvent): Promise<void> {
  let current = job;
  while (!isEnded(current.status)) {
    if (hands.abort.aborted || hands.stopping.aborted) {
      const held = { jobId: current.job_id, fence: current.fence, now: deps.clock.now() };
      await deps.store.write((trx) => releaseJob(trx, held));
      return;
    }
    const { state, job: after } = await runStep(current, deps, hands, onEvent);
    if (state !== 'on' || after.lease_owner !== owner) return;
    current = after;
  }
}

function isDrained(left: Outlook, { clock, settings }: PipelineDeps, waitForOthers: boolean): boolean {
  const soon = left.nextAt !== null && left.nextAt <= clock.now() + settings.DRAIN_WAIT;
  return left.ready === 0 && !soon && !(waitForOthers && left.leased > 0);
}

/** Whether a job that may need embeddings is about to be taken up: one that is ready, or due within the linger. */
function comesSoon(left: Outlook, { clock, settings }: PipelineDeps, full: boolean): boolean {
  if (full) return false;
  return left.ready > 0 || (left.nextAt !== null && left.nextAt <= clock.now() + settings.EMBED_LINGER);
}

function nextLook(left: Outlook, { clock, settings }: PipelineDeps): number {
  if (left.ready > 0) return settings.POLL_INTERVAL;
  const due = left.nextAt === null ? Number.POSITIVE_INFINITY : Math.max(1, left.nextAt - clock.now());
  return Math.min(settings.POLL_INTERVAL, due);
}

/** Waits for time to pass, a job to leave or to rest, news, or a signal, whichever is first. */
async function pause(
  ms: number,
  sooner: readonly Promise<void>[],
  { clock }: PipelineDeps,
  signals: WorkSignals,
): Promise<void> {
  const wake = new AbortController();
  const signal = AbortSignal.any([wake.signal, signals.abort, signals.stopping]);
  const sleeping = clock.sleep(ms, signal).catch(() => {});
  await Promise.race([sleeping, ...sooner]);
  wake.abort();
}
