import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { CHECK_IDS } from '../../src/pipeline/checks/catalogue.ts';
import { openStore, type Store } from '../../src/store/open.ts';
import { thisProcess } from '../../src/store/workers.ts';
import { type Run, type RunOptions, runTvdb } from '../setup/run-tvdb.ts';
import { tempDirectory } from '../setup/temp.ts';

const LETTER = join(process.cwd(), 'fixtures/documents/letter.pdf');
const KEY = 'sk-0123456789abcdef-wxyz';
const NOW = ['--json'];

interface CheckJson {
  id: string;
  status: string;
  detail: string;
  why: string | null;
  fix: { text: string; commands: string[] } | null;
}

const check = (run: Run, id: string): CheckJson => run.json.data.checks.find((one: CheckJson) => one.id === id);
const dataOf = (home: string) => join(home, 'data', 'tvdb');

/** A home with one complete document. */
async function used(): Promise<string> {
  const { home, code } = await runTvdb(['upload', LETTER, '-q']);
  expect(code).toBe(0);
  return home;
}

async function onStore(home: string, work: (store: Store) => Promise<unknown>): Promise<void> {
  const store = openStore({ home: dataOf(home) });
  try {
    await work(store);
  } finally {
    await store.close();
  }
}

const doctor = (ids: string[], home: string, options: RunOptions = {}) =>
  runTvdb(['doctor', ...ids, ...NOW], { home, ...options });

function storedFile(home: string, bucket: 'raw' | 'parsed'): string {
  const root = join(dataOf(home), 'storage', bucket);
  return join(
    root,
    readdirSync(root, { recursive: true, encoding: 'utf8' }).find((name) => /\.(pdf|md)$/.test(name)) ?? '',
  );
}

