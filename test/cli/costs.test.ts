/** `tvdb costs`: sums of requests by service, time and job; mock work at zero, unknown prices unknown. */
import { stripVTControlCharacters } from 'node:util';
import { describe, expect, it } from 'vitest';
import { insertIntent, markSent } from '../../src/store/attempts.ts';
import { addJob } from '../setup/jobs.ts';
import { runTvdb } from '../setup/run-tvdb.ts';
import { countingIds } from '../setup/seeded.ts';
import { tempDirectory } from '../setup/temp.ts';
import { virtualClock } from '../setup/virtual-clock.ts';
import { makeHome, seed, storeAt } from './seeded-home.ts';

/** 2026-11-23 12:00 UTC. */
const NOW = Date.UTC(2026, 10, 23, 12);
const HOUR = 3_600_000;
const DAY = 24 * HOUR;

interface Request {
  at: number;
  service: 'parse' | 'embed';
  units: number;
  origin?: 'mock' | 'real';
  /** Index of the job; each has a document and run of its own. */
  job?: number;
  unsent?: boolean;
}

async function homeWith(...requests: Request[]): Promise<{ home: string; jobs: string[] }> {
  const home = tempDirectory();
  const ids = countingIds();
  const jobs = await storeAt(home, async (store) => {
    const made: string[] = [];
    for (let index = 0; index <= Math.max(0, ...requests.map(({ job = 0 }) => job)); index += 1) {
      made.push(
        (
          await addJob(store, ids, {
            run_id: ids.uuid(),
            status: 'complete',
            service_mode: index === 0 ? 'mock' : 'hybrid',
          })
        ).job_id,
      );
    }
    await store.write(async (trx) => {
      for (const { at, service, units, origin = 'mock', job = 0, unsent = false } of requests) {
        const attemptId = ids.uuid();
        await insertIntent(trx, {
          attemptId,
          jobId: made[job] ?? '',
          service,
          operation: service,
          requestHash: 'h',
          units,
          origin,
          now: at,
        });
        if (!unsent) await markSent(trx, attemptId, at);
      }
    });
    return made;
  });
  return { home, jobs };
}

const run = (home: string, args: readonly string[], env: Record<string, string> = {}) =>
  runTvdb(['costs', ...args], { home, clock: virtualClock(NOW), env });

describe('an empty store', () => {
  it('has the same envelope: no groups, nothing avoided, the default budget', async () => {
    const { code, json } = await run(tempDirectory(), ['--json']);
    expect(code).toBe(0);
    expect(json).toMatchObject({ schema: 'tvdb.costs/v1', ok: true, error: null });
    expect(json.data).toEqual({
      period: { from: '2026-11-23T00:00:00.000Z', to: '2026-11-24T00:00:00.000Z', timezone: 'UTC' },
      ledger_scope: 'local',
      price_table: { id: '2026-11-01', used: [], priced: true, unpriced_calls: 0 },
      by: null,
      groups: [],
      days: [],
      months: [],
      totals: {
        ...{ spent_nano_usd: 0, spent_usd: 0, reserved_nano_usd: 0, unknown_nano_usd: 0 },
        ...{ requests: 0, real_requests: 0 },
      },
      estimate: { estimated_nano_usd: 0, actual_nano_usd: 0, difference_nano_usd: 0 },
      avoided: { mock_nano_usd: 0, cache_nano_usd: 0 },
      caps: [
        {
          ...{ scope: 'all', scope_value: null, window: 'day', measure: 'cost', hard: true, source: 'default' },
          ...{ cap_nano_usd: 5_000_000_000, spent_nano_usd: 0, held_nano_usd: 0, left_nano_usd: 5_000_000_000 },
          ...{ max_requests: null, requests: 0, left_requests: null, used_percent: 0 },
          ...{ resets_at: '2026-11-24T00:00:00.000Z', stopped_by: null },
        },
      ],
      projection: {
        ...{ until: '2026-11-24T00:00:00.000Z', enough_history: false, basis_ms: 0, likely_nano_usd: null },
        ...{ low_nano_usd: null, high_nano_usd: null, cap_reached_at: null },
      },
      comparison: null,
    });
  });

  it('prints no rows of zeros', async () => {
    const home = tempDirectory();
    expect((await run(home, ['--daily'])).stdout).toBe('');
    const rich = await runTvdb(['costs'], { home, tty: true, clock: virtualClock(NOW) });
    expect(stripVTControlCharacters(rich.stdout)).toContain('No request was sent in this time.');
  });
});

