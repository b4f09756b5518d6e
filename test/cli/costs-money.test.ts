/** `tvdb costs` over a ledger: figures, budgets, holds, gates; each figure is that of the ledger, to the nano-USD. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import BetterSqlite from 'better-sqlite3';
import { describe, expect, it } from 'vitest';
import { markUnknown, settle } from '../../src/ledger/end.ts';
import { insertIntent, markSent, updateAttempt } from '../../src/store/attempts.ts';
import type { NewJob } from '../../src/store/schema.ts';
import { addJob } from '../setup/jobs.ts';
import { take } from '../setup/ledger.ts';
import { type RunOptions, runTvdb } from '../setup/run-tvdb.ts';
import { countingIds } from '../setup/seeded.ts';
import { tempDirectory } from '../setup/temp.ts';
import { virtualClock } from '../setup/virtual-clock.ts';
import { storeAt } from './seeded-home.ts';

/** 2026-11-27 12:00 UTC. */
const NOW = Date.UTC(2026, 10, 27, 12);
const HOUR = 3_600_000;
const CENT = 10_000_000;

interface Paid {
  id: string;
  at?: number;
  service?: 'llamaparse' | 'openai';
  hold: number;
  /** Nano-USD; `unknown` and `open` do not end it, `unsent` never leaves. */
  end: number | 'unknown' | 'open' | 'unsent';
  job?: Partial<NewJob>;
  costCenter?: string;
  /** Units of other jobs, in a request of `units`. */
  units?: number;
  share?: { job: Partial<NewJob>; units: number };
}

async function homeWith(...requests: Paid[]): Promise<string> {
  const home = tempDirectory();
  const ids = countingIds();
  await storeAt(home, async (store) => {
    for (const {
      id,
      at = NOW - HOUR,
      service = 'llamaparse',
      hold,
      end,
      job,
      costCenter = null,
      units = 1,
      share,
    } of requests) {
      const made = await addJob(store, ids, {
        status: 'complete',
        run_id: ids.uuid(),
        cost_center: costCenter,
        ...job,
      });
      const other = share === undefined ? null : await addJob(store, ids, { status: 'complete', ...share.job });
      await store.write((trx) =>
        insertIntent(trx, {
          ...{ attemptId: id, jobId: made.job_id, service: service === 'openai' ? 'embed' : 'parse', operation: 'x' },
          ...{ requestHash: 'h', units, origin: 'real', now: at, runId: made.run_id },
          ...(share !== undefined && other !== null && { shares: [{ jobId: other.job_id, units: share.units }] }),
        }),
      );
      await take(store, id, hold, { service, costCenter, units, now: at, jobId: made.job_id, runId: made.run_id });
      if (end === 'unsent') continue;
      await store.write(async (trx) => {
        await markSent(trx, id, at);
        if (end === 'unknown') {
          await updateAttempt(trx, id, { outcome: 'unknown' });
          await markUnknown(trx, { attemptId: id, now: at });
        } else if (end !== 'open') {
          await updateAttempt(trx, id, { outcome: 'ok' });
          await settle(trx, { attemptId: id, now: at, actual: end });
        }
      });
    }
  });
  return home;
}

const run = (home: string, args: readonly string[], options: RunOptions = {}) =>
  runTvdb(['costs', ...args], { home, clock: virtualClock(NOW), ...options });
const page = async (home: string, args: readonly string[], options: RunOptions = {}) =>
  stripVTControlCharacters((await run(home, args, { tty: true, cols: 80, ...options })).stdout);

