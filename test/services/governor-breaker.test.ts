/** Outages and refused accounts: what several processes still send, and how they find back. */
import { describe, expect, it } from 'vitest';
import { asTvdbError } from '../../src/base/errors.ts';
import { seededRandom } from '../setup/seeded.ts';
import { asked, CREATE, machine, never, POLL, report } from './governor-harness.ts';

const PAUSE = 30_000;
const MINUTE = 60_000;
const LATENCY_MS = 200;

describe('T72 an outage of 30 minutes', () => {
  it('costs one call in each half-open period, all processes together, and ends with a trickle', async () => {
    const { clock, start, until } = machine();
    const env = { LLAMAPARSE_REQUESTS_PER_MINUTE: '60' };
    const processes = Array.from({ length: 4 }, (_one, index) => start({ env, seed: index }));
    const began = clock.now();
    const outageEnds = began + 30 * MINUTE;
    const calls: { at: number; ok: boolean }[] = [];
    const workers = processes.flatMap(({ governor }, index) =>
      [CREATE, POLL, CREATE].map(async (call, lane) => {
        const random = seededRandom(10 * index + lane + 1);
        const { signal } = new AbortController();
        // Each has five things to do and tries until they are done.
        for (let done = 0; done < 5; ) {
          try {
            await governor.admit(call, signal);
            const now = clock.now();
            const ok = now >= outageEnds;
            calls.push({ at: now, ok });
            await clock.sleep(LATENCY_MS);
            await report(governor, call, {
              ...(!ok && { code: call.billable ? 'E307' : 'E303' }),
              latencyMs: LATENCY_MS,
            });
            if (ok) done += 1;
            else await clock.sleep(Math.round(random() * 1_000));
          } catch (error) {
            const { retry } = asTvdbError(error);
            await clock.sleep(Math.ceil((retry.kind === 'after' ? retry.ms : 1_000) + random() * 500));
          }
        }
      }),
    );
    await until(Promise.all(workers), 1_000);
    const failed = calls.filter(({ ok }) => !ok);
    // Until five had failed, every lane of every process may have sent its first and second.
    const openedBy = began + 2 * LATENCY_MS + 1_000;
    const probes = failed.filter(({ at }) => at > openedBy).map(({ at }) => at);
    expect(failed.length - probes.length).toBeLessThanOrEqual(24);
    // 30 s, 60 s, 120 s, 240 s, 480 s, 600 s: five or six tries in half an hour.
    expect(probes.length).toBeGreaterThanOrEqual(5);
    expect(probes.length).toBeLessThanOrEqual(6);
    for (const [index, at] of probes.entries())
      if (index > 0)
        expect(at - (probes[index - 1] ?? 0)).toBeGreaterThanOrEqual(Math.min(600_000, 2 ** index * PAUSE));
    const back = calls.filter(({ ok }) => ok);
    expect(back).toHaveLength(4 * 3 * 5);
    const first = back[0]?.at ?? 0;
    // The try, five at once when it has succeeded, then one a second.
    for (const { at } of back)
      expect(back.filter((other) => other.at <= at).length).toBeLessThanOrEqual(6 + (at - first) / 1000);
  }, 60_000);

  it('is remembered over a restart: open stays open', async () => {
    const { home, clock, start } = machine();
    const { governor } = start();
    for (let n = 0; n < 5; n++) await report(governor, CREATE, { code: 'E303' });
    const { start: restart } = machine(home, clock);
    const { governor: later } = restart();
    expect(await asked(later)).toEqual(['E304', PAUSE]);
    await clock.advance(PAUSE);
    expect(await asked(later)).toBe('pass');
    expect(await asked(governor)).toEqual(['E304', 5_000]);
  });

  it('that one process has met is seen by the other at once', async () => {
    const { start } = machine();
    const [one, two] = [start().governor, start().governor];
    for (let n = 0; n < 5; n++) await report(n % 2 === 0 ? one : two, POLL, { code: 'E303' });
    expect(await two.state()).toMatchObject({ open: true, why: 'breaker_open' });
    expect(await one.state()).toEqual(await two.state());
    expect(await asked(two, POLL)).toEqual(['E304', PAUSE]);
  });
});

