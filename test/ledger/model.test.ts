/** T11: the ledger against a model of it, and broken ledgers that must be found out. */
import { copyFileSync, mkdirSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { Kysely, SqliteDialect } from 'kysely';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { acknowledge } from '../../src/ledger/acknowledge.ts';
import { correct, markUnknown, release, settle } from '../../src/ledger/end.ts';
import { hold } from '../../src/ledger/hold.ts';
import { updateBudget } from '../../src/store/budgets.ts';
import { findHold } from '../../src/store/holds.ts';
import { openStore, STORE_FILE, type Store } from '../../src/store/open.ts';
import type { Database } from '../../src/store/schema.ts';
import { addBudgets, assertLedger, bookTwin, request } from '../setup/ledger.ts';
import { commands, type Ledger, Model } from './model.ts';

/** Runs of up to 100 commands; 1000 in the full lane. */
const RUNS = Number(process.env.TVDB_MODEL_RUNS ?? '40');

const SOUND: Ledger = {
  write: (store, work) => store.write(work),
  ...{ hold, settle, release, markUnknown, correct, acknowledge },
  twin: (trx, { attemptId, of, now }) => bookTwin(trx, attemptId, of, now),
  lower: (trx, limit) => updateBudget(trx, 1, { limit_value: limit }, 1),
};

let directory: string;
let made = 0;

/** Waiting for the lock lets the other connection run, without waiting for real time. */
const clock = { ...systemClock, sleep: () => new Promise<void>((resolve) => setImmediate(resolve)) };

function open(home: string): [Store, Store] {
  const stores: [Store, Store] = [
    openStore({ home, clock, busyTimeoutMs: 1 }),
    openStore({ home, clock, busyTimeoutMs: 1 }),
  ];
  // What survives a power cut is not the question here.
  for (const { sqlite } of stores) sqlite.pragma('synchronous = OFF');
  return stores;
}

beforeAll(async () => {
  directory = mkdtempSync(join(realpathSync(tmpdir()), 'tvdb-model-'));
  const store = openStore({ home: join(directory, 'empty') });
  await addBudgets(store, [{ limit: 1_000 }, { limit: 300, scope: 'service', scope_value: 'openai' }]);
  await store.close();
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const property = (ledger: Ledger) =>
  fc.asyncProperty(fc.commands(commands(), { maxCommands: 100, size: 'max' }), async (steps) => {
    const home = join(directory, String(made++));
    mkdirSync(home, { mode: 0o700 });
    copyFileSync(join(directory, 'empty', STORE_FILE), join(home, STORE_FILE));
    const close = () => Promise.all(real.stores.map((store) => store.close()));
    const real = {
      ledger,
      stores: open(home),
      async reopen() {
        await close();
        real.stores = open(home);
      },
    };
    try {
      await fc.asyncModelRun(() => ({ model: new Model(), real }), steps);
      // A limit may have been lowered on the way, a charge may have overrun it.
      await assertLedger(real.stores[0], { over: true });
    } finally {
      await close();
      rmSync(home, { recursive: true, force: true });
    }
  });

describe('T11 the ledger', () => {
  it('does what its model does, whatever comes in whatever order', async () => {
    await fc.assert(property(SOUND), { numRuns: RUNS });
  }, 600_000);
});

describe('T11 a broken ledger is found out', () => {
  const broken: Record<string, Partial<Ledger>> = {
    'that settles what was released': {
      async settle(trx, ending) {
        const result = await settle(trx, ending);
        // It says the right thing, but the money moves.
        if (result.state === 'already' && result.as === 'released') {
          const nano = ending.actual === null || ending.actual === 0 ? 1 : ending.actual;
          await trx
            .updateTable('budget_windows')
            .set((is) => ({ spent: is('spent', '+', nano) }))
            .execute();
        }
        return result;
      },
    },
    'whose transactions begin deferred': {
      write: ({ sqlite }, work) =>
        new Kysely<Database>({ dialect: new SqliteDialect({ database: sqlite }) }).transaction().execute(work),
    },
    'that clips an overrun to the hold': {
      async settle(trx, ending) {
        const amount = (await findHold(trx, ending.attemptId))?.amount ?? 0;
        return settle(trx, { ...ending, actual: ending.actual === null ? null : Math.min(ending.actual, amount) });
      },
    },
    'that takes 0 for free of charge': {
      settle: (trx, ending) =>
        ending.actual === 0 ? release(trx, { ...ending, because: 'not_charged' }) : settle(trx, ending),
    },
    'that holds a twin like any other request': {
      twin: async (trx, { attemptId, of, now }) =>
        hold(trx, { ...request(attemptId, (await findHold(trx, of))?.amount ?? 1), now }),
    },
    'that lets unknown holds go': {
      markUnknown: (trx, ending) => release(trx, { ...ending, because: 'not_charged' }),
    },
    'that shrinks a hold until it fits': {
      hold: (trx, request) => hold(trx, request).catch(() => hold(trx, { ...request, amount: 1 })),
    },
    'that posts an ending to the day it comes': {
      async settle(trx, ending) {
        await trx
          .updateTable('hold_states')
          .set({ held_at: ending.now })
          .where('attempt_id', '=', ending.attemptId)
          .execute();
        return settle(trx, ending);
      },
    },
  };

  it.each(Object.entries(broken))('%s', async (_what, fault) => {
    const { failed, numRuns } = await fc.check(property({ ...SOUND, ...fault }), { numRuns: 100, endOnFailure: true });
    expect(failed).toBe(true);
    expect(numRuns).toBeLessThan(100);
  });
});
