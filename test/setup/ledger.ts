/** A store with budgets for tests of money, and the proof of its ledger. */
import { expect, onTestFinished } from 'vitest';
import { acknowledge } from '../../src/ledger/acknowledge.ts';
import { correct, holdOf, markUnknown, release, settle } from '../../src/ledger/end.ts';
import { type HoldRequest, hold } from '../../src/ledger/hold.ts';
import { holdTwin } from '../../src/ledger/twin.ts';
import { foldCheck, verifyChain } from '../../src/ledger/verify.ts';
import { insertIntent } from '../../src/store/attempts.ts';
import { insertBudget } from '../../src/store/budgets.ts';
import type { BudgetRow } from '../../src/store/money-schema.ts';
import { openStore, type Store, type Trx } from '../../src/store/open.ts';
import { tempDirectory } from './temp.ts';

/** 2026-11-27 12:00 UTC, a Friday. */
export const NOON = Date.UTC(2026, 10, 27, 12);

export type TestBudget = Partial<Pick<BudgetRow, 'scope' | 'scope_value' | 'span' | 'measure' | 'hard' | 'source'>> & {
  limit: number;
};

/** A store of its own, closed after the test, with these budgets (default: one of everything for a day). */
export async function ledgerStore(...budgets: readonly TestBudget[]): Promise<Store> {
  const store = openStore({ home: tempDirectory() });
  onTestFinished(() => store.close());
  await addBudgets(store, budgets);
  return store;
}

export async function addBudgets(store: Store, budgets: readonly TestBudget[]): Promise<void> {
  await store.write(async (trx) => {
    for (const { limit, ...budget } of budgets) {
      await insertBudget(trx, {
        ...{ scope: 'all', scope_value: '', span: 'day', measure: 'cost', hard: 1, source: 'variable' },
        ...{ user_limit: null, user_hard: null, created_at: 1 },
        ...budget,
        limit_value: limit,
      });
    }
  });
}

/** A request for a hold: LlamaParse, run `run-1`, UTC, noon, at a price of 1 for each unit. */
export function request(attemptId: string, amount: number, changes: Partial<HoldRequest> = {}): HoldRequest {
  return {
    attemptId,
    jobId: 'job-1',
    runId: 'run-1',
    service: 'llamaparse',
    costCenter: null,
    amount,
    units: 1,
    unitPrice: 1,
    priceVersion: 'test',
    timeZone: 'UTC',
    now: NOON,
    ...changes,
  };
}

/** Holds in a transaction of its own. */
export function take(store: Store, attemptId: string, amount: number, changes: Partial<HoldRequest> = {}) {
  return store.write((trx) => hold(trx, request(attemptId, amount, changes)));
}

/** A ledger with a row of every kind, and holds in every state, each named by what became of it. */
export async function ledgerOfEveryKind(): Promise<Store> {
  const store = await ledgerStore({ limit: 1000 }, { limit: 1000, scope: 'run', span: 'run' });
  for (const id of ['open', 'unknown', 'settled', 'released', 'overrun', 'provisional', 'up', 'down', 'same']) {
    await take(store, id, 50, { costCenter: 'claims', now: NOON });
  }
  const now = NOON + 1;
  await store.write(async (trx) => {
    await markUnknown(trx, { attemptId: 'unknown', now });
    await settle(trx, { attemptId: 'settled', actual: 30, now });
    await release(trx, { attemptId: 'released', because: 'not_sent', now });
    await settle(trx, { attemptId: 'overrun', actual: 60, now });
    await acknowledge(trx, { attemptId: 'overrun', by: 'test', now });
    await settle(trx, { attemptId: 'provisional', actual: null, now });
    for (const [attemptId, actual] of [
      ['up', 51],
      ['down', 49],
      ['same', 50],
    ] as const) {
      await settle(trx, { attemptId, actual: null, now });
      await correct(trx, { attemptId, actual, now });
    }
  });
  return store;
}

/** Books an attempt as a twin of another one, as the pipeline does; returns the budgets it has stopped. */
export async function bookTwin(trx: Trx, attemptId: string, of: string, now: number): Promise<BudgetRow[]> {
  await insertIntent(trx, {
    ...{ attemptId, jobId: 'job-1', service: 'parse', operation: 'parse_twin', requestHash: 'h', units: 1 },
    ...{ origin: 'real', now, options: JSON.stringify({ twin_of: of }) },
  });
  return holdTwin(trx, { attemptId, of: await holdOf(trx, of), now, timeZone: 'UTC' });
}

/**
 * T17: the chain holds, everything cached is the fold of the rows (M2), and no hard limit is passed (M1) unless the caller
 * says why one may be: an overrun, a lowered limit, a change of the time zone.
 */
export async function assertLedger(store: Store, { over = false }: { over?: boolean } = {}): Promise<void> {
  const { ok, holds, windows, over: passed } = await foldCheck(store.db);
  expect({ ok, holds, windows }).toEqual({ ok: true, holds: [], windows: [] });
  if (!over) expect(passed).toEqual([]);
  expect(await verifyChain(store.db)).toMatchObject({ ok: true, broken: null });
}

/** Spent, held and requests of every window by its period, `day:2026-11-27@UTC`. Budgets of one span must not be several. */
export async function totals(store: Store): Promise<Record<string, [spent: number, held: number, requests: number]>> {
  const rows = await store.db.selectFrom('budget_windows').selectAll().orderBy('period_id').execute();
  return Object.fromEntries(rows.map((row) => [row.period_id, [row.spent, row.held, row.requests]]));
}
