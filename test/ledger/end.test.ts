/** Endings of holds: one each, in the period of the hold, recorded whole. */
import { describe, expect, it } from 'vitest';
import { acknowledge } from '../../src/ledger/acknowledge.ts';
import { correct, markUnknown, release, settle } from '../../src/ledger/end.ts';
import { openHolds, provisionalHolds } from '../../src/store/holds.ts';
import { openStore, type Store } from '../../src/store/open.ts';
import { openOverruns } from '../../src/store/overruns.ts';
import { assertLedger, ledgerStore, NOON, take, totals } from '../setup/ledger.ts';

const DAY = 'day:2026-11-27@UTC';
const now = NOON + 1000;
const kinds = async (store: Store) =>
  (await store.db.selectFrom('spend').select(['kind', 'amount']).orderBy('seq').execute()).map(
    ({ kind, amount }) => [kind, amount] as const,
  );
const settleAt = (store: Store, attemptId: string, actual: number | null) =>
  store.write((trx) => settle(trx, { attemptId, actual, now }));
const giveBack = (store: Store, attemptId: string, because: Parameters<typeof release>[1]['because'] = 'not_charged') =>
  store.write((trx) => release(trx, { attemptId, because, now }));
const unknown = (store: Store, attemptId: string) => store.write((trx) => markUnknown(trx, { attemptId, now }));
const correctTo = (store: Store, attemptId: string, actual: number | null) =>
  store.write((trx) => correct(trx, { attemptId, actual, now }));
const seen = (store: Store, attemptId: string) => store.write((trx) => acknowledge(trx, { attemptId, by: 'me', now }));

describe('settle', () => {
  it('charges what it was and gives the rest back', async () => {
    const store = await ledgerStore({ limit: 100 });
    await take(store, 'a', 60);
    expect(await settleAt(store, 'a', 25)).toEqual({
      state: 'settled',
      nanoUsd: 25,
      provisional: false,
      overrun: 0,
      stopped: [],
    });
    expect(await totals(store)).toEqual({ [DAY]: [25, 0, 1] });
    await take(store, 'b', 75);
    await assertLedger(store);
  });

  it.each([null, 0, -0])('T56 takes %s as not billed yet: the hold is charged, provisionally', async (actual) => {
    const store = await ledgerStore({ limit: 100 });
    await take(store, 'a', 60);
    expect(await settleAt(store, 'a', actual)).toMatchObject({ nanoUsd: 60, provisional: true });
    expect(await totals(store)).toEqual({ [DAY]: [60, 0, 1] });
    expect(await provisionalHolds(store.db, 10)).toMatchObject([{ attempt_id: 'a', settled_amount: 60 }]);
    await assertLedger(store);
  });

  it.each([-5, 0.5, Number.NaN, Number.POSITIVE_INFINITY, Number('1e309'), 2 ** 53, '12', {}, 5n])(
    'T13 refuses %s, and the hold stays',
    async (actual) => {
      const store = await ledgerStore({ limit: 100 });
      await take(store, 'a', 60);
      await expect(settleAt(store, 'a', actual as number)).rejects.toThrow(RangeError);
      await expect(correctTo(store, 'a', actual as number)).rejects.toThrow(RangeError);
      expect(await totals(store)).toEqual({ [DAY]: [0, 60, 1] });
      await assertLedger(store);
    },
  );

  it('T13 records 50 times the hold whole and stops every hard budget that counts it', async () => {
    const store = await ledgerStore(
      { limit: 100 },
      { limit: 1_000_000, span: 'month' },
      { limit: 5, span: 'hour', hard: 0 },
      { limit: 100, scope: 'service', scope_value: 'openai' },
      { limit: 9, span: 'hour', measure: 'requests' },
    );
    await take(store, 'a', 60);
    await take(store, 'b', 10);
    const settled = await settleAt(store, 'a', 3000);
    expect(settled).toMatchObject({ nanoUsd: 3000, overrun: 2940 });
    expect(settled.state === 'settled' && settled.stopped.map(({ budget_id: id }) => id)).toEqual([1, 2]);
    expect(await kinds(store)).toEqual([
      ['hold', 60],
      ['hold', 10],
      ['settle', 60],
      ['overrun', 2940],
    ]);
    expect((await totals(store))[DAY]).toEqual([3000, 10, 2]);
    // What is in flight ends; nothing new begins, also not on the next day, also not in a budget with room.
    await settleAt(store, 'b', 9);
    const tomorrow = { now: NOON + 86_400_000 };
    for (const when of [{}, tomorrow]) {
      await expect(take(store, 'c', 1, when)).rejects.toMatchObject({
        code: 'E204',
        exit: 5,
        facts: { attempt_id: 'a', resets_at: null },
      });
    }
    expect(await openOverruns(store.db)).toMatchObject([{ attempt_id: 'a', hold_amount: 60, amount: 2940 }]);
    expect(await seen(store, 'a')).toMatchObject({ state: 'acknowledged', released: [{}, {}] });
    expect(await openOverruns(store.db)).toEqual([]);
    await take(store, 'c', 100, tomorrow);
    await expect(take(store, 'd', 1)).rejects.toMatchObject({ code: 'E201', facts: { left_nano_usd: 0 } });
    await assertLedger(store, { over: true });
  });

  it('without a hold stops (E205): nothing may be charged that was not held', async () => {
    const store = await ledgerStore({ limit: 100 });
    await expect(settleAt(store, 'a', 1)).rejects.toMatchObject({ code: 'E205' });
    await expect(giveBack(store, 'a')).rejects.toMatchObject({ code: 'E205' });
  });

  it('stops (E205) and rolls back where a total is not what it must be', async () => {
    const store = await ledgerStore({ limit: 100 });
    await take(store, 'a', 60);
    store.sqlite.exec('UPDATE budget_windows SET held = 59');
    // A total below what is to be given back cannot go below zero.
    await expect(settleAt(store, 'a', 60)).rejects.toMatchObject({ code: 'E205', exit: 70 });
    expect(await kinds(store)).toEqual([['hold', 60]]);
  });
});