describe('sums', () => {
  it('count what was sent, by service and mode; a request that never left is none', async () => {
    const { home } = await homeWith(
      { at: NOW, service: 'parse', units: 12 },
      { at: NOW, service: 'parse', units: 3 },
      { at: NOW, service: 'embed', units: 5_000 },
      { at: NOW, service: 'embed', units: 700, unsent: true },
      { at: NOW - DAY, service: 'parse', units: 100 },
    );
    const { json } = await run(home, ['--today', '--json']);
    expect(json.data.groups).toEqual([
      {
        service: 'llamaparse',
        mode: 'mock',
        requests: 2,
        units: 15,
        unit: 'page',
        pages: 15,
        tokens: 0,
        nano_usd: 0,
        usd: 0,
        reserved_nano_usd: 0,
      },
      {
        service: 'openai',
        mode: 'mock',
        requests: 1,
        units: 5_000,
        unit: 'token',
        pages: 0,
        tokens: 5_000,
        nano_usd: 0,
        usd: 0,
        reserved_nano_usd: 0,
      },
    ]);
    expect((await run(home, ['--today'])).stdout).toBe('llamaparse\tmock\t2\t15\t0\t0\nopenai\tmock\t1\t0\t5000\t0\n');
    expect((await run(home, ['-q'])).stdout).toBe('0.0000\n');
  });

  it('of real work without a price are unknown, never zero', async () => {
    const { home } = await homeWith(
      { at: NOW, service: 'parse', units: 12 },
      { at: NOW, service: 'parse', units: 3, origin: 'real' },
    );
    const { json } = await run(home, ['--json']);
    expect(
      json.data.groups.map((group: { mode: string; nano_usd: number | null }) => [group.mode, group.nano_usd]),
    ).toEqual([
      ['real', null],
      ['mock', 0],
    ]);
    expect(json.data.totals).toMatchObject({ spent_nano_usd: null, spent_usd: null, real_requests: 1 });
    expect(json.data.price_table).toMatchObject({ priced: false, unpriced_calls: 1 });
    const rich = await runTvdb(['costs'], { home, tty: true, clock: virtualClock(NOW) });
    expect(stripVTControlCharacters(rich.stdout)).toContain('Total real  at least $0.0000  (1 call unpriced)');
    expect((await run(home, ['-q'])).stdout).toBe('');
  });

  it.each([
    ['service', ['llamaparse', 'openai']],
    ['origin', ['mock', 'real']],
    ['mode', ['hybrid', 'mock']],
  ] as const)('--by %s', async (by, keys) => {
    const { home } = await homeWith(
      { at: NOW, service: 'parse', units: 1 },
      { at: NOW, service: 'embed', units: 9 },
      { at: NOW, service: 'parse', units: 2, origin: 'real', job: 1 },
    );
    const { stdout } = await run(home, ['--by', by]);
    const rows = stdout
      .trimEnd()
      .split('\n')
      .map((line) => line.split('\t'));
    expect(rows.map(([key]) => key).sort()).toEqual(keys);
    expect(rows.reduce((sum, row) => sum + Number(row[1]), 0)).toBe(3);
  });

  it.each(['job', 'document', 'run'] as const)('--by %s gives each its own row with its id', async (by) => {
    const { home } = await homeWith(
      { at: NOW, service: 'parse', units: 1 },
      { at: NOW, service: 'embed', units: 9 },
      { at: NOW, service: 'parse', units: 2, job: 1 },
    );
    const { json } = await run(home, ['--by', by, '--json']);
    expect(
      json.data.groups.map((group: { requests: number; pages: number; tokens: number }) => [
        group.requests,
        group.pages,
        group.tokens,
      ]),
    ).toEqual([
      [2, 1, 9],
      [1, 2, 0],
    ]);
    expect(new Set(json.data.groups.map((group: Record<string, string>) => group[`${by}_id`])).size).toBe(2);
    expect(json.data.groups[0].filename).toBe(by === 'run' ? undefined : 'letter.pdf');
  });

  it('match what a real run of the pipeline sent', async () => {
    const { home, jobs } = await seed(makeHome(), ['letter.pdf']);
    const { json } = await runTvdb(['costs', '--json', '--by', 'document'], { home });
    expect(json.data.groups).toMatchObject([{ document_id: jobs[0]?.document_id, requests: 2, pages: 1, nano_usd: 0 }]);
    expect(json.data.groups[0].tokens).toBeGreaterThan(100);
  });
});

