/** The ledger added up for a period: what was spent and what is reserved, by service, time, job and so on. */
import { sql } from 'kysely';
import type { ServiceName } from '../domain/service-mode.ts';
import { isOfJobs, KEY_SQL, keyJoins, type TotalKey } from './attempt-totals.ts';
import type { Db } from './open.ts';
import { sqlRows } from './statement.ts';

/** Nano-USD. */
export interface SpendSums {
  spent: number;
  /** Held and not ended, unknown ones among them. */
  held: number;
}

/** What a service was paid, or is reserved for it, in some time. */
export interface ServiceSpend extends SpendSums {
  /** What was held for all that is settled: the estimate to compare `spent` with. */
  estimated: number;
  /** How many requests were held for, and their pages or tokens. */
  holds: number;
  units: number;
}

export interface SpendPiece extends Record<ServiceName, ServiceSpend> {
  from: number;
}

const UNENDED = "h.state IN ('open', 'unknown')";

// Each service by itself: GROUP BY would sort all rows of the time first, and sums of conditions cost each row twice.
const PIECE = `SELECT COALESCE(SUM(h.settled_amount), 0) AS spent, COALESCE(SUM(IIF(${UNENDED}, h.amount, 0)), 0) AS held,
    COALESCE(SUM(IIF(h.state = 'settled', h.amount, 0)), 0) AS estimated, COUNT(*) AS holds, COALESCE(SUM(h.units), 0) AS units
  FROM hold_states h WHERE h.held_at >= ? AND h.held_at < ? AND h.service = ?`;

/**
 * Sums of what was held in each of some spans, in their order; spans without a hold are left out. Everything about a hold
 * counts when it was made, as it does in budgets, so that a day here is what its budget says.
 */
export async function spendPieces(db: Db, spans: readonly { from: number; to: number }[]): Promise<SpendPiece[]> {
  const pieces: SpendPiece[] = [];
  for (const { from, to } of spans) {
    const of = async (service: ServiceName) =>
      (await sqlRows<ServiceSpend>(db, PIECE, [from, to, service]))[0] as ServiceSpend;
    const piece = { from, llamaparse: await of('llamaparse'), openai: await of('openai') };
    if (piece.llamaparse.holds + piece.openai.holds > 0) pieces.push(piece);
  }
  return pieces;
}

/** The first and the last hold of a time with their price books; `null` when there is none. */
export async function edgesOf(
  db: Db,
  { from, to }: { from: number; to: number },
): Promise<{ first: number; last: number; priceVersions: string[] } | null> {
  const edge = (order: 'asc' | 'desc') =>
    db
      .selectFrom('holds')
      .select(['held_at', 'price_version'])
      .where('held_at', '>=', from)
      .where('held_at', '<', to)
      .orderBy('held_at', order)
      .limit(1)
      .executeTakeFirst();
  const [first, last] = [await edge('asc'), await edge('desc')];
  if (first === undefined || last === undefined) return null;
  const priceVersions = [...new Set([first.price_version, last.price_version])];
  return { first: first.held_at, last: last.held_at, priceVersions };
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
    SELECT h.attempt_id, h.service, h.job_id, h.run_id, h.cost_center, h.units, COALESCE(h.settled_amount, 0) AS spent,
      IIF(${sql.raw(UNENDED)}, h.amount, 0) AS held
    FROM holds h WHERE h.held_at >= ${from} AND h.held_at < ${to}`;
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
    SELECT SUM(amount) AS nano FROM hold_states
    WHERE state = 'unknown' AND held_at >= ${from} AND held_at < ${to}`.execute(db);
  return rows[0]?.nano ?? 0;
}

/** Nano-USD spent in `[from, to)`. */
export async function spentIn(db: Db, { from, to }: { from: number; to: number }): Promise<number> {
  const { rows } = await sql<{ nano: number | null }>`
    SELECT SUM(settled_amount) AS nano FROM hold_states WHERE held_at >= ${from} AND held_at < ${to}`.execute(db);
  return rows[0]?.nano ?? 0;
}
