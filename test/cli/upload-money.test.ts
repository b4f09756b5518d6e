/** The money of `tvdb upload` against the simulator: foreseen, asked for, refused, deferred. */
import { spawn } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { assertLedger } from '../setup/ledger.ts';
import { moneyPlace } from './money-place.ts';
import { type Json, letter, newsletter, unicode } from './workplace.ts';

const THREE = { 'a.pdf': letter, 'b.pdf': unicode, 'c.pdf': newsletter };
const PATHS = Object.keys(THREE);
/** Four pages at $0.00375, and the most text they can have. */
const CEILING = 4 * 3_750_000;

describe('a whole that does not fit', () => {
  it('three documents above what is left today: refused before any request, exit 5, no job, and what would fit', async () => {
    const { json, rows, simulator } = await moneyPlace(THREE, {}, { DAILY_COST_LIMIT_USD: '0.012' });
    const answer = await json(['upload', ...PATHS, '-m', 'real', '--yes']);
    expect([answer.exit_code, answer.error.code]).toEqual([5, 'TVDB-E201']);
    expect(answer.error.message).toMatch(
      /could cost up to \$0\.0\d+, more than the whole limit of \$0\.0120 today; nothing was accepted/,
    );
    expect(answer.error.why).toMatch(/3 documents, 4 pages, cost_effective tier; the limit \$0\.0120 for everything/);
    expect(answer.error.fix.text).toMatch(/The fast tier would fit|The first \d of the 3 documents would fit/);
    expect(answer.error.fix.commands.at(-1)).toBe('tvdb upload a.pdf b.pdf c.pdf --mode mock');
    expect(answer.error.facts).toMatchObject({
      error: 'CostLimitExceeded',
      scope: 'all',
      window: 'day',
      cap_nano_usd: 12_000_000,
      left_nano_usd: 12_000_000,
    });
    expect(answer.error.charged_nano_usd).toBe(0);
    expect(answer.data.documents.map(({ status }: Json) => status)).toEqual(PATHS.map(() => 'not_accepted'));
    expect(answer.data.budget).toMatchObject({ cap_nano_usd: 12_000_000, spent_nano_usd: 0 });
    expect(simulator.log()).toEqual([]);
    expect([await rows('upload_jobs'), await rows('documents'), await rows('runs')]).toEqual([[], [], []]);
  });

  it('one document above the whole limit is not told to wait: it never fits', async () => {
    const { json } = await moneyPlace(THREE, {}, { DAILY_COST_LIMIT_USD: '0.001' });
    const alone = await json(['upload', 'a.pdf', '-m', 'real']);
    expect(alone.error.message).toContain('more than the whole limit of $0.0010 today');
    expect(alone.error.fix.commands).toEqual(['tvdb upload a.pdf --mode mock']);
    const several = await json(['upload', ...PATHS, '-m', 'real']);
    expect(several.error.fix.commands).toContain('tvdb upload a.pdf b.pdf c.pdf --mode real --defer');
  });

  it.each(['--defer', '--no-wait'])(
    'with %s all are accepted; those that do not fit park with the reset time',
    async (flag) => {
      const { json, rows, store } = await moneyPlace(THREE, {}, { DAILY_COST_LIMIT_USD: '0.012' });
      const answer = await json(['upload', ...PATHS, '-m', 'real', '--yes', flag]);
      expect(await rows('upload_jobs')).toHaveLength(3);
      const run = flag === '--no-wait' ? await json(['run']) : answer;
      expect([run.exit_code, run.error.code]).toEqual([5, 'TVDB-E201']);
      const jobs = await rows('upload_jobs');
      const parked = jobs.filter(({ park_reason: reason }: Json) => reason === 'budget');
      expect(parked.length).toBeGreaterThan(0);
      const midnight = Date.UTC(new Date().getUTCFullYear(), new Date().getUTCMonth(), new Date().getUTCDate() + 1);
      for (const job of parked) expect(job.run_after).toBe(midnight);
      expect(jobs.filter(({ status }: Json) => status === 'complete').length).toBe(3 - parked.length);
      await assertLedger(store());
    },
  );

  it('a --max-cost that is too small refuses as a whole; one that fits is the cap of the run and of the consent', async () => {
    const { json, rows, simulator } = await moneyPlace(THREE);
    const small = await json(['upload', ...PATHS, '-m', 'real', '--max-cost', '0.01']);
    expect([small.exit_code, small.error.facts.scope, small.error.facts.source]).toEqual([5, 'run', 'flag']);
    expect(small.error.fix.commands).toContainEqual(expect.stringMatching(/--max-cost 0\.0\d$/));
    expect(simulator.log()).toEqual([]);
    const enough = await json(['upload', ...PATHS, '-m', 'real', '--max-cost', '0.05']);
    expect([enough.exit_code, enough.data.consent]).toEqual([0, { by: '--max-cost', limit_nano_usd: 50_000_000 }]);
    const jobs = await rows('upload_jobs');
    const agreed = jobs.map(({ consent_nano_usd: nano }: Json) => nano);
    expect(agreed.reduce((sum: number, nano: number) => sum + nano, 0)).toBeLessThanOrEqual(50_000_000);
    for (const job of jobs) {
      expect(JSON.parse(job.cost_estimate)).toMatchObject({ price_version: expect.any(String) });
      expect(job.consent_nano_usd).toBeGreaterThanOrEqual(JSON.parse(job.cost_estimate).max_nano_usd);
    }
    expect(enough.data.cost.total_nano_usd).toBe(simulator.bill().nanoUsd);
  });

  it('--max-pages refuses documents above it, before anything is paid', async () => {
    const { json, simulator } = await moneyPlace(THREE);
    const answer = await json(['upload', 'c.pdf', '-m', 'real', '--max-pages', '1']);
    expect([answer.exit_code, answer.data.documents[0].error.code]).toEqual([1, 'TVDB-E407']);
    expect(simulator.log()).toEqual([]);
  });
});