describe('days and months', () => {
  it('are those of TVDB_TIMEZONE, not of the display', async () => {
    // 03:30 UTC on the 23rd is still the 22nd in New York.
    const { home } = await homeWith({ at: Date.UTC(2026, 10, 23, 3, 30), service: 'parse', units: 7 });
    const days = async (args: readonly string[], env: Record<string, string> = {}) =>
      (await run(home, ['--daily', ...args], env)).stdout
        .trimEnd()
        .split('\n')
        .filter((line) => line.split('\t')[3] !== '0')
        .map((line) => line.split('\t')[0]);
    expect(await days([])).toEqual(['2026-11-23']);
    expect(await days([], { TVDB_TIMEZONE: 'America/New_York' })).toEqual(['2026-11-22']);
    expect(await days(['--timezone', 'America/New_York'])).toEqual(['2026-11-23']);
    const { json } = await run(home, ['--json'], { TVDB_TIMEZONE: 'America/New_York' });
    expect(json.data.period).toEqual({
      from: '2026-11-23T05:00:00.000Z',
      to: '2026-11-24T05:00:00.000Z',
      timezone: 'America/New_York',
    });
    expect(json.data.groups).toEqual([]);
  });

  it('--daily has a row for each day from the first request on, newest last', async () => {
    const { home } = await homeWith(
      { at: NOW - 2 * DAY, service: 'parse', units: 5 },
      { at: NOW, service: 'parse', units: 2, job: 1 },
      { at: NOW, service: 'embed', units: 40, job: 1 },
    );
    expect((await run(home, ['--daily', '--since', '30d'])).stdout).toBe(
      '2026-11-21\t1\t1\t5\t0\t0\n2026-11-22\t0\t0\t0\t0\t0\n2026-11-23\t1\t2\t2\t40\t0\n',
    );
    const { json } = await run(home, ['--daily', '--since', '2d', '--json']);
    expect(json.data.days.map((row: { day: string }) => row.day)).toEqual(['2026-11-23']);
    expect(json.data.period.from).toBe('2026-11-22T00:00:00.000Z');
  });

  it('--monthly adds whole months up', async () => {
    const { home } = await homeWith(
      { at: Date.UTC(2026, 8, 30, 23, 59), service: 'parse', units: 1 },
      { at: Date.UTC(2026, 9, 1), service: 'parse', units: 2 },
      { at: NOW, service: 'parse', units: 4 },
    );
    const { json } = await run(home, ['--monthly', '--json']);
    expect(json.data.months.map((row: { month: string; pages: number }) => [row.month, row.pages])).toEqual([
      ['2026-09', 1],
      ['2026-10', 2],
      ['2026-11', 4],
    ]);
  });

  it('a day on which clocks change is 25 hours long and counted once', async () => {
    const env = { TVDB_TIMEZONE: 'Europe/Berlin' };
    const start = Date.UTC(2026, 9, 24, 22);
    const { home } = await homeWith(
      { at: start, service: 'parse', units: 1 },
      { at: start + 25 * HOUR - 1, service: 'parse', units: 2 },
      { at: start + 25 * HOUR, service: 'parse', units: 4 },
    );
    const { json } = await run(home, ['--since', '2026-10-25', '--until', '2026-10-25', '--json'], env);
    expect(json.data.period).toMatchObject({ from: '2026-10-24T22:00:00.000Z', to: '2026-10-25T23:00:00.000Z' });
    expect(json.data.groups[0].pages).toBe(3);
    const daily = await run(home, ['--daily', '--since', '2026-10-25', '--until', '2026-10-26', '--json'], env);
    expect(daily.json.data.days.map((row: { pages: number }) => row.pages)).toEqual([3, 4]);
  });

  it('a day given as the end is included', async () => {
    const { home } = await homeWith(
      { at: Date.UTC(2026, 10, 20, 23, 59), service: 'parse', units: 1 },
      { at: Date.UTC(2026, 10, 21), service: 'parse', units: 2 },
    );
    const { json } = await run(home, ['--since', '2026-11-01', '--until', '2026-11-20', '--json']);
    expect(json.data.groups[0].pages).toBe(1);
  });

  it.each([
    [['--since', 'lastweek'], 'TVDB-E003'],
    [['--since', '2026-11-20', '--until', '2026-11-10'], 'TVDB-E003'],
    [['--since', '2027-01-01'], 'TVDB-E003'],
    [['--by', 'sevice'], 'TVDB-E005'],
    [['--daily', '--monthly'], 'TVDB-E009'],
    [['--today', '--since', '7d'], 'TVDB-E009'],
  ])('%j is exit 2', async (args, error) => {
    const { code, json } = await run(tempDirectory(), [...args, '--json']);
    expect(code).toBe(2);
    expect(json.error.code).toBe(error);
  });
});

describe('the page', () => {
  it.each([40, 60, 80, 200])('fits on a terminal of %i columns', async (cols) => {
    const { home } = await homeWith(
      { at: NOW, service: 'parse', units: 904 },
      { at: NOW, service: 'embed', units: 5_648_128 },
    );
    for (const args of [['--today'], ['--daily'], ['--by', 'document']]) {
      const { stdout } = await runTvdb(['costs', ...args], { home, tty: true, cols, clock: virtualClock(NOW) });
      const text = stripVTControlCharacters(stdout);
      expect(Math.max(...text.split('\n').map((line) => line.length))).toBeLessThanOrEqual(cols);
      expect(text).toContain('904');
      expect(text).toContain('Total real  $0.0000');
    }
  });
});
