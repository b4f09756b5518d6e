import { describe, expect, it } from 'vitest';
import { TvdbError } from '../../src/base/errors.ts';
import type { Store } from '../../src/store/open.ts';
import { virtualClock } from '../setup/virtual-clock.ts';
import { memoryParser, pipeline } from './harness.ts';

const INTERVAL = 10_000;
const LEASE = 3 * INTERVAL;

/** A store whose next writes can be made to fail, or to wait for a lock that never comes. */
function unreliable(store: Store) {
  const faults: ('full' | 'stuck')[] = [];
  const write: Store['write'] = (run) => {
    const fault = faults.shift();
    if (fault === 'full') return Promise.reject(new TvdbError('E503', { message: 'the disk is full' }));
    return fault === 'stuck' ? new Promise(() => {}) : store.write(run);
  };
  return { faults, store: { ...store, write, writeRelaxed: write } };
}

/** A worker in the middle of a parse that lasts until `finish`, on a clock that the test moves. */
async function atWork() {
  const clock = virtualClock();
  const aborted: { at: number; reason: unknown }[] = [];
  let polling = false;
  let finish = () => {};
  const finished = new Promise<void>((resolve) => {
    finish = resolve;
  });
  const parser = memoryParser({
    poll: (_remoteId, _waitMs, abort) =>
      new Promise((resolve, reject) => {
        polling = true;
        void finished.then(() => resolve({ state: 'done' }));
        abort.addEventListener('abort', () => {
          aborted.push({ at: clock.now(), reason: abort.reason });
          reject(abort.reason);
        });
      }),
  });
  const line = pipeline({ parser, clock, settings: { HEARTBEAT_INTERVAL: INTERVAL, LEASE_DURATION: LEASE } });
  await line.upload('one');
  const { faults, store } = unreliable(line.store);
  line.deps.store = store;
  const ended = line.drain({ concurrency: 1 }).then(
    () => 'drained',
    (error: unknown) => error,
  );
  const job = async () => (await line.jobs())[0];
  while (!polling) await clock.advance(1);
  return { line, parser, clock, faults, aborted, ended, job, finish };
}

describe('a worker that cannot renew its leases', () => {
  it.each(['full', 'stuck'] as const)(
    'T32 stops when two heartbeats fail (%s), before its lease runs out: call aborted, job given back, error told',
    async (fault) => {
      const { line, parser, clock, faults, aborted, ended, job } = await atWork();
      const until = (await job())?.lease_until ?? 0;
      faults.push(fault, fault);
      await clock.advance(LEASE - 1_000);
      expect(await ended).toMatchObject(
        fault === 'full' ? { code: 'E503' } : { message: expect.stringMatching(/heartbeat/) },
      );
      expect(aborted).toHaveLength(1);
      expect(aborted[0]?.at).toBeLessThanOrEqual(until - LEASE + 2 * INTERVAL);
      expect(await job()).toMatchObject({ status: 'parse_queued', lease_owner: null });
      expect((await line.rows()).workers).toBe(0);

      // Whoever comes next asks for nothing twice.
      const next = pipeline({ home: line.home, parser: { ...parser, poll: async () => ({ state: 'done' }) }, seed: 2 });
      await next.drain();
      expect(await next.jobs()).toMatchObject([{ status: 'complete', recoveries: 0 }]);
      expect(parser.submits).toHaveLength(1);
    },
  );

  it('goes on after one that failed, and its lease never runs out', async () => {
    const { clock, faults, aborted, ended, job, finish } = await atWork();
    for (let beats = 0; beats < 5; beats += 1) {
      faults.push('full');
      await clock.advance(INTERVAL);
      expect((await job())?.lease_until).toBeGreaterThan(clock.now());
    }
    expect(faults).toEqual([]);
    expect(aborted).toEqual([]);
    finish();
    await clock.advance(INTERVAL);
    expect(await ended).toBe('drained');
    expect(await job()).toMatchObject({ status: 'complete', recoveries: 0 });
  });
});
