/** `tvdb status`: services, queue, jobs, watching. */
import { EventEmitter } from 'node:events';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { beforeAll, describe, expect, it } from 'vitest';
import { openStore } from '../../src/store/open.ts';
import type { NewJob } from '../../src/store/schema.ts';
import { registerWorker, thisProcess } from '../../src/store/workers.ts';
import { addJob } from '../setup/jobs.ts';
import { runTvdb } from '../setup/run-tvdb.ts';
import { countingIds } from '../setup/seeded.ts';
import { tempDirectory } from '../setup/temp.ts';
import { virtualClock } from '../setup/virtual-clock.ts';
import { livesThrough, makeHome, type Seed, seed, storeAt } from './seeded-home.ts';

const NOW = Date.UTC(2026, 10, 23, 12);
const clockAt = () => virtualClock(NOW);

/** A home with made-up jobs, and their ids. */
async function homeWith(...jobs: Partial<NewJob>[]): Promise<{ home: string; ids: string[] }> {
  const home = tempDirectory();
  const ids = countingIds();
  const made = await storeAt(home, async (store) => {
    const rows: string[] = [];
    for (const job of jobs)
      rows.push((await addJob(store, ids, { created_at: NOW - 60_000, updated_at: NOW, ...job })).job_id);
    return rows;
  });
  return { home, ids: made };
}

const FAILURE = {
  status: 'failed_parse',
  processing_started_at: NOW - 5_000,
  processing_completed_at: NOW - 3_800,
  last_error: JSON.stringify({
    code: 'TVDB-E404',
    category: 'data',
    message: 'The PDF needs a password',
    why: null,
    fix: 'Decrypt it.',
    retryable: false,
  }),
} as const satisfies Partial<NewJob>;

describe('an empty store', () => {
  it('has the same envelope, and what is unknown is null', async () => {
    const { code, json } = await runTvdb(['status', '--json']);
    expect(code).toBe(0);
    expect(json).toMatchObject({ schema: 'tvdb.status/v1', ok: true, exit_code: 0, error: null });
    expect(json.data.jobs).toEqual([]);
    expect(json.data.overall).toBe('ok');
    expect(json.data.queue).toMatchObject({ waiting: 0, active: 0, delayed: 0, failed: 0, oldest_ms: null });
    expect(json.data.services.map(({ name }: { name: string }) => name)).toEqual([
      'store',
      'worker',
      'llamaparse',
      'openai',
    ]);
    expect(json.data.services[1].heartbeat_age_ms).toBeNull();
  });

  it('says how to begin on a terminal, prints no row in a pipe, and is complete', async () => {
    const rich = await runTvdb(['status'], { tty: true });
    expect(stripVTControlCharacters(rich.stdout)).toContain('No jobs yet. Upload a document: tvdb upload');
    const piped = await runTvdb(['status', '--exit-status']);
    expect(piped).toMatchObject({ code: 0, stdout: '' });
  });
});

