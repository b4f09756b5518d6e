/** The money of `tvdb retry` against the simulator: only what is paid again is foreseen, and it is agreed to as in an upload. */
import { describe, expect, it } from 'vitest';
import { assertLedger } from '../setup/ledger.ts';
import { moneyPlace } from './money-place.ts';
import { type Json, letter, newsletter } from './workplace.ts';

const KEYLESS = { LLAMAPARSE_API_KEY: undefined, OPENAI_API_KEY: undefined };
/** Everything that is paid is above it. */
const LOW = { COST_AUTO_APPROVE_USD: '0.000000001' };
const ONE_PAGE = 3_750_000;

/** Documents that mocks made in place of both services, for want of keys. */
async function fallen(files: Record<string, string> = { 'a.pdf': letter }, env: Record<string, string> = {}) {
  const place = await moneyPlace(files, {}, env);
  const uploaded = await place.json(['upload', ...Object.keys(files), '-m', 'hybrid'], { env: KEYLESS });
  return { ...place, run: uploaded.data.run_id as string };
}

/** A document whose real parse is here and whose embedding failed; the simulator is well again, its log empty. */
async function halfDone(env: Record<string, string> = {}) {
  const place = await moneyPlace({ 'a.pdf': letter }, { faults: 'embeddings=400*' }, { MAX_RETRIES: '0', ...env });
  const uploaded = await place.json(['upload', 'a.pdf', '-m', 'real']);
  expect(uploaded.data.documents[0].status).toBe('failed');
  place.simulator.control.reset();
  return { ...place, job: uploaded.data.documents[0].job_id as string };
}

const jobsOf = async ({ rows }: Pick<Awaited<ReturnType<typeof fallen>>, 'rows'>): Promise<Json[]> =>
  rows('upload_jobs');

