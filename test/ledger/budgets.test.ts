/** Which budgets are in force, and what is left of them. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import { BUILT_IN_PRICES, creditPrice } from '../../src/domain/price-book.ts';
import { acknowledge } from '../../src/ledger/acknowledge.ts';
import { budgetSettings, capRun, ensureBudgets, setBudget } from '../../src/ledger/budget-settings.ts';
import { settle } from '../../src/ledger/end.ts';
import { budgetStates, whatFits } from '../../src/ledger/headroom.ts';
import { loadPrices } from '../../src/ledger/load-prices.ts';
import { pruneWindows } from '../../src/store/budget-windows.ts';
import { allBudgets } from '../../src/store/budgets.ts';
import type { Store } from '../../src/store/open.ts';
import { endRun, startRun } from '../../src/store/runs.ts';
import { addBudgets, assertLedger, ledgerStore, NOON, take, totals } from '../setup/ledger.ts';
import { tempDirectory } from '../setup/temp.ts';

const USD = 1_000_000_000;
const settingsOf = (env: Record<string, string>) => {
  const cwd = tempDirectory();
  return budgetSettings(loadConfig({ cwd, env: { HOME: cwd, ...env } }));
};
const ensure = (store: Store, env: Record<string, string> = {}) =>
  store.write((trx) => ensureBudgets(trx, settingsOf(env), NOON));
const DAILY = { scope: 'all', scope_value: '', span: 'day', measure: 'cost' } as const;
const set = (store: Store, limit: number | null, env: Record<string, string> = {}, hard = true) =>
  store.write((trx) => setBudget(trx, { ...DAILY, limit, hard }, settingsOf(env), NOON));
const inForce = async (store: Store) =>
  (await allBudgets(store.db)).map((one) => [
    one.scope,
    one.scope_value,
    one.span,
    one.measure,
    one.limit_value,
    one.source,
  ]);
const at = { now: NOON, timeZone: 'UTC' };

describe('budgets from variables', () => {
  it('are 5 USD a day unless something else is set', async () => {
    const store = await ledgerStore();
    expect(await ensure(store)).toEqual([{ ...DAILY, from: null, to: { limit_value: 5 * USD, source: 'default' } }]);
    expect(await inForce(store)).toEqual([['all', '', 'day', 'cost', 5 * USD, 'default']]);
    expect(await ensure(store)).toEqual([]);
  });

  it('are all of those that have one', async () => {
    const store = await ledgerStore();
    await ensure(store, {
      DAILY_COST_LIMIT_USD: '3',
      HOURLY_COST_LIMIT_USD: '0.25',
      MONTHLY_COST_LIMIT_USD: '50',
      RUN_COST_LIMIT_USD: '0',
      LLAMAPARSE_DAILY_COST_LIMIT_USD: '2',
      OPENAI_DAILY_COST_LIMIT_USD: '1',
      HOURLY_REQUEST_LIMIT: '100',
    });
    expect(await inForce(store)).toEqual([
      ['all', '', 'day', 'cost', 3 * USD, 'variable'],
      ['all', '', 'hour', 'cost', USD / 4, 'variable'],
      ['all', '', 'month', 'cost', 50 * USD, 'variable'],
      ['run', '', 'run', 'cost', 0, 'variable'],
      ['service', 'llamaparse', 'day', 'cost', 2 * USD, 'variable'],
      ['service', 'openai', 'day', 'cost', USD, 'variable'],
      ['all', '', 'hour', 'requests', 100, 'variable'],
    ]);
  });

  it('come before what the user stored, which comes before the default and returns when they go', async () => {
    const store = await ledgerStore();
    await ensure(store);
    expect(await set(store, 8 * USD)).toMatchObject([
      { from: { source: 'default' }, to: { limit_value: 8 * USD, source: 'user' } },
    ]);
    expect(await ensure(store, { DAILY_COST_LIMIT_USD: '1' })).toMatchObject([
      { to: { limit_value: USD, source: 'variable' } },
    ]);
    expect(await set(store, 9 * USD, { DAILY_COST_LIMIT_USD: '1' })).toEqual([]);
    expect(await ensure(store)).toMatchObject([{ to: { limit_value: 9 * USD, source: 'user' } }]);
    expect(await set(store, null)).toMatchObject([{ to: { limit_value: 5 * USD, source: 'default' } }]);
  });

  it.each([Number.NaN, -1, 0.5, 2 ** 53, Number.POSITIVE_INFINITY])('T13 are never %s', async (limit) => {
    const store = await ledgerStore();
    await ensure(store);
    await expect(set(store, limit)).rejects.toThrow(RangeError);
    await expect(store.write((trx) => capRun(trx, { runId: 'r', capNanoUsd: limit, now: 1 }))).rejects.toThrow(
      RangeError,
    );
    expect(await inForce(store)).toHaveLength(1);
  });

  it('that go leave no total behind, and count all that was spent when they return', async () => {
    const store = await ledgerStore();
    await ensure(store, { HOURLY_COST_LIMIT_USD: '1' });
    await take(store, 'a', 10);
    await ensure(store);
    expect(Object.keys(await totals(store))).toEqual(['day:2026-11-27@UTC']);
    await take(store, 'b', 20);
    await ensure(store, { HOURLY_COST_LIMIT_USD: '0.000000040' });
    await expect(take(store, 'c', 11)).rejects.toMatchObject({ facts: { window: 'hour', left_nano_usd: 10 } });
    await take(store, 'c', 10);
    await assertLedger(store);
  });

  it('do not lose a stop when they go and return', async () => {
    const store = await ledgerStore();
    await ensure(store, { HOURLY_COST_LIMIT_USD: '1' });
    await take(store, 'a', 10);
    await store.write((trx) => settle(trx, { attemptId: 'a', actual: 11, now: NOON }));
    await ensure(store, { DAILY_COST_LIMIT_USD: '7' });
    await ensure(store, { DAILY_COST_LIMIT_USD: '7', HOURLY_COST_LIMIT_USD: '1' });
    expect((await allBudgets(store.db)).map(({ frozen_by: by }) => by)).toEqual(['a', 'a']);
  });
});

describe('T15 a limit below what is used', () => {
  it('lets nothing new begin and everything in flight end, and shows no negative rest', async () => {
    const store = await ledgerStore();
    await ensure(store, { DAILY_COST_LIMIT_USD: '1' });
    await take(store, 'a', 0.4 * USD);
    await take(store, 'b', 0.5 * USD);
    await ensure(store, { DAILY_COST_LIMIT_USD: '0.3' });
    const refused = { code: 'E201', facts: { left_nano_usd: 0, cap_nano_usd: 0.3 * USD } };
    await expect(take(store, 'c', 1)).rejects.toMatchObject(refused);
    expect(await budgetStates(store.db, at)).toMatchObject([{ left: 0, held: 0.9 * USD, limit: 0.3 * USD }]);
    expect(await whatFits(store.db, [], { ...at, runId: 'r' })).toMatchObject({ leftNanoUsd: 0 });
    await store.write((trx) => settle(trx, { attemptId: 'a', actual: 0.4 * USD, now: NOON }));
    await store.write((trx) => settle(trx, { attemptId: 'b', actual: null, now: NOON }));
    await expect(take(store, 'c', 1)).rejects.toMatchObject(refused);
    await assertLedger(store, { over: true });
    await ensure(store, { DAILY_COST_LIMIT_USD: '1' });
    await take(store, 'c', 0.1 * USD);
    await assertLedger(store);
  });
});

describe('the cap of a run', () => {
  it('is one of several limits, and a second one replaces it', async () => {
    const store = await ledgerStore();
    await ensure(store, { DAILY_COST_LIMIT_USD: '0.000000100' });
    const cap = (capNanoUsd: number) => store.write((trx) => capRun(trx, { runId: 'run-1', capNanoUsd, now: NOON }));
    await cap(50);
    await expect(take(store, 'a', 51)).rejects.toMatchObject({ facts: { window: 'run', source: 'flag' } });
    await take(store, 'a', 50);
    await cap(1000);
    await expect(take(store, 'b', 51)).rejects.toMatchObject({ facts: { window: 'day' } });
    await ensure(store);
    expect((await allBudgets(store.db)).find(({ source }) => source === 'flag')).toMatchObject({ limit_value: 1000 });
    await assertLedger(store);
  });
});

describe('whatFits', () => {
  const asks = (llamaparse: number, openai: number) => [
    { service: 'llamaparse' as const, costCenter: null, amount: llamaparse, requests: 1 },
    { service: 'openai' as const, costCenter: 'claims', amount: openai, requests: 1 },
  ];

  it('compares each budget with the part of the work it counts', async () => {
    const store = await ledgerStore(
      { limit: 100 },
      { limit: 40, scope: 'service', scope_value: 'openai' },
      { limit: 30, scope: 'cost_center', scope_value: 'claims' },
      { limit: 5, scope: 'cost_center', scope_value: 'other' },
      { limit: 1, scope: 'run', scope_value: 'run-9', span: 'run' },
      { limit: 1, hard: 0, span: 'month' },
    );
    const room = (a: number, b: number) => whatFits(store.db, asks(a, b), { ...at, runId: 'run-1' });
    expect(await room(70, 30)).toMatchObject({
      refusal: null,
      leftNanoUsd: 30,
      tightest: { budget: { scope: 'cost_center' } },
    });
    expect((await room(70, 31)).refusal?.facts).toMatchObject({ scope: 'cost_center', asked_nano_usd: 31 });
    expect((await room(71, 30)).refusal?.facts).toMatchObject({
      scope: 'all',
      asked_nano_usd: 101,
      left_nano_usd: 100,
    });
    await take(store, 'a', 60);
    expect((await room(11, 30)).refusal?.facts).toMatchObject({ scope: 'all', held_nano_usd: 60, left_nano_usd: 40 });
    expect(await room(10, 30)).toMatchObject({ refusal: null });
    expect(await whatFits(store.db, [], { ...at, runId: 'run-1' })).toMatchObject({ leftNanoUsd: 40, refusal: null });
    expect(await whatFits(store.db, [], { ...at, runId: 'run-9' })).toMatchObject({ leftNanoUsd: 1 });
  });

  it('without any budget has no end', async () => {
    const store = await ledgerStore();
    expect(await whatFits(store.db, asks(1, 1), { ...at, runId: 'r' })).toEqual({
      refusal: null,
      leftNanoUsd: null,
      tightest: null,
    });
  });
});

describe('budgetStates', () => {
  it('shows each budget once, before and after its first hold, with the time it starts anew', async () => {
    const store = await ledgerStore(
      { limit: 100 },
      { limit: 10, scope: 'run', span: 'run' },
      { limit: 20, scope: 'run', scope_value: 'run-2', span: 'run' },
    );
    expect((await budgetStates(store.db, at)).map((one) => [one.period_id, one.left, one.until_at])).toEqual([
      ['day:2026-11-27@UTC', 100, Date.UTC(2026, 10, 28)],
      ['run:run-2', 20, null],
    ]);
    await take(store, 'a', 7);
    const states = await budgetStates(store.db, { ...at, runId: 'run-1' });
    expect(states.map((one) => [one.period_id, one.held, one.left])).toEqual([
      ['day:2026-11-27@UTC', 7, 93],
      ['run:run-1', 7, 3],
    ]);
    // T78: seen from Kiritimati it is the 28th already, but the day of the old zone is still used.
    const moved = await budgetStates(store.db, { now: NOON, timeZone: 'Pacific/Kiritimati' });
    expect(moved.map((one) => [one.period_id, one.left])).toContainEqual(['day:2026-11-27@UTC', 93]);
  });
});

describe('the cap of one run', () => {
  it('is shown while the run goes on, and afterwards only where an overrun has stopped it', async () => {
    const store = await ledgerStore();
    const capped = async (runId: string) =>
      store.write(async (trx) => {
        await startRun(trx, { runId, command: 'upload', mode: 'real', now: NOON });
        await capRun(trx, { runId, capNanoUsd: 10, now: NOON });
      });
    const end = (runId: string) => store.write((trx) => endRun(trx, { runId, now: NOON, exitCode: 0 }));
    const shown = async () => (await budgetStates(store.db, at)).map(({ budget }) => budget.scope_value);
    await capped('run-1');
    await capped('run-2');
    await take(store, 'a', 7, { runId: 'run-1' });
    expect(await shown()).toEqual(['run-1', 'run-2']);
    await end('run-2');
    expect(await shown()).toEqual(['run-1']);
    await store.write((trx) => settle(trx, { attemptId: 'a', now: NOON, actual: 8 }));
    await end('run-1');
    expect(await shown()).toEqual(['run-1']);
    await store.write((trx) => acknowledge(trx, { attemptId: 'a', by: 'me', now: NOON }));
    expect(await shown()).toEqual([]);
  });
});

describe('pruning', () => {
  it('drops closed windows and old caps of runs, never the ledger; late endings and old times still come out right', async () => {
    const store = await ledgerStore({ limit: 100 });
    await addBudgets(store, [{ limit: 50, scope: 'run', scope_value: 'run-1', span: 'run', source: 'flag' }]);
    await take(store, 'a', 40);
    const later = NOON + 40 * 86_400_000;
    await take(store, 'b', 10, { now: later, runId: 'run-2' });
    expect(await store.write((trx) => pruneWindows(trx, later - 30 * 86_400_000))).toBe(2);
    expect(Object.keys(await totals(store))).toEqual(['day:2027-01-06@UTC']);
    expect(await allBudgets(store.db)).toHaveLength(1);
    await store.write((trx) => settle(trx, { attemptId: 'a', actual: 30, now: later }));
    await assertLedger(store);
    await expect(take(store, 'c', 71)).rejects.toMatchObject({ facts: { spent_nano_usd: 30 } });
    await take(store, 'c', 70);
    await assertLedger(store);
  });
});

describe('loadPrices', () => {
  it('takes the built-in prices without a file, and those of a file before them', () => {
    const directory = tempDirectory();
    expect(loadPrices(undefined, directory)).toBe(BUILT_IN_PRICES);
    const prices = [{ item: 'llamaparse/credit', usd: '0.001', from: '2026-01-01', source: 'contract' }];
    writeFileSync(join(directory, 'prices.json'), JSON.stringify({ version: 'mine', currency: 'USD', prices }));
    const found = creditPrice(loadPrices('prices.json', directory), NOON);
    expect(found.nanoUsd).toBe(1_000_000);
    expect(found.version).toMatch(/^mine-[0-9a-f]{8}$/);
  });

  it.each([
    ['not JSON', '{', 'E103', 'it is not JSON'],
    ['an object of another kind', '{"a":1}', 'E103', '"a"'],
    ['a file that is not there', null, 'E108', undefined],
  ])('refuses %s instead of taking list prices', (_what, text, code, why) => {
    const directory = tempDirectory();
    if (text !== null) writeFileSync(join(directory, 'prices.json'), text);
    expect(() => loadPrices('prices.json', directory)).toThrow(
      expect.objectContaining({ code, exit: 4, ...(why !== undefined && { why: expect.stringContaining(why) }) }),
    );
  });
});
