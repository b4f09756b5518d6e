/** Embedding requests that may have been paid for nothing: one more after a wait, then somebody decides. */
import { describe, expect, it } from 'vitest';
import { retryJob } from '../../src/pipeline/retry.ts';
import { attemptsOf, codesOf, crash, expectSound, finish, paidLine, settle, unknown, until } from './paid-services.ts';

const WAIT = 20_000;

describe('an embedding request whose outcome nobody knows', () => {
  it('is sent once more, after EMBED_UNKNOWN_WAIT and not before', async () => {
    const at: number[] = [];
    const line = paidLine({
      paidEmbed: {
        onEmbed: async (_texts, nth) => {
          at.push(line.clock.monotonic());
          if (nth === 1) throw unknown();
          return undefined;
        },
      },
    });
    await line.upload('one', { mode: 'real' });
    await finish(line);
    expect(at).toHaveLength(2);
    expect((at[1] ?? 0) - (at[0] ?? 0)).toBeGreaterThanOrEqual(WAIT);
    expect(await attemptsOf(line, 'embed')).toMatchObject([{ outcome: 'unknown' }, { outcome: 'ok' }]);
    expect(await line.jobs()).toMatchObject([{ status: 'complete' }]);
    await expectSound(line);
  });

  it('and again: the job rests until `tvdb retry`, which sends one more', async () => {
    let failing = true;
    const line = paidLine({ paidEmbed: { onEmbed: async () => (failing ? Promise.reject(unknown()) : undefined) } });
    const { job } = await line.upload('one', { mode: 'real' });
    await finish(line);
    expect(line.embedding.requests).toHaveLength(2);
    expect(await line.jobs()).toMatchObject([{ park_reason: 'unknown_outcome', run_after: null }]);
    line.clock.jump(86_400_000);
    await finish(line);
    expect(line.embedding.requests).toHaveLength(2);
    failing = false;
    await line.clock.advance(10);
    expect(await retryJob(line.deps, job.job_id, 'run', () => {})).toMatchObject({ outcome: { state: 'woken' } });
    await finish(line);
    expect(line.embedding.requests).toHaveLength(3);
    expect(await line.jobs()).toMatchObject([{ status: 'complete' }]);
  });

  it('and again in hybrid: the document falls back as a whole', async () => {
    const line = paidLine({ paidEmbed: { onEmbed: async () => Promise.reject(unknown()) } });
    await line.upload('one', { mode: 'hybrid' });
    await finish(line);
    expect(line.embedding.requests).toHaveLength(2);
    expect(await line.jobs()).toMatchObject([
      { status: 'complete', parse_origin: 'real', embed_origin: 'mock', fallback_triggered: 1 },
    ]);
    await expectSound(line);
  });

  it('because its process died: found as sent by the next, which waits before it sends another', async () => {
    const line = paidLine({
      paidEmbed: { onEmbed: (_texts, nth) => (nth === 1 ? new Promise(() => {}) : Promise.resolve(undefined)) },
    });
    await line.upload('one', { mode: 'real' });
    void line.drain().catch(() => {});
    await until(line.clock, () => line.embedding.requests.length === 1, 500);
    const sentAt = line.clock.now();
    const next = crash(line);
    await finish(next);
    expect(codesOf(next)).toContain('EMBED_UNKNOWN');
    const attempts = await attemptsOf(next, 'embed');
    expect(attempts).toMatchObject([{ outcome: 'unknown' }, { outcome: 'ok' }]);
    expect((attempts[1]?.sent ?? 0) - sentAt).toBeGreaterThanOrEqual(WAIT - 1_000);
    expect(await next.jobs()).toMatchObject([{ status: 'complete' }]);
  });

  it('because the user gave up: the attempt stays sent and counts as one that may be paid', async () => {
    const line = paidLine({
      paidEmbed: {
        onEmbed: (_texts, nth, _attempt, signal) =>
          nth > 1
            ? Promise.resolve(undefined)
            : new Promise((_, reject) => signal.addEventListener('abort', () => reject(unknown()))),
      },
    });
    await line.upload('one', { mode: 'real' });
    const running = line.drain();
    await until(line.clock, () => line.embedding.requests.length === 1, 500);
    line.signals.abort.abort(new Error('second Ctrl-C'));
    await settle(line.clock, running);
    expect(await attemptsOf(line, 'embed')).toMatchObject([{ outcome: 'sent' }]);
    const next = crash(line);
    await finish(next);
    expect(line.embedding.requests).toHaveLength(2);
    expect(await next.jobs()).toMatchObject([{ status: 'complete' }]);
  });

  it('of several documents is counted for each of them', async () => {
    const line = paidLine({
      paidEmbed: { onEmbed: async () => Promise.reject(unknown()) },
      settings: { EMBED_LINGER: 60_000 },
    });
    for (const content of ['one', 'two', 'three']) await line.upload(content, { mode: 'real' });
    await finish(line);
    expect(await line.jobs()).toMatchObject(
      Array.from({ length: 3 }, () => ({ park_reason: 'unknown_outcome', run_after: null })),
    );
    // Two each at the most, and fewer because they share.
    expect(line.embedding.requests.length).toBeLessThanOrEqual(6);
    for (const { job_id: id } of await line.jobs()) {
      const shares = await line.store.db.selectFrom('attempt_shares').selectAll().where('job_id', '=', id).execute();
      const own = (await attemptsOf(line, 'embed')).filter(({ job_id: jobId }) => jobId === id);
      expect(shares.length + own.length).toBe(2);
    }
  });
});