describe('tvdb doctor', () => {
  it('finds nothing wrong on a fresh machine, and makes nothing', async () => {
    const run = await runTvdb(['doctor', '--json']);
    expect([run.code, run.json.schema, run.json.ok]).toEqual([0, 'tvdb.doctor/v1', true]);
    expect(run.json.data.counts).toMatchObject({ warn: 0, fail: 0 });
    expect(check(run, 'store').detail).toContain('not made yet');
    expect(check(run, 'quick-check').status).toBe('skip');
    expect(check(run, 'pdf-reader').status).toBe('ok');
    expect(existsSync(join(run.home, 'data'))).toBe(false);
  });

  it('finds nothing wrong after an upload, and skips only what nobody asked', async () => {
    const home = await used();
    const run = await doctor([], home);
    expect(run.code).toBe(0);
    const odd = run.json.data.checks.filter((one: CheckJson) => one.status !== 'ok').map((one: CheckJson) => one.id);
    expect(odd).toEqual(['llamaparse', 'openai']);
    expect(run.json.data.checks.map((one: CheckJson) => one.id)).toEqual(CHECK_IDS.filter((id) => id !== 'integrity'));
    expect(check(await doctor(['integrity'], home), 'integrity').status).toBe('ok');
  });

  it('runs the named checks only, in its own order', async () => {
    const { stdout, code } = await runTvdb(['doctor', 'sqlite', 'node']);
    expect(code).toBe(0);
    expect(stdout.split('\n').map((line) => line.split('\t').slice(0, 2))).toEqual([
      ['node', 'ok'],
      ['sqlite', 'ok'],
      [''],
    ]);
  });

  it('lists its checks, and suggests the one that was meant (exit 2)', async () => {
    const { stdout } = await runTvdb(['doctor', '--list-checks', '-q']);
    expect(stdout.trimEnd().split('\n')).toEqual(CHECK_IDS);
    const { code, json, stderr } = await runTvdb(['doctor', 'stor', '--json']);
    expect([code, json.error.code]).toEqual([2, 'TVDB-E005']);
    expect(stderr).toContain('Did you mean "store"?');
  });

  it('is grouped on a terminal, and no wider than it', async () => {
    const home = await used();
    for (const cols of [40, 80]) {
      const { stdout } = await runTvdb(['doctor', 'node', 'home', 'store'], {
        home,
        tty: true,
        cols,
        env: { NO_COLOR: '1' },
      });
      expect(stdout).toMatch(/^Runtime\n.*node[\s\S]*\nPaths\n[\s\S]*\nStore\n/);
      expect(stdout).toMatch(/3 ok {2}0 warn {2}0 fail {2}0 skip/);
      for (const line of stdout.split('\n')) expect(line.length).toBeLessThanOrEqual(cols);
    }
  });

  it('reports a home that cannot be used, and goes on (exit 1)', async () => {
    const home = tempDirectory();
    writeFileSync(join(home, 'taken'), '');
    const run = await doctor([], home, { env: { TVDB_HOME: join(home, 'taken') } });
    expect([run.code, run.json.error.code]).toEqual([1, 'TVDB-E110']);
    expect(check(run, 'home').status).toBe('fail');
    expect(check(run, 'node').status).toBe('ok');
    const below = await doctor(['home'], home, { env: { TVDB_HOME: '/proc/tvdb' } });
    expect([below.code, check(below, 'home').status]).toEqual([1, 'fail']);
  });

  it('reports a store that cannot be opened, and skips what needs it (exit 1)', async () => {
    const home = await used();
    rmSync(join(dataOf(home), 'tvdb.sqlite'));
    writeFileSync(join(dataOf(home), 'tvdb.sqlite'), 'this is no database, however long it is '.repeat(100), {
      mode: 0o600,
    });
    const run = await doctor([], home);
    expect(run.code).toBe(1);
    expect(check(run, 'store')).toMatchObject({ status: 'fail' });
    expect(check(run, 'store').detail).toContain('TVDB-E502');
    expect(check(run, 'leases')).toMatchObject({ status: 'skip', detail: 'the store cannot be opened' });
    expect(run.json.data.counts.fail).toBe(1);
  });

  it('names damage and lost rights as what they are, with the fix also in a pipe, never as a bug', async () => {
    const home = tempDirectory();
    writeFileSync(join(home, 'taken'), '');
    const plain = await runTvdb(['doctor', 'store'], { home, env: { TVDB_HOME: join(home, 'taken') } });
    expect(plain.stdout).toMatch(
      /^store\tfail\t.*\(TVDB-E104\)\tCheck its owner and permissions, or set TVDB_HOME\.\n$/,
    );

    const damaged = await used();
    const file = join(dataOf(damaged), 'tvdb.sqlite');
    const bytes = readFileSync(file);
    // All but the first pages: the file opens, its tables do not.
    writeFileSync(file, bytes.fill(0xff, 8192 * 2));
    const run = await doctor([], damaged);
    expect(run.code).toBe(1);
    expect(run.stdout).not.toContain('TVDB-E900');
    expect(run.stdout).not.toContain('hit a bug');
    const found = run.json.data.checks.filter(({ status }: CheckJson) => status === 'fail');
    expect(found.length).toBeGreaterThan(0);
    for (const one of found) {
      expect(one.detail).toMatch(/TVDB-E502|damaged/);
      expect(one.fix.text).toContain('restore a backup');
    }
    const piped = await runTvdb(['doctor', 'store', 'quick-check', 'leases'], { home: damaged });
    expect(piped.stdout).toContain('\tstop all workers and restore a backup of the home directory\n');
  });

  it('says of a single damaged table that the store is damaged (E502)', async () => {
    const home = await used();
    const pages: number[] = [];
    await onStore(home, async ({ sqlite }) => {
      for (const name of ['workers', 'upload_jobs', 'documents']) {
        const row = sqlite.prepare('SELECT rootpage FROM sqlite_schema WHERE name = ?').get(name);
        pages.push((row as { rootpage: number }).rootpage);
      }
    });
    const file = join(dataOf(home), 'tvdb.sqlite');
    const bytes = readFileSync(file);
    for (const page of pages) bytes.fill(0xff, 8192 * (page - 1), 8192 * page);
    writeFileSync(file, bytes);
    const run = await doctor([], home);
    expect(check(run, 'store').status).toBe('ok');
    for (const id of ['leases', 'raw-files', 'workers']) {
      expect(check(run, id)).toMatchObject({ status: 'fail', detail: expect.stringContaining('TVDB-E502') });
    }
    expect(run.stdout).not.toContain('TVDB-E900');
  });

  it('does not call a store that was emptied sound, however young its files are', async () => {
    const home = await used();
    for (const name of readdirSync(dataOf(home)).filter((one) => one.startsWith('tvdb.sqlite')))
      truncateSync(join(dataOf(home), name));
    const found = check(await doctor(['orphan-files'], home), 'orphan-files');
    expect(found).toMatchObject({ status: 'warn', fix: { text: expect.stringContaining('restore a backup') } });
    expect(found.detail).toBe('0 of 2 stored files have their document, 2 younger than an hour have none');
  });

  it.each([
    ['SERVICE_MODE=reel', { SERVICE_MODE: 'reel' }, '', 'TVDB-E103'],
    ['a broken preferences file', {}, '{"SERVICE_MODE": ', 'TVDB-E108'],
  ])('fails its configuration check over %s, and goes on with the others (exit 1)', async (_what, env, saved, code) => {
    const home = tempDirectory();
    mkdirSync(join(home, 'config', 'tvdb'), { recursive: true });
    writeFileSync(join(home, 'config', 'tvdb', 'config.json'), saved === '' ? '{}' : saved, { mode: 0o600 });
    const run = await doctor(['config', 'env-files', 'keys', 'home', 'store'], home, { env });
    expect([run.code, run.json.error.code]).toEqual([1, 'TVDB-E110']);
    expect(check(run, 'config')).toMatchObject({
      status: 'fail',
      detail: expect.stringContaining(code),
      fix: { commands: ['tvdb config list'] },
    });
    expect(run.json.data.counts).toMatchObject({ ok: 4, fail: 1 });
  });

  it('sees rights that are too wide, and takes them away with --fix', async () => {
    const home = await used();
    chmodSync(dataOf(home), 0o755);
    chmodSync(join(dataOf(home), 'tvdb.sqlite'), 0o644);
    chmodSync(storedFile(home, 'raw'), 0o644);
    const before = await doctor(['home', 'file-modes'], home);
    expect([before.code, check(before, 'home').status, check(before, 'file-modes').status]).toEqual([
      0,
      'warn',
      'warn',
    ]);
    expect(check(before, 'file-modes').detail).toMatch(/^2 of /);
    const fixed = await runTvdb(['doctor', 'home', 'file-modes', '--fix', '--json'], { home });
    expect(fixed.json.data.counts).toMatchObject({ ok: 2, warn: 0 });
    expect(fixed.json.data.repairs).toMatchObject([
      { id: 'home', done: true },
      { id: 'file-modes', done: true },
    ]);
    expect(fixed.stderr.indexOf('Fixing:')).toBeGreaterThanOrEqual(0);
    expect(statSync(dataOf(home)).mode & 0o777).toBe(0o700);
    expect(statSync(storedFile(home, 'raw')).mode & 0o777).toBe(0o600);
  });

  it('removes abandoned temp files with --fix, young ones never', async () => {
    const home = await used();
    const incoming = join(dataOf(home), 'storage', 'incoming');
    mkdirSync(incoming, { recursive: true });
    for (const name of ['old', 'young']) writeFileSync(join(incoming, name), 'part of a document', { mode: 0o600 });
    utimesSync(join(incoming, 'old'), 1, 1);
    const run = await runTvdb(['doctor', 'temp-files', '--fix', '--json'], { home });
    expect(check(run, 'temp-files').status).toBe('ok');
    expect(readdirSync(incoming)).toEqual(['young']);
  });

  it('empties buffers of ended jobs with --fix, those of failed jobs never', async () => {
    const home = await used();
    const buffer = {
      chunk_id: 'c',
      chunker: 'x',
      text: 't',
      chunk_sha: '',
      page_from: 1,
      page_to: 1,
      heading_path: '[]',
      token_count: 1,
      chunk_ord: 0,
    };
    await onStore(home, (store) =>
      store.write(async (trx) => {
        const job = await trx.selectFrom('upload_jobs').selectAll().executeTakeFirstOrThrow();
        const failed = { ...job, job_id: 'failed', correlation_id: 'failed', status: 'failed_embedding' as const };
        await trx.insertInto('upload_jobs').values(failed).execute();
        await trx
          .insertInto('chunk_buffer')
          .values([
            { ...buffer, job_id: job.job_id },
            { ...buffer, job_id: 'gone' },
            { ...buffer, job_id: 'failed' },
          ])
          .execute();
      }),
    );
    expect(check(await doctor(['buffers'], home), 'buffers')).toMatchObject({
      status: 'warn',
      detail: '2 ended jobs have left buffers',
    });
    const fixed = await runTvdb(['doctor', 'buffers', '--fix', '--json'], { home });
    expect(check(fixed, 'buffers').status).toBe('ok');
    await onStore(home, async ({ db }) =>
      expect(await db.selectFrom('chunk_buffer').select('job_id').execute()).toEqual([{ job_id: 'failed' }]),
    );
  });

  it('misses stored bytes and sees changed markdown', async () => {
    const home = await used();
    truncateSync(storedFile(home, 'raw'), 10);
    writeFileSync(storedFile(home, 'parsed'), 'something else');
    const run = await doctor(['raw-files', 'parsed-files'], home);
    expect([run.code, check(run, 'raw-files').status, check(run, 'parsed-files').status]).toEqual([1, 'fail', 'fail']);
  });

  it('sees a vector that has changed, and one that is missing', async () => {
    const home = await used();
    await onStore(home, (store) =>
      store.write((trx) =>
        trx
          .updateTable('vectors')
          .set({ vector_sha: '0'.repeat(64) })
          .execute(),
      ),
    );
    expect(check(await doctor(['content'], home), 'content')).toMatchObject({
      status: 'fail',
      detail: expect.stringContaining('have changed'),
    });
    await onStore(home, (store) => store.write((trx) => trx.deleteFrom('vectors').execute()));
    const run = await doctor(['content'], home);
    expect(check(run, 'content')).toMatchObject({
      status: 'fail',
      detail: expect.stringContaining('wrong number of vectors'),
    });
  });

  it('does not miss the vectors of a version that a newer one replaced', async () => {
    const home = tempDirectory();
    const path = join(home, 'letter.pdf');
    writeFileSync(path, readFileSync(LETTER));
    await runTvdb(['upload', path, '-q'], { home });
    writeFileSync(path, Buffer.concat([readFileSync(LETTER), Buffer.from('\n% changed\n')]));
    await runTvdb(['upload', path, '-q'], { home });
    expect(check(await doctor(['content'], home), 'content').status).toBe('ok');
  });

  it('tells files that an interrupted deletion left from others', async () => {
    const home = await used();
    const raw = storedFile(home, 'raw');
    const stranger = join(raw, '..', '11111111-1111-4111-8111-111111111111.pdf');
    writeFileSync(stranger, 'x', { mode: 0o600 });
    expect(check(await doctor(['orphan-files'], home), 'orphan-files')).toMatchObject({
      status: 'ok',
      detail: '2 of 3 stored files have their document, 1 younger than an hour have none',
    });
    utimesSync(stranger, 1, 1);
    expect(check(await doctor(['orphan-files'], home), 'orphan-files')).toMatchObject({ status: 'warn' });
    await onStore(home, (store) => store.write((trx) => trx.deleteFrom('documents').execute()));
    const run = await doctor(['orphan-files'], home);
    expect(check(run, 'orphan-files').status).toBe('fail');
    const [command = ''] = check(run, 'orphan-files').fix?.commands ?? [];
    expect((await runTvdb(command.split(' ').slice(1), { home })).code).toBe(0);
    expect(existsSync(raw)).toBe(false);
  });

  it('sees leases that nobody honours and workers that are dead', async () => {
    const home = await used();
    await onStore(home, (store) =>
      store.write(async (trx) => {
        await trx.updateTable('upload_jobs').set({ status: 'uploaded', lease_owner: 'w', lease_until: 1 }).execute();
        await trx
          .insertInto('workers')
          .values({
            worker_id: 'w',
            host: thisProcess().host,
            boot_id: 'another boot',
            pid: 1,
            pid_started: '1',
            started_at: 1,
            heartbeat_at: 1,
          })
          .execute();
      }),
    );
    const run = await doctor(['leases', 'workers'], home);
    expect([check(run, 'leases').status, check(run, 'workers').status, run.code]).toEqual(['warn', 'warn', 0]);
    expect(check(run, 'workers').detail).toBe('0 running, 1 dead');
  });

  it('warns of a key file that others can read, shows no key, and closes it with --fix', async () => {
    const home = tempDirectory();
    const file = join(home, 'work', '.env');
    mkdirSync(join(home, 'work'));
    writeFileSync(file, `OPENAI_API_KEY=${KEY}\n`, { mode: 0o644 });
    const run = await doctor(['env-files', 'keys'], home);
    expect([check(run, 'env-files').status, check(run, 'keys').detail]).toEqual([
      'warn',
      'LLAMAPARSE_API_KEY not set, OPENAI_API_KEY set',
    ]);
    expect(run.stdout + run.stderr).not.toContain(KEY.slice(-4));
    await runTvdb(['doctor', 'env-files', '--fix', '--json'], { home });
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  it('warns of misspelt settings and of saved ones that are hidden; fails for keys that real mode needs', async () => {
    const home = tempDirectory();
    const config = join(home, 'config', 'tvdb');
    mkdirSync(config, { recursive: true });
    writeFileSync(join(config, 'config.json'), JSON.stringify({ SERVICE_MODE: 'mock', SERVICE_MOD: 'real' }), {
      mode: 0o600,
    });
    const run = await doctor(['config', 'env-shadow', 'keys'], home, {
      env: { TVDB_HOEM: '/tmp', SERVICE_MODE: 'real' },
    });
    expect(check(run, 'config').detail).toMatch(/SERVICE_MOD; .*TVDB_HOEM/);
    expect(check(run, 'env-shadow')).toMatchObject({ status: 'warn', fix: { commands: ['unset SERVICE_MODE'] } });
    expect(check(run, 'keys').status).toBe('fail');
    expect(run.code).toBe(1);
  });

  it('asks no service that has no key or with --offline, and says why', async () => {
    const run = await doctor(['openai'], tempDirectory());
    expect(check(run, 'openai')).toMatchObject({ status: 'skip', detail: 'OPENAI_API_KEY is not set' });
    const offline = await runTvdb(['doctor', 'openai', '--offline', '--json']);
    expect(check(offline, 'openai').detail).toBe('--offline');
  });
});
