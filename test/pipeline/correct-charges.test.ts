/** Charges that were not billed at first: corrected once, with the service's own figure. */
import { describe, expect, it } from 'vitest';
import { TvdbError } from '../../src/base/errors.ts';
import { markUnknown, settle } from '../../src/ledger/end.ts';
import { correctCharges } from '../../src/pipeline/correct-charges.ts';
import { reconcile } from '../../src/pipeline/reconcile.ts';
import type { PipelineDeps } from '../../src/pipeline/stage.ts';
import { createRouter } from '../../src/services/router.ts';
import { insertIntent, markSent, updateAttempt } from '../../src/store/attempts.ts';
import { addJob } from '../setup/jobs.ts';
import { addBudgets, assertLedger, take } from '../setup/ledger.ts';
import { countingIds } from '../setup/seeded.ts';
import { virtualClock } from '../setup/virtual-clock.ts';
import { memoryParser, pipeline } from './harness.ts';

/** 2026-11-27 12:00 UTC. */
const NOW = Date.UTC(2026, 10, 27, 12);
const CREDIT = 1_250_000;
const MINUTE = 60_000;

/** A store with parses that were held for 36 credits each, and a service that says what it is told to. */
async function place(usage: (remoteId: string) => number | null, found: (attemptId: string) => string[] = () => []) {
  const clock = virtualClock(NOW);
  const { deps, store } = pipeline({ clock });
  const asked: string[] = [];
  const real = memoryParser({
    origin: 'real',
    parserName: 'llamaparse',
    usage: async (remoteId) => {
      asked.push(remoteId);
      return usage(remoteId);
    },
    findByAttempt: async (attemptId) => found(attemptId),
  });
  const router = createRouter({
    keys: { llamaparse: 'llx', openai: undefined },
    parse: { real: async () => real },
    embed: {},
  });
  await addBudgets(store, [{ limit: 1_000 * CREDIT }]);
  const ids = countingIds();
  const parse = async (
    attemptId: string,
    remoteId: string | null,
    status: 'complete' | 'cancelled' | 'parse_queued' = 'complete',
  ) => {
    const job = await addJob(store, ids, { status });
    await store.write((trx) =>
      insertIntent(trx, {
        ...{ attemptId, jobId: job.job_id, service: 'parse', operation: 'parse', requestHash: 'h', units: 12 },
        ...{ origin: 'real', now: NOW },
      }),
    );
    await take(store, attemptId, 36 * CREDIT, { units: 12, unitPrice: 3 * CREDIT, now: NOW, jobId: job.job_id });
    await store.write(async (trx) => {
      await markSent(trx, attemptId, NOW);
      if (remoteId !== null) await updateAttempt(trx, attemptId, { remote_id: remoteId });
    });
  };
  const provisional = async (attemptId: string) => {
    await parse(attemptId, `remote-${attemptId}`);
    await store.write(async (trx) => {
      await settle(trx, { attemptId, now: NOW, actual: null });
      await updateAttempt(trx, attemptId, { outcome: 'ok' });
    });
  };
  const unknown = async (attemptId: string, ...how: [string | null, 'complete' | 'cancelled' | 'parse_queued']) => {
    await parse(attemptId, ...how);
    await store.write((trx) => markUnknown(trx, { attemptId, now: NOW }));
  };
  const rows = async (attemptId: string) =>
    (await store.db.selectFrom('spend').selectAll().where('attempt_id', '=', attemptId).orderBy('seq').execute()).map(
      ({ kind, amount }) => [kind, amount],
    );
  const hold = (attemptId: string) =>
    store.db.selectFrom('holds').selectAll().where('attempt_id', '=', attemptId).executeTakeFirstOrThrow();
  const own: PipelineDeps = { ...deps, router };
  const signal = new AbortController().signal;
  return { deps: own, store, clock, asked, provisional, unknown, rows, hold, signal };
}

describe('correctCharges', () => {
  it('T56: null for 20 polls, then 45 credits: settled at the hold, provisional, and corrected exactly once', async () => {
    let polls = 0;
    const { deps, store, provisional, rows, hold, signal } = await place(() => (++polls <= 20 ? null : 45));
    await provisional('a');
    for (let round = 0; round < 20; round += 1) {
      expect(await correctCharges(deps, { limit: 10, signal })).toMatchObject({ asked: 1, pending: 1, corrected: [] });
      expect(await hold('a')).toMatchObject({ provisional: 1, settled_amount: 36 * CREDIT });
    }
    expect(await correctCharges(deps, { limit: 10, signal })).toMatchObject({
      corrected: [{ attemptId: 'a', nanoUsd: 45 * CREDIT, difference: 9 * CREDIT }],
    });
    for (let round = 0; round < 3; round += 1)
      expect(await correctCharges(deps, { limit: 10, signal })).toMatchObject({ asked: 0, corrected: [] });
    expect(polls).toBe(21);
    expect(await rows('a')).toEqual([
      ['hold', 36 * CREDIT],
      ['settle', 36 * CREDIT],
      ['correction_up', 9 * CREDIT],
    ]);
    expect(await hold('a')).toMatchObject({ provisional: 0, settled_amount: 45 * CREDIT });
    await assertLedger(store, { over: true });
  });

  it('takes 0 credits for not billed yet, fewer credits for a correction down, the same for a confirmation', async () => {
    const { deps, store, provisional, rows, signal } = await place(
      (id) => ({ 'remote-a': 0, 'remote-b': 30, 'remote-c': 36 })[id] ?? null,
    );
    for (const id of ['a', 'b', 'c']) await provisional(id);
    expect(await correctCharges(deps, { limit: 10, signal })).toMatchObject({ asked: 3, pending: 1 });
    expect((await rows('a')).at(-1)).toEqual(['settle', 36 * CREDIT]);
    expect((await rows('b')).at(-1)).toEqual(['correction_down', 6 * CREDIT]);
    expect((await rows('c')).at(-1)).toEqual(['confirm', null]);
    await assertLedger(store);
  });

  it('two processes at once post one correction', async () => {
    const { deps, provisional, rows, signal } = await place(() => 40);
    await provisional('a');
    await Promise.all([1, 2, 3].map(() => correctCharges(deps, { limit: 10, signal })));
    expect((await rows('a')).filter(([kind]) => String(kind).startsWith('correction'))).toHaveLength(1);
  });

  it('leaves everything as it is when the service cannot be asked', async () => {
    const { deps, provisional, hold, signal } = await place(() => {
      throw new TvdbError('E303', { message: 'no connection' });
    });
    await provisional('a');
    expect(await correctCharges(deps, { limit: 10, signal })).toMatchObject({ corrected: [], error: 'no connection' });
    expect(await hold('a')).toMatchObject({ provisional: 1 });
  });

  it('asks nobody when nothing is provisional or only what is too old', async () => {
    const { deps, asked, provisional, signal } = await place(() => 40);
    expect(await correctCharges(deps, { limit: 10, signal })).toMatchObject({ asked: 0 });
    await provisional('a');
    await correctCharges(deps, { limit: 10, since: NOW + 1, signal });
    expect(asked).toEqual([]);
  });
});

