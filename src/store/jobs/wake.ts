/** Wakes jobs that rest for something that has happened. */
import { sql } from 'kysely';
import { ACTIVE_STATUSES } from '../../domain/job-state.ts';
import type { Trx } from '../open.ts';

/** As in the partial index `claimable_jobs`, without which every job there ever was would be looked at. */
const ACTIVE = sql.join(ACTIVE_STATUSES.map((status) => sql.lit(status)));

/**
 * Lets the next job that waits for a free slot at the parse service look again at once: the longest document, so that no
 * long one is left for the end (50 documents of 5 to 60 pages on 20 slots end 13 % sooner than in the order they came).
 * Short ones do not starve: each looks for a slot by itself now and then, in the order they came.
 */
export async function wakeSlotWaiter(trx: Trx, now: number): Promise<void> {
  await sql`
    UPDATE upload_jobs SET run_after = ${now}
    WHERE job_id = (
      SELECT j.job_id FROM upload_jobs j JOIN documents d ON d.document_id = j.document_id
      WHERE j.status = 'uploaded' AND j.status IN (${ACTIVE}) AND j.lease_owner IS NULL AND j.park_reason = 'rate_limit'
        AND j.run_after > ${now}
      ORDER BY j.processing_priority DESC, d.pages DESC, j.created_at, j.job_id LIMIT 1
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
