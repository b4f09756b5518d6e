/** Keeps this worker's leases alive, notices those it lost, and takes back those of dead workers, beside the loop. */
import { appendEvent } from '../store/events.ts';
import { heldJobs, renewLeases } from '../store/jobs/heartbeat.ts';
import { LostLeaseError } from '../store/jobs/move.ts';
import { releaseStale } from '../store/jobs/release-stale.ts';
import { deadWorkers, forgetWorkers, unknownOwners } from '../store/workers.ts';
import type { PipelineDeps } from './stage.ts';
import type { OnEvent } from './step.ts';

/** Failed heartbeats in a row after which a worker stops by itself, before others take its jobs for abandoned. */
const HEARTBEATS_MISSED = 2;
/** How often a worker looks whether its jobs were taken from it (cancelled, deleted): what the user waits for at most. */
const LOST_LOOK_MS = 1_000;

export interface LeaseKeeper {
  workerId: string;
  onEvent: OnEvent;
  /** The jobs in hand; one that is lost is aborted. */
  holds: ReadonlyMap<string, AbortController>;
  /** Aborted with the error when the leases cannot be kept alive. */
  failure: AbortController;
}

/**
 * Starts the three duties; `stop` ends them. A worker whose heartbeat fails twice, or twice waits half an interval in
 * vain, aborts `failure`: two intervals after the last good one, when its leases (three intervals long) still hold, so
 * that nothing it does can collide with a takeover.
 */
export function keepLeases(deps: PipelineDeps, { workerId, onEvent, holds, failure }: LeaseKeeper) {
  const { store, clock, settings } = deps;
  const interval = settings.HEARTBEAT_INTERVAL;
  const stopping = new AbortController();
  const renew = async () => {
    const lease = { owner: workerId, now: clock.now(), leaseMs: settings.LEASE_DURATION };
    const late = clock.sleep(interval / 2, stopping.signal).then(() => {
      throw new Error('the heartbeat waits too long for the store');
    });
    await Promise.race([store.writeRelaxed((trx) => renewLeases(trx, lease)), late]);
  };
  const beat = async () => {
    let missed = 0;
    for (;;) {
      if (missed === 0) await clock.sleep(interval, stopping.signal);
      try {
        await renew();
        missed = 0;
      } catch (error) {
        if (stopping.signal.aborted) return;
        missed += 1;
        if (missed < HEARTBEATS_MISSED) continue;
        failure.abort(error);
        return;
      }
    }
  };
  const watch = async () => {
    for (;;) {
      await clock.sleep(LOST_LOOK_MS, stopping.signal);
      // The jobs in hand before the look: one that is claimed during it is not missing.
      const inHand = [...holds];
      if (inHand.length === 0) continue;
      const held = await heldJobs(store.db, workerId);
      for (const [jobId, control] of inHand) if (!held.has(jobId)) control.abort(new LostLeaseError(jobId));
    }
  };
  const sweep = async () => {
    for (;;) {
      await clock.sleep(interval / 2, stopping.signal);
      try {
        await takeBackLeases(deps, onEvent, workerId);
      } catch (error) {
        // The heartbeat decides whether the store is lost; a missed sweep is made up for by the next.
        deps.log('warn', 'sweep failed', { error: String(error) });
      }
    }
  };
  const ended = [beat(), watch(), sweep()].map((duty) => duty.catch(() => {}));
  return {
    async stop(): Promise<void> {
      stopping.abort();
      await Promise.all(ended);
    },
  };
}

/**
 * Ends the leases of dead workers and those that ran out, but for `own`: a worker that slept over its own lease still
 * holds it as long as nobody else came. Each is an event. Returns how many jobs it freed.
 */
export async function takeBackLeases(deps: PipelineDeps, onEvent: OnEvent, own: string): Promise<number> {
  const { store, clock, ids, settings } = deps;
  const dead = [...(await deadWorkers(store.db)), ...(await unknownOwners(store.db))];
  const now = clock.now();
  const { expired } = await store.db
    .selectFrom('upload_jobs')
    .select((select) => select.fn.countAll<number>().as('expired'))
    .where('lease_owner', '!=', own)
    .where('lease_until', '<=', now)
    .executeTakeFirstOrThrow();
  if (dead.length === 0 && expired === 0) return 0;
  const freed = await store.write(async (trx) => {
    const jobs = await releaseStale(trx, { now, maxRecoveries: settings.MAX_RECOVERIES, deadWorkers: dead, own });
    await forgetWorkers(trx, dead);
    return Promise.all(
      jobs.map(async (job) => ({
        job,
        event: await appendEvent(trx, {
          code: 'LEASE_RECLAIMED',
          severity: 'warn',
          eventId: ids.uuid(),
          at: now,
          subject: job,
          from: job.status,
          to: job.status,
          data: { recoveries: job.recoveries, held: job.park_reason === 'held_by_user' },
        }),
      })),
    );
  });
  for (const { job, event } of freed) onEvent(event, job);
  return freed.length;
}