describe('documents that went through the pipeline', () => {
  let seeded: Seed;
  beforeAll(async () => {
    seeded = await seed(makeHome(), ['letter.pdf', 'unicode.pdf']);
  });

  it('are one row each in a pipe: full ids, no header, no colour', async () => {
    const { stdout, code } = await runTvdb(['status'], { home: seeded.home });
    const rows = stdout
      .trimEnd()
      .split('\n')
      .map((line) => line.split('\t'));
    expect(code).toBe(0);
    expect(rows.map(([id]) => id).sort()).toEqual(seeded.jobs.map((job) => job.job_id).sort());
    expect(rows.map((row) => row.slice(2, 5))).toEqual([
      ['complete', 'ok', '5/5'],
      ['complete', 'ok', '5/5'],
    ]);
    expect(stdout).not.toContain('\x1b');
  });

  it('carry every id of the job in JSON', async () => {
    const { json } = await runTvdb(['status', '--json'], { home: seeded.home });
    const job = seeded.jobs[0];
    expect(json.data.jobs.find((one: { job_id: string }) => one.job_id === job?.job_id)).toMatchObject({
      document_id: job?.document_id,
      correlation_id: job?.correlation_id,
      run_id: seeded.runId,
      status: 'complete',
      stage: 'store',
      stage_index: 5,
      filename: 'letter.pdf',
      nano_usd: 0,
      error_code: null,
    });
  });

  it.each(['job', 'document', 'run', 'correlation'] as const)(
    'are found by the first characters of a %s id',
    async (kind) => {
      const job = seeded.jobs[0];
      const id =
        { job: job?.job_id, document: job?.document_id, run: seeded.runId, correlation: job?.correlation_id }[kind] ??
        '';
      const { stdout, code } = await runTvdb(['status', id.slice(0, 12), '-q'], { home: seeded.home });
      expect(code).toBe(0);
      expect(stdout.trimEnd().split('\n')).toHaveLength(kind === 'run' ? 2 : 1);
      expect(stdout).toContain(job?.job_id);
    },
  );

  it.each([40, 60, 80, 200])('fit on a terminal of %i columns without losing a value', async (cols) => {
    const { stdout } = await runTvdb(['status', seeded.runId], { home: seeded.home, tty: true, cols });
    const text = stripVTControlCharacters(stdout);
    expect(Math.max(...text.split('\n').map((line) => line.length))).toBeLessThanOrEqual(cols);
    for (const value of ['letter.pdf', '5/5', '$0.0000', seeded.jobs[0]?.job_id.slice(0, 8)])
      expect(text).toContain(value);
  });

  it('a mistyped id is exit 2 with the id that was meant', async () => {
    const id = seeded.jobs[0]?.job_id ?? '';
    const wrong = `${id.slice(0, 7)}${id[7] === '0' ? '1' : '0'}`;
    const { code, stderr, json } = await runTvdb(['status', wrong, '--json'], { home: seeded.home });
    expect(code).toBe(2);
    expect(json.error).toMatchObject({
      code: 'TVDB-E006',
      facts: { suggestion: id },
      fix: { commands: [`tvdb status ${id.slice(0, 8)}`] },
    });
    expect(stderr).toContain(`Did you mean "${id.slice(0, 8)}"?`);
  });
});

describe('ids', () => {
  it('a prefix of several things is exit 2 with at most five of them', async () => {
    const { home } = await homeWith({}, {}, {});
    const { code, json } = await runTvdb(['status', '0000', '--json'], { home });
    expect(code).toBe(2);
    expect(json.error.code).toBe('TVDB-E007');
    expect(json.error.facts.candidates).toHaveLength(5);
  });

  it('three characters are too few', async () => {
    const { code, stderr } = await runTvdb(['status', 'abc']);
    expect(code).toBe(2);
    expect(stderr).toContain('its first 4 characters');
  });
});