describe('acknowledge', () => {
  it('does not let go what another overrun still stops', async () => {
    const store = await ledgerStore({ limit: 100 }, { limit: 100, scope: 'service', scope_value: 'openai' });
    await take(store, 'a', 10);
    await take(store, 'b', 10, { service: 'openai' });
    await settleAt(store, 'a', 11);
    await settleAt(store, 'b', 12);
    expect(await seen(store, 'a')).toEqual({ state: 'acknowledged', released: [] });
    await expect(take(store, 'c', 1)).rejects.toMatchObject({ code: 'E204', facts: { attempt_id: 'b' } });
    expect(await seen(store, 'b')).toMatchObject({ state: 'acknowledged', released: [{}, {}] });
    await take(store, 'c', 1);
    expect(await seen(store, 'b')).toEqual({ state: 'already' });
    expect(await seen(store, 'none')).toEqual({ state: 'already' });
    await assertLedger(store);
  });
});

describe('release', () => {
  it('gives the whole hold back; the request still counts as one', async () => {
    const store = await ledgerStore({ limit: 100 });
    await take(store, 'a', 60);
    expect(await giveBack(store, 'a', 'not_sent')).toEqual({ state: 'released', nanoUsd: 60 });
    expect(await totals(store)).toEqual({ [DAY]: [0, 0, 1] });
    await assertLedger(store);
  });
});

describe('an unknown outcome', () => {
  it('M6 keeps the money, does not count as unsent, and ends once it is known', async () => {
    const store = await ledgerStore({ limit: 100 });
    await take(store, 'a', 60);
    await take(store, 'b', 30);
    expect(await unknown(store, 'a')).toEqual({ state: 'unknown', nanoUsd: 60 });
    expect(await unknown(store, 'b')).toEqual({ state: 'unknown', nanoUsd: 30 });
    expect(await totals(store)).toEqual({ [DAY]: [0, 90, 2] });
    await expect(take(store, 'c', 11)).rejects.toMatchObject({ code: 'E201' });
    expect(await giveBack(store, 'a', 'not_sent')).toEqual({ state: 'already', as: 'unknown' });
    expect(await unknown(store, 'a')).toEqual({ state: 'already', as: 'unknown' });
    expect((await openHolds(store.db)).map((one) => [one.attempt_id, one.state, one.sent])).toEqual([
      ['a', 'unknown', null],
      ['b', 'unknown', null],
    ]);
    expect(await settleAt(store, 'a', 20)).toMatchObject({ state: 'settled', nanoUsd: 20 });
    expect(await giveBack(store, 'b', 'absent')).toMatchObject({ state: 'released' });
    expect(await totals(store)).toEqual({ [DAY]: [20, 0, 2] });
    await assertLedger(store);
  });
});

