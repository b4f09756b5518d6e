/** Governors of several processes over one store, on a virtual clock, and a driver that never lets time run ahead of them. */
import { onTestFinished } from 'vitest';
import type { ErrorCode } from '../../src/base/error-codes.ts';
import { TvdbError } from '../../src/base/errors.ts';
import { loadConfig } from '../../src/config/load.ts';
import type { ServiceName } from '../../src/domain/service-mode.ts';
import { createGovernor } from '../../src/services/create-governor.ts';
import type { Call, ServiceGovernor } from '../../src/services/governor.ts';
import { openStore, type Store } from '../../src/store/open.ts';
import { seededRandom } from '../setup/seeded.ts';
import { tempDirectory } from '../setup/temp.ts';
import { type VirtualClock, virtualClock } from '../setup/virtual-clock.ts';

export const never = new AbortController().signal;
export const CREATE: Call = { operation: 'parse.create', billable: true, tokens: 0 };
export const POLL: Call = { operation: 'parse.get', billable: false, tokens: 0 };

export interface ProcessOptions {
  service?: ServiceName;
  env?: Record<string, string>;
  key?: () => string | null;
  seed?: number;
}

/** One machine: a home directory, a clock, and any number of processes with a connection of their own. */
export function machine(home = tempDirectory(), clock = virtualClock()) {
  let busy = 0;
  const stores: Store[] = [];
  onTestFinished(async () => {
    await Promise.all(stores.map((store) => store.close()));
  });

  /** A further process. */
  const start = ({ service = 'llamaparse', env = {}, key = () => 'aaaaaaaa', seed = 1 }: ProcessOptions = {}) => {
    // Waiting for a lock takes no time: the one that holds it is in this very thread and needs a turn.
    const turns = { ...clock, now: clock.now, sleep: () => new Promise<void>((resolve) => setImmediate(resolve)) };
    const store = openStore({ home, clock: turns, busyTimeoutMs: 1 });
    // A power cut is not what is tested here, and thousands of transactions need not reach the disk.
    store.sqlite.pragma('synchronous = OFF');
    stores.push(store);
    const counted: Store = {
      ...store,
      async write(work) {
        busy += 1;
        try {
          return await store.write(work);
        } finally {
          busy -= 1;
        }
      },
    };
    const { settings } = loadConfig({ env: { HOME: home, ...env }, cwd: home });
    const governor = createGovernor({
      service,
      settings,
      store: counted,
      clock,
      random: seededRandom(seed),
      owner: `process-${stores.length}`,
      fingerprint: key,
    });
    return { store, governor };
  };

  /** Lets everybody come to rest. */
  const settle = async () => {
    for (let quiet = 0; quiet < 5; quiet = busy > 0 ? 0 : quiet + 1)
      await new Promise((resolve) => setImmediate(resolve));
  };

  return {
    home,
    clock,
    start,
    settle,
    /** Moves time on in small steps until `work` is done, or throws when that takes longer than `limitMs`. */
    async until<T>(work: Promise<T>, stepMs = 10, limitMs = 7_200_000): Promise<T> {
      let done = false;
      work.then(
        () => {
          done = true;
        },
        () => {
          done = true;
        },
      );
      await settle();
      for (let spent = 0; !done; spent += stepMs) {
        if (spent > limitMs) throw new Error(`not done after ${limitMs} virtual ms`);
        await clock.advance(stepMs);
        await settle();
      }
      return work;
    },
  };
}

/** An upstream error as the clients make it. */
export function upstream(code: ErrorCode, waitMs?: number): TvdbError {
  return new TvdbError(code, {
    message: code,
    retry: waitMs === undefined ? { kind: 'later' } : { kind: 'after', ms: waitMs },
  });
}

const STATUS: Partial<Record<ErrorCode, number>> = { E301: 429, E302: 402, E112: 401, E307: 500, E309: 422 };

export interface Answer {
  code?: ErrorCode;
  waitMs?: number;
  headers?: Record<string, string>;
  latencyMs?: number;
}

/** Reports what came of a call. */
export function report(governor: ServiceGovernor, call: Call, answer: Answer = {}): Promise<void> {
  const { code, waitMs, headers = {}, latencyMs = 0 } = answer;
  return governor.report({
    ...call,
    latencyMs,
    httpStatus: code === undefined ? 200 : (STATUS[code] ?? null),
    headers,
    error: code === undefined ? null : upstream(code, waitMs),
  });
}

/** Code and wait of what `admit` throws; `pass` when it lets the call through. */
export async function asked(governor: ServiceGovernor, call: Call = CREATE): Promise<string | [ErrorCode, number]> {
  try {
    await governor.admit(call, never);
    return 'pass';
  } catch (error) {
    if (!(error instanceof TvdbError)) throw error;
    return error.retry.kind === 'after' ? [error.code, error.retry.ms] : error.code;
  }
}

export type { VirtualClock };
