/** A parse request that costs: sent once, looked for when nobody knows what became of it, never paid twice. */
import { describe, expect, it } from 'vitest';
import { TvdbError } from '../../src/base/errors.ts';
import { retryJob } from '../../src/pipeline/retry.ts';
import {
  attemptsOf,
  codesOf,
  crash,
  expectSound,
  finish,
  noAnswer,
  type PaidLine,
  type PaidParserOptions,
  paidLine,
  problem,
  rateLimited,
  settle,
  unknown,
  until,
} from './paid-services.ts';

const WINDOW_AND_GRACE = 50_000;

async function run(paid: PaidParserOptions, changes: Parameters<typeof paidLine>[0] = {}): Promise<PaidLine> {
  const line = paidLine({ ...changes, paid });
  await line.upload('one', { mode: 'real' });
  await finish(line);
  await expectSound(line);
  return line;
}

/** The remote job is made, and the answer is lost. */
const acceptedInSilence = async (create: () => string) => {
  create();
  throw unknown();
};

describe('T03 a request whose outcome nobody knows', () => {
  it.each([
    ['an answer 500', unknown],
    ['a connection cut after it was accepted', unknown],
    ['a bug while the answer was read', () => new Error('unforeseen')],
  ])('%s: one POST, the job rests as unknown_outcome, and what the service lists is adopted', async (_what, error) => {
    const line = paidLine({
      paid: {
        listDelayMs: 5_000,
        onSubmit: async (create) => {
          create();
          throw error();
        },
      },
    });
    await line.upload('one', { mode: 'real' });
    const running = line.drain();
    await until(line.clock, async () => codesOf(line).includes('PARSE_UNKNOWN'));
    expect(await attemptsOf(line)).toMatchObject([{ outcome: 'unknown', remote_id: null }]);
    expect(await line.jobs()).toMatchObject([
      { status: 'parse_queued', park_reason: 'unknown_outcome', lease_owner: null },
    ]);
    await settle(line.clock, running);
    expect(line.remote.posts).toHaveLength(1);
    expect(await attemptsOf(line, 'parse')).toMatchObject([{ outcome: 'ok', remote_id: 'pjb-1' }]);
    expect(await line.jobs()).toMatchObject([{ status: 'complete' }]);
    expect(codesOf(line)).toEqual(expect.arrayContaining(['PARSE_UNKNOWN', 'PARSE_ADOPTED']));
    await expectSound(line);
  });

  it('is 429: one POST for that attempt, then one more for another, because nothing was accepted', async () => {
    const line = await run({ onSubmit: async (create, nth) => (nth === 1 ? Promise.reject(rateLimited()) : create()) });
    expect(new Set(line.remote.posts).size).toBe(2);
    expect(line.remote.jobs.size).toBe(1);
    expect(await attemptsOf(line, 'parse')).toMatchObject([{ outcome: 'failed', http_status: 429 }, { outcome: 'ok' }]);
  });

  it('hangs until the user gives up: the attempt stays sent, and the next process looks for it', async () => {
    const line = paidLine({
      paid: {
        onSubmit: (create, _nth, signal) =>
          new Promise((_, reject) => {
            create();
            signal.addEventListener('abort', () => reject(problem('E307', 'given up', { cause: signal.reason })));
          }),
      },
    });
    await line.upload('one', { mode: 'real' });
    const running = line.drain();
    await until(line.clock, () => line.remote.posts.length > 0);
    line.signals.abort.abort(new Error('second Ctrl-C'));
    await settle(line.clock, running);
    expect(await attemptsOf(line)).toMatchObject([{ outcome: 'sent', remote_id: null }]);
    expect(await line.jobs()).toMatchObject([{ status: 'parse_queued', lease_owner: null, retry_count: 0 }]);
    const next = paidLine({ home: line.home, clock: line.clock, paidParser: line.remote, seed: 2 });
    await finish(next);
    expect(line.remote.posts).toHaveLength(1);
    expect(await next.jobs()).toMatchObject([{ status: 'complete' }]);
  });
});

