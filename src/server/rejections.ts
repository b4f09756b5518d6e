/** Notes of refused requests in the log: at most one line a second, so that a flood of forgeries cannot fill the disk. */
import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';

const LEAST_BETWEEN_MS = 1_000;

export interface Rejections {
  /** Counts one; nothing of the request is kept but why it was refused. */
  note(reason: string): void;
  /** Writes what was counted since the last line. */
  flush(): void;
}

/** Notes under the name of an event (`WEBHOOK_REJECTED`). The first of a series is written at once, with the rest counted. */
export function createRejections(event: string, { log, clock }: { log: Log; clock: Clock }): Rejections {
  let count = 0;
  let reasons = new Set<string>();
  let last = Number.NEGATIVE_INFINITY;
  const flush = () => {
    if (count === 0) return;
    log('warn', event, { count, reasons: [...reasons].sort() });
    last = clock.monotonic();
    count = 0;
    reasons = new Set();
  };
  return {
    note(reason) {
      count += 1;
      reasons.add(reason);
      if (clock.monotonic() - last >= LEAST_BETWEEN_MS) flush();
    },
    flush,
  };
}
