/** Jobs and the money agreed for them: raised by the user, and which jobs wait because it was refused. */
import { sql } from 'kysely';
import type { Db, Trx } from '../open.ts';

/** Raises what a job may spend in all; a lower sum than before changes nothing. Returns whether it was raised. */
export async function raiseConsent(trx: Trx, jobId: string, nanoUsd: number, now: number): Promise<boolean> {
  const { numUpdatedRows } = await trx
    .updateTable('upload_jobs')
    .set({ consent_nano_usd: nanoUsd, updated_at: now })
    .where('job_id', '=', jobId)
    .where((where) => where.or([where('consent_nano_usd', 'is', null), where('consent_nano_usd', '<', nanoUsd)]))
    .executeTakeFirst();
  return numUpdatedRows === 1n;
}

/** Those of these jobs that rest because money was refused: the newest thing that happened to them. */
export async function refusedMoney(db: Db, jobIds: readonly string[]): Promise<Set<string>> {
  const { rows } = await sql<{ job_id: string }>`
    SELECT j.job_id FROM upload_jobs j
    WHERE j.job_id IN (SELECT value FROM json_each(${JSON.stringify(jobIds)})) AND j.park_reason IS NOT NULL
      AND (SELECT code FROM job_events e WHERE e.job_id = j.job_id ORDER BY e.seq DESC LIMIT 1) = 'BUDGET_REFUSED'`.execute(
    db,
  );
  return new Set(rows.map(({ job_id: id }) => id));
}
