/** A clock that stands still until a test moves it; sleepers wake in the order of their times. */
import type { Clock } from '../../src/base/clock.ts';

export interface VirtualClock extends Clock {
  /** Moves time on, waking everybody whose time has come, and lets their work run. */
  advance(ms: number): Promise<void>;
  /** Sets the wall clock alone: a jump that monotonic time does not see. */
  jump(ms: number): void;
  readonly sleepers: number;
}

export function virtualClock(start = Date.UTC(2026, 10, 23, 12)): VirtualClock {
  let wall = start;
  let mono = 0;
  const sleeping = new Set<{ at: number; wake: () => void }>();
  const settle = async () => {
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
  };
  return {
    now: () => wall,
    monotonic: () => mono,
    sleep(ms, signal) {
      return new Promise((resolve, reject) => {
        if (signal?.aborted) return reject(signal.reason);
        const onAbort = () => {
          sleeping.delete(entry);
          reject(signal?.reason);
        };
        const entry = {
          at: mono + ms,
          wake: () => {
            sleeping.delete(entry);
            signal?.removeEventListener('abort', onAbort);
            resolve();
          },
        };
        sleeping.add(entry);
        signal?.addEventListener('abort', onAbort, { once: true });
      });
    },
    async advance(ms) {
      const end = mono + ms;
      await settle();
      for (;;) {
        const next = [...sleeping].filter((one) => one.at <= end).sort((a, b) => a.at - b.at)[0];
        if (next === undefined) break;
        wall += Math.max(0, next.at - mono);
        mono = Math.max(mono, next.at);
        next.wake();
        await settle();
      }
      wall += end - mono;
      mono = end;
      await settle();
    },
    jump(ms) {
      wall += ms;
    },
    get sleepers() {
      return sleeping.size;
    },
  };
}
