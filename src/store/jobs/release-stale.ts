/** Takes leases back from workers that died, with a bound: a job that kills its worker again and again is held. */
import type { Trx } from '../open.ts';
import type { JobRow } from '../schema.ts';

export interface StaleRelease {
  now: number;
  /** Takeovers after which a job is held for the user. */
  maxRecoveries: number;
  /** Workers known to be dead (their process is gone): their leases end now, not when they run out. */
  deadWorkers: readonly string[];
  /** The worker that looks: its own leases are its own business. */
  own?: string;
}

/**
 * Ends every lease that ran out or whose owner is known dead, and raises the fence, so that a zombie's writes fail from
 * this moment and not only from the next claim on. Returns the jobs as they are now.
 */
export async function releaseStale(
  trx: Trx,
  { now, maxRecoveries, deadWorkers, own = '' }: StaleRelease,
): Promise<JobRow[]> {
  const stale = await trx
    .selectFrom('upload_jobs')
    .select(['job_id', 'recoveries'])
    .where('lease_owner', 'is not', null)
    .where('lease_owner', '!=', own)
    .where((where) =>
      where.or([
        where('lease_until', '<=', now),
        ...(deadWorkers.length > 0 ? [where('lease_owner', 'in', deadWorkers)] : []),
      ]),
    )
    .execute();
  const released: JobRow[] = [];
  for (const { job_id, recoveries } of stale) {
    const held = recoveries + 1 >= maxRecoveries;
    released.push(
      await trx
        .updateTable('upload_jobs')
        .set((set) => ({
          lease_owner: null,
          lease_until: null,
          fence: set('fence', '+', 1),
          recoveries: recoveries + 1,
          updated_at: now,
          ...(held
            ? {
                park_reason: 'held_by_user' as const,
                park_note: `its worker died ${recoveries + 1} times at this step`,
                run_after: null,
              }
            : {}),
        }))
        .where('job_id', '=', job_id)
        .returningAll()
        .executeTakeFirstOrThrow(),
    );
  }
  return released;
}
