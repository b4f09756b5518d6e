/** The rows of the ledger: appended in a hash chain, added up, never changed. */
import { type RawBuilder, sql } from 'kysely';
import { sha256 } from '../base/hash.ts';
import type { SpendRow } from './money-schema.ts';
import type { Db, Trx } from './open.ts';
import { sqlRows } from './statement.ts';

/** What the first row is chained to. */
const FIRST = '0'.repeat(64);

export type NewSpend = Omit<SpendRow, 'seq' | 'origin' | 'prev_hash' | 'hash'>;

/** What the hash of a row covers, in this order: every column but the hash itself. */
const HASHED = [
  ...([
    'prev_hash',
    'seq',
    'at',
    'kind',
    'attempt_id',
    'job_id',
    'run_id',
    'service',
    'cost_center',
    'origin',
  ] as const),
  ...(['held_at', 'hold_amount', 'amount', 'units', 'unit_price', 'price_version', 'detail'] as const),
] satisfies (keyof SpendRow)[];

const LAST = 'SELECT seq, hash FROM spend ORDER BY seq DESC LIMIT 1';
const INSERT = `INSERT INTO spend (${HASHED.join(', ')}, hash) VALUES (${HASHED.map(() => '?').join(', ')}, ?)`;

/**
 * Appends a row, chained to the one before; triggers post it to the hold it is about. Throws when it breaks a rule of the
 * table (a second ending, a sum of 0).
 */
export async function appendSpend(trx: Trx, row: NewSpend): Promise<void> {
  const [last = { seq: 0, hash: FIRST }] = await sqlRows<Pick<SpendRow, 'seq' | 'hash'>>(trx, LAST, []);
  const whole = { ...row, origin: 'real' as const, seq: last.seq + 1, prev_hash: last.hash };
  const values = HASHED.map((name) => whole[name]);
  await sqlRows(trx, INSERT, [...values, hashOf(values)]);
}

const hashOf = (values: readonly unknown[]) => sha256(JSON.stringify(values));

/** A link of the chain that does not hold. */
export interface BrokenLink {
  seq: number;
  what: 'the row was changed' | 'the row before it was changed or removed' | 'rows are missing before it';
}

const PAGE = 5_000;

/** Walks the whole chain: how many rows there are, and the first link that does not hold (`null` when all do). */
export async function walkChain(db: Db): Promise<{ rows: number; broken: BrokenLink | null }> {
  let rows = 0;
  let previous = { seq: 0, hash: FIRST };
  for (;;) {
    const page = await db
      .selectFrom('spend')
      .selectAll()
      .where('seq', '>', previous.seq)
      .orderBy('seq')
      .limit(PAGE)
      .execute();
    for (const row of page) {
      const what = brokenBy(row, previous);
      if (what !== null) return { rows, broken: { seq: row.seq, what } };
      rows += 1;
      previous = row;
    }
    if (page.length < PAGE) return { rows, broken: null };
  }
}

function brokenBy(row: SpendRow, previous: { seq: number; hash: string }): BrokenLink['what'] | null {
  if (hashOf(HASHED.map((name) => row[name])) !== row.hash) return 'the row was changed';
  if (row.seq !== previous.seq + 1) return 'rows are missing before it';
  return row.prev_hash === previous.hash ? null : 'the row before it was changed or removed';
}

/** What rows add up to. */
export interface Totals {
  spent: number;
  held: number;
  requests: number;
}

/** What a row of spend named `s` adds to what was spent, and to what is held. */
const SPENT = `CASE s.kind WHEN 'settle' THEN s.amount WHEN 'overrun' THEN s.amount WHEN 'correction_up' THEN s.amount
    WHEN 'correction_down' THEN -s.amount ELSE 0 END`;
const HELD = `CASE s.kind WHEN 'hold' THEN s.amount WHEN 'settle' THEN -s.hold_amount WHEN 'release' THEN -s.hold_amount
    ELSE 0 END`;

/** The three sums over rows of spend named `s`; NULL where there is no row. */
export const FOLD: Readonly<Record<keyof Totals, RawBuilder<number | null>>> = {
  spent: sql`SUM(${sql.raw(SPENT)})`,
  held: sql`SUM(${sql.raw(HELD)})`,
  requests: sql`SUM(s.kind = 'hold')`,
};
