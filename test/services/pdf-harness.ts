/**
 * What the PDF tests share: tiny documents written object by object, a clock moved by hand, and a child that
 * misbehaves.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Clock, systemClock } from '../../src/base/clock.ts';
import { createPdfPool, type PdfPool, type PdfPoolOptions } from '../../src/services/pdf/pool.ts';
import { afterFile, afterTest } from '../setup/afterwards.ts';

/** The real child, built by the global setup. */
export const CHILD = fileURLToPath(new URL('../../dist/pdf-child.cjs', import.meta.url));

export const never = new AbortController().signal;

/** A directory that is removed after the test. */
export function tempDir(): string {
  const dir = mkdtempSync(join(tmpdir(), 'tvdb-pdf-'));
  afterTest(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

/** Writes `bytes` to a fresh file without extension, as stored documents have none, and returns its path. */
export function stored(bytes: Uint8Array | string): string {
  const path = join(tempDir(), 'document');
  writeFileSync(path, bytes);
  return path;
}

const DEFAULTS = { entry: CHILD, clock: systemClock, size: 1, inspectMs: 20_000, extractMs: 60_000, memoryMb: 400 };

/** A pool that is closed after the test. */
export function pool(options: Partial<PdfPoolOptions> = {}): PdfPool {
  const made = createPdfPool({ ...DEFAULTS, ...options });
  afterTest(() => made.close());
  return made;
}

/** A pool for all tests of a file: starting a child takes longer than most of them. */
export function sharedPool(): PdfPool {
  const made = createPdfPool({ ...DEFAULTS, idleMs: 60_000 });
  afterFile(() => made.close());
  return made;
}

/** The code of the `TvdbError` a promise rejects with; anything else fails the test. */
export async function codeOf(promise: Promise<unknown>): Promise<string> {
  const thrown: unknown = await promise.then(
    (value) => new Error(`resolved with ${JSON.stringify(value)}`),
    (reason: unknown) => reason,
  );
  if (thrown instanceof Error && 'code' in thrown && typeof thrown.code === 'string') return thrown.code;
  throw thrown;
}

/** A PDF of numbered objects (1 is the catalog) with a correct cross-reference table. */
export function rawPdf(objects: Record<number, string>): Buffer {
  let text = '%PDF-1.7\n';
  const offsets = new Map<number, number>();
  for (const [number, body] of Object.entries(objects)) {
    offsets.set(Number(number), text.length);
    text += `${number} 0 obj\n${body}\nendobj\n`;
  }
  const size = Math.max(...offsets.keys()) + 1;
  const entries = Array.from({ length: size - 1 }, (_, index) => {
    const offset = offsets.get(index + 1);
    return offset === undefined ? '0000000000 00001 f \n' : `${String(offset).padStart(10, '0')} 00000 n \n`;
  });
  const xref = `xref\n0 ${size}\n0000000000 65535 f \n${entries.join('')}`;
  return Buffer.from(
    `${text}${xref}trailer\n<</Size ${size}/Root 1 0 R>>\nstartxref\n${text.length}\n%%EOF\n`,
    'latin1',
  );
}

/** Objects of a document with one page for each text, the root node being object 2; pages are objects 11, 13, 15 … */
export function flat(texts: readonly string[], count: number = texts.length): Record<number, string> {
  const objects: Record<number, string> = {
    1: '<</Type/Catalog/Pages 2 0 R>>',
    2: node(
      texts.map((_, index) => pageObject(index)),
      count,
    ),
    3: '<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>',
  };
  texts.forEach((text, index) => {
    const content = `BT /F1 12 Tf 50 700 Td (${text}) Tj ET`;
    objects[10 + 2 * index] = `<</Length ${content.length}>>\nstream\n${content}\nendstream`;
    objects[pageObject(index)] =
      `<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Resources<</Font<</F1 3 0 R>>>>/Contents ${10 + 2 * index} 0 R>>`;
  });
  return objects;
}

/** The object number of the page with this index. */
export function pageObject(index: number): number {
  return 11 + 2 * index;
}

/** A node of a page tree. */
export function node(kids: readonly number[], count: number): string {
  return `<</Type/Pages/Count ${count}/Kids[${kids.map((kid) => `${kid} 0 R`).join(' ')}]>>`;
}

/** Texts for `n` pages, each different. */
export function texts(n: number): string[] {
  return Array.from({ length: n }, (_, index) => `Page number ${index + 1} speaks`);
}

/** A clock that stands still until the test moves it. */
export function manualClock(): Clock & { advance(ms: number): void } {
  let time = 0;
  let sleepers: { at: number; wake(): void }[] = [];
  return {
    now: () => time,
    monotonic: () => time,
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        if (signal?.aborted) return reject(signal.reason);
        const sleeper = { at: time + ms, wake: resolve };
        sleepers.push(sleeper);
        signal?.addEventListener('abort', () => {
          sleepers = sleepers.filter((other) => other !== sleeper);
          reject(signal.reason);
        });
      }),
    advance(ms) {
      time += ms;
      const due = sleepers.filter(({ at }) => at <= time);
      sleepers = sleepers.filter(({ at }) => at > time);
      for (const { wake } of due) wake();
    },
  };
}

/** A child that speaks the protocol and does what the name of the "document" says; it logs each task it begins. */
const MISBEHAVING = `
import { appendFileSync, readFileSync } from 'node:fs';
const log = new URL('tasks.log', import.meta.url);
process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'));
process.on('message', ({ id, task }) => {
  appendFileSync(log, process.pid + ' ' + task.kind + ' ' + task.path + '\\n');
  const [what, detail] = task.path.split(':');
  const begun = readFileSync(log, 'utf8').split('\\n').filter((line) => line.endsWith(' ' + task.path)).length;
  if (what === 'die' || (what === 'die-once' && begun === 1)) return process.kill(process.pid, detail);
  if (what === 'exit') return process.exit(3);
  if (what === 'grow') globalThis.grown = Buffer.alloc(Number(detail) * 1024 * 1024, 1);
  if (what === 'hang' || what === 'grow') return;
  const value = what === 'environment' ? { pages: 1, encrypted: false, environment: process.env } : { pages: 7, encrypted: false };
  process.send({ type: 'done', id, value, usage: { rssBytes: Number(detail ?? 1), cpuMs: 1 } });
});
if (!process.argv[1].includes('silent')) process.send({ type: 'ready' });
`;

/** Writes the misbehaving child; `begun` lists the tasks children have begun so far, with their process ids. */
export function misbehavingChild(): { entry: string; begun(): { pid: number; kind: string; path: string }[] } {
  const dir = tempDir();
  const entry = join(dir, 'child.mjs');
  writeFileSync(entry, MISBEHAVING);
  writeFileSync(join(dir, 'tasks.log'), '');
  return {
    entry,
    begun: () =>
      readFileSync(join(dir, 'tasks.log'), 'utf8')
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => {
          const [pid = '', kind = '', ...path] = line.split(' ');
          return { pid: Number(pid), kind, path: path.join(' ') };
        }),
  };
}

/** Whether a process exists and is not a zombie. */
export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'latin1'));
  } catch {
    return false;
  }
}