describe('spend', () => {
  const everything: Paid[] = [
    { id: 'aaaa0001', hold: 6 * CENT, end: 4 * CENT + 7, job: { tags: '{"team":"red"}' } },
    { id: 'aaaa0002', service: 'openai', hold: CENT, end: CENT, costCenter: 'claims' },
    { id: 'aaaa0003', hold: 3 * CENT, end: 'unknown' },
    { id: 'aaaa0004', hold: 2 * CENT, end: 'open' },
  ];

  it('is what the ledger says; reserved and unknown stand apart; the estimate is beside the actual', async () => {
    const { json } = await run(await homeWith(...everything), ['--json']);
    expect(json.data.totals).toMatchObject({
      ...{ spent_nano_usd: 5 * CENT + 7, reserved_nano_usd: 5 * CENT, unknown_nano_usd: 3 * CENT },
      ...{ requests: 4, real_requests: 4 },
    });
    expect(json.data.estimate).toEqual({
      ...{ estimated_nano_usd: 7 * CENT, actual_nano_usd: 5 * CENT + 7, difference_nano_usd: 7 - 2 * CENT },
    });
    expect(json.data.caps[0]).toMatchObject({ spent_nano_usd: 5 * CENT + 7, held_nano_usd: 5 * CENT, requests: 4 });
  });

  it('fits on the page with its bar, what is left, and no sum that looks like nothing', async () => {
    const text = await page(
      await homeWith(...everything, { id: 'aaaa0005', service: 'openai', hold: 20, end: 20 }),
      [],
    );
    expect(text).toContain('everything today       [#.........]   2%  $0.1000 of $5.0000  left $4.9000');
    expect(text).toContain('reserved  $0.0500, of which unknown $0.0300');
    expect(text).toContain('estimate  $0.0700   actual $0.0500   difference -$0.0200 (-28.6%)');
    expect(text).toContain('forecast  $0.65');
    expect(text).toMatch(/provider bills may\s+differ/);
    expect(await page(await homeWith({ id: 'aaaa0001', hold: 20, end: 20 }), [])).toContain('<$0.0001');
  });

  it('says "this machine only" in CI', async () => {
    const { stdout } = await run(await homeWith(...everything), [], { tty: true, env: { CI: 'true' } });
    expect(stripVTControlCharacters(stdout)).toContain('ledger: this machine only');
  });

  it.each([
    [
      'cost-center',
      [
        ['claims', CENT],
        [null, 4 * CENT + 7],
      ],
    ],
    [
      'tag',
      [
        ['team=red', 4 * CENT + 7],
        [null, CENT],
      ],
    ],
  ] as const)('--by %s', async (by, wanted) => {
    const { json } = await run(await homeWith(...everything), ['--by', by, '--json']);
    const rows = json.data.groups.map((group: Record<string, unknown>) => [
      group[by.replace('-', '_')],
      group.nano_usd,
    ]);
    expect(new Set(rows.map((row: unknown) => JSON.stringify(row)))).toEqual(
      new Set(wanted.map((row) => JSON.stringify(row))),
    );
  });

  it('of a request for two jobs is shared out by their units, to the last nano-USD', async () => {
    const home = await homeWith({
      id: 'aaaa0001',
      service: 'openai',
      hold: 100,
      end: 100,
      units: 3,
      share: { job: {}, units: 1 },
    });
    const { json } = await run(home, ['--by', 'job', '--json']);
    expect(
      json.data.groups.map((group: Record<string, unknown>) => [group.nano_usd, group.tokens, group.requests]),
    ).toEqual([
      [67, 2, 1],
      [33, 1, 1],
    ]);
    expect(json.data.totals).toMatchObject({ spent_nano_usd: 100, real_requests: 1 });
  });

  it('by day is in the day the money was reserved, split by service', async () => {
    const day = 24 * HOUR;
    const home = await homeWith(
      { id: 'aaaa0001', at: NOW - day, hold: CENT, end: CENT },
      { id: 'aaaa0002', service: 'openai', hold: 9, end: 9 },
    );
    const { json } = await run(home, ['--daily', '--json']);
    expect(json.data.days).toMatchObject([
      { day: '2026-11-26', llamaparse_nano_usd: CENT, openai_nano_usd: 0, nano_usd: CENT },
      { day: '2026-11-27', llamaparse_nano_usd: 0, openai_nano_usd: 9, nano_usd: 9 },
    ]);
  });

  it.each([['--daily'], ['--monthly']])(
    '%s forecasts from the first spending on, as the page of the day does',
    async (unit) => {
      const minutes = 60_000;
      const young = await homeWith({ id: 'aaaa0001', at: NOW - 5 * minutes, hold: CENT, end: CENT });
      expect((await run(young, [unit, '--json'])).json.data.projection).toMatchObject({
        ...{ enough_history: false, basis_ms: 5 * minutes },
      });
      const older = await homeWith({ id: 'aaaa0001', at: NOW - 90 * minutes, hold: CENT, end: CENT });
      const [rows, day] = [await run(older, [unit, '--json']), await run(older, ['--json'])];
      const { likely_nano_usd: likely, basis_ms: basis } = day.json.data.projection;
      expect(rows.json.data.projection).toMatchObject({ basis_ms: basis, likely_nano_usd: likely });
      expect(basis).toBe(90 * minutes);
    },
  );

  it('--breakdown splits rows by service, --compare sets them beside another time', async () => {
    const home = await homeWith(...everything, { id: 'aaaa0009', at: NOW - 25 * HOUR, hold: CENT, end: CENT });
    const { json } = await run(home, ['--by', 'mode', '--breakdown', '--compare', 'yesterday', '--json']);
    expect(json.data.groups.map((group: Record<string, unknown>) => [group.mode, group.service])).toEqual([
      ['mock', 'llamaparse'],
      ['mock', 'openai'],
    ]);
    expect(json.data.comparison).toMatchObject({ spent_nano_usd: CENT, difference_nano_usd: 4 * CENT + 7 });
  });

  it('--csv has a header, exact sums, and names that no spreadsheet runs', async () => {
    const home = await homeWith({ id: 'aaaa0001', hold: CENT, end: 1234, costCenter: '=cmd|x' });
    const { stdout } = await run(home, ['--by', 'cost-center', '--csv']);
    expect(stdout).toBe(
      "cost_center,service,origin,requests,pages,tokens,reserved_usd,cost_usd\r\n'=cmd|x,,,1,1,0,0,0.000001234\r\n",
    );
  });

  it.each([
    ['0.10', 0],
    ['0.0999', 9],
  ])('--fail-over %s: spent and reserved count', async (limit, code) => {
    expect(
      (await run(await homeWith({ id: 'aaaa0001', hold: 10 * CENT, end: 'unknown' }), ['--fail-over', limit])).code,
    ).toBe(code);
  });
});

