/** Wakes jobs that rest for something that has happened. */
import { sql } from 'kysely';
import type { Trx } from '../open.ts';

/** Lets the next job that waits for a free slot at the parse service look again at once. */
export async function wakeSlotWaiter(trx: Trx, now: number): Promise<void> {
  await sql`
    UPDATE upload_jobs SET run_after = ${now}
    WHERE job_id = (
      SELECT job_id FROM upload_jobs
      WHERE status = 'uploaded' AND lease_owner IS NULL AND park_reason = 'rate_limit' AND run_after > ${now}
      ORDER BY processing_priority DESC, created_at, job_id LIMIT 1
    )`.execute(trx);
}

/** Lets every job that rests because of money look again at once: a limit was changed, or an overrun acknowledged. */
export async function wakeBudgetWaiters(trx: Trx, now: number): Promise<number> {
  const { numUpdatedRows } = await trx
    .updateTable('upload_jobs')
    .set({ run_after: now, updated_at: now })
    .where('park_reason', '=', 'budget')
    .where('lease_owner', 'is', null)
    .where((is) => is.or([is('run_after', 'is', null), is('run_after', '>', now)]))
    .executeTakeFirst();
  return Number(numUpdatedRows);
}
