/** How many documents the paid parser works on at a time, all workers together. */
import { describe, expect, it } from 'vitest';
import { cancelJob } from '../../src/pipeline/cancel.ts';
import { attemptsOf, codesOf, finish, paidLine, rateLimited, settle, until } from './paid-services.ts';

describe('LLAMAPARSE_PARALLEL', () => {
  it('is never exceeded by 8 workers on one store, and every job completes', async () => {
    let atWork = 0;
    let most = 0;
    const line = paidLine({
      settings: { LLAMAPARSE_PARALLEL: 3, POLL_FIRST: 1_000, POLL_CAP: 4_000 },
      paid: {
        latencyMs: 6_000,
        onSubmit: async (create) => {
          atWork += 1;
          most = Math.max(most, atWork);
          return create();
        },
        onFetch: () => {
          atWork -= 1;
        },
      },
    });
    for (let index = 0; index < 12; index += 1) await line.upload(`document ${index}`, { mode: 'real' });
    await settle(line.clock, Promise.all(Array.from({ length: 8 }, () => line.drain({ concurrency: 2 }))));
    expect((await line.jobs()).map(({ status }) => status)).toEqual(Array.from({ length: 12 }, () => 'complete'));
    expect(most).toBe(3);
    expect(line.remote.posts).toHaveLength(12);
    // A job that waits for a slot uses up no try.
    expect(codesOf(line)).not.toContain('RETRY_SCHEDULED');
  });

  it('lets the next job in as soon as a slot is free, before that job would look by itself', async () => {
    const line = paidLine({
      settings: { LLAMAPARSE_PARALLEL: 1, POLL_FIRST: 500, POLL_CAP: 500 },
      paid: { latencyMs: 1_200 },
    });
    await line.upload('one', { mode: 'real' });
    await line.upload('two', { mode: 'real' });
    await finish(line);
    const [first, second] = await attemptsOf(line, 'parse');
    // Its own next look would be 10 s later.
    expect((second?.started_at ?? 0) - (first?.started_at ?? 0)).toBeLessThan(6_000);
  });

  it('has a free slot again when a job is cancelled', async () => {
    const line = paidLine({ settings: { LLAMAPARSE_PARALLEL: 1 }, paid: { latencyMs: 1e9 } });
    const { job } = await line.upload('one', { mode: 'real' });
    const { job: second } = await line.upload('two', { mode: 'real' });
    const running = line.drain();
    await until(line.clock, () => codesOf(line).filter((code) => code === 'PARKED').length >= 2, 100);
    expect(line.remote.posts).toHaveLength(1);
    await cancelJob(line.deps, job.job_id, () => {}, new AbortController().signal);
    await until(line.clock, () => line.remote.posts.length === 2, 100);
    expect(line.clock.monotonic()).toBeLessThan(9_000);
    expect([...line.remote.jobs.values()][0]).toMatchObject({ cancelled: true });
    await cancelJob(line.deps, second.job_id, () => {}, new AbortController().signal);
    await settle(line.clock, running);
  });

  it('counts a request that was refused as over', async () => {
    const line = paidLine({
      settings: { LLAMAPARSE_PARALLEL: 1 },
      paid: { onSubmit: async (create, nth) => (nth === 1 ? Promise.reject(rateLimited(60_000)) : create()) },
    });
    await line.upload('one', { mode: 'real' });
    await line.upload('two', { mode: 'real' });
    const running = line.drain();
    await until(line.clock, () => line.remote.jobs.size === 1, 100);
    expect(line.clock.monotonic()).toBeLessThan(30_000);
    await settle(line.clock, running);
    expect((await line.jobs()).map(({ status }) => status)).toEqual(['complete', 'complete']);
  });
});