describe('budgets', () => {
  const set = (home: string, args: string, env: Record<string, string> = {}) =>
    run(home, ['budget', ...args.split(' '), '--json'], { env });

  it('T15: lowered below what is spent, nothing is left and nothing is negative', async () => {
    const home = await homeWith({ id: 'aaaa0001', hold: 6 * CENT, end: 4 * CENT });
    const { json, code } = await set(home, 'set 0.01 --per day');
    expect(code).toBe(0);
    expect(json.data).toMatchObject({
      old: { nano_usd: 500 * CENT, source: 'default' },
      new: { nano_usd: CENT, source: 'user' },
    });
    const caps = (await run(home, ['--json'])).json.data.caps;
    expect(caps).toMatchObject([{ cap_nano_usd: CENT, spent_nano_usd: 4 * CENT, left_nano_usd: 0, used_percent: 400 }]);
  });

  it('raising asks where somebody can be asked, and needs --yes elsewhere; lowering does not', async () => {
    const home = await homeWith();
    const refused = await set(home, 'set 7 --per day');
    expect(refused).toMatchObject({ code: 2, json: { error: { code: 'TVDB-E011' } } });
    expect((await set(home, 'set 7 --per day --yes')).json.data.new).toMatchObject({ nano_usd: 700 * CENT });
    expect((await set(home, 'set 6 --per day')).json.data.new).toMatchObject({ nano_usd: 600 * CENT });
    expect(await set(home, 'set 6 --per day --soft')).toMatchObject({ code: 2 });
    expect((await set(home, 'remove --per day')).json.data).toMatchObject({
      new: { nano_usd: 500 * CENT, source: 'default' },
    });
    expect(await set(home, 'remove --per day')).toMatchObject({ code: 2, json: { error: { code: 'TVDB-E006' } } });
  });

  it('a variable goes before it, and that is said', async () => {
    const env = { DAILY_COST_LIMIT_USD: '2' };
    const home = await homeWith();
    const { json } = await set(home, 'set 1 --per day', env);
    expect(json.data).toMatchObject({
      new: { nano_usd: 200 * CENT, source: 'variable' },
      hidden_by: 'DAILY_COST_LIMIT_USD',
    });
    const list = await set(home, 'list', env);
    expect(list.json.data.budgets).toMatchObject([{ variable: 'DAILY_COST_LIMIT_USD', stored_nano_usd: 100 * CENT }]);
  });

  it.each([
    ['set 3 --per month --service openai', { scope: 'service', scope_value: 'openai', window: 'month' }],
    ['set 3 --cost-center claims', { scope: 'cost_center', scope_value: 'claims', window: 'day' }],
    ['set 3 --per run', { scope: 'run', scope_value: null, window: 'run' }],
    ['set --requests 100 --per hour', { scope: 'all', measure: 'requests', window: 'hour', new: { requests: 100 } }],
  ])('%s', async (args, wanted) => {
    const home = await homeWith();
    expect((await set(home, args)).json.data).toMatchObject({ ...wanted, old: null });
    expect((await set(home, 'list')).json.data.budgets).toHaveLength(2);
  });

  it.each([
    ['set', 'TVDB-E002'],
    ['set 1 --requests 5', 'TVDB-E009'],
    ['set many', 'TVDB-E003'],
    ['set 1 --service other', 'TVDB-E005'],
    ['set 1 --service openai --cost-center x', 'TVDB-E009'],
  ])('%s is refused with %s', async (args, error) => {
    expect(await set(await homeWith(), args)).toMatchObject({ code: 2, json: { error: { code: error } } });
  });

  it('wakes the jobs that wait for money', async () => {
    const home = await homeWith();
    const jobId = await storeAt(home, async (store) => {
      const parked = { status: 'uploaded', park_reason: 'budget', run_after: NOW + HOUR } as const;
      return (await addJob(store, countingIds(), parked)).job_id;
    });
    expect((await set(home, 'set 6 --per day --yes')).json.data).toMatchObject({ jobs_woken: 1 });
    const after = await storeAt(home, (store) =>
      store.db.selectFrom('upload_jobs').select('run_after').where('job_id', '=', jobId).executeTakeFirstOrThrow(),
    );
    expect(after.run_after).toBeLessThanOrEqual(NOW + 60_000);
  });

  it('flags before the word they do not belong to are refused', async () => {
    expect(await run(await homeWith(), ['--daily', 'budget', 'list', '--json'])).toMatchObject({ code: 2 });
  });
});

