/** The ledger added up for a period: what was spent and what is reserved, by service, time, job and so on. */
import { sql } from 'kysely';
import type { ServiceName } from '../domain/service-mode.ts';
import { isOfJobs, KEY_SQL, keyJoins, SLOT_MS, type TotalKey } from './attempt-totals.ts';
import type { Db } from './open.ts';
import { FOLD } from './spend.ts';

/** Nano-USD. */
export interface SpendSums {
  spent: number;
  /** Held and not ended, unknown ones among them. */
  held: number;
}

export interface SpendSlot extends SpendSums {
  /** First moment of its quarter of an hour. */
  at: number;
  service: ServiceName;
  /** What was held for all that is settled: the estimate to compare `spent` with. */
  estimated: number;
  /** First and last of the price books, in the order of names. */
  first_prices: string;
  last_prices: string;
}

/**
 * Sums of what was held in `[from, to)` by service and quarter of an hour, oldest first. Everything about a hold counts
 * when it was made, as it does in budgets, so that a day here is what its budget says.
 */
export async function spendSlots(db: Db, { from, to }: { from: number; to: number }): Promise<SpendSlot[]> {
  const { rows } = await sql<SpendSlot>`
    SELECT s.held_at / ${SLOT_MS} * ${SLOT_MS} AS at, s.service, ${FOLD.spent} AS spent, ${FOLD.held} AS held,
      SUM(CASE s.kind WHEN 'settle' THEN s.hold_amount ELSE 0 END) AS estimated,
      MIN(s.price_version) AS first_prices, MAX(s.price_version) AS last_prices
    FROM spend s WHERE s.held_at >= ${from} AND s.held_at < ${to} GROUP BY 1, s.service ORDER BY 1`.execute(db);
  return rows;
}

export interface KeyedSpend extends SpendSums {
  key: string | null;
  service: ServiceName;
}

/**
 * The same by a key. Money of a request for several jobs is shared out by their units; what does not divide stays with the
 * job the request is filed under, so that the parts add up exactly.
 */
export async function spendByKey(
  db: Db,
  { from, to }: { from: number; to: number },
  key: TotalKey,
): Promise<KeyedSpend[]> {
  const whole = sql`
    SELECT s.attempt_id, s.service, s.job_id, s.run_id, s.cost_center, s.units, ${FOLD.spent} AS spent, ${FOLD.held} AS held
    FROM spend s WHERE s.held_at >= ${from} AND s.held_at < ${to} GROUP BY s.attempt_id`;
  const share = (sum: 'spent' | 'held') => sql`ROUND(1.0 * ${sql.ref(`w.${sum}`)} * x.units / w.units)`;
  const others = (sum: 'spent' | 'held') =>
    sql`COALESCE((SELECT SUM(${share(sum)}) FROM attempt_shares x WHERE x.attempt_id = w.attempt_id), 0)`;
  const parts = isOfJobs(key)
    ? sql`
      SELECT w.service, w.job_id, w.spent - ${others('spent')} AS spent, w.held - ${others('held')} AS held FROM w
      UNION ALL
      SELECT w.service, x.job_id, ${share('spent')}, ${share('held')}
      FROM w JOIN attempt_shares x ON x.attempt_id = w.attempt_id`
    : sql`SELECT * FROM w`;
  const { rows } = await sql<KeyedSpend>`
    WITH w AS (${whole}), p AS (${parts})
    SELECT ${KEY_SQL[key]} AS key, p.service, CAST(SUM(p.spent) AS INTEGER) AS spent, CAST(SUM(p.held) AS INTEGER) AS held
    FROM p ${keyJoins(key)} GROUP BY 1, p.service`.execute(db);
  return rows;
}

/** How much of what is reserved in `[from, to)` is so because nobody knows what became of the request. */
export async function unknownIn(db: Db, { from, to }: { from: number; to: number }): Promise<number> {
  const { rows } = await sql<{ nano: number | null }>`
    SELECT SUM(amount) AS nano FROM holds
    WHERE state IN ('open', 'unknown') AND state = 'unknown' AND held_at >= ${from} AND held_at < ${to}`.execute(db);
  return rows[0]?.nano ?? 0;
}

/** Nano-USD spent in `[from, to)`. */
export async function spentIn(db: Db, { from, to }: { from: number; to: number }): Promise<number> {
  const { rows } = await sql<{ nano: number | null }>`
    SELECT ${FOLD.spent} AS nano FROM spend s WHERE s.held_at >= ${from} AND s.held_at < ${to}`.execute(db);
  return rows[0]?.nano ?? 0;
}
