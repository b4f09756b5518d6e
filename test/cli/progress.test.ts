/** Progress for pipes, and what both kinds share. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { advance, countText, percent } from '../../src/cli/ui/progress.ts';
import { plainProgress } from '../../src/cli/ui/progress-plain.ts';
import type { ProgressState } from '../../src/cli/ui/ui.ts';

beforeEach(() => {
  vi.useFakeTimers({ now: 0 });
});
afterEach(() => {
  vi.useRealTimers();
});

function view() {
  const written: string[] = [];
  const clock = { now: () => Date.now(), monotonic: () => performance.now(), sleep: async () => {} };
  const progress = plainProgress({
    clock,
    write: (line) => written.push(line),
    time: (at) => new Date(at).toISOString().slice(11, 19),
  });
  return { progress, written };
}

describe('plain progress (G2)', () => {
  it('writes a line when a step begins, passes a tenth and ends, and no other', () => {
    const { progress, written } = view();
    const embed = (done: number): ProgressState => ({ label: 'a.pdf', status: 'run', step: 'embed', done, total: 200 });
    progress.item('1', { label: 'a.pdf', status: 'run', step: 'parse' });
    for (let done = 0; done <= 200; done += 1) progress.item('1', embed(done));
    progress.item('1', { label: 'a.pdf', status: 'ok', step: 'embed', detail: '200 chunks' });
    progress.close();
    expect(written[0]).toBe('00:00:00 stage  a.pdf parse start\n');
    expect(written[1]).toBe('00:00:00 stage  a.pdf embed start\n');
    expect(written.slice(2, 12).map((line) => /(\d+)%/.exec(line)?.[1])).toEqual([
      '10',
      '20',
      '30',
      '40',
      '50',
      '60',
      '70',
      '80',
      '90',
      '100',
    ]);
    expect(written.slice(12)).toEqual(['00:00:00 done   a.pdf embed ok 200 chunks\n']);
  });

  it('gives a sign of life every 30 s while something is active, and none after', () => {
    const { progress, written } = view();
    progress.item('1', { label: 'a.pdf', status: 'run', step: 'parse' });
    vi.advanceTimersByTime(95_000);
    expect(written.slice(1)).toEqual(
      ['00:00:30', '00:01:00', '00:01:30'].map(
        (at, i) => `${at} alive  1 active  a.pdf parse ${['30.0s', '1m00s', '1m30s'][i]}\n`,
      ),
    );
    progress.item('1', { label: 'a.pdf', status: 'ok', step: 'parse' });
    vi.advanceTimersByTime(120_000);
    expect(written).toHaveLength(5);
  });

  it('stops with close, after the last tally', () => {
    const { progress, written } = view();
    progress.item('1', { label: 'a.pdf', status: 'run' });
    progress.tally('1/2 done');
    progress.tally('2/2 done');
    progress.close();
    vi.advanceTimersByTime(120_000);
    expect(written.slice(1)).toEqual(['00:00:00 total  2/2 done\n']);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('escapes what file names may hold', () => {
    const { progress, written } = view();
    progress.item('1', { label: 'a\x1b[2J\n.pdf', status: 'run' });
    expect(written[0]).toContain('a\\x1b[2J\\n.pdf');
    progress.close();
  });
});

describe('figures (G3)', () => {
  it('never go backwards within a step, and begin anew with the next', () => {
    const first = advance(undefined, '1', { label: 'a', status: 'run', step: 'embed', done: 60, total: 100 }, 0);
    const back = advance(first, '1', { label: 'a', status: 'run', step: 'embed', done: 40, total: 100 }, 5);
    expect(back.state.done).toBe(60);
    expect(back.since).toBe(0);
    const next = advance(back, '1', { label: 'a', status: 'run', step: 'store', done: 1, total: 9 }, 7);
    expect(next.state.done).toBe(1);
    expect(next.since).toBe(7);
  });

  it('say 100% only when all is done, and nothing where nothing is counted', () => {
    expect(percent({ done: 999, total: 1000 })).toBe(99);
    expect(percent({ done: 1000, total: 1000 })).toBe(100);
    expect(percent({ done: 0, total: 0 })).toBe(0);
    expect(countText({ label: 'a', status: 'run' })).toBe('');
    expect(countText({ label: 'a', status: 'run', done: 120, total: 240 })).toBe('120/240 50%');
  });
});