describe('retry --fallbacks', () => {
  it('spends a small sum without asking, says what it foresees, and keeps what was agreed to with the new job', async () => {
    const place = await fallen();
    const answer = await place.json(['retry', '--fallbacks', place.run]);
    expect([answer.exit_code, answer.data.consent.by]).toEqual([0, 'auto']);
    expect(answer.data.estimate.likely_nano_usd).toBeGreaterThan(ONE_PAGE);
    expect(answer.data.budget.spent_nano_usd).toBe(place.simulator.bill().nanoUsd);
    const [, made] = await jobsOf(place);
    expect(made.consent_nano_usd).toBe(answer.data.consent.limit_nano_usd);
    expect(made.consent_nano_usd).toBe(answer.data.estimate.max_nano_usd);
    expect(JSON.parse(made.cost_estimate)).toMatchObject({ price_version: expect.any(String) });
    await assertLedger(place.store());
  });

  it.each([
    ['nothing on stdin', '', 'cannot ask', {}],
    ['a y on stdin', 'y\n', 'cannot ask', {}],
    ['in CI', '', 'needs --max-cost', { CI: '1' }],
  ])('above the threshold with %s: exit 5, nothing sent, no job, no run', async (_title, stdin, words, env) => {
    const place = await fallen();
    const answer = await place.json(['retry', '--fallbacks', place.run], { stdin, env: { ...LOW, ...env } });
    expect([answer.exit_code, answer.error.code, answer.error.charged_nano_usd]).toEqual([5, 'TVDB-E202', 0]);
    expect(answer.error.message).toContain(words);
    expect(answer.error.fix.commands).toEqual([`tvdb retry --fallbacks ${place.run} --max-cost 0.01`]);
    expect(answer.data).toMatchObject({ run_id: null, jobs: [], consent: null });
    expect(answer.data.estimate.max_nano_usd).toBeGreaterThan(ONE_PAGE);
    expect(place.simulator.log()).toEqual([]);
    expect([(await jobsOf(place)).length, (await place.rows('runs')).length]).toEqual([1, 1]);
  });

  it('without ids names a command that needs no further answer, and asks for no second flag', async () => {
    const { json, tvdb, simulator } = await fallen();
    const answer = await json(['retry', '--fallbacks'], { env: LOW });
    expect([answer.exit_code, answer.error.fix.commands]).toEqual([
      5,
      ['tvdb retry --fallbacks --yes --max-cost 0.01'],
    ]);
    const page = await tvdb(['retry', '--fallbacks'], { env: LOW });
    expect(page.stderr).toMatch(/cost {3}est_usd=0\.00\d\d max_usd=0\.00\d\d\n.* budget today_usd=0\.0000 .*fits=yes/);
    expect(simulator.log()).toEqual([]);
  });

  it('in CI a small sum and --yes are not enough; --max-cost is', async () => {
    const { json, run } = await fallen();
    const ci = { env: { CI: 'true' } };
    expect((await json(['retry', '--fallbacks', run], ci)).error.code).toBe('TVDB-E202');
    expect((await json(['retry', '--fallbacks', run, '--yes'], ci)).error.code).toBe('TVDB-E202');
    const capped = await json(['retry', '--fallbacks', run, '--max-cost', '0.05'], ci);
    expect([capped.exit_code, capped.data.consent]).toEqual([0, { by: '--max-cost', limit_nano_usd: 50_000_000 }]);
  });

  it('--yes agrees above the threshold, and lifts no limit', async () => {
    const place = await fallen();
    const { json, run, simulator } = place;
    const limited = { env: { ...LOW, DAILY_COST_LIMIT_USD: '0.001' } };
    const refused = await json(['retry', '--fallbacks', run, '--yes'], limited);
    expect([refused.exit_code, refused.error.code]).toEqual([5, 'TVDB-E201']);
    expect(refused.error.message).toMatch(
      /more than the whole limit of \$0\.0010 today; nothing was taken up, nothing was sent/,
    );
    expect([simulator.log(), (await jobsOf(place)).length]).toEqual([[], 1]);
    const done = await json(['retry', '--fallbacks', run, '--yes'], { env: LOW });
    expect([done.exit_code, done.data.consent.by]).toEqual([0, '--yes']);
  });

  it('a --max-cost that is too small refuses as a whole; one that fits is shared out among the jobs', async () => {
    const place = await fallen({ 'a.pdf': letter, 'c.pdf': newsletter });
    const { json, run, simulator } = place;
    const small = await json(['retry', '--fallbacks', run, '--max-cost', '0.005']);
    expect([small.exit_code, small.error.facts.scope, small.error.facts.source]).toEqual([5, 'run', 'flag']);
    expect(small.error.fix.commands[0]).toMatch(/^tvdb retry --fallbacks \S+ --max-cost 0\.0[12]$/);
    expect([simulator.log(), (await jobsOf(place)).length]).toEqual([[], 2]);
    const fits = await json(['retry', '--fallbacks', run, '--max-cost', '0.05']);
    expect([fits.exit_code, fits.data.consent.limit_nano_usd]).toEqual([0, 50_000_000]);
    const agreed = (await jobsOf(place)).slice(2).map(({ consent_nano_usd: nano }) => nano);
    expect(agreed.reduce((sum: number, nano: number) => sum + nano, 0)).toBeLessThanOrEqual(50_000_000);
    expect(simulator.bill().nanoUsd).toBeLessThanOrEqual(50_000_000);
  });

  it('what does not fit a limit goes into the queue with --no-wait, agreed to, and waits there', async () => {
    const place = await fallen({ 'a.pdf': letter }, { DAILY_COST_LIMIT_USD: '0.001' });
    const answer = await place.json(['retry', '--fallbacks', place.run, '--no-wait']);
    expect(answer.exit_code).toBe(0);
    const run = await place.json(['run']);
    expect([run.exit_code, run.error.code]).toEqual([5, 'TVDB-E201']);
    const [, made] = await jobsOf(place);
    expect([made.park_reason, made.consent_nano_usd > ONE_PAGE]).toEqual(['budget', true]);
  });

  it('with --no-wait still says that it does not fit', async () => {
    const { tvdb, run } = await fallen({ 'a.pdf': letter }, { DAILY_COST_LIMIT_USD: '0.001' });
    const refused = await tvdb(['retry', '--fallbacks', run]);
    expect([refused.code, refused.stderr]).toEqual([5, expect.stringContaining('left=0.0010 fits=no')]);
    const queued = await tvdb(['retry', '--fallbacks', run, '--no-wait']);
    expect([queued.code, queued.stderr]).toEqual([0, expect.stringContaining('left=0.0010 fits=no')]);
  });

  it('foresees the embedding alone where the parse is real', async () => {
    const { json, simulator } = await moneyPlace(
      { 'a.pdf': letter },
      { faults: 'embeddings=rate:retry-after=0*' },
      { MAX_RETRIES: '0' },
    );
    const uploaded = await json(['upload', 'a.pdf', '-m', 'hybrid']);
    expect(uploaded.data.documents[0].fallback).toBe(true);
    simulator.control.reset();
    const before = simulator.bill().nanoUsd;
    const answer = await json(['retry', '--fallbacks', uploaded.data.run_id]);
    expect(answer.data.estimate.max_nano_usd).toBe(simulator.bill().nanoUsd - before);
    expect(answer.data.estimate.max_nano_usd).toBeLessThan(ONE_PAGE / 10);
  });

  it('tells of the consent before the first step, as an event', async () => {
    const { tvdb, run } = await fallen();
    const { stdout } = await tvdb(['retry', '--fallbacks', run, '--ndjson']);
    const events = stdout.trimEnd().split('\n');
    const types = events.map((line) => JSON.parse(line) as Json);
    const consent = types.findIndex(({ type }) => type === 'consent');
    expect(types[consent]).toMatchObject({ by: 'auto', run_id: expect.any(String) });
    expect(types.findIndex(({ type }) => type === 'stage')).toBeGreaterThan(consent);
  });
});

