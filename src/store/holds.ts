/** Where the hold of each attempt stands. */
import { CompiledQuery } from 'kysely';
import type { HoldRow } from './money-schema.ts';
import type { Db, Trx } from './open.ts';

type NewHold = Omit<HoldRow, 'state' | 'settled_amount' | 'provisional' | 'ended_at'>;

const GIVEN = [
  ...(['attempt_id', 'job_id', 'run_id', 'service', 'cost_center', 'amount', 'units', 'unit_price'] as const),
  ...(['price_version', 'held_at', 'periods'] as const),
] satisfies (keyof NewHold)[];
const INSERT = `INSERT INTO holds (${GIVEN.join(', ')}, state) VALUES (${GIVEN.map(() => '?').join(', ')}, 'open')`;

/** Records a new, open hold. */
export async function insertHold(trx: Trx, hold: NewHold): Promise<void> {
  await trx.executeQuery(
    CompiledQuery.raw(
      INSERT,
      GIVEN.map((name) => hold[name]),
    ),
  );
}

/** The hold of an attempt. */
export async function findHold(db: Db, attemptId: string): Promise<HoldRow | undefined> {
  return db.selectFrom('holds').selectAll().where('attempt_id', '=', attemptId).executeTakeFirst();
}

/** Changes a hold that is still in the state it was read in; returns whether it was. */
export async function updateHold(
  trx: Trx,
  { attempt_id: attemptId, state, provisional }: Pick<HoldRow, 'attempt_id' | 'state' | 'provisional'>,
  set: Partial<Pick<HoldRow, 'state' | 'settled_amount' | 'provisional' | 'ended_at'>>,
): Promise<boolean> {
  const { numUpdatedRows } = await trx
    .updateTable('holds')
    .set(set)
    .where('attempt_id', '=', attemptId)
    .where('state', '=', state)
    .where('provisional', '=', provisional)
    .executeTakeFirst();
  return numUpdatedRows === 1n;
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
  return db
    .selectFrom('holds as h')
    .leftJoin('attempts as a', 'a.attempt_id', 'h.attempt_id')
    .selectAll('h')
    .select(['a.sent', 'a.outcome', 'a.remote_id'])
    .where('h.state', 'in', ['open', 'unknown'])
    .orderBy('h.held_at')
    .orderBy('h.attempt_id')
    .execute();
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
