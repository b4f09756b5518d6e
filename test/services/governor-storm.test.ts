/** Crowds: what reaches the service when hundreds of jobs want it at once. */
import { describe, expect, it } from 'vitest';
import { asTvdbError } from '../../src/base/errors.ts';
import { backoffMs } from '../../src/domain/backoff.ts';
import type { Governor, ServiceGovernor } from '../../src/services/governor.ts';
import { seededRandom } from '../setup/seeded.ts';
import type { VirtualClock } from '../setup/virtual-clock.ts';
import { CREATE, machine, never, report, upstream } from './governor-harness.ts';

const JOBS = 500;
const ADMITTED_A_SECOND = 20;

/** A service that takes 20 requests in each second of its own and answers the others with 429 and the rest of the second. */
function limitedService(clock: VirtualClock, { retryAfter = true } = {}) {
  const arrivals: number[] = [];
  let second = -1;
  let taken = 0;
  return {
    arrivals,
    request() {
      const now = clock.now();
      arrivals.push(now);
      if (Math.floor(now / 1000) !== second) {
        second = Math.floor(now / 1000);
        taken = 0;
      }
      taken += 1;
      if (taken <= ADMITTED_A_SECOND) return null;
      return retryAfter ? upstream('E301', 1000 - (now % 1000)) : upstream('E301');
    },
    /** Most requests within any 100 ms. */
    worstBurst: () =>
      Math.max(...arrivals.map((from) => arrivals.filter((at) => at >= from && at < from + 100).length)),
  };
}

/** A job as the pipeline drives it: asks, sends, and backs off with full jitter, never earlier than it was told. */
async function job(governor: Governor, service: ReturnType<typeof limitedService>, clock: VirtualClock, seed: number) {
  const random = seededRandom(seed);
  const { signal } = new AbortController();
  for (let tries = 0; ; tries++) {
    try {
      await governor.admit(CREATE, signal);
      const error = service.request();
      const { latencyMs, httpStatus } = { latencyMs: 0, httpStatus: error === null ? 200 : 429 };
      await governor.report({ ...CREATE, latencyMs, httpStatus, headers: {}, error });
      if (error === null) return;
      throw error;
    } catch (thrown) {
      const { retry } = asTvdbError(thrown);
      const asked = retry.kind === 'after' ? retry.ms : 0;
      await clock.sleep(Math.ceil(asked + backoffMs(tries, { base: 500, cap: 30_000 }, random)));
    }
  }
}

const OFF: Pick<ServiceGovernor, 'admit' | 'report'> = { admit: async () => {}, report: async () => {} };

async function storm({
  limiter,
  env = {},
  retryAfter = true,
}: {
  limiter: boolean;
  env?: Record<string, string>;
  retryAfter?: boolean;
}) {
  const { clock, start, until } = machine();
  const service = limitedService(clock, { retryAfter });
  const processes = Array.from({ length: 4 }, (_one, index) => start({ env, seed: index }));
  const jobs = Array.from({ length: JOBS }, (_one, index) => {
    const process = processes[index % processes.length];
    return job(limiter && process !== undefined ? process.governor : OFF, service, clock, index + 1);
  });
  const began = clock.now();
  await until(Promise.all(jobs), 50);
  return { requests: service.arrivals.length, burst: service.worstBurst(), seconds: (clock.now() - began) / 1000 };
}

describe('T70 a storm of 500 jobs at a service that takes 20 requests a second', () => {
  const RIGHT = { LLAMAPARSE_REQUESTS_PER_MINUTE: String(ADMITTED_A_SECOND * 60) };

  it('costs at most 1.5 requests a job, and no 100 ms see more than twice what the service takes in a second', async () => {
    const { requests, burst, seconds } = await storm({ limiter: true, env: RIGHT });
    expect(requests).toBeLessThanOrEqual(1.5 * JOBS);
    expect(burst).toBeLessThanOrEqual(2 * ADMITTED_A_SECOND);
    expect(seconds).toBeLessThan(120);
  }, 120_000);

  it.each([
    ['says how long to wait', true],
    ['says nothing, as LlamaCloud does', false],
  ])(
    'stays within that even where the limit that is set is three times too high and a 429 %s',
    async (_title, retryAfter) => {
      const env = { LLAMAPARSE_REQUESTS_PER_MINUTE: String(3 * ADMITTED_A_SECOND * 60) };
      const { requests, burst } = await storm({ limiter: true, env, retryAfter });
      expect(requests).toBeLessThanOrEqual(1.5 * JOBS);
      // One second of the limit that is set, before the first refusal is known.
      expect(burst).toBeLessThanOrEqual(3 * ADMITTED_A_SECOND);
    },
    120_000,
  );

  it('is several times larger when the limiter is switched off', async () => {
    const { requests, burst } = await storm({ limiter: false });
    expect(requests).toBeGreaterThan(1.5 * JOBS);
    expect(burst).toBeGreaterThan(2 * ADMITTED_A_SECOND);
  }, 120_000);
});

describe('several processes', () => {
  it('together never exceed the rate that is set, whatever each of them asks for', async () => {
    const { clock, start, until } = machine();
    const env = { LLAMAPARSE_REQUESTS_PER_MINUTE: '60' };
    const processes = Array.from({ length: 8 }, (_one, index) => start({ env, seed: index }));
    const sent: number[] = [];
    const began = clock.now();
    const greedy = processes.map(async ({ governor }) => {
      for (let n = 0; n < 10; n++) {
        for (;;) {
          try {
            await governor.admit(CREATE, never);
            break;
          } catch (error) {
            const { retry } = asTvdbError(error);
            await clock.sleep(retry.kind === 'after' ? retry.ms : 1_000);
          }
        }
        sent.push(clock.now() - began);
        await report(governor, CREATE);
      }
    });
    await until(Promise.all(greedy), 50);
    expect(sent).toHaveLength(80);
    for (const at of sent) {
      const soFar = sent.filter((other) => other <= at).length;
      expect(soFar).toBeLessThanOrEqual(20 + at / 1000 + 1e-6);
    }
    // 20 at once, the other 60 one a second: nothing is left unused either.
    expect(Math.max(...sent)).toBeLessThan(63_000);
  }, 60_000);
});
