/** Holds: out of every budget that counts the request, or out of none. */
import { describe, expect, it } from 'vitest';
import { settle } from '../../src/ledger/end.ts';
import { hold } from '../../src/ledger/hold.ts';
import { addBudgets, assertLedger, ledgerStore, NOON, request, take, totals } from '../setup/ledger.ts';

const DAY = 86_400_000;

describe('a hold', () => {
  it('counts in every budget that applies, in its own period, and in no other', async () => {
    const store = await ledgerStore(
      { limit: 1000 },
      { limit: 1000, span: 'hour' },
      { limit: 1000, span: 'month' },
      { limit: 1000, scope: 'run', span: 'run' },
      { limit: 1000, scope: 'service', scope_value: 'openai', span: 'hour' },
      { limit: 1000, scope: 'cost_center', scope_value: 'claims', span: 'hour' },
      { limit: 1, scope: 'run', scope_value: 'another', span: 'run' },
    );
    await take(store, 'a', 300, { costCenter: 'claims' });
    const rows = await store.db.selectFrom('budget_windows').selectAll().orderBy('budget_id').execute();
    expect(rows.map((row) => [row.budget_id, row.period_id, row.spent, row.held, row.requests])).toEqual([
      [1, 'day:2026-11-27@UTC', 0, 300, 1],
      [2, 'hour:2026-11-27T12:00Z@UTC', 0, 300, 1],
      [3, 'month:2026-11@UTC', 0, 300, 1],
      [4, 'run:run-1', 0, 300, 1],
      [6, 'hour:2026-11-27T12:00Z@UTC', 0, 300, 1],
    ]);
    expect(await store.db.selectFrom('holds').selectAll().execute()).toMatchObject([
      {
        attempt_id: 'a',
        state: 'open',
        amount: 300,
        price_version: 'test',
        periods: JSON.stringify(['hour:2026-11-27T12:00Z@UTC', 'day:2026-11-27@UTC', 'month:2026-11@UTC', 'run:run-1']),
      },
    ]);
    await assertLedger(store);
  });

  it('is refused by one budget out of several with the facts of that one, and changes none', async () => {
    const store = await ledgerStore({ limit: 1000 }, { limit: 250, scope: 'service', scope_value: 'llamaparse' });
    await take(store, 'a', 200);
    await expect(take(store, 'b', 60)).rejects.toMatchObject({
      code: 'E201',
      exit: 5,
      retry: { kind: 'never' },
      chargedNanoUsd: 0,
      facts: {
        error: 'CostLimitExceeded',
        scope: 'service',
        scope_value: 'llamaparse',
        window: 'day',
        cap_nano_usd: 250,
        spent_nano_usd: 0,
        held_nano_usd: 200,
        asked_nano_usd: 60,
        left_nano_usd: 50,
        resets_at: Date.UTC(2026, 10, 28),
      },
    });
    const held = await store.db.selectFrom('budget_windows').select(['held', 'requests']).execute();
    expect(held).toEqual([
      { held: 200, requests: 1 },
      { held: 200, requests: 1 },
    ]);
    expect(await store.db.selectFrom('spend').select('attempt_id').execute()).toHaveLength(1);
    await take(store, 'c', 50);
    await take(store, 'd', 60, { service: 'openai' });
    await assertLedger(store);
  });

  it('changes nothing even where the refusal is caught inside the transaction', async () => {
    const store = await ledgerStore({ limit: 100 }, { limit: 1000, span: 'month' });
    await store.write(async (trx) => {
      await expect(hold(trx, request('a', 101))).rejects.toMatchObject({ code: 'E201' });
    });
    expect(await totals(store)).toEqual({});
    await assertLedger(store);
  });

  it('says when all of the budgets that refuse it have started anew', async () => {
    const store = await ledgerStore({ limit: 10, span: 'hour' }, { limit: 20 }, { limit: 100, span: 'month' });
    await expect(take(store, 'a', 30)).rejects.toMatchObject({
      facts: { window: 'hour', left_nano_usd: 10, resets_at: Date.UTC(2026, 10, 28) },
    });
  });

  it('of a run that is used up does not wait for a time', async () => {
    const store = await ledgerStore({ limit: 10, scope: 'run', scope_value: 'run-1', span: 'run', source: 'flag' });
    await take(store, 'a', 10);
    const refused = { facts: { window: 'run', resets_at: null }, fix: 'Give a higher --max-cost.', commands: [] };
    await expect(take(store, 'b', 1)).rejects.toMatchObject(refused);
    await take(store, 'c', 1, { runId: 'run-2' });
    await assertLedger(store);
  });

  it('may use the limit to the last nano-USD, and a limit of 0 stops everything', async () => {
    const store = await ledgerStore({ limit: 100 }, { limit: 0, scope: 'service', scope_value: 'openai' });
    await take(store, 'a', 100);
    await expect(take(store, 'b', 1, { now: NOON + DAY, service: 'openai' })).rejects.toMatchObject({ code: 'E201' });
    await assertLedger(store);
  });

  it('without any budget is recorded all the same', async () => {
    const store = await ledgerStore();
    await take(store, 'a', 100);
    expect(await store.db.selectFrom('spend').select(['kind', 'amount']).execute()).toEqual([
      { kind: 'hold', amount: 100 },
    ]);
    await assertLedger(store);
  });

  it('is not refused by a soft budget, which still counts it', async () => {
    const store = await ledgerStore({ limit: 10, hard: 0 });
    await take(store, 'a', 30);
    expect(await totals(store)).toEqual({ 'day:2026-11-27@UTC': [0, 30, 1] });
    await assertLedger(store);
  });

  it('is refused by a limit of requests, whatever it costs', async () => {
    const store = await ledgerStore({ limit: 2, span: 'hour', measure: 'requests' }, { limit: 1000 });
    await take(store, 'a', 1);
    await take(store, 'b', 1);
    await expect(take(store, 'c', 1)).rejects.toMatchObject({
      code: 'E201',
      facts: { measure: 'requests', max_requests: 2, requests: 2, cap_nano_usd: null, resets_at: NOON + 3_600_000 },
    });
    await take(store, 'd', 1, { now: NOON + 3_600_000 });
    await assertLedger(store);
  });

  it.each([
    [
      0,
      0,
      'This needs 1 paid request, more than the whole limit of 0 this hour',
      'the limit for everything is 0 requests, 0 were made',
    ],
    [1, 1, 'This needs 1 paid request; only 0 are left this hour', 'the limit for everything is 1 request, 1 was made'],
    [
      2,
      2,
      'This needs 1 paid request; only 0 are left this hour',
      'the limit for everything is 2 requests, 2 were made',
    ],
  ])('says in words that read well why a limit of %s requests refuses it', async (limit, made, message, why) => {
    const store = await ledgerStore({ limit, span: 'hour', measure: 'requests' });
    for (let index = 0; index < made; index += 1) await take(store, `made-${index}`, 1);
    await expect(take(store, 'refused', 1)).rejects.toMatchObject({ message, why });
  });

  it('that is more than the whole limit is told that waiting does not help', async () => {
    const store = await ledgerStore({ limit: 5_000_000_000, source: 'user' });
    await expect(take(store, 'a', 5_000_000_001)).rejects.toMatchObject({
      message: 'This could cost up to $5.0001, more than the whole limit of $5.0000 today',
      fix: 'Raise the limit with `tvdb costs budget set`, or ask for less at a time.',
    });
    await take(store, 'b', 4_000_000_000);
    await expect(take(store, 'c', 4_000_000_000)).rejects.toMatchObject({
      message: 'This could cost up to $4.0000; only $1.0000 is left today',
      fix: expect.stringContaining('Wait until'),
    });
  });

  it('is made once for an attempt', async () => {
    const store = await ledgerStore({ limit: 1000 });
    await take(store, 'a', 10);
    await expect(take(store, 'a', 10)).rejects.toThrow();
    expect(await totals(store)).toEqual({ 'day:2026-11-27@UTC': [0, 10, 1] });
    await assertLedger(store);
  });

  it('counts what was spent before its budget was made', async () => {
    const store = await ledgerStore();
    await take(store, 'a', 60);
    await store.write((trx) => settle(trx, { attemptId: 'a', actual: 50, now: NOON }));
    await take(store, 'b', 20);
    await addBudgets(store, [{ limit: 100 }, { limit: 100, scope: 'run', scope_value: 'run-1', span: 'run' }]);
    await expect(take(store, 'c', 31)).rejects.toMatchObject({
      facts: { spent_nano_usd: 50, held_nano_usd: 20, left_nano_usd: 30 },
    });
    await take(store, 'c', 30);
    expect(await totals(store)).toEqual({ 'day:2026-11-27@UTC': [50, 50, 3], 'run:run-1': [50, 50, 3] });
    await assertLedger(store);
  });
});

