/** What stdout and stderr get in each format, on success and on failure. */
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { TvdbError } from '../../src/base/errors.ts';
import { good } from '../../src/cli/ui/text.ts';
import { runTvdb } from '../setup/run-tvdb.ts';
import { virtualClock } from '../setup/virtual-clock.ts';
import { answers, COMMANDS, sample } from './sample-commands.ts';

const tvdb = (argv: string[], options = {}) => runTvdb(argv, { commands: COMMANDS, ...options });

describe('formats', () => {
  it('plain: one record a line, tab-separated, no header', async () => {
    expect(await tvdb(['status'])).toMatchObject({
      code: 0,
      stdout: 'j1\tcomplete\nj2\t\n',
      stderr: 'next   tvdb trace j2\n',
    });
  });

  it('rich: a page; quiet: ids', async () => {
    expect((await tvdb(['status'], { tty: true, env: { NO_COLOR: '1' } })).stdout).toBe(
      'JOB  STATUS\nj1   complete\nj2   failed\n',
    );
    expect(await tvdb(['status', '-q'])).toMatchObject({ stdout: 'j1\nj2\n', stderr: '' });
  });

  it('json: the envelope, all keys always there', async () => {
    const run = await tvdb(['status', '--json'], { clock: virtualClock() });
    expect(run.stdout.endsWith('}\n')).toBe(true);
    expect(run.json).toEqual({
      schema: 'tvdb.sample/v1',
      tvdb: '0.1.0',
      generated_at: '2026-11-23T12:00:00.000Z',
      ok: true,
      exit_code: 0,
      data: {
        jobs: [
          { job_id: 'j1', status: 'complete', cost: 1 },
          { job_id: 'j2', status: 'failed', cost: 2 },
        ],
        overall: 'warn',
      },
      warnings: [],
      error: null,
    });
    expect(run.stderr).toBe('');
  });

  it('json: an error is a document on stdout and text on stderr', async () => {
    const run = await tvdb(['fail', '--json']);
    expect(run.code).toBe(1);
    expect(run.json).toMatchObject({ ok: false, exit_code: 1, data: null });
    expect(run.json.error).toEqual({
      code: 'TVDB-E405',
      category: 'data',
      message: 'The PDF is damaged',
      why: 'no trailer',
      fix: { text: 'Repair it first: qpdf in.pdf out.pdf', commands: [] },
      docs: 'tvdb help errors E405',
      run_id: null,
      upstream_id: null,
      retryable: false,
      retry_after_ms: null,
      charged_nano_usd: 0,
      resume_costs_nano_usd: null,
      facts: { job_id: 'abcdef0123456789' },
    });
    expect(run.stderr).toMatchInlineSnapshot(`
      "error  TVDB-E405  The PDF is damaged
      why    no trailer
      fix    Repair it first: qpdf in.pdf out.pdf
      cost   Nothing was charged.
      docs   tvdb help errors E405
      ref    abcdef01   exit 1
      "
    `);
  });

  it('json: a command may fail and still show what is known', async () => {
    const error = new TvdbError('E401', {
      message: '1 of 2 documents failed',
      facts: { items: [{ name: 'a\x1b[2J.pdf', reason: 'encrypted' }] },
    });
    const partly = answers('partly', { data: { done: 1 }, error, exitCode: 7, plain: () => [['a', 'failed']] });
    const run = await tvdb(['partly', '--json'], { commands: [partly] });
    expect(run.json).toMatchObject({ ok: false, exit_code: 7, data: { done: 1 }, error: { code: 'TVDB-E401' } });
    const plain = await tvdb(['partly'], { commands: [partly] });
    expect(plain).toMatchObject({ code: 7, stdout: 'a\tfailed\n' });
    expect(plain.stderr).toContain('a\\x1b[2J.pdf   encrypted');
    expect(plain.stderr).toContain('exit 7');
  });

  it('ndjson: hello first, result last, one numbered event a line', async () => {
    const events = sample(
      'events',
      async (_input, { ui }) => {
        ui.setRun('run-1');
        ui.event('stage', { stage: 'parse', status: 'start' });
        ui.warn({ code: 'TVDB-W302', message: 'mock embeddings' });
        return { data: { total: 1 } };
      },
      { ndjson: true },
    );
    const run = await tvdb(['events', '--ndjson'], { commands: [events], clock: virtualClock() });
    const lines = run.stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines.map(({ type }) => type)).toEqual(['hello', 'stage', 'warning', 'result']);
    expect(lines.map(({ seq }) => seq)).toEqual([0, 1, 2, 3]);
    expect(lines[0]).toEqual({
      v: 1,
      seq: 0,
      ts: '2026-11-23T12:00:00.000Z',
      type: 'hello',
      schema: 'tvdb.events/v1',
      tvdb: '0.1.0',
    });
    expect(lines[1]).toMatchObject({ run_id: 'run-1', stage: 'parse', status: 'start' });
    expect(lines[3]).toMatchObject({
      run_id: 'run-1',
      ok: true,
      exit_code: 0,
      data: { total: 1 },
      warnings: [{ code: 'TVDB-W302' }],
      error: null,
    });
    const failed = await tvdb(['fail', '--ndjson']);
    expect(JSON.parse(failed.stdout.trimEnd().split('\n').at(-1) ?? '')).toMatchObject({
      type: 'result',
      ok: false,
      exit_code: 1,
      error: { code: 'TVDB-E405' },
    });
  });

  it('prints an answer early for a command that goes on, and only once', async () => {
    const server = sample('server', async (_input, { ui }) => {
      const result = { data: { url: 'http://127.0.0.1:1' }, plain: () => [['http://127.0.0.1:1']] };
      await ui.answer(result);
      return result;
    });
    expect((await tvdb(['server', '--json'], { commands: [server] })).json.data.url).toBe('http://127.0.0.1:1');
    expect((await tvdb(['server'], { commands: [server] })).stdout).toBe('http://127.0.0.1:1\n');
  });

  it('prints records while running: rows in pipes, pages on terminals, nothing in JSON', async () => {
    const follow = sample('follow', async (_input, { ui }) => {
      await ui.record(['a', 1], (page) => page.line('a is ', good('1')));
      return { data: {} };
    });
    const run = (options: object, ...argv: string[]) => tvdb(['follow', ...argv], { commands: [follow], ...options });
    expect((await run({})).stdout).toBe('a\t1\n');
    expect((await run({ tty: true })).stdout).toBe('a is \x1b[32m1\x1b[39m\n');
    expect((await run({}, '--json')).json.ok).toBe(true);
    expect((await run({}, '-q')).stdout).toBe('');
  });

  it('keeps a tab or newline in a cell from breaking the row', async () => {
    const odd = answers('odd', { data: {}, plain: () => [['a\tb\nc', 'd\x1b[31m']] });
    expect((await tvdb(['odd'], { commands: [odd] })).stdout).toBe('a\\tb\\nc\td\\x1b[31m\n');
  });
});

