/** Signs of life: a worker renews the leases it holds and its own row. */
import type { Db, Trx } from '../open.ts';

/** Renews every lease of `owner` and its worker row. */
export async function renewLeases(
  trx: Trx,
  { owner, now, leaseMs }: { owner: string; now: number; leaseMs: number },
): Promise<void> {
  await trx.updateTable('workers').set({ heartbeat_at: now }).where('worker_id', '=', owner).execute();
  await trx
    .updateTable('upload_jobs')
    .set({ lease_until: now + leaseMs })
    .where('lease_owner', '=', owner)
    .execute();
}

/** Ids of the jobs a worker holds. */
export async function heldJobs(db: Db, owner: string): Promise<Set<string>> {
  const rows = await db.selectFrom('upload_jobs').select('job_id').where('lease_owner', '=', owner).execute();
  return new Set(rows.map((row) => row.job_id));
}