describe('T13 hostile numbers', () => {
  it.each([0, -0, -5, 0.5, Number.NaN, Number.POSITIVE_INFINITY, Number('1e309'), 2 ** 53, '12', null, undefined, 10n])(
    'a hold of %s is refused and no budget grows',
    async (amount) => {
      const store = await ledgerStore({ limit: 100 });
      await take(store, 'a', 10);
      await expect(take(store, 'b', amount as number)).rejects.toThrow(RangeError);
      await expect(take(store, 'b', 1, { unitPrice: amount as number })).rejects.toThrow(RangeError);
      expect(await totals(store)).toEqual({ 'day:2026-11-27@UTC': [0, 10, 1] });
      await assertLedger(store);
    },
  );

  it.each(['amount = -5', 'amount = 0', 'amount = 2', 'hold_amount = 2', "kind = 'gift'", "origin = 'mock'"])(
    'the table itself refuses a row with %s',
    async (change) => {
      const store = await ledgerStore({ limit: 100 });
      await take(store, 'a', 10);
      store.sqlite.exec('DROP TRIGGER spend_no_update');
      expect(() => store.sqlite.exec(`UPDATE spend SET ${change}`)).toThrow(/CHECK/);
      expect(() => store.sqlite.exec('UPDATE budget_windows SET held = -1')).toThrow(/CHECK/);
      expect(() => store.sqlite.exec('UPDATE budget_windows SET spent = -1')).toThrow(/CHECK/);
    },
  );

  it('rows are never changed and never deleted', async () => {
    const store = await ledgerStore();
    await take(store, 'a', 10);
    expect(() => store.sqlite.exec("UPDATE spend SET detail = 'x'")).toThrow('append-only');
    expect(() => store.sqlite.exec('DELETE FROM spend')).toThrow('append-only');
    expect(() => store.sqlite.exec('INSERT OR REPLACE INTO spend SELECT * FROM spend')).toThrow('append-only');
  });
});