describe('the queue', () => {
  it('that nothing consumes is said, with the command that does', async () => {
    const { home } = await homeWith({}, { status: 'chunks_stored' });
    const { stdout, stderr } = await runTvdb(['status'], { home, tty: true, clock: clockAt() });
    const text = stripVTControlCharacters(stdout);
    expect(text).toContain('2 waiting and nothing is consuming the queue: tvdb run');
    expect(text).toContain('parse 1 waiting   embed 1 waiting');
    expect(text).toContain('oldest 1m00s');
    expect(stripVTControlCharacters(stderr)).toContain('next   tvdb run');
  });

  it('of a living worker counts its job as active', async () => {
    const { home } = await homeWith({ lease_owner: 'w1', lease_until: NOW + 20_000 }, {});
    await storeAt(home, (store) => store.write((trx) => registerWorker(trx, 'w1', thisProcess(), NOW - 2_000)));
    const { json } = await runTvdb(['status', '--json'], { home, clock: clockAt() });
    expect(json.data.queue).toMatchObject({ waiting: 1, active: 1, consumers: 1 });
    expect(json.data.services[1]).toMatchObject({ status: 'ok', running: 1, heartbeat_age_ms: 2_000 });
    expect(json.data.jobs.map((job: { state: string }) => job.state).sort()).toEqual(['run', 'wait']);
  });

  it('of a worker that died is waiting again, whatever its lease says', async () => {
    const { home } = await homeWith({ lease_owner: 'w1', lease_until: NOW + 20_000 });
    await storeAt(home, (store) =>
      store.write((trx) => registerWorker(trx, 'w1', { ...thisProcess(), pid_started: 'long ago' }, NOW)),
    );
    const { json } = await runTvdb(['status', '--json'], { home, clock: clockAt() });
    expect(json.data.queue).toMatchObject({ waiting: 1, active: 0, consumers: 0 });
    expect(json.data.jobs[0].state).toBe('wait');
  });

  it('shows why jobs rest and until when', async () => {
    const { home } = await homeWith(
      { park_reason: 'retry', park_note: 'the parser was busy (try 1 of 5)', run_after: NOW + 12_000 },
      { park_reason: 'held_by_user', run_after: null },
    );
    const { stdout } = await runTvdb(['status', '--timezone', 'UTC'], { home, tty: true, cols: 100, clock: clockAt() });
    const text = stripVTControlCharacters(stdout);
    expect(text).toContain('1 parked: trying again after a failure, until 12:00:12 (in 12s)');
    expect(text).toContain('1 parked: held, until you act');
    expect(text).toContain('the parser was busy (try 1 of 5), until 12:00:12 (in 12s)');
  });

  it('tells jobs that wait for a budget to start anew from those that wait for an overrun to be seen', async () => {
    const { home } = await homeWith(
      { park_reason: 'budget', run_after: NOW + 12_000 },
      { park_reason: 'budget', run_after: null },
    );
    const { stdout } = await runTvdb(['status', '--timezone', 'UTC'], { home, tty: true, cols: 100, clock: clockAt() });
    const text = stripVTControlCharacters(stdout);
    expect(text).toContain('1 parked: the budget is used up, until 12:00:12 (in 12s)');
    expect(text).toContain('1 parked: a budget is stopped by an overrun, until you act');
  });
});

describe('failed jobs', () => {
  it('show their reason and lead to trace', async () => {
    const { home, ids } = await homeWith(FAILURE, { status: 'complete' });
    const { stdout, stderr, code } = await runTvdb(['status', '--failed'], { home, tty: true, clock: clockAt() });
    expect(code).toBe(0);
    const text = stripVTControlCharacters(stdout);
    expect(text).toContain('TVDB-E404  The PDF needs a password');
    expect(text).toContain('1.2s');
    expect(text).not.toContain('5/5');
    expect(stripVTControlCharacters(stderr)).toContain(`next   tvdb trace ${ids[0]?.slice(0, 8)}`);
  });

  it.each([
    ['complete and duplicate', [{ status: 'complete' }, { status: 'duplicate' }], 0],
    ['one failed', [{ status: 'complete' }, FAILURE], 1],
    ['one still going', [{ status: 'complete' }, { status: 'parsed' }], 8],
    ['one failed and one still going', [FAILURE, { status: 'parsed' }], 1],
  ] as const)('--exit-status: %s', async (_what, jobs, expected) => {
    const { home, ids } = await homeWith(...jobs);
    expect((await runTvdb(['status', ...ids, '--exit-status'], { home })).code).toBe(expected);
    expect((await runTvdb(['status', ...ids], { home })).code).toBe(0);
  });
});