describe('holds', () => {
  it('lists each with its age and what is known', async () => {
    const home = await homeWith(
      { id: 'aaaa0001', hold: CENT, end: 'unsent' },
      { id: 'bbbb0002', hold: 2 * CENT, end: 'unknown' },
      { id: 'cccc0003', hold: 3 * CENT, end: 3 * CENT },
    );
    const { json } = await run(home, ['holds', '--json']);
    expect(json.data).toMatchObject({ reserved: { nano_usd: 3 * CENT }, unknown: { nano_usd: 2 * CENT } });
    expect(
      json.data.holds.map((one: Record<string, unknown>) => [one.attempt_id, one.known, one.releasable, one.age_ms]),
    ).toEqual([
      ['aaaa0001', 'not_sent', true, HOUR],
      ['bbbb0002', 'unknown', false, HOUR],
    ]);
    expect(await page(home, ['holds'])).toContain('Reserved  $0.0300, of which unknown $0.0200');
  });

  it('releases one that was not sent, and refuses one that may be billed, saying why', async () => {
    const home = await homeWith(
      { id: 'aaaa0001', hold: CENT, end: 'unsent' },
      { id: 'bbbb0002', hold: CENT, end: 'unknown' },
      { id: 'cccc0003', hold: CENT, end: 'open' },
      { id: 'dddd0004', hold: CENT, end: CENT },
    );
    const release = (id: string) => run(home, ['holds', 'release', id, '--json']);
    expect(await release('aaaa')).toMatchObject({ code: 0, json: { data: { released: { nano_usd: CENT } } } });
    for (const id of ['bbbb', 'cccc']) {
      const { code, json } = await release(id);
      expect([code, json.error.code]).toEqual([2, 'TVDB-E010']);
      expect(json.error.why).toBe('its request left this machine and may be billed');
      expect(json.error.fix.commands).toEqual(['tvdb costs reconcile']);
    }
    for (const id of ['aaaa', 'dddd']) expect((await release(id)).json.error).toMatchObject({ code: 'TVDB-E010' });
    expect((await release('ffff')).json.error).toMatchObject({ code: 'TVDB-E006' });
    expect((await run(home, ['holds', '--json'])).json.data.reserved).toMatchObject({ nano_usd: 2 * CENT });
    expect((await run(home, ['verify'])).code).toBe(0);
  });

  it('a worker that has the job in hand keeps its hold', async () => {
    const home = await homeWith({ id: 'aaaa0001', hold: CENT, end: 'unsent' });
    await storeAt(home, (store) =>
      store.db
        .updateTable('upload_jobs')
        .set({ lease_owner: 'w', lease_until: NOW + HOUR, status: 'parse_queued' })
        .execute(),
    );
    expect((await run(home, ['holds', 'release', 'aaaa', '--json'])).json.error.why).toContain('has its job in hand');
  });

  it('fit on 80 columns with no word cut, and name what ends them', async () => {
    const home = await homeWith(
      { id: 'aaaa0001-0000', hold: 1234 * CENT, end: 'unknown' },
      { id: 'aaaa0002-0000', service: 'openai', hold: 20, end: 'unknown' },
      { id: 'aaaa0003-0000', hold: CENT, end: 'unsent' },
      { id: 'aaaa0004-0000', hold: CENT, end: 'open' },
      { id: 'aaaa0005-0000', hold: CENT, end: 0 },
    );
    const lines = (await page(home, ['holds'])).split('\n').filter((line) => line !== '');
    expect(lines.join('\n')).not.toMatch(/\.\.\.|…/);
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(80);
    expect(lines.slice(5)).toEqual([
      'Reserved  $12.3600, of which unknown $12.3400',
      'What was not sent can be given back   tvdb costs holds release aaaa0003',
      'LlamaParse can be asked what it billed   tvdb costs reconcile',
      'Only the bill of OpenAI can tell   tvdb costs reconcile --provider-log',
      '1 settlement not billed yet, provisional: $0.0100   tvdb costs reconcile',
    ]);
  });

  it('overruns fit on 80 columns with no word cut', async () => {
    const home = await homeWith(
      { id: 'aaaa0001-0000', hold: CENT, end: 1234 * CENT },
      { id: 'aaaa0002-0000', hold: CENT, end: CENT },
      { id: 'aaaa0003-0000', service: 'openai', hold: 20, end: 20 },
    );
    const raw = new BetterSqlite(join(home, 'data/tvdb/tvdb.sqlite'));
    raw.exec(`UPDATE attempts SET operation = 'parse_twin', options = '{"twin_of":"bbbb0002-0000"}' WHERE attempt_id LIKE 'aaaa0002%';
      UPDATE attempts SET operation = 'embed_batch_twin', options = '{"twin_of":"bbbb0003-0000"}' WHERE attempt_id LIKE 'aaaa0003%'`);
    raw.close();
    const lines = (await page(home, ['acknowledge'])).split('\n').filter((line) => line !== '');
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(80);
    expect(lines.slice(1)).toEqual([
      expect.stringMatching(/^aaaa0001 .* \$12\.3300 {2}more than reserved$/),
      expect.stringMatching(/^aaaa0002 .* - +\$0\.0100 {2}twin of bbbb0002$/),
      expect.stringMatching(/^aaaa0003 .* - +<\$0\.0001 {2}twin of bbbb0003$/),
      'A twin is what the service did a second time of one request.',
    ]);
  });

  it('an overrun is seen, acknowledged once, and its budgets go on', async () => {
    const home = await homeWith({ id: 'aaaa0001', hold: CENT, end: 3 * CENT });
    expect((await run(home, ['acknowledge', '--json'])).json.data.overruns).toMatchObject([
      { overrun_nano_usd: 2 * CENT },
    ]);
    expect((await run(home, ['acknowledge', 'aaaa', '--json'])).json.data).toMatchObject({
      acknowledged: 'aaaa0001',
      overruns: [],
    });
    expect(await run(home, ['acknowledge', 'aaaa', '--json'])).toMatchObject({ code: 2 });
  });
});

