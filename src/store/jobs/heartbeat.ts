/** Signs of life: a worker renews the leases it holds and its own row. */
import type { Trx } from '../open.ts';

/** Renews every lease of `owner` and its worker row. Returns the ids of the jobs it still holds. */
export async function renewLeases(
  trx: Trx,
  { owner, now, leaseMs }: { owner: string; now: number; leaseMs: number },
): Promise<string[]> {
  await trx.updateTable('workers').set({ heartbeat_at: now }).where('worker_id', '=', owner).execute();
  const rows = await trx
    .updateTable('upload_jobs')
    .set({ lease_until: now + leaseMs })
    .where('lease_owner', '=', owner)
    .returning('job_id')
    .execute();
  return rows.map((row) => row.job_id);
}
