/** Keeps this worker's leases alive and takes back those of dead workers, beside the loop. */
import { appendEvent } from '../store/events.ts';
import { renewLeases } from '../store/jobs/heartbeat.ts';
import { releaseStale } from '../store/jobs/release-stale.ts';
import { deadWorkers, forgetWorkers } from '../store/workers.ts';
import type { PipelineDeps } from './stage.ts';
import type { OnEvent } from './step.ts';

/** Failed heartbeats in a row after which a worker stops by itself, before others take its jobs for abandoned. */
const HEARTBEATS_MISSED = 2;

/**
 * Starts the two duties. `stop` ends them. A worker whose heartbeat fails twice aborts `failure` with the error: its
 * leases (three heartbeats long) have not run out yet then, so nothing it does can collide with a takeover.
 */
export function keepLeases(deps: PipelineDeps, workerId: string, onEvent: OnEvent, failure: AbortController) {
  const { store, clock, settings } = deps;
  const stopping = new AbortController();
  const beat = async () => {
    let missed = 0;
    for (;;) {
      await clock.sleep(settings.HEARTBEAT_INTERVAL, stopping.signal);
      try {
        const lease = { owner: workerId, now: clock.now(), leaseMs: settings.LEASE_DURATION };
        await store.write((trx) => renewLeases(trx, lease));
        missed = 0;
      } catch (error) {
        missed += 1;
        if (missed < HEARTBEATS_MISSED) continue;
        failure.abort(error);
        return;
      }
    }
  };
  const sweep = async () => {
    for (;;) {
      await clock.sleep(settings.HEARTBEAT_INTERVAL / 2, stopping.signal);
      try {
        await takeBackLeases(deps, onEvent);
      } catch (error) {
        // The heartbeat decides whether the store is lost; a missed sweep is made up for by the next.
        deps.log('warn', 'sweep failed', { error: String(error) });
      }
    }
  };
  const ended = [beat(), sweep()].map((duty) => duty.catch(() => {}));
  return {
    async stop(): Promise<void> {
      stopping.abort();
      await Promise.all(ended);
    },
  };
}

/** Ends the leases of dead workers and those that ran out; each is an event. Returns how many jobs it freed. */
export async function takeBackLeases(deps: PipelineDeps, onEvent: OnEvent): Promise<number> {
  const { store, clock, ids, settings } = deps;
  const dead = await deadWorkers(store.db);
  const now = clock.now();
  const { expired } = await store.db
    .selectFrom('upload_jobs')
    .select((select) => select.fn.countAll<number>().as('expired'))
    .where('lease_owner', 'is not', null)
    .where('lease_until', '<=', now)
    .executeTakeFirstOrThrow();
  if (dead.length === 0 && expired === 0) return 0;
  const freed = await store.write(async (trx) => {
    const jobs = await releaseStale(trx, { now, maxRecoveries: settings.MAX_RECOVERIES, deadWorkers: dead });
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