describe('verify', () => {
  it('finds one flipped byte in any row of the ledger', async () => {
    const paid = [0, 1, 2].map((index) => ({ id: `aaaa000${index}`, hold: CENT, end: CENT - index }));
    const home = await homeWith(...paid);
    expect((await run(home, ['verify', '--json'])).json.data).toMatchObject({ rows: 6, findings: [] });
    const path = join(home, 'data/tvdb/tvdb.sqlite');
    for (const seq of [1, 2, 3, 4, 5, 6]) {
      const raw = new BetterSqlite(path);
      const trigger = raw.prepare("SELECT sql FROM sqlite_schema WHERE name = 'spend_no_update'").get() as {
        sql: string;
      };
      const flip = (from: string, to: string) =>
        raw.exec(`DROP TRIGGER spend_no_update; UPDATE spend SET run_id = '${to}' || substr(run_id, 2)
          WHERE seq = ${seq} AND substr(run_id, 1, 1) = '${from}'; ${trigger.sql}`);
      const { first } = raw.prepare(`SELECT substr(run_id, 1, 1) AS first FROM spend WHERE seq = ${seq}`).get() as {
        first: string;
      };
      const other = String.fromCharCode(first.charCodeAt(0) ^ 1);
      flip(first, other);
      const { code, json } = await run(home, ['verify', '--json']);
      expect([code, json.error.code], `row ${seq}`).toEqual([1, 'TVDB-E205']);
      expect(json.data.findings[0]).toEqual({ kind: 'row', id: String(seq), what: 'the row was changed' });
      flip(other, first);
      raw.close();
    }
    expect((await run(home, ['verify'])).code).toBe(0);
    const doctor = await runTvdb(['doctor', 'ledger', '--json'], { home, clock: virtualClock(NOW) });
    expect(doctor.json.data.checks).toMatchObject([{ id: 'ledger', status: 'ok' }]);
  });
});

