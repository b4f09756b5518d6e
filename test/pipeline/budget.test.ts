/** Budgets while jobs run: a limit that is reached in the middle, one that is lowered, a stand-in, and the next window. */
import { describe, expect, it } from 'vitest';
import { setBudget } from '../../src/ledger/budget-settings.ts';
import { foldCheck } from '../../src/ledger/verify.ts';
import { virtualClock } from '../setup/virtual-clock.ts';
import { attemptsOf, codesOf, finish, type PaidLine, paidLine, settle } from './paid-services.ts';

/** Three pages at $0.00375. */
const PARSE = 3 * 3_750_000;
const MIDNIGHT = Date.UTC(2026, 10, 24);
const agreed = { consentNanoUsd: 1_000_000_000, estimate: { likely: 0, max: 0, priceVersion: null } };

async function limit({ store, clock }: PaidLine, nanoUsd: number, span: 'day' | 'hour' = 'day') {
  const key = { scope: 'all', scope_value: '', span, measure: 'cost' } as const;
  await store.write((trx) => setBudget(trx, { ...key, limit: nanoUsd, hard: true }, [], clock.now()));
}

async function twenty(line: PaidLine, mode: 'real' | 'hybrid' = 'real') {
  for (let nth = 1; nth <= 20; nth += 1) await line.upload(`document ${nth}`, { mode, money: agreed });
}

/** What a command would wait for: nothing that rests for longer than a minute. */
const SHORT = { DRAIN_WAIT: 60_000 };

describe('a daily limit reached in the middle of 20 documents', () => {
  it('the rest parks with the reset time, nothing is lost, and the next run after midnight completes it', async () => {
    const line = paidLine({ settings: SHORT });
    await limit(line, 10 * PARSE + 1_000_000);
    await twenty(line);
    await finish(line, { runId: 'first' });
    const parked = (await line.jobs()).filter(({ park_reason: reason }) => reason === 'budget');
    expect(parked.length).toBeGreaterThanOrEqual(10);
    expect(parked.length).toBeLessThan(20);
    for (const job of parked) {
      expect([job.run_after, job.park_note]).toEqual([MIDNIGHT, expect.stringContaining('left today')]);
    }
    const sent = line.remote.posts.length;
    await finish(line, { runId: 'too early' });
    expect(line.remote.posts.length).toBe(sent);
    await line.clock.advance(MIDNIGHT - line.clock.now());
    await finish(line, { runId: 'second' });
    expect((await line.jobs()).map(({ status }) => status)).toEqual(Array.from({ length: 20 }, () => 'complete'));
    expect(line.remote.jobs.size).toBe(20);
    expect(codesOf(line)).not.toContain('RETRY_SCHEDULED');
  });

  it('a worker that stays takes it up by itself when the window turns', async () => {
    const line = paidLine({ clock: virtualClock(MIDNIGHT - 600_000) });
    await limit(line, 10 * PARSE + 1_000_000);
    await twenty(line);
    const worker = line.drain({ runId: 'one', until: 'forever' });
    for (let turn = 0; turn < 50; turn += 1) await line.clock.advance(10_000);
    expect((await line.jobs()).some(({ park_reason: reason }) => reason === 'budget')).toBe(true);
    for (let turn = 0; turn < 40; turn += 1) await line.clock.advance(10_000);
    expect((await line.jobs()).map(({ status }) => status)).toEqual(Array.from({ length: 20 }, () => 'complete'));
    line.signals.stopping.abort();
    await settle(line.clock, worker);
  });

  it('a limit that is raised meanwhile is no reason to send what still does not fit', async () => {
    const line = paidLine({ settings: SHORT });
    await limit(line, PARSE + 1_000_000);
    await line.upload('one', { mode: 'real', money: agreed });
    await line.upload('two', { mode: 'real', money: agreed });
    await finish(line, { runId: 'first' });
    await limit(line, PARSE + 2_000_000);
    await line.store.db
      .updateTable('upload_jobs')
      .set({ run_after: line.clock.now() })
      .where('park_reason', '=', 'budget')
      .execute();
    await finish(line, { runId: 'second' });
    expect(line.remote.jobs.size).toBe(1);
  });
});

describe('a limit lowered below what is spent', () => {
  it('stops what is new, keeps what is under way, and is not passed by anything later', async () => {
    const line = paidLine({ settings: SHORT });
    await limit(line, 100 * PARSE);
    await line.upload('one', { mode: 'real', money: agreed });
    await finish(line, { runId: 'first' });
    await limit(line, PARSE / 3);
    await line.upload('two', { mode: 'real', money: agreed });
    await finish(line, { runId: 'second' });
    const [one, two] = await line.jobs();
    expect([one?.status, two?.park_reason, two?.run_after]).toEqual(['complete', 'budget', MIDNIGHT]);
    expect(line.remote.jobs.size).toBe(1);
    const { ok } = await foldCheck(line.store.db);
    expect(ok).toBe(true);
    await limit(line, 100 * PARSE);
    await line.clock.advance(MIDNIGHT - line.clock.now());
    await finish(line, { runId: 'third' });
    expect((await line.jobs())[1]?.status).toBe('complete');
  });
});

describe('HYBRID_ON_BUDGET', () => {
  it('mock: what does not fit falls back, and every such job says so; defer: it waits', async () => {
    const line = paidLine({ settings: { ...SHORT, HYBRID_ON_BUDGET: 'mock' } });
    await limit(line, 10 * PARSE + 1_000_000);
    await twenty(line, 'hybrid');
    await finish(line, { runId: 'first' });
    const jobs = await line.jobs();
    expect(jobs.map(({ status }) => status)).toEqual(Array.from({ length: 20 }, () => 'complete'));
    const fallen = jobs.filter(({ fallback_triggered: fell }) => fell === 1);
    expect(fallen.length).toBeGreaterThanOrEqual(10);
    const reasons = line.events.flatMap(({ code, data }) => (code === 'FALLBACK' ? [JSON.parse(data).reason] : []));
    expect(new Set(reasons)).toContain('budget');
    // Whoever fell back was not paid for after that.
    const paid = (await attemptsOf(line, 'parse')).filter(({ origin }) => origin === 'real');
    expect(new Set(paid.map(({ job_id: id }) => id)).size).toBe(line.remote.jobs.size);
    const waiting = paidLine({ settings: SHORT });
    await limit(waiting, PARSE / 3);
    await waiting.upload('one', { mode: 'hybrid', money: agreed });
    await finish(waiting, { runId: 'first' });
    expect((await waiting.jobs()).map(({ park_reason: reason, fallback_triggered: fell }) => [reason, fell])).toEqual([
      ['budget', 0],
    ]);
  });

  it('never falls back for want of consent', async () => {
    const line = paidLine({ settings: { ...SHORT, HYBRID_ON_BUDGET: 'mock' } });
    await line.upload('one', { mode: 'hybrid', money: { ...agreed, consentNanoUsd: 1_000_000 } });
    await finish(line, { runId: 'first' });
    const [job] = await line.jobs();
    expect([job?.park_reason, job?.run_after, job?.fallback_triggered]).toEqual(['held_by_user', null, 0]);
    expect(line.remote.posts).toEqual([]);
  });
});
