/** Holds are what the rows of the ledger make of them: in a store of this schema and in one that is brought to it. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { expect, it, onTestFinished } from 'vitest';
import * as pipeline from '../../src/store/migrations/0001-pipeline.ts';
import * as services from '../../src/store/migrations/0002-services.ts';
import * as money from '../../src/store/migrations/0003-money.ts';
import * as consent from '../../src/store/migrations/0004-consent.ts';
import * as reports from '../../src/store/migrations/0005-reports.ts';
import * as economy from '../../src/store/migrations/0006-economy.ts';
import { openStore, STORE_FILE, type Store } from '../../src/store/open.ts';
import { assertLedger, ledgerOfEveryKind, ledgerStore, NOON, take } from '../setup/ledger.ts';
import { tempDirectory } from '../setup/temp.ts';

const holdsOf = ({ sqlite }: Store) => sqlite.prepare('SELECT * FROM holds ORDER BY attempt_id').all();

it('follow from the rows of the ledger, written by nothing else', async () => {
  const store = await ledgerOfEveryKind();
  const states = store.sqlite.prepare('SELECT attempt_id, state, settled_amount, provisional FROM holds').raw().all();
  expect(Object.fromEntries((states as [string, ...unknown[]][]).map(([id, ...rest]) => [id, rest]))).toEqual({
    open: ['open', null, 0],
    unknown: ['unknown', null, 0],
    settled: ['settled', 30, 0],
    released: ['released', null, 0],
    overrun: ['settled', 60, 0],
    provisional: ['settled', 50, 1],
    up: ['settled', 51, 0],
    down: ['settled', 49, 0],
    same: ['settled', 50, 0],
  });
});

it('refuse a row of the ledger that has no hold', async () => {
  const store = await ledgerStore({ limit: 1000 });
  await take(store, 'one', 50, { now: NOON });
  const stray = `INSERT INTO spend SELECT 2, at, 'release', 'other', job_id, run_id, service, cost_center, origin, held_at,
    hold_amount, amount, units, unit_price, price_version, detail, prev_hash, hash FROM spend`;
  expect(() => store.sqlite.exec(stray)).toThrow('a row of spend without its hold');
});

it('are the same after an older store was brought to this schema', async () => {
  const store = await ledgerOfEveryKind();
  const home = join(tempDirectory(), 'old');
  mkdirSync(home);
  const old = new Sqlite(join(home, STORE_FILE));
  for (const { sql } of [pipeline, services, money, consent, reports, economy]) old.exec(sql);
  old.pragma('user_version = 6');
  old.exec(`ATTACH '${store.sqlite.name}' AS present`);
  const columns = (old.pragma('table_info(holds)') as { name: string }[]).map(({ name }) => name).join(', ');
  old.exec(`INSERT INTO spend SELECT * FROM present.spend; INSERT INTO budgets SELECT * FROM present.budgets;
    INSERT INTO budget_windows SELECT * FROM present.budget_windows;
    INSERT INTO holds (${columns}) SELECT ${columns} FROM present.holds`);
  const before = old.prepare('SELECT * FROM holds ORDER BY attempt_id').all();
  old.close();

  const brought = openStore({ home });
  onTestFinished(() => brought.close());
  expect(before).toHaveLength(9);
  expect(holdsOf(brought)).toEqual(before);
  expect(holdsOf(brought)).toEqual(holdsOf(store));
  await assertLedger(brought);
});
