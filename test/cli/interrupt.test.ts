/** Ctrl-C, SIGTERM and a reader that goes away. */
import { EventEmitter } from 'node:events';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { listenForInterrupts, SETTLE_MS } from '../../src/cli/interrupt.ts';
import { runTvdb } from '../setup/run-tvdb.ts';
import { sample } from './sample-commands.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
});
afterEach(() => {
  vi.useRealTimers();
});

function listen() {
  const signals = new EventEmitter();
  const said: string[] = [];
  const exits: number[] = [];
  const control = listenForInterrupts({
    signals,
    say: (text) => said.push(text),
    restore: () => said.push('restored'),
    exit: (code) => exits.push(code),
  });
  return { signals, said, exits, control };
}

describe('interrupts', () => {
  it('the first Ctrl-C says so at once and only asks to stop', () => {
    const { signals, said, exits, control } = listen();
    signals.emit('SIGINT');
    expect(said).toHaveLength(1);
    expect(said[0]).toContain('Ctrl-C again ends at once');
    expect([control.stopping.aborted, control.abort.aborted, exits]).toEqual([true, false, []]);
    control.dispose();
  });

  it('the second cuts connections, restores the terminal and ends with 130', () => {
    const { signals, said, exits, control } = listen();
    signals.emit('SIGINT');
    signals.emit('SIGINT');
    expect(control.abort.aborted).toBe(true);
    expect(said.at(-1)).toBe('restored');
    expect(exits).toEqual([130]);
    control.dispose();
  });

  it.each(['SIGTERM', 'SIGHUP'])('%s gives 10 s to settle, then cuts, then ends with 143', (signal) => {
    const { signals, exits, control } = listen();
    signals.emit(signal);
    signals.emit(signal);
    vi.advanceTimersByTime(SETTLE_MS - 1);
    expect([control.stopping.aborted, control.abort.aborted]).toEqual([true, false]);
    vi.advanceTimersByTime(1);
    expect([control.abort.aborted, exits]).toEqual([true, []]);
    vi.advanceTimersByTime(1_000);
    expect(exits).toEqual([143]);
    control.dispose();
  });

  it('leaves neither timer nor listener behind', () => {
    const { signals, control } = listen();
    signals.emit('SIGINT');
    control.dispose();
    expect(vi.getTimerCount()).toBe(0);
    expect(signals.listenerCount('SIGINT') + signals.listenerCount('SIGTERM')).toBe(0);
  });
});

describe('a command that is interrupted', () => {
  const waits = sample('waits', (_input, { ui, interrupt }) => {
    ui.setRun('run-1');
    ui.resumeWith('tvdb upload --resume run-1');
    return new Promise((_resolve, reject) =>
      interrupt.stopping.addEventListener('abort', () => reject(interrupt.stopping.reason)),
    );
  });
  const serves = sample(
    'serves',
    (_input, { interrupt }) =>
      new Promise((resolve) => interrupt.stopping.addEventListener('abort', () => resolve({ data: {} }))),
    { stopIsSuccess: true },
  );
  const signalled = (name: string, signal: string, ...flags: string[]) => {
    const signals = new EventEmitter();
    const running = runTvdb([name, ...flags], { commands: [waits, serves], signals });
    queueMicrotask(function poll() {
      if (signals.listenerCount('uncaughtException') > 0) signals.emit(signal);
      else setImmediate(poll);
    });
    return running;
  };

  it('ends with 130 and the command that resumes it', async () => {
    const run = await signalled('waits', 'SIGINT');
    expect(run.code).toBe(130);
    expect(run.stderr).toContain('stop   Stopped by Ctrl-C\nresume tvdb upload --resume run-1\n');
    expect(run.stderr).not.toContain('error');
  });

  it('ends with 143 after SIGTERM, also in the JSON document', async () => {
    const run = await signalled('waits', 'SIGTERM', '--json');
    expect(run.code).toBe(143);
    expect(run.json).toMatchObject({ ok: false, exit_code: 143, error: { code: 'TVDB-E012', run_id: 'run-1' } });
  });

  it('ends with 0 if stopping is its normal end', async () => {
    expect(await signalled('serves', 'SIGINT')).toMatchObject({ code: 0 });
  });

  it('turns a promise that nobody waited for into E900', async () => {
    const signals = new EventEmitter();
    const floats = sample('floats', () => {
      setImmediate(() => signals.emit('uncaughtException', new Error('nobody waited')));
      return new Promise(() => {});
    });
    const run = await runTvdb(['floats'], { commands: [floats], signals });
    expect(run.code).toBe(70);
    expect(run.stderr).toContain('nobody waited');
  });
});
