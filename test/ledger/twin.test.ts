/** What a service made a second time of one request: held without being asked for, stopped on, and a request like any other. */
import { describe, expect, it } from 'vitest';
import { acknowledge } from '../../src/ledger/acknowledge.ts';
import { correct, holdOf, settle } from '../../src/ledger/end.ts';
import { holdTwin } from '../../src/ledger/twin.ts';
import { foldCheck } from '../../src/ledger/verify.ts';
import type { Store } from '../../src/store/open.ts';
import { openOverruns } from '../../src/store/overruns.ts';
import { assertLedger, bookTwin, ledgerStore, NOON, take, totals } from '../setup/ledger.ts';

const DAY = 'day:2026-11-27@UTC';

/** Books `id` as a twin of `of`, in a transaction of its own. */
const book = (store: Store, id: string, of: string, now = NOON) => store.write((trx) => bookTwin(trx, id, of, now));
const settleAt = (store: Store, attemptId: string, actual: number | null) =>
  store.write((trx) => settle(trx, { attemptId, actual, now: NOON }));
const seen = (store: Store, attemptId: string) =>
  store.write((trx) => acknowledge(trx, { attemptId, by: 'test', now: NOON }));
const open = async (store: Store) => (await openOverruns(store.db)).map((one) => [one.attempt_id, one.amount]);

describe('T05 a twin', () => {
  it('is held whole where no limit has room for it, and what it passes is told by verify', async () => {
    const store = await ledgerStore({ limit: 100 }, { limit: 1, span: 'hour', measure: 'requests' });
    await take(store, 'a', 60);
    await book(store, 'twin', 'a');
    expect(await totals(store)).toEqual({ [DAY]: [0, 120, 2], 'hour:2026-11-27T12:00Z@UTC': [0, 120, 2] });
    const { ok, over } = await foldCheck(store.db);
    expect([ok, over.map(({ measure, hard_limit: limit }) => [measure, limit])]).toEqual([
      true,
      [
        ['cost', 100],
        ['requests', 1],
      ],
    ]);
    await assertLedger(store, { over: true });
  });

  it('stops every hard budget of money that counts it, and no other', async () => {
    const store = await ledgerStore(
      { limit: 1_000 },
      { limit: 1_000, scope: 'cost_center', scope_value: 'claims' },
      { limit: 1_000, scope: 'run', scope_value: '', span: 'run' },
      { limit: 1_000, span: 'hour', hard: 0 },
      { limit: 1_000, scope: 'service', scope_value: 'openai' },
      { limit: 1_000, scope: 'cost_center', scope_value: 'other' },
      { limit: 9, span: 'hour', measure: 'requests' },
    );
    await take(store, 'a', 60, { costCenter: 'claims' });
    expect((await book(store, 'twin', 'a')).map(({ budget_id: id }) => id)).toEqual([1, 2, 3]);
    await expect(take(store, 'b', 1)).rejects.toMatchObject({ code: 'E204', facts: { attempt_id: 'twin' } });
    // What is under way ends as always.
    expect(await settleAt(store, 'a', 50)).toMatchObject({ state: 'settled' });
    expect(await seen(store, 'twin')).toMatchObject({ state: 'acknowledged', released: [{}, {}, {}] });
    await take(store, 'b', 1);
    await assertLedger(store);
  });

  it('is an overrun of all that it costs, from its hold to its true figure, until it is seen', async () => {
    const store = await ledgerStore({ limit: 1_000 });
    await take(store, 'a', 60);
    await book(store, 'twin', 'a');
    expect(await openOverruns(store.db)).toMatchObject([{ twin_of: 'a', hold_amount: 0, amount: 60, at: NOON }]);
    await settleAt(store, 'twin', null);
    expect(await open(store)).toEqual([['twin', 60]]);
    await store.write((trx) => correct(trx, { attemptId: 'twin', actual: 45, now: NOON }));
    expect(await open(store)).toEqual([['twin', 45]]);
    expect(await seen(store, 'twin')).toMatchObject({ state: 'acknowledged' });
    expect([await open(store), await seen(store, 'twin')]).toEqual([[], { state: 'already' }]);
  });

  it('counts in the periods in which it became known, with the next day paying for what was found then', async () => {
    const store = await ledgerStore({ limit: 1_000 });
    await take(store, 'a', 60);
    await book(store, 'twin', 'a', NOON + 86_400_000);
    expect(await totals(store)).toEqual({ [DAY]: [0, 60, 1], 'day:2026-11-28@UTC': [0, 60, 1] });
    await assertLedger(store);
  });

  it('and an ordinary overrun hand the budgets on to each other', async () => {
    const store = await ledgerStore({ limit: 1_000 });
    await take(store, 'a', 60);
    await take(store, 'b', 60);
    await book(store, 'twin', 'a');
    await settleAt(store, 'b', 70);
    expect(await open(store)).toEqual([
      ['twin', 60],
      ['b', 10],
    ]);
    expect(await seen(store, 'twin')).toEqual({ state: 'acknowledged', released: [] });
    await expect(take(store, 'c', 1)).rejects.toMatchObject({ facts: { attempt_id: 'b' } });
    expect(await seen(store, 'b')).toMatchObject({ released: [{}] });
    await take(store, 'c', 1);
    await assertLedger(store);
  });

  it('is nothing at all when its transaction does not end', async () => {
    const store = await ledgerStore({ limit: 1_000 });
    await take(store, 'a', 60);
    const dying = store.write(async (trx) => {
      await holdTwin(trx, { attemptId: 'twin', of: await holdOf(trx, 'a'), now: NOON, timeZone: 'UTC' });
      throw new Error('the power went out');
    });
    await expect(dying).rejects.toThrow('the power went out');
    expect(await totals(store)).toEqual({ [DAY]: [0, 60, 1] });
    await take(store, 'b', 1);
  });

  it('cannot be booked twice', async () => {
    const store = await ledgerStore({ limit: 1_000 });
    await take(store, 'a', 60);
    await book(store, 'twin', 'a');
    await expect(book(store, 'twin', 'a')).rejects.toThrow();
    expect(await totals(store)).toEqual({ [DAY]: [0, 120, 2] });
    await assertLedger(store);
  });
});
