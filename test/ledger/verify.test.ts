/** Damage to the ledger is found, wherever it is. */
import { describe, expect, it } from 'vitest';
import { foldCheck, foldOpenWindows, verifyChain } from '../../src/ledger/verify.ts';
import type { Store } from '../../src/store/open.ts';
import { assertLedger, ledgerOfEveryKind, NOON } from '../setup/ledger.ts';

/** A ledger with a row of every kind, and nothing that keeps anybody from changing it. */
async function everyKind(): Promise<Store> {
  const store = await ledgerOfEveryKind();
  await assertLedger(store);
  // A vandal has no triggers and no rules in the way.
  store.sqlite.exec('DROP TRIGGER spend_no_update; DROP TRIGGER spend_no_delete; DROP TRIGGER spend_follows');
  store.sqlite.pragma('ignore_check_constraints = ON');
  return store;
}

const columnsOf = (store: Store, table: string) =>
  (store.sqlite.pragma(`table_info(${table})`) as { name: string }[]).map(({ name }) => name);

/** Another value of the same type, one bit away; `null` becomes a text or number. */
function flipped(value: unknown): unknown {
  if (typeof value === 'number') return value ^ 1;
  if (typeof value === 'string') return String.fromCharCode(value.charCodeAt(0) ^ 1) + value.slice(1);
  return value === null ? 1 : null;
}

describe('one flipped bit', () => {
  it('of any column of any row of the ledger breaks the chain', async () => {
    const store = await everyKind();
    const rows = store.sqlite.prepare('SELECT * FROM spend ORDER BY seq').all() as Record<string, unknown>[];
    const unseen: unknown[] = [];
    let flips = 0;
    for (const row of rows) {
      for (const column of columnsOf(store, 'spend')) {
        if (column === 'seq') continue;
        const write = store.sqlite.prepare(`UPDATE spend SET ${column} = ? WHERE seq = ?`);
        const bad = flipped(row[column]);
        // A strict table takes no number into a text column, so a null there becomes a text.
        write.run(row[column] === null && ['job_id', 'cost_center', 'detail'].includes(column) ? 'x' : bad, row.seq);
        flips += 1;
        if ((await verifyChain(store.db)).ok) unseen.push([row.seq, column]);
        write.run(row[column], row.seq);
      }
    }
    expect(unseen).toEqual([]);
    expect(flips).toBe(rows.length * 17);
    await assertLedger(store);
  });

  it('of any column of a hold or of a total is found by the fold', async () => {
    const store = await everyKind();
    const unseen: unknown[] = [];
    for (const [table, columns] of [
      ['hold_states', columnsOf(store, 'hold_states').filter((name) => name !== 'attempt_id')],
      ['budget_windows', ['spent', 'held', 'requests']],
    ] as const) {
      const keys = table === 'hold_states' ? ['attempt_id'] : ['budget_id', 'period_id'];
      for (const row of store.sqlite.prepare(`SELECT * FROM ${table}`).all() as Record<string, unknown>[]) {
        for (const column of columns) {
          const where = keys.map((key) => `${key} = ?`).join(' AND ');
          const write = store.sqlite.prepare(`UPDATE ${table} SET ${column} = ? WHERE ${where}`);
          write.run(flipped(row[column]), ...keys.map((key) => row[key]));
          if ((await foldCheck(store.db)).ok) unseen.push([table, row, column]);
          write.run(row[column], ...keys.map((key) => row[key]));
        }
      }
    }
    expect(unseen).toEqual([]);
    await assertLedger(store);
  });
});

describe('a row that is gone', () => {
  it('is missed in the middle by the chain and at the end by the fold', async () => {
    const store = await everyKind();
    const last = store.sqlite.prepare('SELECT MAX(seq) FROM spend').pluck().get() as number;
    store.sqlite.exec(`DELETE FROM spend WHERE seq = ${last}`);
    expect((await foldCheck(store.db)).holds).toEqual([{ attempt_id: 'same', stored: 'settled', folded: 'settled' }]);
    store.sqlite.exec('DELETE FROM spend WHERE seq = 3');
    expect(await verifyChain(store.db)).toEqual({
      ok: false,
      rows: 2,
      broken: { seq: 4, what: 'rows are missing before it' },
    });
    store.sqlite.exec("DELETE FROM hold_states WHERE attempt_id = 'open'");
    expect((await foldCheck(store.db)).holds).toContainEqual({ attempt_id: 'open', stored: null, folded: 'open' });
  });
});

describe('a row that was written anew with its own right hash', () => {
  it('breaks the chain at the next row', async () => {
    const store = await everyKind();
    const swap = store.sqlite.prepare('SELECT hash FROM spend WHERE seq = 1').pluck().get();
    store.sqlite.prepare('UPDATE spend SET prev_hash = ? WHERE seq = 3').run(swap);
    expect((await verifyChain(store.db)).broken).toMatchObject({ seq: 3 });
  });
});

describe('the fold of the open windows', () => {
  it('looks at those that are open and at runs', async () => {
    const store = await everyKind();
    store.sqlite.exec('UPDATE budget_windows SET spent = spent + 1 WHERE run_id IS NULL');
    expect((await foldOpenWindows(store.db, NOON)).windows).toMatchObject([{ period_id: 'day:2026-11-27@UTC' }]);
    expect(await foldOpenWindows(store.db, NOON + 86_400_000)).toMatchObject({ ok: true });
    store.sqlite.exec('UPDATE budget_windows SET spent = spent + 1 WHERE run_id IS NOT NULL');
    expect(await foldOpenWindows(store.db, NOON + 86_400_000)).toMatchObject({ ok: false });
  });
});