describe('--fields', () => {
  it('keeps keys of data, or keys of the rows of its lists', async () => {
    expect((await tvdb(['status', '--json', '--fields', 'overall'])).json.data).toEqual({ overall: 'warn' });
    expect((await tvdb(['status', '--json', '--fields', 'job_id, cost'])).json.data).toEqual({
      jobs: [
        { job_id: 'j1', cost: 1 },
        { job_id: 'j2', cost: 2 },
      ],
    });
  });

  it('suggests the key that was meant, in a whole envelope', async () => {
    const run = await tvdb(['status', '--json', '--fields', 'job_di']);
    expect(run.code).toBe(2);
    expect(run.json).toMatchObject({ ok: false, exit_code: 2, data: null, error: { code: 'TVDB-E005' } });
    expect(run.json.error.message).toContain('Did you mean "job_id"?');
  });

  it('accepts any row key where the list is empty: the same envelope when there is nothing', async () => {
    const empty = answers('empty', { data: { jobs: [] } });
    expect((await tvdb(['empty', '--json', '--fields', 'job_id'], { commands: [empty] })).json.data).toEqual({
      jobs: [],
    });
  });
});

describe('bugs', () => {
  it('end in E900, exit 70, with a report file that holds no key', async () => {
    const key = 'sk-test-0123456789abcdef';
    const leaky = sample('leaky', async () => {
      throw new Error(`request with ${key} failed`);
    });
    const run = await tvdb(['leaky', '--json'], { commands: [leaky], env: { OPENAI_API_KEY: key } });
    expect(run.code).toBe(70);
    expect(run.json).toMatchObject({ exit_code: 70, error: { code: 'TVDB-E900', category: 'internal' } });
    const file = run.json.error.facts.report_file;
    expect(file.startsWith(join(run.home, 'data', 'tvdb', 'crash'))).toBe(true);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const report = readFileSync(file, 'utf8');
    expect(report).toContain('request with [secret] failed');
    expect(report + run.stdout + run.stderr).not.toContain(key);
    expect(run.stderr).toContain('report file (keys removed)');
    expect(run.stderr).not.toContain('    at ');
  });

  it('show their stack with -v only', async () => {
    expect((await tvdb(['bug', '-v'])).stderr).toContain('sample-commands.ts');
  });

  it('of a handler that reaches for more than it declared are bugs too', async () => {
    const greedy = sample('greedy', async (_input, ctx) => ({ data: { home: ctx.config.home } }));
    expect(await tvdb(['greedy'], { commands: [greedy] })).toMatchObject({ code: 70 });
  });
});