describe('retry of failed and held jobs', () => {
  it.each([
    ['at a threshold of nothing', {}],
    ['in CI', { CI: '1' }],
  ])('goes on within what was agreed to at the upload without asking again, %s', async (_title, env) => {
    const place = await halfDone();
    const [before] = await jobsOf(place);
    const answer = await place.json(['retry', place.job], { env: { ...LOW, ...env } });
    expect([answer.exit_code, answer.data.consent.by, answer.data.jobs[0].status]).toEqual([0, 'earlier', 'complete']);
    expect(answer.data.estimate.max_nano_usd).toBeLessThan(ONE_PAGE / 10);
    expect(place.simulator.bill().jobs).toEqual([]);
    expect((await jobsOf(place))[0].consent_nano_usd).toBe(before.consent_nano_usd);
  });

  it('asks for what the agreement does not cover: refused without an answer, the job as it was; raised with one', async () => {
    const place = await halfDone();
    const { db } = place.store();
    await db.updateTable('upload_jobs').set({ consent_nano_usd: ONE_PAGE }).execute();
    const [before] = await jobsOf(place);
    const refused = await place.json(['retry', place.job], { env: LOW });
    expect([refused.exit_code, refused.error.code]).toEqual([5, 'TVDB-E202']);
    expect([place.simulator.log(), await jobsOf(place)]).toEqual([[], [before]]);
    const agreed = await place.json(['retry', place.job, '--yes'], { env: LOW });
    expect([agreed.exit_code, agreed.data.consent.by, agreed.data.jobs[0].status]).toEqual([0, '--yes', 'complete']);
    expect((await jobsOf(place))[0].consent_nano_usd).toBe(ONE_PAGE + agreed.data.consent.limit_nano_usd);
    await assertLedger(place.store());
  });

  it('foresees a parse that failed and is made anew', async () => {
    const { json, simulator, rows } = await moneyPlace(
      { 'a.pdf': letter },
      { faults: 'parse.create=400*' },
      { MAX_RETRIES: '0' },
    );
    const uploaded = await json(['upload', 'a.pdf', '-m', 'real']);
    expect((await rows('upload_jobs'))[0].status).toBe('failed_parse');
    simulator.control.reset();
    const { data } = await json(['retry', uploaded.data.documents[0].job_id]);
    expect(data.estimate.likely_nano_usd).toBeGreaterThan(ONE_PAGE);
    expect([data.consent.by, data.jobs[0].status]).toEqual(['earlier', 'complete']);
  });

  it('counts a parse that failed and was billed as spent: another one needs an agreement of its own', async () => {
    const { json, simulator, rows } = await moneyPlace(
      { 'c.pdf': newsletter },
      { faults: 'job=failed:billed' },
      { MAX_RETRIES: '0' },
    );
    const uploaded = await json(['upload', 'c.pdf', '-m', 'real']);
    const id = uploaded.data.documents[0].job_id;
    simulator.control.reset();
    const ci = await json(['retry', id], { env: { CI: '1' } });
    expect([ci.exit_code, ci.error.code, simulator.log()]).toEqual([5, 'TVDB-E202', []]);
    const answer = await json(['retry', id]);
    expect([answer.data.consent.by, answer.data.jobs[0].status]).toEqual(['auto', 'complete']);
    const [job] = await rows('upload_jobs');
    expect(job.consent_nano_usd).toBe(2 * ONE_PAGE + answer.data.consent.limit_nano_usd);
  });

  it('of mock jobs says nothing about money', async () => {
    const { json, tvdb } = await moneyPlace({ 'a.pdf': letter });
    const env = { MOCK_PARSE_FAILURE_RATE: '1', MAX_RETRIES: '0', CI: '1' };
    const uploaded = await json(['upload', 'a.pdf'], { env });
    const id = uploaded.data.documents[0].job_id;
    const again = await tvdb(['retry', id], { env });
    expect([again.code, again.stderr.includes('est_usd')]).toEqual([1, false]);
    const answer = await json(['retry', id], { env: { CI: '1' } });
    expect(answer.data).toMatchObject({ consent: { by: 'not_needed', limit_nano_usd: 0 }, budget: null });
  });
});