describe('T14 a second ending', () => {
  it('is reported and changes nothing, whatever came first', async () => {
    const endings = {
      settle: (store: Store) => settleAt(store, 'a', 40),
      release: (store: Store) => giveBack(store, 'a'),
    };
    const later = { ...endings, unknown: (store: Store) => unknown(store, 'a') };
    for (const [first, end] of Object.entries(endings)) {
      for (const again of Object.values(later)) {
        const store = await ledgerStore({ limit: 100 });
        await take(store, 'a', 60);
        await end(store);
        const before = await totals(store);
        expect(await again(store)).toEqual({ state: 'already', as: first === 'settle' ? 'settled' : 'released' });
        expect(await totals(store)).toEqual(before);
        expect(await kinds(store)).toHaveLength(2);
        await assertLedger(store);
      }
    }
  });

  it('from a second connection at the same time is one ending and one report', async () => {
    const store = await ledgerStore({ limit: 100 });
    const other = openStore({ home: store.sqlite.name.replace(/\/[^/]+$/, ''), busyTimeoutMs: 1 });
    await take(store, 'a', 60);
    const both = await Promise.all([settleAt(store, 'a', 40), settleAt(other, 'a', 50)]);
    await other.close();
    expect(both.map(({ state }) => state).sort()).toEqual(['already', 'settled']);
    const won = both.find(({ state }) => state === 'settled');
    expect(await totals(store)).toEqual({ [DAY]: [won?.state === 'settled' ? won.nanoUsd : 0, 0, 1] });
    await assertLedger(store);
  });

  it('is refused by the table itself', async () => {
    const store = await ledgerStore();
    await take(store, 'a', 60);
    await settleAt(store, 'a', null);
    const again = (kind: string) => () =>
      store.sqlite.exec(
        `INSERT INTO spend SELECT (SELECT MAX(seq) FROM spend) + 1, at, '${kind}', attempt_id, job_id, run_id, service, cost_center, origin, held_at,
         hold_amount, amount, units, unit_price, price_version, detail, prev_hash, hash FROM spend WHERE kind = 'settle'`,
      );
    for (const kind of ['settle', 'release', 'hold']) expect(again(kind)).toThrow(/UNIQUE/);
    again('correction_up')();
    for (const kind of ['correction_up', 'correction_down']) expect(again(kind)).toThrow(/UNIQUE/);
    expect(() => store.sqlite.exec('INSERT OR REPLACE INTO spend SELECT * FROM spend WHERE seq = 1')).toThrow(
      /append-only/,
    );
  });
});

describe('a correction', () => {
  it.each<[number, number, string, number | null]>([
    [45, -15, 'correction_down', 15],
    [60, 0, 'confirm', null],
    [70, 10, 'correction_up', 10],
  ])('T56 to %s is posted exactly once', async (actual, difference, kind, amount) => {
    const store = await ledgerStore({ limit: 100 });
    await take(store, 'a', 60);
    await settleAt(store, 'a', null);
    for (let poll = 0; poll < 20; poll++)
      expect(await correctTo(store, 'a', poll % 2 ? 0 : null)).toEqual({ state: 'pending' });
    expect(await correctTo(store, 'a', actual)).toMatchObject({ state: 'corrected', nanoUsd: actual, difference });
    expect(await correctTo(store, 'a', 99)).toEqual({ state: 'already', as: 'settled' });
    expect(await kinds(store)).toEqual([
      ['hold', 60],
      ['settle', 60],
      [kind, amount],
    ]);
    expect(await totals(store)).toEqual({ [DAY]: [actual, 0, 1] });
    const next = take(store, 'b', 1);
    if (difference > 0) await expect(next).rejects.toMatchObject({ code: 'E204' });
    else await next;
    await assertLedger(store);
  });

  it('is not made of a hold that is not provisional', async () => {
    const store = await ledgerStore({ limit: 100 });
    for (const [index, id] of ['open', 'settled', 'released', 'unknown'].entries()) await take(store, id, index + 1);
    await settleAt(store, 'settled', 1);
    await giveBack(store, 'released');
    await unknown(store, 'unknown');
    for (const as of ['open', 'settled', 'released', 'unknown'])
      expect(await correctTo(store, as, 1)).toEqual({ state: 'already', as });
    await assertLedger(store);
  });

  it('in the next month posts to the period of the hold', async () => {
    const store = await ledgerStore({ limit: 100 }, { limit: 100, span: 'month' });
    await take(store, 'a', 60);
    await settleAt(store, 'a', null);
    await take(store, 'b', 10, { now: Date.UTC(2026, 11, 5) });
    await store.write((trx) => correct(trx, { attemptId: 'a', actual: 40, now: Date.UTC(2026, 11, 6) }));
    expect(await totals(store)).toEqual({
      [DAY]: [40, 0, 1],
      'month:2026-11@UTC': [40, 0, 1],
      'day:2026-12-05@UTC': [0, 10, 1],
      'month:2026-12@UTC': [0, 10, 1],
    });
    await assertLedger(store);
  });
});
