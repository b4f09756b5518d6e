/** What both kinds of progress share: the state of each item, kept from going backwards, and when its step began. */
import { duration } from './format.ts';
import type { ProgressState } from './ui.ts';

export interface TrackedItem {
  readonly id: string;
  readonly state: ProgressState;
  /** Monotonic ms at which the present step began. */
  readonly since: number;
}

/** Whether nothing more will happen to it. */
export function isFinished(state: ProgressState): boolean {
  return state.status === 'ok' || state.status === 'fail' || state.status === 'skip';
}

/** The next state of an item: within one step its count never falls, and the time of the step's begin is kept. */
export function advance(before: TrackedItem | undefined, id: string, state: ProgressState, now: number): TrackedItem {
  const sameStep = before !== undefined && before.state.step === state.step;
  const least = sameStep ? (before.state.done ?? 0) : 0;
  const done = state.done === undefined ? undefined : Math.max(state.done, least);
  return { id, state: { ...state, ...(done !== undefined && { done }) }, since: sameStep ? before.since : now };
}

/** `120/240 50%`, or an empty text where nothing is counted. */
export function countText({ done, total }: ProgressState): string {
  if (done === undefined || total === undefined || total <= 0) return '';
  return `${done}/${total} ${percent({ done, total })}%`;
}

/** Whole percent, 100 only when all is done. */
export function percent({ done = 0, total = 0 }: { done?: number; total?: number }): number {
  return total <= 0 ? 0 : Math.min(100, Math.floor((done / total) * 100));
}

/** `embed    120/240 50%  4.0s`: everything about an item but its name and status word. */
export function stateText(item: TrackedItem, now: number): string {
  const { step = '', detail = '' } = item.state;
  return [step.padEnd(8), countText(item.state), detail, duration(now - item.since)]
    .filter((part) => part.trim() !== '')
    .join('  ');
}
