/** Where the hold of each attempt stands: what its rows in the ledger add up to, which post to it by triggers. */
import type { HoldRow } from './money-schema.ts';
import type { Db } from './open.ts';

/** The hold of an attempt. */
export async function findHold(db: Db, attemptId: string): Promise<HoldRow | undefined> {
  return db.selectFrom('holds').selectAll().where('attempt_id', '=', attemptId).executeTakeFirst();
}

/** A hold that has not ended, with what is known of its request. */
export interface OpenHold extends HoldRow {
  /** When the request was about to leave; `null` proves that it never did (or that there is no attempt). */
  sent: number | null;
  outcome: string | null;
  /** The service's id of what it does for the request. */
  remote_id: string | null;
}

/** Holds that are open or unknown, oldest first. */
export async function openHolds(db: Db): Promise<OpenHold[]> {
  return (
    db
      .selectFrom('holds as h')
      .leftJoin('attempts as a', 'a.attempt_id', 'h.attempt_id')
      .selectAll('h')
      .select(['a.sent', 'a.outcome', 'a.remote_id'])
      // Asked of the states first: in the view alone SQLite walks the whole ledger instead of its small shadow.
      .where('h.attempt_id', 'in', (states) =>
        states.selectFrom('hold_states').select('attempt_id').where('state', 'in', ['open', 'unknown']),
      )
      .orderBy('h.held_at')
      .orderBy('h.attempt_id')
      .execute()
  );
}

/** A provisional settlement and what its service knows it by. */
export type ProvisionalHold = HoldRow & { remote_id: string | null };

/**
 * Holds made since a time that were settled before the service had billed, oldest first: their true figure is still to be
 * asked for.
 */
export async function provisionalHolds(db: Db, limit: number, since = 0): Promise<ProvisionalHold[]> {
  return db
    .selectFrom('holds as h')
    .leftJoin('attempts as a', 'a.attempt_id', 'h.attempt_id')
    .selectAll('h')
    .select('a.remote_id')
    .where('h.provisional', '=', 1)
    .where('h.held_at', '>=', since)
    .orderBy('h.held_at')
    .orderBy('h.attempt_id')
    .limit(limit)
    .execute();
}

/** Ids of attempts that have a hold and begin with a prefix, those without an ending first; `limit` at most. */
export async function matchHolds(db: Db, prefix: string, limit: number): Promise<string[]> {
  const rows = await db
    .selectFrom('holds')
    .select('attempt_id')
    .where('attempt_id', '>=', prefix.toLowerCase())
    .where('attempt_id', '<', `${prefix.toLowerCase()}~`)
    .orderBy((order) => order.eb('state', 'in', ['settled', 'released']))
    .orderBy('attempt_id')
    .limit(limit)
    .execute();
  return rows.map(({ attempt_id }) => attempt_id);
}

/** How many settlements wait for the service's own figure, and what they add up to. */
export async function provisionalSum(db: Db): Promise<{ holds: number; nano: number }> {
  const row = await db
    .selectFrom('holds')
    .select((select) => [
      select.fn.countAll<number>().as('holds'),
      select.fn.coalesce(select.fn.sum<number>('settled_amount'), select.lit(0)).as('nano'),
    ])
    .where('provisional', '=', 1)
    .executeTakeFirstOrThrow();
  return row;
}