describe('T04 looking for a request', () => {
  it('adopts a job that exists although its id was never recorded: no new POST', async () => {
    const line = await run({ onSubmit: acceptedInSilence });
    expect(line.remote.posts).toHaveLength(1);
    expect(await line.jobs()).toMatchObject([{ status: 'complete' }]);
  });

  it('sends exactly one more when the service provably has none, and only after the window and its grace', async () => {
    const posted: number[] = [];
    const line = paidLine({
      paid: {
        onSubmit: async (create, nth) => {
          posted.push(line.clock.monotonic());
          if (nth === 1) throw unknown();
          return create();
        },
      },
    });
    await line.upload('one', { mode: 'real' });
    await finish(line);
    expect(posted).toHaveLength(2);
    expect((posted[1] ?? 0) - (posted[0] ?? 0)).toBeGreaterThanOrEqual(WINDOW_AND_GRACE);
    expect(await attemptsOf(line, 'parse')).toMatchObject([{ outcome: 'failed' }, { outcome: 'ok' }]);
    expect(codesOf(line)).toContain('PARSE_ABSENT');
    await expectSound(line);
  });

  it('finds a job the list shows only 30 s later, and sends nothing meanwhile', async () => {
    const line = await run({ listDelayMs: 30_000, onSubmit: acceptedInSilence });
    expect(line.remote.posts).toHaveLength(1);
    expect(await line.jobs()).toMatchObject([{ status: 'complete' }]);
  });

  it.each([
    ['fails', noAnswer],
    ['cannot be read to its end', () => problem('E308', 'unproven', { retry: { kind: 'later' } })],
    ['is refused for its rate', () => rateLimited(7_000)],
  ])('sends nothing for as long as the list %s', async (_what, error) => {
    const line = paidLine({
      paid: {
        onSubmit: async () => {
          throw unknown();
        },
        onList: () => {
          throw error();
        },
      },
    });
    await line.upload('one', { mode: 'real' });
    const running = line.drain();
    await until(line.clock, () => line.clock.monotonic() > 10 * WINDOW_AND_GRACE, 1_000);
    expect(line.remote.posts).toHaveLength(1);
    expect(await line.jobs()).toMatchObject([{ park_reason: 'unknown_outcome', retry_count: 0 }]);
    expect(line.remote.counts().lists).toBeLessThan(40);
    line.signals.stopping.abort();
    await settle(line.clock, running);
  });

  it('respects a pause the service asked for between two looks', async () => {
    const looks: number[] = [];
    const line = paidLine({
      paid: {
        onSubmit: acceptedInSilence,
        onList: (nth) => {
          looks.push(line.clock.monotonic());
          if (nth === 1) throw rateLimited(20_000);
        },
      },
    });
    await line.upload('one', { mode: 'real' });
    await finish(line);
    expect((looks[1] ?? 0) - (looks[0] ?? 0)).toBeGreaterThanOrEqual(20_000);
  });

  it('falls back in hybrid once requests got lost again and again, because nothing is there', async () => {
    const line = paidLine({
      settings: { MAX_RETRIES: 1 },
      paid: {
        onSubmit: async () => {
          throw unknown();
        },
      },
    });
    await line.upload('one', { mode: 'hybrid' });
    await finish(line);
    expect(line.remote.posts).toHaveLength(2);
    expect(await line.jobs()).toMatchObject([{ status: 'complete', parse_origin: 'mock', fallback_triggered: 1 }]);
    await expectSound(line);
  });
});