describe('time', () => {
  it('T76 a hold of 23:59:59 counts in the old day, also where it ends in the new one', async () => {
    const store = await ledgerStore({ limit: 100 });
    const midnight = Date.UTC(2026, 10, 28);
    await take(store, 'a', 90, { now: midnight - 1 });
    await take(store, 'b', 90, { now: midnight });
    await store.write((trx) => settle(trx, { attemptId: 'a', actual: 40, now: midnight + 5_000 }));
    expect(await totals(store)).toEqual({ 'day:2026-11-27@UTC': [40, 0, 1], 'day:2026-11-28@UTC': [0, 90, 1] });
    await assertLedger(store);
  });

  it('T77 a clock that jumps forth and back resets nothing', async () => {
    const store = await ledgerStore({ limit: 100 });
    await take(store, 'a', 100);
    await take(store, 'b', 100, { now: NOON + DAY });
    for (const now of [NOON, NOON + 3_600_000, NOON - 3_600_000, NOON + DAY]) {
      await expect(take(store, 'c', 1, { now })).rejects.toMatchObject({ code: 'E201' });
    }
    await take(store, 'd', 100, { now: 0 });
    await take(store, 'e', 100, { now: Date.UTC(2038, 0, 20) });
    await expect(take(store, 'f', 1, { now: 0 })).rejects.toMatchObject({ code: 'E201' });
    await assertLedger(store);
  });

  it('T78 a zone that is changed in the middle of a day keeps the larger of the two usages', async () => {
    const store = await ledgerStore({ limit: 100 });
    const at = (hour: number) => Date.UTC(2026, 10, 27, hour);
    // 02:00 UTC is the 26th in New York, 12:00 UTC is the 27th in both.
    await take(store, 'a', 40, { now: at(2) });
    await take(store, 'b', 30, { now: at(12) });
    const changed = { timeZone: 'America/New_York' };
    // New York has seen 30 today, UTC 70.
    await expect(take(store, 'c', 31, { now: at(13), ...changed })).rejects.toMatchObject({
      facts: { period: 'day:2026-11-27@UTC', left_nano_usd: 30, resets_at: at(24) },
    });
    await take(store, 'c', 30, { now: at(13), ...changed });
    expect(await totals(store)).toEqual({
      'day:2026-11-27@UTC': [0, 100, 3],
      'day:2026-11-27@America/New_York': [0, 60, 2],
    });
    // After midnight UTC the day of New York goes on: 40 are left of it.
    await expect(take(store, 'd', 41, { now: at(25), ...changed })).rejects.toMatchObject({
      facts: { period: 'day:2026-11-27@America/New_York', left_nano_usd: 40 },
    });
    await take(store, 'd', 40, { now: at(25), ...changed });
    await assertLedger(store);
  });
});
