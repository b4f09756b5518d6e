/** Progress for pipes, CI and screen readers: a line when a step begins, ends or passes a tenth, and a sign of life. */
import type { Clock } from '../../base/clock.ts';
import { duration } from './format.ts';
import { advance, isFinished, percent, type TrackedItem } from './progress.ts';
import { plainText, type Text } from './text.ts';
import type { ProgressState, ProgressView } from './ui.ts';

/** CI systems end a job that is silent for minutes. */
const HEARTBEAT_MS = 30_000;

export interface PlainProgress {
  readonly clock: Clock;
  readonly write: (line: string) => void;
  /** `16:40:02` of a wall-clock time. */
  readonly time: (at: number) => string;
}

/** A view that writes whole lines only. */
export function plainProgress({ clock, write, time }: PlainProgress): ProgressView {
  const items = new Map<string, TrackedItem>();
  let lastTally = '';
  const put = (kind: string, ...parts: Text[]) => {
    write(`${time(clock.now())} ${kind.padEnd(6)} ${plainText(parts)}\n`);
    heartbeat.refresh();
  };
  const heartbeat = setInterval(() => {
    const [oldest] = items.values();
    if (oldest === undefined) return;
    put(
      'alive',
      `${items.size} active`,
      `  ${oldest.state.label} ${oldest.state.step ?? ''} ${duration(clock.monotonic() - oldest.since)}`,
    );
  }, HEARTBEAT_MS);
  // A view that someone forgot to close must not keep the process alive.
  heartbeat.unref();

  const report = (before: TrackedItem | undefined, item: TrackedItem) => {
    const { state } = item;
    const what = [state.label, state.step ?? ''].filter((part) => part !== '').join(' ');
    const detail = state.detail === undefined ? '' : ` ${state.detail}`;
    if (before === undefined || before.state.step !== state.step || before.state.status !== state.status) {
      const word =
        isFinished(state) || state.status === 'warn' ? state.status : state.status === 'run' ? 'start' : state.status;
      put(isFinished(state) ? 'done' : 'stage', `${what} ${word}${detail}`);
      return;
    }
    if (Math.floor(percent(state) / 10) > Math.floor(percent(before.state) / 10))
      put('stage', `${what} ${percent(state)}%${detail}`);
  };

  return {
    item(id: string, state: ProgressState) {
      const before = items.get(id);
      const item = advance(before, id, state, clock.monotonic());
      if (isFinished(state)) items.delete(id);
      else items.set(id, item);
      report(before, item);
    },
    tally(text: string) {
      // Counts change with every line above; only the last one is worth a line of its own.
      lastTally = text;
    },
    log: (...parts: Text[]) => put('note', ...parts),
    close() {
      if (lastTally !== '') put('total', lastTally);
      lastTally = '';
      clearInterval(heartbeat);
    },
  };
}
