/** The record of every change of a mode, saved or of a job: who, when, from what to what. */
import type { Trx } from './open.ts';
import type { ModeChangesTable } from './services-schema.ts';

/** Appends a change. */
export async function recordModeChange(
  trx: Trx,
  change: Omit<ModeChangesTable, 'service' | 'job_id'> & Partial<ModeChangesTable>,
): Promise<void> {
  await trx.insertInto('mode_changes').values(change).execute();
}
