import { describe, expect, it } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { TvdbError } from '../../src/base/errors.ts';
import type { UploadDeps } from '../../src/pipeline/staging.ts';
import { work } from '../../src/pipeline/worker.ts';
import type { Store } from '../../src/store/open.ts';
import { memoryParser, pipeline } from './harness.ts';

/** A later moment, at which every lease of a worker that stopped has run out. */
const later = { ...systemClock, now: () => systemClock.now() + 3_600_000 };

/** The store of a process that dies at its nth write: before it is committed, or right after. */
function dyingAt(store: Store, nth: number, when: 'before' | 'after') {
  let writes = 0;
  let died = false;
  const dead = () => {
    died = true;
    return new TvdbError('E501', { message: 'the process died' });
  };
  const write: Store['write'] = async (run) => {
    writes += 1;
    if (died || (writes === nth && when === 'before')) throw dead();
    const result = await store.write(run);
    if (writes === nth) throw dead();
    return result;
  };
  return { store: { ...store, write, writeRelaxed: write }, died: () => died };
}

async function uploadAndDrain(line: ReturnType<typeof pipeline>, deps: UploadDeps) {
  const signals = { abort: new AbortController().signal, stopping: new AbortController().signal };
  return work(deps, { concurrency: 2, until: 'drain', waitForOthers: false, onEvent: () => {}, signals }).catch(
    (error: unknown) => {
      expect(error).toMatchObject({ code: 'E501' });
      return line;
    },
  );
}

describe('T02 a process that dies at its nth write', () => {
  it.each([
    ['before', ['a', 'b']],
    ['after', ['a']],
  ] as const)('%s the commit, for every n, loses no job and doubles nothing', async (when, contents) => {
    const whole = pipeline();
    for (const content of contents) await whole.upload(content);
    await whole.drain();
    const expected = await whole.rows();
    let deaths = 0;
    for (let nth = 1; ; nth++) {
      const parser = memoryParser();
      const line = pipeline({ parser, seed: nth });
      for (const content of contents) await line.upload(content);
      const dying = dyingAt(line.store, nth, when);
      await uploadAndDrain(line, { ...line.deps, store: dying.store });
      if (!dying.died()) break;
      deaths += 1;
      const next = pipeline({ home: line.home, parser, clock: later, seed: 5000 + nth });
      await next.drain();
      expect([nth, (await next.jobs()).map((job) => job.status)]).toEqual([nth, contents.map(() => 'complete')]);
      expect([nth, await next.rows()]).toEqual([nth, { ...expected, workers: expect.any(Number) as number }]);
      const sent = await next.store.db
        .selectFrom('attempts')
        .select('attempt_id')
        .where('service', '=', 'parse')
        .where('sent', 'is not', null)
        .execute();
      expect(parser.submits.length).toBeLessThanOrEqual(sent.length);
      expect(new Set(parser.submits).size).toBe(parser.submits.length);
    }
    expect(deaths).toBeGreaterThan(10);
  });
});
