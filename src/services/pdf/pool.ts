/**
 * A small pool of PDF child processes: the only way for the rest of tvdb to learn anything from the bytes of a
 * document.
 *
 * liteparse has such a pool (persistent workers, SIGKILL at a deadline), but its workers inherit the environment with
 * the keys in it, have no memory limit, cannot be cancelled one by one and know one task only. So the processes are
 * ours and liteparse runs inside them. See docs/decisions/0003-pdf-isolation.md.
 */
import type { Clock } from '../../base/clock.ts';
import { TvdbError } from '../../base/errors.ts';
import type { ParsedPage } from '../../domain/parsed-page.ts';
import type { Inspection, PdfTask, TaskValue } from './messages.ts';
import { ChildDied, cannotStart, Reader, tooMuchMemory } from './reader.ts';
import { spawnChild } from './spawn.ts';

export interface PdfInspector {
  /**
   * Pages and encryption of the PDF at an absolute path. Throws E303, E402, E403, E404, E405, E407, E409, E414 or
   * E415.
   */
  inspect(path: string, signal: AbortSignal): Promise<Inspection>;
}

export interface PdfExtractor {
  /** Markdown of pages 1 to `pages`, each exactly once. Throws E303, E402, E403, E404, E405, E408, E409 or E414. */
  extract(path: string, pages: number, signal: AbortSignal): Promise<ParsedPage[]>;
}

export interface PdfPool extends PdfInspector, PdfExtractor {
  /** Kills all children, rejects all tasks, and resolves when the processes are gone. */
  close(): Promise<void>;
}

export interface PdfPoolOptions {
  /** The bundled `pdf-child` entry. */
  entry: URL | string;
  clock: Clock;
  /** Children at most; they are started only when there is work for them. */
  size: number;
  /** Wall limit for counting pages, including the start of the child. */
  inspectMs: number;
  /** Wall limit for extracting a document, including the start of the child. */
  extractMs: number;
  /** Resident memory at which a child is killed, in MiB. */
  memoryMb: number;
  /** Milliseconds after which an idle child ends. */
  idleMs?: number;
}

interface Waiting {
  task: PdfTask;
  start(): void;
  reject(reason: unknown): void;
}

const IDLE_MS = 2_000;

/** A child larger than this, or one that has worked longer, is replaced: allocators do not give memory back. */
const RECYCLE_BYTES = 160 * 1024 * 1024;
const RECYCLE_CPU_MS = 60_000;

/** Creates a pool. Nothing is started until the first task. */
export function createPdfPool(options: PdfPoolOptions): PdfPool {
  const { entry, clock, size, inspectMs, extractMs, memoryMb, idleMs = IDLE_MS } = options;
  // One task takes at most its wall limit on two threads; a child is given its last one before RECYCLE_CPU_MS is over.
  const cpuSeconds = Math.ceil((RECYCLE_CPU_MS + 2 * Math.max(inspectMs, extractMs)) / 1000);
  const readers = new Set<Reader>();
  const idle: Reader[] = [];
  const queue: Waiting[] = [];
  let busy = 0;
  let closed = false;

  function takeReader(): Reader {
    for (let reader = idle.pop(); reader !== undefined; reader = idle.pop()) {
      if (reader.usable) return reader;
    }
    const reader = new Reader(spawnChild(entry, { memoryMb, cpuSeconds, idleMs }), clock);
    readers.add(reader);
    void reader.gone.then(() => readers.delete(reader));
    return reader;
  }

  function giveBack(reader: Reader): void {
    const { rssBytes, cpuMs } = reader.usage;
    if (reader.usable && rssBytes < RECYCLE_BYTES && cpuMs < RECYCLE_CPU_MS) idle.push(reader);
    else reader.kill();
  }

  /** A place in the pool; counting pages goes before extraction, as somebody waits at the prompt for it. */
  async function place(task: PdfTask, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (closed) throw poolClosed();
    if (busy < size) {
      busy += 1;
      return;
    }
    await new Promise<void>((resolve, reject) => {
      const onAbort = () => {
        const at = queue.indexOf(waiting);
        if (at >= 0) queue.splice(at, 1);
        reject(signal.reason);
      };
      const waiting: Waiting = {
        task,
        start() {
          signal.removeEventListener('abort', onAbort);
          resolve();
        },
        reject,
      };
      const behind = task.kind === 'inspect' ? queue.findIndex((other) => other.task.kind === 'extract') : -1;
      queue.splice(behind < 0 ? queue.length : behind, 0, waiting);
      signal.addEventListener('abort', onAbort, { once: true });
    });
  }

  /** Hands the place to the next in the queue, or leaves it empty. */
  function leave(): void {
    const next = queue.shift();
    if (next === undefined) busy -= 1;
    else next.start();
  }

  async function perform<T extends PdfTask>(
    task: T,
    timeMs: number,
    signal: AbortSignal,
  ): Promise<TaskValue[T['kind']]> {
    await place(task, signal);
    try {
      try {
        return await once(task, timeMs, signal);
      } catch (thrown) {
        if (!(thrown instanceof ChildDied) || closed) throw thrown;
        // The child may have ended for a reason of its own (idle, memory short everywhere): once more, on a fresh one.
        return await once(task, timeMs, signal);
      }
    } catch (thrown) {
      if (closed) throw poolClosed();
      throw thrown instanceof ChildDied ? whyItDied(thrown, memoryMb) : thrown;
    } finally {
      leave();
    }
  }

  async function once<T extends PdfTask>(task: T, timeMs: number, signal: AbortSignal): Promise<TaskValue[T['kind']]> {
    const reader = takeReader();
    try {
      return await reader.perform(task, { timeMs, memoryMb }, signal);
    } finally {
      giveBack(reader);
    }
  }

  return {
    inspect: (path, signal) => perform({ kind: 'inspect', path }, inspectMs, signal),
    extract: (path, pages, signal) => perform({ kind: 'extract', path, pages }, extractMs, signal),
    async close() {
      closed = true;
      for (const { reject } of queue.splice(0)) reject(poolClosed());
      await Promise.all([...readers].map((reader) => reader.end()));
    },
  };
}

/** A crash twice in a row is the document's doing; the signal tells which limit or reader it hit. */
function whyItDied({ ending, wasReady }: ChildDied, memoryMb: number): TvdbError {
  if (!wasReady) return cannotStart(`it ended before it was ready (${ending})`);
  // SIGABRT: V8, C++ or Rust was refused memory. SIGKILL: the kernel was short of it. SIGXCPU: seconds of CPU used up.
  if (ending === 'SIGABRT' || ending === 'SIGKILL') return tooMuchMemory(memoryMb);
  if (ending === 'SIGXCPU') {
    return new TvdbError('E414', { message: 'reading the PDF takes too long', facts: { limit: 'time' } });
  }
  return new TvdbError('E405', {
    message: 'the PDF is damaged in a way that crashes its reader',
    why: `the reader process ended with ${typeof ending === 'string' ? ending : 'an error'} twice`,
    facts: { ending },
  });
}

function poolClosed(): TvdbError {
  return new TvdbError('E303', {
    message: 'the PDF reader is shut down',
    fix: 'Run `tvdb run` to continue.',
    retry: { kind: 'later' },
  });
}