describe('a dry run', () => {
  it('shows plan and limits, asks nobody, sends nothing and exits 0, or 5 where it would be refused', async () => {
    const { tvdb, json, simulator, rows } = await moneyPlace(THREE);
    const run = await tvdb(['upload', ...PATHS, '-m', 'real', '-n', '--no-progress'], {
      tty: true,
      env: { NO_COLOR: '1' },
    });
    expect(run.code).toBe(0);
    expect(run.stderr).toMatch(/parse +real +LlamaParse cost_effective +est \$0\.0150/);
    expect(run.stderr).toMatch(/total +est \$0\.015\d +at most \$0\.0\d{3}/);
    expect(run.stderr).toMatch(/Budget +today \$0\.0000 of \$5\.0000 +left \$5\.0000 +fits/);
    const refused = await json(['upload', ...PATHS, '-m', 'real', '-n'], { env: { DAILY_COST_LIMIT_USD: '0.001' } });
    expect([refused.exit_code, refused.error.code]).toEqual([5, 'TVDB-E201']);
    expect(refused.data.estimate.max_nano_usd).toBeGreaterThan(CEILING);
    expect(simulator.log()).toEqual([]);
    expect(await rows('upload_jobs')).toEqual([]);
  });
});

describe('consent', () => {
  const LOW = { COST_AUTO_APPROVE_USD: '0.001' };

  it('a mock asks for none; a small sum goes without; what is remembered and what is done costs nothing', async () => {
    const { json, rows } = await moneyPlace(THREE);
    const mock = await json(['upload', 'a.pdf']);
    expect(mock.data).toMatchObject({ consent: { by: 'not_needed', limit_nano_usd: 0 }, budget: null });
    const first = await json(['upload', 'a.pdf', '-m', 'real']);
    expect([first.exit_code, first.data.consent.by]).toEqual([0, 'auto']);
    const again = await json(['upload', 'a.pdf', '-m', 'real'], { env: LOW });
    expect([again.exit_code, again.data.consent.by, again.data.documents[0].status]).toEqual([
      0,
      'not_needed',
      'duplicate',
    ]);
    expect((await rows('upload_jobs')).map(({ consent_nano_usd: nano }: Json) => nano > 0)).toEqual([
      false,
      true,
      false,
    ]);
  });

  it.each([
    ['real', '', 'cannot ask'],
    ['hybrid', '', 'cannot ask'],
    ['real', 'y\n', 'cannot ask'],
    ['real', '', 'needs --max-cost', { CI: '1' }],
  ])(
    'mode %s, %j on stdin: exit 5, nothing sent, no job, %s',
    async (mode, stdin, words, env: Record<string, string> = {}) => {
      const { json, simulator, rows } = await moneyPlace(THREE, {}, LOW);
      const answer = await json(['upload', 'a.pdf', '-m', mode], { stdin, env });
      expect([answer.exit_code, answer.error.code]).toEqual([5, 'TVDB-E202']);
      expect(answer.error.message).toContain(words);
      expect(answer.error.fix.commands[0]).toBe(`tvdb upload a.pdf --mode ${mode} --max-cost 0.01`);
      expect(simulator.log()).toEqual([]);
      expect(await rows('upload_jobs')).toEqual([]);
    },
  );

  it('in CI neither --yes nor a small sum is enough; --max-cost is', async () => {
    const { json } = await moneyPlace(THREE);
    const ci = { env: { CI: 'true' } };
    expect((await json(['upload', 'a.pdf', '-m', 'real', '--yes'], ci)).exit_code).toBe(5);
    expect((await json(['upload', 'a.pdf', '-m', 'real', '--max-cost', '0.05'], ci)).exit_code).toBe(0);
  });

  it('--yes agrees, and lifts no limit', async () => {
    const { json, simulator } = await moneyPlace(THREE, {}, LOW);
    const refused = await json(['upload', 'a.pdf', '-m', 'real', '--yes'], { env: { RUN_COST_LIMIT_USD: '0.001' } });
    expect([refused.exit_code, refused.error.code]).toEqual([5, 'TVDB-E201']);
    expect(simulator.log()).toEqual([]);
    expect((await json(['upload', 'a.pdf', '-m', 'real', '--yes'])).data.consent.by).toBe('--yes');
  });

  it('is an event of its own, before the first step', async () => {
    const { tvdb } = await moneyPlace(THREE);
    const { stdout } = await tvdb(['upload', 'a.pdf', '-m', 'real', '--max-cost', '0.05', '--ndjson']);
    const events = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    const consent = events.findIndex(({ type }) => type === 'consent');
    expect(events[consent]).toMatchObject({ by: '--max-cost', limit_nano_usd: 50_000_000, run_id: expect.any(String) });
    expect(events.findIndex(({ type }) => type === 'stage')).toBeGreaterThan(consent);
  });

  it('a job that needs more than was agreed rests and says how to agree; retry --max-cost raises it', async () => {
    const { json, store } = await moneyPlace(THREE);
    expect((await json(['upload', 'a.pdf', '-m', 'real', '--no-wait'])).exit_code).toBe(0);
    const { db } = store();
    await db.updateTable('upload_jobs').set({ consent_nano_usd: 1_000_000 }).execute();
    const run = await json(['run']);
    expect([run.exit_code, run.error.code]).toEqual([5, 'TVDB-E202']);
    const job = await db.selectFrom('upload_jobs').selectAll().executeTakeFirstOrThrow();
    expect([job.park_reason, job.run_after]).toEqual(['held_by_user', null]);
    expect(run.error.fix.commands).toEqual([`tvdb retry ${job.job_id.slice(0, 8)} --max-cost <usd>`]);
    const still = await json(['retry', job.job_id], { env: LOW });
    expect([still.exit_code, still.error.code]).toEqual([5, 'TVDB-E202']);
    const retried = await json(['retry', job.job_id, '--max-cost', '0.05']);
    expect([retried.exit_code, retried.data.jobs[0].status]).toEqual([0, 'complete']);
    await assertLedger(store());
  });

  it('a job whose mode is changed to a paid one has nothing agreed', async () => {
    const { json, rows } = await moneyPlace(THREE);
    await json(['upload', 'a.pdf', '--no-wait']);
    const [job] = await rows('upload_jobs');
    expect((await json(['mode', 'real', '--jobs', job.job_id])).exit_code).toBe(0);
    const run = await json(['run']);
    expect([run.exit_code, run.error?.code]).toEqual([5, 'TVDB-E202']);
  });

  it('the cap of a run ends it with work left: exit 5, the rest stays in the queue for a later run', async () => {
    const { json, rows } = await moneyPlace(THREE);
    await json(['upload', ...PATHS, '-m', 'real', '--no-wait']);
    const capped = await json(['run', '--max-cost', '0.0045', '--concurrency', '1']);
    expect([capped.exit_code, capped.data.stopped_by, capped.error.facts.scope]).toEqual([5, 'cap', 'run']);
    expect(capped.data.left_in_queue).toBeGreaterThan(0);
    expect((await json(['run'])).exit_code).toBe(0);
    expect((await rows('upload_jobs')).map(({ status }: Json) => status)).toEqual(['complete', 'complete', 'complete']);
  });

  it('a paid query asks under the same rule', async () => {
    const { json, simulator } = await moneyPlace(THREE);
    expect((await json(['upload', 'a.pdf', '-m', 'real'])).exit_code).toBe(0);
    const before = simulator.log().length;
    const ci = await json(['search', 'slates of the roof', '-m', 'real'], { env: { CI: '1' } });
    expect([ci.exit_code, ci.error.code, simulator.log().length]).toEqual([5, 'TVDB-E202', before]);
    const capped = await json(['search', 'slates of the roof', '-m', 'real', '--max-cost', '0.000000001']);
    expect([capped.exit_code, capped.error.code, simulator.log().length]).toEqual([5, 'TVDB-E201', before]);
    expect((await json(['search', 'slates of the roof', '-m', 'real'])).exit_code).toBe(0);
  });
});

