/** The ledger added up for a period: what was spent and what is reserved, by service, time, job and so on. */
import { CompiledQuery, sql } from 'kysely';
import { SERVICES, type ServiceName } from '../domain/service-mode.ts';
import { isOfJobs, KEY_SQL, keyJoins, type TotalKey } from './attempt-totals.ts';
import type { Db } from './open.ts';
import { FOLD, HELD, SPENT } from './spend.ts';

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

// One row without GROUP BY: that would sort all rows of the time first, which takes four times as long as adding them up.
const PIECE = `SELECT ${SERVICES.map((service) => {
  const of = (sum: string) => `COALESCE(SUM(IIF(s.service = '${service}', ${sum}, 0)), 0)`;
  return [
    `${of(SPENT)} AS ${service}_spent`,
    `${of(HELD)} AS ${service}_held`,
    `${of("IIF(s.kind = 'settle', s.hold_amount, 0)")} AS ${service}_estimated`,
    `${of("s.kind = 'hold'")} AS ${service}_holds`,
    `${of("IIF(s.kind = 'hold', s.units, 0)")} AS ${service}_units`,
  ].join(', ');
}).join(', ')} FROM spend s WHERE s.held_at >= ? AND s.held_at < ?`;

/**
 * Sums of what was held in each of some spans, in their order; spans without a hold are left out. Everything about a hold
 * counts when it was made, as it does in budgets, so that a day here is what its budget says.
 */
export async function spendPieces(db: Db, spans: readonly { from: number; to: number }[]): Promise<SpendPiece[]> {
  const pieces: SpendPiece[] = [];
  for (const { from, to } of spans) {
    const { rows } = await db.executeQuery<Record<string, number>>(CompiledQuery.raw(PIECE, [from, to]));
    const row = rows[0] ?? {};
    const of = (service: ServiceName): ServiceSpend => ({
      spent: row[`${service}_spent`] ?? 0,
      held: row[`${service}_held`] ?? 0,
      estimated: row[`${service}_estimated`] ?? 0,
      holds: row[`${service}_holds`] ?? 0,
      units: row[`${service}_units`] ?? 0,
    });
    const piece = { from, llamaparse: of('llamaparse'), openai: of('openai') };
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
      .selectFrom('spend')
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
