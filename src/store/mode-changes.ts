/** The record of every change of the saved mode: who, when, from what to what. */
import type { Trx } from './open.ts';
import type { ModeChangesTable } from './services-schema.ts';

/** Appends a change. */
export async function recordModeChange(trx: Trx, change: ModeChangesTable): Promise<void> {
  await trx.insertInto('mode_changes').values(change).execute();
}
