import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { sql } from 'kysely';
import { describe, expect, it, onTestFinished } from 'vitest';
import { JOB_STATUSES } from '../../src/domain/job-state.ts';
import { SCHEMA_VERSION } from '../../src/store/migrate.ts';
import { isSafeSqlite, openStore, STORE_FILE } from '../../src/store/open.ts';
import { tempDirectory } from '../setup/temp.ts';

function open(home = tempDirectory()) {
  const store = openStore({ home });
  onTestFinished(() => store.close());
  return store;
}

const codeOf = (work: () => unknown) => {
  try {
    work();
    return null;
  } catch (error) {
    return (error as { code?: string }).code;
  }
};

describe('openStore', () => {
  it('sets every pragma that keeps acknowledged writes (D1)', () => {
    const { sqlite } = open();
    const pragma = (name: string) => sqlite.pragma(name, { simple: true });
    expect(pragma('journal_mode')).toBe('wal');
    expect(pragma('synchronous')).toBe(2);
    expect(pragma('foreign_keys')).toBe(1);
    expect(pragma('trusted_schema')).toBe(0);
    expect(pragma('mmap_size')).toBe(0);
    expect(Number(pragma('busy_timeout'))).toBeLessThanOrEqual(1000);
    expect(pragma('user_version')).toBe(SCHEMA_VERSION);
  });

  it('makes the home 0700 and the store 0600, and narrows a store that others can read', () => {
    const home = join(tempDirectory(), 'home');
    open(home);
    expect(statSync(home).mode & 0o777).toBe(0o700);
    expect(statSync(join(home, STORE_FILE)).mode & 0o777).toBe(0o600);
    const other = tempDirectory();
    writeFileSync(join(other, STORE_FILE), '');
    chmodSync(join(other, STORE_FILE), 0o644);
    open(other);
    expect(statSync(join(other, STORE_FILE)).mode & 0o777).toBe(0o600);
  });

  it('T27 refuses a symlinked store, a file that is no database, a directory in its place and a newer schema', () => {
    const linked = tempDirectory();
    symlinkSync('/nowhere', join(linked, STORE_FILE));
    expect(codeOf(() => openStore({ home: linked }))).toBe('E506');
    const garbage = tempDirectory();
    writeFileSync(
      join(garbage, STORE_FILE),
      'this is not a database, and it is long enough to be read as one'.repeat(20),
    );
    expect(codeOf(() => openStore({ home: garbage }))).toBe('E502');
    const directory = tempDirectory();
    mkdirSync(join(directory, STORE_FILE));
    expect(codeOf(() => openStore({ home: directory }))).toBe('E506');
    const newer = tempDirectory();
    const store = openStore({ home: newer });
    store.sqlite.pragma(`user_version = ${SCHEMA_VERSION + 1}`);
    void store.close();
    expect(codeOf(() => openStore({ home: newer }))).toBe('E107');
  });

  it('makes what is missing above the home, and does not hang where the system lies about what exists', () => {
    const deep = join(tempDirectory(), 'a', 'b', 'c');
    open(deep);
    expect(statSync(deep).isDirectory()).toBe(true);
    expect(codeOf(() => openStore({ home: '/proc/no-such-directory' }))).toBe('E104');
  });

  it('T27 refuses a home that cannot be made', () => {
    const file = join(tempDirectory(), 'file');
    writeFileSync(file, '');
    expect(codeOf(() => openStore({ home: join(file, 'home') }))).toBe('E104');
  });

  it.each([
    ['3.51.2', false],
    ['3.51.3', true],
    ['3.53.2', true],
    ['4.0.0', true],
    ['3.7.0', false],
    ['3.52', true],
  ])('T97 judges SQLite %s as safe: %s', (version, safe) => {
    expect(isSafeSqlite(version)).toBe(safe);
  });

  it('T97 runs on a SQLite that is safe', async () => {
    const { rows } = await sql<{ version: string }>`SELECT sqlite_version() AS version`.execute(open().db);
    expect(isSafeSqlite(rows[0]?.version ?? '')).toBe(true);
  });

  it('knows exactly the statuses of MOVES in its CHECK', async () => {
    const { rows } = await sql<{ sql: string }>`SELECT sql FROM sqlite_schema WHERE name = 'upload_jobs'`.execute(
      open().db,
    );
    const check = /status IN \(([^)]*)\)/.exec(rows[0]?.sql ?? '')?.[1] ?? '';
    expect(check.split(',').map((name) => name.trim().replaceAll("'", ''))).toEqual(JOB_STATUSES);
  });

  it('refuses to change or delete an event', async () => {
    const { db } = open();
    await db
      .insertInto('job_events')
      .values({ event_id: 'e', at: 1, type: 'upload', severity: 'info', code: 'UPLOAD_ACCEPTED', data: '{}' })
      .execute();
    await expect(db.updateTable('job_events').set({ at: 2 }).execute()).rejects.toThrow('append-only');
    await expect(db.deleteFrom('job_events').execute()).rejects.toThrow('append-only');
  });

  it('T21 lets ten processes make the same store at once', async () => {
    const home = tempDirectory();
    const binary = fileURLToPath(new URL('../../bin/tvdb.js', import.meta.url));
    const ended = Array.from({ length: 10 }, async () => {
      const child = spawn(process.execPath, [binary, 'status', '--json'], {
        env: { ...process.env, TVDB_HOME: home },
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      let errors = '';
      child.stderr.on('data', (part: Buffer) => {
        errors += String(part);
      });
      child.stdout.resume();
      const [code] = (await once(child, 'close')) as [number];
      return { code, errors };
    });
    for (const { code, errors } of await Promise.all(ended)) expect({ code, errors }).toEqual({ code: 0, errors: '' });
    expect(open(home).sqlite.pragma('user_version', { simple: true })).toBe(SCHEMA_VERSION);
  });
});
