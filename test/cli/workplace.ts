/** A home and a working directory for several runs of `tvdb`, with documents from the fixtures in it. */
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';
import { type Clock, systemClock } from '../../src/base/clock.ts';
import { openStore } from '../../src/store/open.ts';
import { type Run, type RunOptions, runTvdb } from '../setup/run-tvdb.ts';
import { tempDirectory } from '../setup/temp.ts';

export const FIXTURES = fileURLToPath(new URL('../../fixtures/', import.meta.url));
export const letter = join(FIXTURES, 'documents/letter.pdf');
export const unicode = join(FIXTURES, 'documents/unicode.pdf');
export const newsletter = join(FIXTURES, 'documents/multicolumn-newsletter.pdf');
export const hostile = (name: string) => join(FIXTURES, 'hostile', name);

// biome-ignore lint/suspicious/noExplicitAny: tests look into documents of many shapes
export type Json = any;

/** `files`: names in the working directory, and the path of a fixture or the bytes they hold. */
export function workplace(files: Record<string, string | Buffer> = {}) {
  const home = tempDirectory();
  const cwd = join(home, 'work');
  mkdirSync(cwd);
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(cwd, name)), { recursive: true });
    if (typeof content === 'string') copyFileSync(content, join(cwd, name));
    else writeFileSync(join(cwd, name), content);
  }
  const tvdb = (argv: readonly string[], options: RunOptions = {}): Promise<Run> =>
    runTvdb(argv, { home, cwd, ...options });
  const json = async (argv: readonly string[], options: RunOptions = {}): Promise<Json> =>
    (await tvdb([...argv, '--json'], options)).json;
  /** The rows of a table, read past the tool. */
  const rows = async (table: 'upload_jobs' | 'attempts' | 'runs' | 'documents'): Promise<Json[]> => {
    const store = openStore({ home: join(home, 'data/tvdb') });
    onTestFinished(() => store.close());
    return store.db.selectFrom(table).selectAll().execute();
  };
  return { home, cwd, tvdb, json, rows };
}

/**
 * The clock of the machine, except that some sleeps are the test's: `sleeps` gets the length of each and returns a
 * promise to sleep by, or nothing for a real sleep. A test can hang a step there, or act at the moment it begins.
 */
export function steeredClock(sleeps: (ms: number) => Promise<void> | undefined): Clock {
  return {
    ...systemClock,
    sleep(ms, signal) {
      const steered = sleeps(ms);
      if (steered === undefined) return systemClock.sleep(ms, signal);
      return new Promise((resolve, reject) => {
        if (signal?.aborted) return reject(signal.reason);
        signal?.addEventListener('abort', () => reject(signal.reason), { once: true });
        steered.then(resolve, reject);
      });
    },
  };
}

/** A promise and the way to resolve it. */
export function gate(): { opened: Promise<void>; open: () => void } {
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}
