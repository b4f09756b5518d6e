/** One PDF child process as its parent sees it: gives it a task, watches it, kills it. */
import type { ChildProcess } from 'node:child_process';
import type { Clock } from '../../base/clock.ts';
import { TvdbError } from '../../base/errors.ts';
import { watchMemory } from './memory-watch.ts';
import type { ChildMessage, ChildUsage, PdfTask, TaskMessage, TaskValue } from './messages.ts';

export interface TaskLimits {
  timeMs: number;
  memoryMb: number;
}

/** The child went away by itself during a task: crashed, out of memory, or killed by somebody else. */
export class ChildDied extends Error {
  /** Of the signal or the exit code, the one that there was. */
  readonly ending: NodeJS.Signals | number | null;
  /** Whether it had listened before. What ends earlier says nothing about the document. */
  readonly wasReady: boolean;
  constructor(ending: NodeJS.Signals | number | null, wasReady: boolean) {
    super(`the PDF child process ended (${ending})`);
    this.ending = ending;
    this.wasReady = wasReady;
  }
}

type Answer = Exclude<ChildMessage, { type: 'ready' }>;

interface Pending {
  settle(answer: Answer): void;
  fail(reason: unknown): void;
}

/**
 * A child process ready for one task at a time. While it works it keeps the event loop of the parent alive, while it is
 * idle it does not.
 */
export class Reader {
  /** Resolves when the process is gone. */
  readonly gone: Promise<void>;
  /** What the child had used after its last task. */
  usage: ChildUsage = { rssBytes: 0, cpuMs: 0 };
  private readonly child: ChildProcess;
  private readonly clock: Clock;
  private pending: Pending | undefined;
  private lastId = 0;
  private alive = true;
  private ready = false;

  constructor(child: ChildProcess, clock: Clock) {
    this.child = child;
    this.clock = clock;
    this.gone = new Promise((resolve) => {
      const ended = (reason: unknown) => {
        this.alive = false;
        this.pending?.fail(reason);
        resolve();
      };
      child.once('exit', (code, signal) => {
        ended(new ChildDied(signal ?? code, this.ready));
      });
      child.on('error', (cause) => {
        if (child.pid === undefined) ended(cannotStart(cause.message, cause));
      });
    });
    child.on('message', (message: ChildMessage) => {
      if (message.type === 'ready') this.ready = true;
      else this.pending?.settle(message);
    });
    this.rest();
  }

  get usable(): boolean {
    return this.alive && this.child.connected;
  }

  /** The process id; `undefined` when the process could not be started. */
  get pid(): number | undefined {
    return this.child.pid;
  }

  /**
   * Performs one task. Throws what the child refused as a `TvdbError`; E303 when it could not be started, E414 when a
   * limit is reached, `ChildDied` when it goes away by itself, and the reason of `signal` when that aborts; in all but
   * the first of these cases the child is dead afterwards.
   */
  async perform<T extends PdfTask>(task: T, limits: TaskLimits, signal: AbortSignal): Promise<TaskValue[T['kind']]> {
    signal.throwIfAborted();
    const watching = new AbortController();
    this.lastId += 1;
    const message: TaskMessage = { id: this.lastId, task };
    try {
      return await new Promise((resolve, reject) => {
        const fail = (reason: unknown) => {
          this.kill();
          reject(reason);
        };
        const settle = (answer: Answer) => {
          if (answer.id !== message.id) return;
          this.usage = answer.usage;
          if (answer.type === 'done') resolve(answer.value as TaskValue[T['kind']]);
          else reject(new TvdbError(answer.refusal.code, { ...answer.refusal, why: answer.refusal.why }));
        };
        this.pending = { settle, fail };
        signal.addEventListener('abort', () => fail(signal.reason), { signal: watching.signal });
        this.watch(limits, fail, watching.signal);
        this.work();
        // A message that cannot be sent is followed by the event that says why the child is gone.
        this.child.send(message, () => undefined);
      });
    } finally {
      this.pending = undefined;
      watching.abort();
      this.rest();
    }
  }

  /**
   * Ends the child and resolves when it is gone; until then it keeps the parent alive, which would else end in
   * mid-wait.
   */
  async end(): Promise<void> {
    this.kill();
    if (this.pid !== undefined && this.child.exitCode === null && this.child.signalCode === null) this.child.ref();
    await this.gone;
  }

  /** Ends the child at once, without waiting for it. */
  kill(): void {
    this.alive = false;
    this.child.kill('SIGKILL');
  }

  private watch({ timeMs, memoryMb }: TaskLimits, fail: (reason: unknown) => void, signal: AbortSignal): void {
    // Both end by the abort of `signal`, which is the normal end of a task.
    this.clock.sleep(timeMs, signal).then(
      () => fail(this.ready ? tooSlow(timeMs) : cannotStart(`it was not ready after ${timeMs} ms`)),
      () => undefined,
    );
    if (this.pid !== undefined) {
      void watchMemory(this.pid, memoryMb * 1024 * 1024, () => fail(tooMuchMemory(memoryMb)), this.clock, signal);
    }
  }

  private work(): void {
    this.child.ref();
    this.child.channel?.ref();
  }

  private rest(): void {
    this.child.unref();
    this.child.channel?.unref();
  }
}

function tooSlow(timeMs: number): TvdbError {
  const seconds = Math.round(timeMs / 100) / 10;
  return new TvdbError('E414', {
    message: 'reading the PDF takes too long',
    why: `it was stopped after ${seconds} s`,
    facts: { limit: 'time', seconds },
  });
}

/** E414 for a child that outgrew its memory. */
export function tooMuchMemory(memoryMb: number): TvdbError {
  return new TvdbError('E414', {
    message: 'reading the PDF takes too much memory',
    why: `it was stopped at ${memoryMb} MB`,
    facts: { limit: 'memory', memory_mb: memoryMb },
  });
}

/** E303 for a child that never listened. */
export function cannotStart(why: string, cause?: unknown): TvdbError {
  return new TvdbError('E303', {
    message: 'the PDF reader cannot be started',
    why,
    fix: 'Free memory or process slots, then `tvdb run` continues.',
    retry: { kind: 'later' },
    cause,
  });
}