describe('the built tool', () => {
  it.each([
    ['stdin closed', 'exec <&-;'],
    // Standard input of the child is one, and stays open.
    ['an open pipe', ''],
    ['yes', 'yes |'],
  ])('%s: a paid upload above the threshold never starts', async (_title, before) => {
    const { simulator, home, cwd } = await moneyPlace(THREE);
    const env = {
      PATH: process.env.PATH ?? '',
      HOME: home,
      TVDB_HOME: `${home}/data/tvdb`,
      LLAMA_CLOUD_BASE_URL: simulator.llamaUrl,
      OPENAI_BASE_URL: simulator.openaiUrl,
      LLAMAPARSE_API_KEY: 'llx-simulated',
      OPENAI_API_KEY: 'sk-simulated',
      COST_AUTO_APPROVE_USD: '0.001',
    };
    const tool = new URL('../../bin/tvdb.js', import.meta.url).pathname;
    const child = spawn('bash', ['-c', `${before} "${process.execPath}" "${tool}" upload a.pdf -m real; exit $?`], {
      cwd,
      env,
    });
    let said = '';
    child.stderr.on('data', (part) => {
      said += String(part);
    });
    const code = await new Promise((resolve) => child.on('exit', resolve));
    child.kill();
    expect([code, said]).toEqual([5, expect.stringContaining('TVDB-E202')]);
    expect(simulator.log()).toEqual([]);
  });
});