describe('reconcile --provider-log', () => {
  it('agrees with a bill to the nano-USD, and finds one planted difference: exit 1', async () => {
    const home = await homeWith(
      { id: 'aaaa0001', hold: 375 * 10_000, end: 375 * 10_000 },
      { id: 'aaaa0002', service: 'openai', hold: 40, end: 40 },
    );
    const bill = (credits: number) => ({
      jobs: [{ jobId: 'pjb-1', attemptId: 'aaaa0001', pages: 1, credits, cacheHit: false }],
      requests: [
        {
          requestId: 'req_1',
          attemptId: 'aaaa0002',
          model: 'text-embedding-3-small',
          tokens: 2,
          batchId: null,
          nanoUsd: 40,
        },
      ],
    });
    const file = join(home, 'bill.json');
    const reconcile = async (credits: number) => {
      writeFileSync(file, JSON.stringify(bill(credits)));
      return run(home, ['reconcile', '--provider-log', file, '--json']);
    };
    expect(await reconcile(3)).toMatchObject({
      code: 0,
      json: { data: { equal: 2, differences: [], ours_nano_usd: 3_750_040, theirs_nano_usd: 3_750_040 } },
    });
    const planted = await reconcile(4);
    expect(planted.code).toBe(1);
    expect(planted.json.data.differences).toMatchObject([
      { attempt_id: 'aaaa0001', kind: 'amount', ours_nano_usd: 3_750_000, theirs_nano_usd: 5_000_000 },
    ]);
    writeFileSync(file, 'no bill');
    expect(await run(home, ['reconcile', '--provider-log', file, '--json'])).toMatchObject({ code: 2 });
    expect(await run(home, ['reconcile', '--provider-log', 'none.json', '--json'])).toMatchObject({ code: 2 });
  });
});