describe('the one try of a half-open breaker', () => {
  const opened = async () => {
    const one = machine();
    const processes = [one.start(), one.start()] as const;
    for (let n = 0; n < 5; n++) await report(processes[0].governor, CREATE, { code: 'E307' });
    await one.clock.advance(PAUSE);
    return { ...one, first: processes[0].governor, second: processes[1].governor };
  };

  it('goes to one of many who ask at the same time', async () => {
    const { first, second } = await opened();
    const answers = await Promise.all([first, second, first, second].map((governor) => asked(governor, POLL)));
    expect(answers.filter((answer) => answer === 'pass')).toHaveLength(1);
  });

  it('of a process that died goes to another', async () => {
    const { first, second, clock } = await opened();
    expect(await asked(first)).toBe('pass');
    await clock.advance(99_999);
    expect(await asked(second)).toEqual(['E304', 1]);
    await clock.advance(1);
    expect(await asked(second)).toBe('pass');
  });

  it('that is given up by Ctrl-C goes to another at once', async () => {
    const { first, second } = await opened();
    expect(await asked(first)).toBe('pass');
    await report(first, CREATE, { code: 'E012' });
    expect(await asked(second)).toBe('pass');
    await report(second, CREATE);
    expect(await first.state()).toEqual({ open: false, why: 'ok', retryAt: null });
  });

  it('that is given up while it waits for its turn goes to another at once', async () => {
    const { clock, start, settle } = machine();
    const openai = { service: 'openai', env: { OPENAI_REQUESTS_PER_MINUTE: '60' } } as const;
    const [first, second] = [start(openai).governor, start(openai).governor];
    for (let n = 0; n < 5; n++) await report(first, CREATE, { code: 'E307' });
    await clock.advance(PAUSE);
    await report(first, CREATE, { code: 'E309', headers: { 'x-ratelimit-remaining-requests': '0' } });
    const stop = new AbortController();
    const given = expect(first.admit(CREATE, stop.signal)).rejects.toThrow('stopped');
    await settle();
    expect(await asked(second)).toEqual(['E304', 5_000]);
    stop.abort(new Error('stopped'));
    await given;
    await clock.advance(1_000);
    expect(await asked(second)).toBe('pass');
  });

  it('can be a poll of a paid job, which is not kept waiting by a service that takes no new ones', async () => {
    const { first, second } = await opened();
    expect(await asked(first, POLL)).toBe('pass');
    await report(first, POLL);
    for (let n = 0; n < 3; n++) expect(await asked(second, POLL)).toBe('pass');
    await report(second, CREATE, { code: 'E307' });
    expect(await second.state()).toMatchObject({ open: true, why: 'breaker_open' });
  });
});

describe('T73 a refused key', () => {
  it('in the middle of a run costs at most one further call, for all processes', async () => {
    const { clock, start, until } = machine();
    const processes = Array.from({ length: 4 }, () => start().governor);
    let calls = 0;
    let refused = 0;
    const workers = processes.map(async (governor) => {
      for (let n = 0; n < 10; n++) {
        const { signal } = new AbortController();
        try {
          await governor.admit(CREATE, signal);
        } catch (error) {
          if (asTvdbError(error).code === 'E301') continue;
          return asTvdbError(error).code;
        }
        calls += 1;
        const revoked = calls > 6;
        if (revoked) refused += 1;
        await report(governor, CREATE, revoked ? { code: 'E112' } : {});
        await clock.sleep(PAUSE);
      }
      return 'done';
    });
    const ends = await until(Promise.all(workers), 100);
    expect(ends).toEqual(['E112', 'E112', 'E112', 'E112']);
    expect(refused).toBeLessThanOrEqual(2);
  });

  it('is not asked for again, polls included, until another key is set', async () => {
    const { clock, start, home } = machine();
    const { governor } = start();
    await governor.admit(CREATE, never);
    await report(governor, CREATE, { code: 'E112' });
    await clock.advance(7 * 86_400_000);
    expect([await asked(governor), await asked(governor, POLL)]).toEqual(['E112', 'E112']);
    const error = await governor.admit(CREATE, never).catch((thrown: unknown) => asTvdbError(thrown));
    expect(error).toMatchObject({ commands: ['tvdb health llamaparse --reset'], chargedNanoUsd: 0 });
    expect(await governor.state()).toEqual({ open: true, why: 'key_refused', retryAt: null });
    const { governor: changed } = machine(home, clock).start({ key: () => 'bbbbbbbb' });
    expect(await changed.state()).toEqual({ open: false, why: 'ok', retryAt: null });
    expect(await asked(changed)).toBe('pass');
  });

  it('does not stop the second key of a ring, in whatever order the client tells', async () => {
    for (const early of [true, false]) {
      let key = 'aaaaaaaa';
      const { governor } = machine().start({ key: () => key });
      await governor.admit(CREATE, never);
      await governor.admit(POLL, never);
      if (early) key = 'bbbbbbbb';
      await report(governor, CREATE, { code: 'E112' });
      key = 'bbbbbbbb';
      expect(await asked(governor)).toBe('pass');
      // One that was in flight with the first key comes back late; it says so.
      await report(governor, { ...POLL, fingerprint: 'aaaaaaaa' }, { code: 'E112' });
      expect(await asked(governor)).toBe('pass');
      await report(governor, { ...CREATE, fingerprint: 'bbbbbbbb' }, { code: 'E112' });
      expect(await asked(governor)).toBe('E112');
    }
  });
});

describe('an account without credit', () => {
  it('stops what costs at once and lets the polls of paid jobs go on', async () => {
    const { start } = machine();
    const { governor } = start();
    await report(governor, CREATE, { code: 'E302' });
    expect(await asked(governor)).toBe('E302');
    for (let n = 0; n < 3; n++) {
      expect(await asked(governor, POLL)).toBe('pass');
      await report(governor, POLL);
    }
    expect(await governor.state()).toEqual({ open: true, why: 'no_credit', retryAt: null });
  });
});