describe('warnings, notes and errors on stderr', () => {
  const WORDS = 'the parse service answered slowly and the document was parsed by the mock in place of it';
  const talks = sample('talks', async (_input, { ui }) => {
    ui.note((page) => page.field('Plan', WORDS));
    ui.warn({ code: 'TVDB-W302', message: `${WORDS}; redo it for real: tvdb retry --fallbacks 27d7010b` });
    ui.verbose(1, WORDS);
    throw new TvdbError('E301', {
      message: WORDS,
      why: WORDS,
      fix: '',
      commands: [`tvdb retry 27d7010b --max-cost 0.10 # ${WORDS}`],
    });
  });

  it.each([40, 80, 200])(
    'break between words on a terminal of %i columns, under the text they continue',
    async (cols) => {
      const { stderr } = await tvdb(['talks'], { commands: [talks], tty: true, cols, env: { NO_COLOR: '1' } });
      const lines = stderr.trimEnd().split('\n');
      const wrapped = lines.filter((line) => !line.startsWith('fix '));
      for (const line of wrapped) expect(line.length).toBeLessThanOrEqual(cols);
      const warning = lines.findIndex((line) => line.startsWith('warn   TVDB-W302  the parse'));
      const rest = lines.slice(warning + 1);
      const more = rest.slice(
        0,
        rest.findIndex((line) => !line.startsWith('       ')),
      );
      for (const line of more) expect(line).toMatch(/^ {7}\S/);
      expect([lines[warning], ...more.map((line) => line.trimStart())].join(' ')).toBe(
        `warn   TVDB-W302  ${WORDS}; redo it for real: tvdb retry --fallbacks 27d7010b`,
      );
      // A command is there to be pasted.
      expect(lines).toContainEqual(expect.stringMatching(/^fix {4}tvdb retry .* in place of it$/));
    },
  );

  it('are one line each in a pipe, however long', async () => {
    const lines = (await tvdb(['talks', '-v'], { commands: [talks] })).stderr.split('\n');
    expect(lines).toContain(`Plan      ${WORDS}`);
    expect(lines).toContain(`warn   TVDB-W302  ${WORDS}; redo it for real: tvdb retry --fallbacks 27d7010b`);
    expect(lines).toContain(`debug  ${WORDS}`);
    expect(lines).toContain(`error  TVDB-E301  ${WORDS}`);
    expect(lines).toContain(`why    ${WORDS}`);
  });
});

describe('GitHub Actions', () => {
  it('T13: at most nine annotations of a kind and one remainder, on stderr, escaped', async () => {
    const noisy = sample('noisy', async (_input, { ui }) => {
      for (let i = 0; i < 12; i += 1) ui.warn({ code: 'TVDB-W1', message: `100% of,it:\nfails ${i}` });
      return { data: {} };
    });
    const run = await tvdb(['noisy', '--json'], { commands: [noisy], env: { GITHUB_ACTIONS: 'true' } });
    const lines = run.stderr.split('\n').filter((line) => line.startsWith('::warning'));
    expect(lines).toHaveLength(10);
    expect(lines[0]).toBe('::warning title=TVDB-W1::100%25 of,it:%0Afails 0');
    expect(lines[9]).toBe('::warning::and 3 more');
    expect(run.json.warnings).toHaveLength(12);
  });
});

describe('questions', () => {
  const ask = sample('ask', async (_input, { ui }) => ({
    data: { yes: await ui.confirm('Delete?', { flag: '--yes' }) },
  }));

  it('become an error that names the flag where nobody can be asked', async () => {
    for (const options of [{}, { tty: true, stdinTty: true, env: { CI: '1' } }, { tty: true, stdin: 'y\n' }]) {
      const run = await tvdb(['ask'], { commands: [ask], ...options });
      expect(run.code).toBe(2);
      expect(run.stderr).toContain('TVDB-E011');
      expect(run.stderr).toContain('Add --yes.');
    }
  });
});
