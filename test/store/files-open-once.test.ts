/** Nobody but SQLite opens the files of the store while it is open: a second descriptor, closed, takes its locks away. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, it } from 'vitest';
import { tempDirectory } from '../setup/temp.ts';

const TRAP = pathToFileURL(resolve('test/store/trap.mjs')).href;

function place() {
  const home = tempDirectory();
  const log = join(home, 'trap.log');
  mkdirSync(join(home, 'in'));
  for (const name of ['letter.pdf', 'unicode.pdf'])
    copyFileSync(resolve('fixtures/documents', name), join(home, 'in', name));
  copyFileSync(resolve('fixtures/hostile/garbage.pdf'), join(home, 'in', 'garbage.pdf'));
  const run = async (script: string, args: readonly string[]) => {
    const child = spawn(process.execPath, ['--import', TRAP, script, ...args], {
      cwd: home,
      env: { PATH: process.env.PATH ?? '', HOME: home, TVDB_HOME: join(home, 'store'), TVDB_TRAP_LOG: log },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const texts = { out: '', err: '' };
    child.stdout.on('data', (part) => {
      texts.out += part;
    });
    child.stderr.on('data', (part) => {
      texts.err += part;
    });
    const [code] = await once(child, 'close');
    return { code: code as number, ...texts };
  };
  const noted = () => (existsSync(log) ? readFileSync(log, 'utf8').trimEnd().split('\n') : []);
  return { home, run, noted };
}

describe('T24 the files of the store', () => {
  it('are opened by SQLite alone, whatever command runs', async () => {
    const { run, noted } = place();
    const tvdb = async (expected: number, ...args: string[]) => {
      const { code, out, err } = await run(resolve('bin/tvdb.js'), args);
      expect([args, code, err]).toEqual([args, expected, expect.any(String)]);
      expect([args, noted().filter((line) => line.startsWith('TRAP'))]).toEqual([args, []]);
      return out;
    };
    const uploaded = await tvdb(7, 'upload', '--recursive', 'in', '--no-input', '--json');
    const [{ job_id: jobId, document_id: documentId }] = JSON.parse(uploaded).data.documents.filter(
      ({ status }: { status: string }) => status === 'complete',
    );
    const commands: [number, ...string[]][] = [
      [0, 'upload', 'in/letter.pdf', '--force', '--no-wait', '--no-input'],
      [0, 'run', '--no-input'],
      [0, 'status', '--json'],
      [0, 'trace', jobId, '--full'],
      [0, 'search', 'letter', '--json'],
      [0, 'export', documentId],
      [0, 'costs'],
      [2, 'retry', jobId],
      [0, 'doctor', '--json'],
      [0, 'doctor', '--fix'],
      [0, 'upload', 'in/unicode.pdf', '--force', '--no-wait', '--no-input'],
      [0, 'cancel', '--all', '--yes'],
      [0, 'delete', documentId, '--yes'],
    ];
    for (const [expected, ...args] of commands) await tvdb(expected, ...args);
    // The trap was set: every one of them opened the store.
    expect(noted().filter((line) => line.startsWith('SQLite')).length).toBeGreaterThanOrEqual(commands.length + 1);
  });

  it('are guarded by a trap that catches who opens them', async () => {
    const { home, run, noted } = place();
    const script = join(home, 'reads.mjs');
    writeFileSync(
      script,
      `import { readFileSync } from 'node:fs';
       import { readFile } from 'node:fs/promises';
       import { createRequire } from 'node:module';
       const Sqlite = createRequire(${JSON.stringify(resolve('package.json'))})('better-sqlite3');
       const file = 'tvdb.sqlite';
       const open = new Sqlite(file);
       for (const read of [() => readFileSync(file), () => readFile(file + '-shm')]) try { await read(); } catch {}
       open.close();
       readFileSync(file);`,
    );
    expect((await run(script, [])).code).toBe(0);
    expect(noted()).toEqual([
      'SQLite opened tvdb.sqlite',
      'TRAP readFileSync tvdb.sqlite',
      'TRAP readFile tvdb.sqlite-shm',
    ]);
  });
});
