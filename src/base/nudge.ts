/** A wake-up within a process: whoever waits goes on as soon as somebody says that there is news. */

export interface Nudge {
  /** Resolves at the next call of `now`. */
  next(): Promise<void>;
  /** Wakes everybody who waits. */
  now(): void;
}

/** A nudge that nobody has given yet. */
export function createNudge(): Nudge {
  let wake = () => {};
  let waiting = new Promise<void>((resolve) => {
    wake = resolve;
  });
  return {
    next: () => waiting,
    now() {
      const woken = wake;
      waiting = new Promise<void>((resolve) => {
        wake = resolve;
      });
      woken();
    },
  };
}
