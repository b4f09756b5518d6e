/** `tvdb smoke` against the simulator: each exit code with its cause, and everything it writes. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { TvdbError } from '../../src/base/errors.ts';
import { writeReports } from '../../src/cli/commands/smoke-reports.ts';
import { equal, holds, recordSteps } from '../../src/cli/commands/smoke-steps.ts';
import type { SmokeAnswer } from '../../src/cli/commands/smoke-work.ts';
import { assertLedger } from '../setup/ledger.ts';
import { tempDirectory } from '../setup/temp.ts';
import { virtualClock } from '../setup/virtual-clock.ts';
import { moneyPlace } from './money-place.ts';
import { FIXTURES, type Json, letter, newsletter, unicode, workplace } from './workplace.ts';

const REAL = ['smoke', '--mode', 'real', '--max-cost', '0.05'];
const NO_RETRY = { MAX_RETRIES: '0' };
const statuses = (answer: Json): Json =>
  Object.fromEntries(answer.data.steps.map(({ id, status }: Json) => [id, status]));

describe('exit 0', () => {
  it('the mocks pass every step, and nothing of the page is left', async () => {
    const { json, rows } = workplace();
    const answer = await json(['smoke', '--mode', 'mock']);
    expect(answer).toMatchObject({ schema: 'tvdb.smoke/v1', ok: true, exit_code: 0, data: { verdict: 'pass' } });
    expect(new Set(Object.values(statuses(answer)))).toEqual(new Set(['ok']));
    expect(answer.data.steps.map(({ id }: Json) => id)).toEqual([
      'config',
      'upload',
      'parse',
      'chunk',
      'embed',
      'store',
      'search',
      'budget',
      'cleanup',
    ]);
    expect(await rows('documents')).toEqual([]);
  });

  it('the real services are really asked, twice in a row, and the ledger is their bill', async () => {
    const { json, simulator, store, rows } = await moneyPlace();
    for (const _time of [1, 2]) {
      const answer = await json(REAL);
      expect([answer.exit_code, answer.error]).toEqual([0, null]);
      expect(answer.data.cost.total_nano_usd).toBeGreaterThan(3_750_000);
    }
    const bill = simulator.bill();
    expect(bill.jobs).toHaveLength(2);
    // The page and the query, each time.
    expect(bill.requests).toHaveLength(4);
    const spent = await store().db.selectFrom('holds').select('settled_amount').execute();
    expect(spent.reduce((sum, { settled_amount: nano }) => sum + (nano ?? 0), 0)).toBe(bill.nanoUsd);
    expect(await rows('documents')).toEqual([]);
    await assertLedger(store());
  });

  it('a copy of the page that people uploaded stays, and does not make it pass by itself', async () => {
    const { json, rows, simulator } = await moneyPlace({ 'letter.pdf': letter });
    expect((await json(['upload', 'letter.pdf', '--mode', 'real'])).exit_code).toBe(0);
    const before = simulator.bill().jobs.length;
    expect((await json(REAL)).exit_code).toBe(0);
    expect(simulator.bill().jobs.length).toBe(before + 1);
    expect((await rows('documents')).map(({ filename }: Json) => filename)).toEqual(['letter.pdf']);
  });

  it('its page is found in a store full of others, whatever the id of the run', async () => {
    const files = { 'a.pdf': join(FIXTURES, 'documents/benefits-guide.pdf'), 'b.pdf': newsletter, 'c.pdf': unicode };
    const { json } = await moneyPlace(files, {}, { LLAMAPARSE_REQUESTS_PER_MINUTE: '100000' });
    expect((await json(['upload', ...Object.keys(files), '--mode', 'real', '--yes'])).exit_code).toBe(0);
    const errors: unknown[] = [];
    for (let run = 0; run < 12; run++) errors.push((await json(REAL)).error?.message ?? null);
    expect(errors).toEqual(errors.map(() => null));
  });

  it('figures that are not billed yet are said to be provisional', async () => {
    const { json } = await moneyPlace({}, { creditsNullPolls: 1_000 });
    const answer = await json(REAL);
    expect([answer.exit_code, answer.data.cost.provisional]).toEqual([0, true]);
    expect(answer.data.steps.find(({ id }: Json) => id === 'budget').detail).toContain('provisional');
  });

  it('--skip-without-key: one notice and SKIP; nothing is made', async () => {
    const { tvdb, rows } = await moneyPlace({}, {}, { OPENAI_API_KEY: undefined });
    const run = await tvdb([...REAL, '--skip-without-key'], { env: { GITHUB_ACTIONS: 'true', CI: 'true' } });
    expect(run.code).toBe(0);
    expect(run.stderr.match(/^::notice title=tvdb smoke::skipped: .*OPENAI_API_KEY.*$/gm)).toHaveLength(1);
    expect(run.stderr).toContain('SKIP');
    expect(run.stderr).not.toContain('::error');
    expect(await rows('runs')).toEqual([]);
  });

  it('--keep leaves the page, --only stops after a step and cleans up all the same', async () => {
    const { json, rows } = workplace();
    const only = await json(['smoke', '--only', 'parse']);
    expect(statuses(only)).toMatchObject({ parse: 'ok', chunk: 'skip', search: 'skip', cleanup: 'ok' });
    expect(await rows('documents')).toEqual([]);
    expect((await json(['smoke', '--keep'])).exit_code).toBe(0);
    expect(await rows('documents')).toHaveLength(1);
  });
});

describe('other exit codes', () => {
  it.each([
    [1, 'parse', 'a page that fails at the service', { faults: 'job=failed*' }, NO_RETRY],
    [4, 'config', 'a key is missing', {}, { LLAMAPARSE_API_KEY: undefined }],
    [4, 'parse', 'a key is refused', { keys: { refused: ['llx-simulated'] } }, NO_RETRY],
    [5, 'parse', 'the account has no credit', { faults: 'parse.create=quota*' }, NO_RETRY],
    [5, 'config', 'the daily limit has no room', {}, { DAILY_COST_LIMIT_USD: '0.001' }],
    [6, 'parse', 'a service is down', { faults: 'files.create=503*' }, NO_RETRY],
    [6, 'embed', 'a service limits for long', { faults: 'embeddings=rate:retry-after=300*' }, { DRAIN_WAIT: '2s' }],
  ] as const)('%i at %s: %s; later steps are skipped, the page is removed', async (code, at, _title, options, env) => {
    const { json, rows } = await moneyPlace({}, options, { ...env });
    const answer = await json(REAL);
    expect([answer.exit_code, answer.error?.code, statuses(answer)[at]]).toEqual([code, expect.any(String), 'fail']);
    const order = answer.data.steps.map(({ status }: Json) => status);
    const first = order.indexOf('fail');
    expect(order.slice(0, first).every((status: string) => status === 'ok')).toBe(true);
    expect(order.slice(first + 1, -1).every((status: string) => status === 'skip')).toBe(true);
    expect(await rows('documents')).toEqual([]);
  });

  it('1 when a step found something else than it must, and nothing after it is done but cleaning up', async () => {
    const steps = recordSteps('cleanup', { clock: virtualClock(), ui: { event() {} } });
    const done: string[] = [];
    const check = (id: Parameters<typeof steps.check>[0], ok: boolean, options = {}) =>
      steps.check(
        id,
        () => {
          done.push(id);
          return { detail: '', assertions: [equal('rank', 1, ok ? 1 : 2), holds('anything', true)] };
        },
        options,
      );
    expect([await check('store', true), await check('search', false), await check('budget', true)]).toEqual([
      true,
      false,
      false,
    ]);
    await check('cleanup', true, { always: true });
    expect(done).toEqual(['store', 'search', 'cleanup']);
    expect(steps.list.map(({ status }) => status)).toEqual(['ok', 'fail', 'skip', 'ok']);
    expect(steps.error()).toMatchObject({ code: 'E113', exit: 1 });
    expect(steps.error()?.message).toBe('Smoke failed at search: rank is 2, expected 1');
  });

  it('1 (E113) when the service bills what the ledger cannot account for: named, left for people to see, the page removed', async () => {
    // The first request for vectors is done and billed, and its answer lost: another one is paid, and the first stays held.
    const place = await moneyPlace({}, { faults: 'embeddings=cut' }, { EMBED_UNKNOWN_WAIT: '20ms' });
    const { json, tvdb, simulator, rows, store } = place;
    const answer = await json(REAL);
    expect([answer.exit_code, answer.ok, answer.data.verdict]).toEqual([1, false, 'fail']);
    expect(answer.error).toMatchObject({
      code: 'TVDB-E113',
      message: 'Smoke failed at budget: open_holds is 1, expected 0',
      facts: { step: 'budget', assertion: 'open_holds', expected: 0, actual: 1 },
    });
    const passed = ['config', 'upload', 'parse', 'chunk', 'embed', 'store', 'search', 'cleanup'];
    expect(statuses(answer)).toEqual({ ...Object.fromEntries(passed.map((id) => [id, 'ok'])), budget: 'fail' });
    const budget = answer.data.steps.find(({ id }: Json) => id === 'budget');
    expect(budget.assertions.filter(({ ok }: Json) => !ok)).toEqual([
      { name: 'open_holds', expected: 0, actual: 1, ok: false },
    ]);
    // The bill has the lost one, the sum of the ledger has not: it is held.
    const lost = simulator.bill().nanoUsd - answer.data.cost.total_nano_usd;
    expect((await json(['costs', 'holds'])).data.holds).toMatchObject([{ state: 'unknown', nano_usd: lost }]);
    expect(await rows('documents')).toEqual([]);
    await assertLedger(store());
    simulator.control.faults('embeddings=cut');
    const page = await tvdb(REAL, { tty: true, env: { NO_COLOR: '1', GITHUB_ACTIONS: 'true' } });
    expect(page.code).toBe(1);
    expect(page.stderr).toMatch(/^error {2}TVDB-E113 {2}Smoke failed at budget: open_holds is 1, expected 0$/m);
    expect(page.stderr.match(/^::error .*E113.*open_holds is 1/gm)).toHaveLength(1);
  });

  it('5 in CI without --max-cost, and for a --max-cost that is too small; nothing is sent', async () => {
    const { json, simulator } = await moneyPlace();
    const inCi = await json(['smoke', '--mode', 'real'], { env: { CI: '1' } });
    expect([inCi.exit_code, inCi.error.code]).toEqual([5, 'TVDB-E202']);
    const small = await json(['smoke', '--mode', 'real', '--max-cost', '0.001']);
    expect(small.error.fix).toEqual({ text: 'Give a higher --max-cost.', commands: [] });
    expect([small.exit_code, small.error.code]).toEqual([5, 'TVDB-E201']);
    expect(simulator.log()).toEqual([]);
  });

  it('8 when --timeout is reached, and the page is removed', async () => {
    const { json, rows } = await moneyPlace({}, { latency: { parse: 600_000 } });
    const answer = await json([...REAL, '--timeout', '700ms']);
    expect([answer.exit_code, answer.error.code, statuses(answer).parse]).toEqual([8, 'TVDB-E114', 'fail']);
    expect(await rows('documents')).toEqual([]);
  });

  it('9 when a mock stands in, before or during the work; --on-fallback warn passes', async () => {
    const hybrid = ['smoke', '--mode', 'hybrid', '--max-cost', '0.05'];
    const without = await moneyPlace({}, {}, { OPENAI_API_KEY: undefined });
    expect((await without.json(hybrid)).exit_code).toBe(9);
    const falling = await moneyPlace({}, { faults: 'embeddings=quota*' }, NO_RETRY);
    const answer = await falling.json(hybrid);
    expect([answer.exit_code, answer.error.code, statuses(answer).embed]).toEqual([9, 'TVDB-E305', 'fail']);
    const warned = await without.json([...hybrid, '--on-fallback', 'warn']);
    expect([warned.exit_code, warned.data.verdict]).toEqual([0, 'pass']);
  });
});

describe('reports', () => {
  it('go to JUnit, to the step summary behind what is there, and to the outputs', async () => {
    const { tvdb, cwd } = workplace();
    const summary = join(cwd, 'summary.md');
    writeFileSync(summary, 'before\n');
    const env = { GITHUB_ACTIONS: 'true', GITHUB_STEP_SUMMARY: summary, GITHUB_OUTPUT: join(cwd, 'outputs') };
    const run = await tvdb(['smoke', '--junit', 'smoke.xml', '--github-output'], { env });
    expect(run.code).toBe(0);
    expect(readFileSync(summary, 'utf8')).toMatch(/^before\n### tvdb smoke: pass\n/);
    expect(readFileSync(join(cwd, 'outputs'), 'utf8')).toMatch(/^run_id=[0-9a-f-]{36}\nstatus=pass\ncost_usd=0\n$/);
    const xml = readFileSync(join(cwd, 'smoke.xml'), 'utf8');
    expect(xml).toContain('<testsuite name="tvdb smoke" tests="9" failures="0" errors="0" skipped="0"');
    expect(xml.match(/<testcase /g)).toHaveLength(9);
  });

  it('--no-github writes no summary and no annotation', async () => {
    const { tvdb, cwd } = workplace();
    const summary = join(cwd, 'summary.md');
    const run = await tvdb(['smoke', '-m', 'real', '--no-github'], {
      env: { GITHUB_ACTIONS: 'true', GITHUB_STEP_SUMMARY: summary },
    });
    expect(run.code).toBe(4);
    expect(existsSync(summary)).toBe(false);
    expect(run.stderr).not.toContain('::');
  });

  it('a failure is one annotation on stderr, and JSON on stdout stays clean', async () => {
    const { tvdb } = workplace();
    const run = await tvdb(['smoke', '-m', 'real', '--json'], { env: { GITHUB_ACTIONS: 'true' } });
    expect(run.json.exit_code).toBe(4);
    expect(run.stderr.match(/^::error title=TVDB-E101 smoke config::/gm)).toHaveLength(1);
  });

  const failed = (message: string): SmokeAnswer => ({
    verdict: 'fail',
    mode: 'real',
    runId: 'run',
    ms: 12,
    steps: [
      {
        id: 'parse',
        status: 'fail',
        ms: 12,
        nanoUsd: null,
        detail: message,
        assertions: [],
        error: new TvdbError('E113', { message }),
      },
    ],
    money: null,
    costNanoUsd: 0,
    provisional: false,
    error: new TvdbError('E113', { message }),
  });

  it('hostile text breaks neither the XML nor the table', () => {
    const hostile = '<script> & "quotes" ]]> \u0000\u001b[31m | `x`';
    const cwd = tempDirectory();
    const env = { GITHUB_STEP_SUMMARY: join(cwd, 'summary.md') };
    const ui = {} as Parameters<typeof writeReports>[2]['ui'];
    writeReports(failed(hostile), { junit: 'a.xml', githubOutput: false, github: true }, { cwd, env, ui });
    const xml = readFileSync(join(cwd, 'a.xml'), 'utf8');
    expect(xml).not.toMatch(/[\u0000-\u0008\u000b-\u001f]/);
    expect(xml).not.toContain('<script>');
    expect(xml).toContain('&lt;script&gt; &amp; &quot;quotes&quot; ]]&gt; \\x00\\x1b[31m');
    const rows = readFileSync(env.GITHUB_STEP_SUMMARY, 'utf8').split('\n');
    const row = rows.find((line) => line.startsWith('| parse'));
    expect(row?.match(/\|/g)).toHaveLength(6);
    expect(row).not.toContain('<script>');
  });

  it('K4: a summary that is nearly full is cut below 1 MiB, never passed', async () => {
    const { tvdb, cwd } = workplace();
    const summary = join(cwd, 'summary.md');
    writeFileSync(summary, 'x'.repeat(1_048_576 - 100));
    await tvdb(['smoke'], { env: { GITHUB_ACTIONS: 'true', GITHUB_STEP_SUMMARY: summary } });
    expect(readFileSync(summary).length).toBeLessThan(1_048_576);
    expect(readFileSync(summary, 'utf8')).toContain('tvdb smoke: pass');
  });
});

describe('on a screen', () => {
  it('shows the plan, each step and the verdict', async () => {
    const { tvdb } = await moneyPlace();
    const { code, stdout, stderr } = await tvdb(REAL, { tty: true, env: { NO_COLOR: '1' } });
    expect(code).toBe(0);
    expect(stderr).toMatch(/Plan +1 page fixture +est \$0\.00\d\d, at most \$0\.00\d\d/);
    expect(stderr).toMatch(/Budget +today \$0\.0000 of \$5\.0000 .*run cap \$0\.0500 +fits/s);
    expect(stdout).toMatch(/ok +parse +.*\$0\.0038/);
    expect(stdout).toMatch(/PASS +9 of 9 .*\$0\.0038/);
    for (const line of stdout.split('\n')) expect(line.length).toBeLessThanOrEqual(80);
  });
});