describe('reconcile', () => {
  it('settles a parse that failed at the service with what was billed, and leaves one without a figure unknown', async () => {
    const { deps, store, unknown, hold, rows, signal } = await place((id) => (id === 'r-a' ? 12 : null));
    await unknown('a', 'r-a', 'cancelled');
    await unknown('b', 'r-b', 'cancelled');
    const found = await reconcile(deps, { since: 0, signal });
    expect(found.resolved).toEqual([{ attemptId: 'a', as: 'settled', nanoUsd: 12 * CREDIT }]);
    expect(await rows('a')).toEqual([
      ['hold', 36 * CREDIT],
      ['unknown', 36 * CREDIT],
      ['settle', 12 * CREDIT],
    ]);
    expect(await hold('b')).toMatchObject({ state: 'unknown' });
    expect(found.comparison.differences).toEqual([]);
    expect(found.comparison.unsettled.map(({ charge }) => charge.attemptId)).toEqual(['b']);
    await assertLedger(store);
  });

  it('gives back what was looked for past its window and is not there, not a moment earlier', async () => {
    const { deps, store, clock, unknown, hold, signal } = await place(() => null);
    await unknown('a', null, 'parse_queued');
    const limit = deps.settings.UNKNOWN_OUTCOME_WINDOW * 1.25;
    await clock.advance(limit - 1);
    expect((await reconcile(deps, { since: 0, signal })).resolved).toEqual([]);
    expect(await hold('a')).toMatchObject({ state: 'unknown' });
    await clock.advance(1);
    expect((await reconcile(deps, { since: 0, signal })).resolved).toMatchObject([{ attemptId: 'a', as: 'released' }]);
    expect(await hold('a')).toMatchObject({ state: 'released' });
    await assertLedger(store);
  });

  it('adopts a remote job that was found', async () => {
    const { deps, clock, store, unknown, signal } = await place(
      () => null,
      (id) => [`found-${id}`],
    );
    await unknown('a', null, 'parse_queued');
    await clock.advance(MINUTE);
    expect((await reconcile(deps, { since: 0, signal })).resolved).toMatchObject([{ attemptId: 'a', as: 'adopted' }]);
    const attempt = await store.db.selectFrom('attempts').selectAll().executeTakeFirstOrThrow();
    expect(attempt.remote_id).toBe('found-a');
  });

  it('finds one planted difference', async () => {
    let planted = 36;
    const { deps, provisional, hold, signal } = await place((id) => (id === 'remote-b' ? planted : 30));
    for (const id of ['a', 'b', 'c']) await provisional(id);
    await correctCharges(deps, { limit: 10, signal });
    expect((await reconcile(deps, { since: 0, signal })).comparison).toMatchObject({ differences: [], equal: 3 });
    planted = 37;
    expect((await reconcile(deps, { since: 0, signal })).comparison).toMatchObject({
      differences: [{ attemptId: 'b', kind: 'amount', oursNanoUsd: 36 * CREDIT, theirsNanoUsd: 37 * CREDIT }],
      equal: 2,
    });
    // What is settled for good is shown, never changed.
    expect(await hold('b')).toMatchObject({ settled_amount: 36 * CREDIT });
  });

  it('settles an unknown request with what an export says, and takes no sum that makes no whole number of credits', async () => {
    const { deps, unknown, hold, asked, signal } = await place(() => null);
    await unknown('a', 'r-a', 'cancelled');
    await unknown('b', 'r-b', 'cancelled');
    const theirs = [
      { service: 'llamaparse' as const, ids: ['r-a'], nanoUsd: 6 * CREDIT },
      { service: 'llamaparse' as const, ids: ['r-b'], nanoUsd: CREDIT + 1 },
    ];
    const found = await reconcile(deps, { since: 0, theirs, signal });
    expect(found.resolved).toEqual([{ attemptId: 'a', as: 'settled', nanoUsd: 6 * CREDIT }]);
    expect(await hold('b')).toMatchObject({ state: 'unknown' });
    expect(asked).toEqual([]);
  });
});
