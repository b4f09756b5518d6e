/** Wakes jobs that rest for something that has happened. */
import { sql } from 'kysely';
import { ACTIVE_STATUSES } from '../../domain/job-state.ts';
import type { Trx } from '../open.ts';

/** As in the partial index `claimable_jobs`, without which every job there ever was would be looked at. */
const ACTIVE = sql.join(ACTIVE_STATUSES.map((status) => sql.lit(status)));

/** Lets the next job that waits for a free slot at the parse service look again at once. */
export async function wakeSlotWaiter(trx: Trx, now: number): Promise<void> {
  await sql`
    UPDATE upload_jobs SET run_after = ${now}
    WHERE job_id = (
      SELECT job_id FROM upload_jobs
      WHERE status = 'uploaded' AND status IN (${ACTIVE}) AND lease_owner IS NULL AND park_reason = 'rate_limit' AND run_after > ${now}
      ORDER BY processing_priority DESC, created_at, job_id LIMIT 1
    )`.execute(trx);
}