describe('lists', () => {
  it('--limit and --since narrow, and the rest is announced', async () => {
    const { home } = await homeWith(
      { created_at: NOW - 3_600_000 * 30 },
      { created_at: NOW - 2_000 },
      { created_at: NOW - 1_000 },
    );
    const limited = await runTvdb(['status', '--limit', '2', '--json'], { home, clock: clockAt() });
    expect(limited.json.data.jobs).toHaveLength(2);
    expect(limited.json.data.more_jobs).toBe(true);
    const recent = await runTvdb(['status', '--since', '1d', '--json'], { home, clock: clockAt() });
    expect(recent.json.data.jobs).toHaveLength(2);
    expect(recent.json.data.more_jobs).toBe(false);
  });

  it('a hostile file name is shown, not obeyed', async () => {
    const { home } = await homeWith({});
    await storeAt(home, (store) =>
      store.db.updateTable('documents').set({ filename: 'a\x1b[2Jb\u202e.pdf' }).execute(),
    );
    const { stdout } = await runTvdb(['status'], { home, tty: true, env: { NO_COLOR: '1' } });
    expect(stdout).toContain('a\\x1b[2Jb\\u202e.pdf');
    expect(stdout).not.toContain('\x1b');
  });

  it('services say what is wanted, what is used, and why', async () => {
    const { json } = await runTvdb(['status', '--json'], { env: { SERVICE_MODE: 'hybrid' } });
    expect(json.data.services[3]).toMatchObject({
      name: 'openai',
      status: 'warn',
      mode_configured: 'hybrid',
      mode_effective: 'mock',
      reason: 'key_missing',
    });
    expect(json.data.overall).toBe('warn');
  });
});

describe('--watch', () => {
  it('draws on the second screen, ends when the named jobs have, and repeats the end state on the first', async () => {
    const { home, ids } = await homeWith({ status: 'parsed' });
    const clock = clockAt();
    const running = runTvdb(['status', ids[0] ?? '', '--watch', '--interval', '1s', '--exit-status'], {
      home,
      tty: true,
      clock,
    });
    await livesThrough(clock, 3, 1_000);
    const store = openStore({ home: join(home, 'data', 'tvdb') });
    await store.db.updateTable('upload_jobs').set({ status: 'complete' }).execute();
    await store.close();
    await livesThrough(clock, 1, 1_000);
    const { stdout, code } = await running;
    expect(code).toBe(0);
    const [watched = '', after = ''] = stdout.split('\x1b[?1049l');
    expect(watched.startsWith('\x1b[?1049h\x1b[?25l')).toBe(true);
    expect(watched.split('\x1b[H').length - 1).toBeGreaterThanOrEqual(4);
    expect(watched.endsWith('\x1b[?25h')).toBe(true);
    expect(stripVTControlCharacters(after)).toContain('5/5');
  });

  it('Ctrl-C gives the screen back and ends with 130', async () => {
    const { home } = await homeWith({ status: 'parsed' });
    const clock = clockAt();
    const signals = new EventEmitter();
    const running = runTvdb(['status', '--watch'], { home, tty: true, clock, signals });
    await livesThrough(clock, 2, 2_000);
    signals.emit('SIGINT', 'SIGINT');
    const { stdout, code } = await running;
    expect(code).toBe(130);
    expect(stripVTControlCharacters(stdout.split('\x1b[?1049l')[1] ?? '')).toContain('letter.pdf');
  });

  it('is one event for each change with --ndjson, one row in a pipe', async () => {
    const { home, ids } = await homeWith({ status: 'parsed' });
    const finish = async (clock: ReturnType<typeof virtualClock>) => {
      await livesThrough(clock, 2, 2_000);
      await storeAt(home, (store) => store.db.updateTable('upload_jobs').set({ status: 'complete' }).execute());
      await livesThrough(clock, 1, 2_000);
    };
    const clock = clockAt();
    const events = runTvdb(['status', ids[0] ?? '', '-w', '--ndjson'], { home, clock });
    await finish(clock);
    const lines = (await events).stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines.map((line) => [line.type, line.status ?? null])).toEqual([
      ['hello', null],
      ['stage', 'parsed'],
      ['stage', 'complete'],
      ['result', null],
    ]);
    await storeAt(home, (store) => store.db.updateTable('upload_jobs').set({ status: 'parsed' }).execute());
    const second = clockAt();
    const rows = runTvdb(['status', ids[0] ?? '', '-w'], { home, clock: second });
    await finish(second);
    expect(
      (await rows).stdout
        .trimEnd()
        .split('\n')
        .map((line) => line.split('\t')[2]),
    ).toEqual(['parsed', 'complete']);
  });
});
