/** The loop of a run: what ends it, and what is recorded of it. */
import { describe, expect, it } from 'vitest';
import { TvdbError } from '../../src/base/errors.ts';
import { type DriveOptions, drive, withRun } from '../../src/pipeline/run.ts';
import { virtualClock } from '../setup/virtual-clock.ts';
import { memoryEmbedder, memoryParser, passing, pipeline } from './harness.ts';

function driving(harness: ReturnType<typeof pipeline>, changes: Partial<DriveOptions> = {}) {
  const { deps, events, signals } = harness;
  return drive(deps, {
    concurrency: 1,
    until: 'drain',
    waitForOthers: false,
    onEvent: (event) => void events.push(event),
    signals: { stopping: signals.stopping.signal, abort: signals.abort.signal },
    ...changes,
  });
}

/** A parser whose jobs never end. */
function endlessParser(clock: ReturnType<typeof virtualClock>, onPoll: () => void = () => {}) {
  return memoryParser({
    async poll(_remoteId, waitMs, signal) {
      onPoll();
      await clock.sleep(waitMs, signal);
      return { state: 'running' };
    },
  });
}

/** Moves time on until the promise is settled. */
async function until<T>(clock: ReturnType<typeof virtualClock>, promise: Promise<T>, step = 1_000): Promise<T> {
  let settled = false;
  const done = promise.finally(() => {
    settled = true;
  });
  done.catch(() => {});
  while (!settled) await clock.advance(step);
  return done;
}

describe('drive', () => {
  it('ends when the queue is drained', async () => {
    const harness = pipeline();
    await harness.upload('one');
    expect(await driving(harness)).toMatchObject({ endedBy: 'drained', claims: 1, left: { ready: 0, leased: 0 } });
  });

  it('takes no more jobs than its limit, however many hands it has', async () => {
    const harness = pipeline();
    for (const content of ['one', 'two', 'three']) await harness.upload(content);
    expect(await driving(harness, { limit: 2, concurrency: 5 })).toMatchObject({
      endedBy: 'limit',
      claims: 2,
      left: { ready: 1 },
    });
    expect((await harness.jobs()).map(({ status }) => status)).toEqual(['complete', 'complete', 'uploaded']);
  });

  it('stops at the first failure when told to, and leaves the rest ready', async () => {
    const harness = pipeline({
      embedder: memoryEmbedder({ embed: () => Promise.reject(new TvdbError('E418', { message: 'no' })) }),
    });
    await harness.upload('one');
    await harness.upload('two');
    expect(await driving(harness, { failFast: true })).toMatchObject({ endedBy: 'failure', left: { ready: 1 } });
    expect((await harness.jobs()).map(({ status }) => status)).toEqual(['failed_embedding', 'uploaded']);
  });

  it('lets work settle for ten seconds when time is up, then cuts it off and gives the job back', async () => {
    const clock = virtualClock();
    let polls = 0;
    const harness = pipeline({ clock, parser: endlessParser(clock, () => (polls += 1)) });
    await harness.upload('one');
    const begun = clock.monotonic();
    expect(await until(clock, driving(harness, { timeoutMs: 60_000 }))).toMatchObject({
      endedBy: 'timeout',
      left: { ready: 1, leased: 0 },
    });
    expect(clock.monotonic() - begun).toBeLessThanOrEqual(72_000);
    expect(clock.monotonic() - begun).toBeGreaterThanOrEqual(70_000);
    expect(polls).toBeGreaterThan(1);
    expect(await harness.jobs()).toMatchObject([{ status: 'parse_queued', lease_owner: null, park_reason: null }]);
  });

  it('forgets its limit of time when it ends before', async () => {
    const clock = virtualClock();
    const harness = pipeline({ clock });
    await harness.upload('one');
    expect(await until(clock, driving(harness, { timeoutMs: 600_000 }), 10)).toMatchObject({ endedBy: 'drained' });
    expect(clock.sleepers).toBe(0);
  });

  it('ends a worker that stays only after it had nothing to do for the whole time asked', async () => {
    const clock = virtualClock();
    const harness = pipeline({ clock, settings: { POLL_INTERVAL: 1_000 } });
    const running = driving(harness, { until: 'forever', idleMs: 30_000 });
    await clock.advance(25_000);
    await harness.upload('late');
    const begun = clock.monotonic();
    expect(await until(clock, running)).toMatchObject({ endedBy: 'idle', claims: 1 });
    expect(clock.monotonic() - begun).toBeGreaterThanOrEqual(30_000);
    expect(await harness.jobs()).toMatchObject([{ status: 'complete' }]);
  });

  it('says that it was stopped when the user stopped it', async () => {
    const harness = pipeline();
    await harness.upload('one');
    harness.signals.stopping.abort();
    expect(await driving(harness)).toMatchObject({ endedBy: 'stopped', claims: 0, left: { ready: 1 } });
  });

  it('waits for a job that is tried again soon, not for one that rests for longer', async () => {
    const clock = virtualClock();
    let failures = 1;
    const embedder = memoryEmbedder();
    const harness = pipeline({
      clock,
      settings: { RETRY_BASE: 20_000, RETRY_CAP: 20_000, DRAIN_WAIT: 60_000, MAX_RETRIES: 3 },
      embedder: memoryEmbedder({
        embed: (...args) => (failures-- > 0 ? Promise.reject(passing()) : embedder.embed(...args)),
      }),
    });
    await harness.upload('one');
    expect(await until(clock, driving(harness))).toMatchObject({ endedBy: 'drained' });
    expect(await harness.jobs()).toMatchObject([{ status: 'complete' }]);
  });
});

describe('withRun', () => {
  const run = { runId: 'run-1', command: 'upload', mode: 'mock' } as const;

  it('records when a run began and ended, and its exit code', async () => {
    const clock = virtualClock(1_000_000);
    const { deps, store } = pipeline({ clock });
    await withRun(deps, run, async () => {
      await clock.advance(5_000);
      return { exitCode: 7 };
    });
    expect(await store.db.selectFrom('runs').selectAll().execute()).toEqual([
      {
        run_id: 'run-1',
        command: 'upload',
        service_mode: 'mock',
        started_at: 1_000_000,
        ended_at: 1_005_000,
        exit_code: 7,
      },
    ]);
  });

  it('records the exit code of an error, and throws that error', async () => {
    const { deps, store } = pipeline();
    const failing = withRun(deps, run, () => Promise.reject(new TvdbError('E503', { message: 'full' })));
    await expect(failing).rejects.toMatchObject({ code: 'E503' });
    expect(await store.db.selectFrom('runs').selectAll().execute()).toMatchObject([{ exit_code: 6 }]);
  });
});