describe('a process that dies around the request', () => {
  it.each([
    ['before it left', false],
    ['after it left', true],
  ])('%s, with the mark committed: the next process looks for it first', async (_when, arrived) => {
    const line = paidLine({
      paid: {
        onSubmit: (create, nth) => {
          if (nth > 1) return Promise.resolve(create());
          if (arrived) create();
          return new Promise(() => {});
        },
      },
    });
    await line.upload('one', { mode: 'real' });
    void line.drain().catch(() => {});
    await until(line.clock, () => line.remote.posts.length > 0);
    expect(await attemptsOf(line)).toMatchObject([{ outcome: 'sent', remote_id: null }]);
    const next = crash(line);
    await finish(next);
    expect(line.remote.posts).toHaveLength(arrived ? 1 : 2);
    expect(line.remote.jobs.size).toBe(1);
    expect(await next.jobs()).toMatchObject([{ status: 'complete' }]);
    await expectSound(next);
  });

  it('loses nothing when the store cannot take the id of an accepted request', async () => {
    const line = paidLine();
    await line.upload('one', { mode: 'real' });
    const { write } = line.store;
    let full = true;
    // The answer comes, and the disk is full; a moment later there is room again.
    line.remote.submit = new Proxy(line.remote.submit, {
      async apply(submit, self, args) {
        const receipt = (await Reflect.apply(submit, self, args)) as unknown;
        line.deps.store.write = async (run) => {
          if (!full) return write(run);
          full = false;
          throw new TvdbError('E503', { message: 'The disk is full' });
        };
        return receipt;
      },
    });
    await expect(settle(line.clock, line.drain())).rejects.toMatchObject({ code: 'E503' });
    expect(await attemptsOf(line)).toMatchObject([{ outcome: 'sent' }]);
    const next = crash(line);
    await finish(next);
    expect(line.remote.posts).toHaveLength(1);
    expect(await next.jobs()).toMatchObject([{ status: 'complete' }]);
  });
});

describe('a paid parse under way', () => {
  it('is asked for until its deadline, however often nobody answers', async () => {
    const line = await run(
      { onPoll: (_job, nth) => (nth < 12 ? outage() : undefined) },
      { settings: { MAX_RETRIES: 2 } },
    );
    expect(await line.jobs()).toMatchObject([{ status: 'complete' }]);
    expect(line.remote.posts).toHaveLength(1);
  });

  it.each([
    ['the key is refused', () => problem('E112', 'refused', { http_status: 401 })],
    ['nobody answers past its deadline', noAnswer],
  ])('is taken up again, not paid again, by `tvdb retry` of a job that failed when %s', async (_what, error) => {
    let failing = true;
    const line = paidLine({
      settings: { MAX_RETRIES: 1, PARSE_DEADLINE: 60_000 },
      paid: {
        onPoll: () => {
          if (failing) throw error();
          return undefined;
        },
      },
    });
    const { job } = await line.upload('one', { mode: 'real' });
    await finish(line);
    expect(await line.jobs()).toMatchObject([{ status: 'failed_parse' }]);
    failing = false;
    await retryJob(line.deps, job.job_id, 'run', () => {});
    await finish(line);
    expect(await line.jobs()).toMatchObject([{ status: 'complete' }]);
    expect(line.remote.posts).toHaveLength(1);
    await expectSound(line);
  });

  it.each([
    ['it was never seen', (line: PaidLine) => void line.remote.jobs.clear()],
    ['its result is gone', (line: PaidLine) => void Object.assign(line.remote, { fetchResult: gone })],
  ])('ends its attempt when %s: `tvdb retry` pays for another', async (_what, lose) => {
    const line = paidLine({ paid: { latencyMs: 5_000 } });
    const { fetchResult } = line.remote;
    const { job } = await line.upload('one', { mode: 'real' });
    const running = line.drain();
    await until(line.clock, () => codesOf(line).includes('PARSE_REQUESTED'));
    lose(line);
    await settle(line.clock, running);
    expect(await line.jobs()).toMatchObject([{ status: 'failed_parse' }]);
    expect(await attemptsOf(line)).toMatchObject([{ outcome: 'failed' }]);
    line.remote.fetchResult = fetchResult;
    await retryJob(line.deps, job.job_id, 'run', () => {});
    await finish(line);
    expect(line.remote.posts).toHaveLength(2);
    // What failed there is not to be taken from the service's own cache.
    expect(line.remote.requests[1]).toMatchObject({ disableCache: true });
    expect(await line.jobs()).toMatchObject([{ status: 'complete' }]);
  });

  it('that never ends is cancelled there at its deadline', async () => {
    const line = paidLine({ settings: { PARSE_DEADLINE: 60_000 }, paid: { latencyMs: 1e9 } });
    await line.upload('one', { mode: 'real' });
    await finish(line);
    expect([...line.remote.jobs.values()]).toMatchObject([{ cancelled: true }]);
    expect(await line.jobs()).toMatchObject([{ status: 'failed_parse' }]);
    expect(line.remote.posts).toHaveLength(1);
  });
});

function outage(): never {
  throw noAnswer();
}

async function gone(): Promise<never> {
  throw problem('E311', 'The result is gone');
}
