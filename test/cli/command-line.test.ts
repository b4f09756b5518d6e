/** What a command line means, and what is said when it means nothing. */
import { describe, expect, it } from 'vitest';
import { runTvdb } from '../setup/run-tvdb.ts';
import { COMMANDS } from './sample-commands.ts';

const tvdb = (...argv: string[]) => runTvdb(argv, { commands: COMMANDS });
const input = async (...argv: string[]) => {
  const run = await tvdb(...argv, '--json');
  expect(run.stderr).toBe('');
  return run.json.data;
};

describe('misspelt words get one suggestion and exit 2', () => {
  it.each([
    [['uplaod', 'a.pdf'], 'Unknown command "uplaod". Did you mean "upload"?', 'tvdb upload a.pdf'],
    [['alerts', 'lsit'], 'Unknown command "lsit". Did you mean "list"?', 'tvdb alerts list'],
    [['upload', 'a.pdf', '--mdoe=real'], 'Unknown flag --mdoe. Did you mean --mode?', 'tvdb upload a.pdf --mode=real'],
    [['status', '--jsno'], 'Unknown flag --jsno. Did you mean --json?', 'tvdb status --json'],
    [
      ['upload', 'my file.pdf', '--mode', 'hybird'],
      'Unknown --mode "hybird". Did you mean "hybrid"?',
      "tvdb upload 'my file.pdf' --mode hybrid",
    ],
    [
      ['upload', 'a.pdf', '--mode=hybird'],
      'Unknown --mode "hybird". Did you mean "hybrid"?',
      'tvdb upload a.pdf --mode=hybrid',
    ],
    [['status', '--color', 'alwasy'], 'Unknown --color "alwasy". Did you mean "always"?', ''],
    [['help', 'uplod'], 'There is no help for "uplod". Did you mean "upload"?', 'tvdb help upload'],
  ])('%j', async (argv, message, fix) => {
    const run = await tvdb(...argv);
    expect(run.code).toBe(2);
    expect(run.stdout).toBe('');
    expect(run.stderr).toContain(message);
    expect(run.stderr).toContain(fix);
    expect(run.stderr.match(/Did you mean/g)).toHaveLength(1);
  });
});

describe('a file whose name begins with a dash', () => {
  it.each([
    ['-n.pdf', 'tvdb upload ./-n.pdf'],
    ['-y.pdf', 'tvdb upload ./-y.pdf'],
    ['-o/a b.pdf', "tvdb upload './-o/a b.pdf'"],
    ['--n.pdf', 'tvdb upload ./--n.pdf'],
  ])('is named as it was typed, with a way to say it: %s', async (name, command) => {
    const run = await tvdb('upload', name, '--json');
    expect(run.code).toBe(2);
    expect(run.json.error).toMatchObject({
      code: 'TVDB-E001',
      message: `Unknown flag ${name}.`,
      fix: { text: expect.stringContaining('put -- before it'), commands: [`${command} --json`] },
    });
    expect((await tvdb('upload', '--', name)).code).toBe(0);
  });
});

describe('other usage errors exit 2 with their code', () => {
  it.each([
    [['frobnicate'], 'TVDB-E001'],
    [['upload', 'a.pdf', '--frobnicate'], 'TVDB-E001'],
    [['-m', 'real', 'upload', 'a.pdf'], 'flags of a command come after its name'],
    [['upload'], 'TVDB-E002  <paths> is missing'],
    [['upload', 'a', '--mode'], 'TVDB-E002  --mode needs a value'],
    [['upload', 'a', '--max-cost', 'much'], 'TVDB-E003'],
    [['upload', 'a', '--timeout', '90'], 'with its unit: 90s?'],
    [['upload', 'a', '-k', '0'], 'TVDB-E003'],
    [['upload', 'a', '--since', 'someday'], 'TVDB-E003'],
    [['upload', 'a', '--mode', 'sideways'], '--mode takes mock, real, hybrid'],
    [['upload', 'a', '--no-wait', '--timeout', '5m'], 'TVDB-E009'],
    [['status', 'extra'], '"extra" is one argument too many'],
    [['status', '--fields', 'a'], '--fields needs --json'],
    [['upload', 'a', '--ndjson'], 'tvdb upload has no events'],
    [['script', '--json'], 'tvdb script has no JSON form'],
    [['status', '--timezone', 'Mars/Olympus'], 'TVDB-E003'],
    [['status', '-C', '/no/such/place'], 'TVDB-E003'],
    [['help', 'errors', 'E999'], 'TVDB-E005'],
  ])('%j', async (argv, text) => {
    const run = await tvdb(...argv);
    expect(run.code).toBe(2);
    expect(run.stderr.replace(/\n {7}/g, ' ')).toContain(text);
    expect(run.stderr).toMatch(/ref {4}exit 2\n$/);
  });

  it('wraps the error block and names where to read on', async () => {
    const run = await tvdb('upload', 'a', '--mode', 'hybird');
    expect(run.stderr).toMatchInlineSnapshot(`
      "error  TVDB-E005  Unknown --mode "hybird". Did you mean "hybrid"?
      why    --mode takes mock, real, hybrid
      fix    tvdb upload a --mode hybrid
      docs   tvdb upload --help
      ref    exit 2
      "
    `);
  });

  it('keeps the JSON envelope for usage errors', async () => {
    const run = await tvdb('upload', 'a', '--mode', 'hybird', '--json');
    expect(run.code).toBe(2);
    expect(run.json).toMatchObject({
      schema: 'tvdb.sample/v1',
      ok: false,
      exit_code: 2,
      data: null,
      error: { code: 'TVDB-E005', category: 'usage' },
    });
    expect((await tvdb('frobnicate', '--json')).json).toMatchObject({ schema: 'tvdb.error/v1', exit_code: 2 });
  });
});

describe('flags', () => {
  it('stand before or after the command', async () => {
    const before = await runTvdb(['--json', '-v', 'upload', 'a'], { commands: COMMANDS });
    const after = await runTvdb(['upload', 'a', '-v', '--json'], { commands: COMMANDS });
    expect(before.json.data.verbose).toBe(1);
    expect(after.json.data.verbose).toBe(1);
    expect((await input('-v', 'upload', '-v', 'a')).verbose).toBe(2);
  });

  it('combine in one word, also own with global ones', async () => {
    expect(await input('upload', 'a', '-yv')).toMatchObject({ options: { yes: true }, verbose: 1 });
    expect(await input('upload', 'a', '-vvyk5')).toMatchObject({ options: { yes: true, top: 5 }, verbose: 2 });
    expect((await tvdb('upload', 'a', '-yq')).stdout).toBe('a\n');
  });

  it('trap 7: --json takes no file name', async () => {
    expect((await input('upload', '--json', 'a.pdf', 'b.pdf')).args.paths).toEqual(['a.pdf', 'b.pdf']);
  });

  it('end at --, after which everything is an argument', async () => {
    const run = await runTvdb(['upload', '--json', '-k', '3', '--', '--mode', '-q', '-'], { commands: COMMANDS });
    expect(run.json.data.args.paths).toEqual(['--mode', '-q', '-']);
    expect(run.json.data.options.top).toBe(3);
  });

  it('are typed: choices, money, pairs, durations, negations, optional values', async () => {
    const { options } = await input(
      'upload',
      'a',
      '-mreal',
      '--max-cost=0.25',
      '--tag',
      'a=1',
      '--tag=b=2',
      '--no-wait',
      '--since',
      '2026-11-22',
      '--timezone',
      'UTC',
    );
    expect(options).toMatchObject({
      mode: 'real',
      maxCost: 250_000_000,
      tag: [
        { key: 'a', value: '1' },
        { key: 'b', value: '2' },
      ],
      wait: false,
      since: Date.UTC(2026, 10, 22),
    });
    expect((await input('upload', 'a')).options).toEqual({ tag: [], wait: true, yes: false });
    expect((await input('upload', 'a', '--open')).options.open).toBe(true);
    expect((await input('upload', 'a', '--open=x')).options.open).toBe('x');
    expect((await input('upload', 'a', '--no-open')).options.open).toBe(false);
  });

  it('-C moves where paths are meant from, without moving the process', async () => {
    const before = process.cwd();
    const run = await runTvdb(['upload', 'a', '-C', '..', '--json'], { commands: COMMANDS });
    expect(run.json.data.cwd).toBe(run.home);
    expect(process.cwd()).toBe(before);
  });

  it('that stand for a setting are checked by the setting and win over the environment', async () => {
    const commands = COMMANDS.map((command) =>
      command.name === 'upload'
        ? {
            ...command,
            needs: 'config' as const,
            handler: async (_input: unknown, ctx: { config: { settings: object } }) => ({ data: ctx.config.settings }),
          }
        : command,
    );
    const run = await runTvdb(['upload', 'a', '-m', 'hybrid', '--json'], {
      commands: commands as typeof COMMANDS,
      env: { SERVICE_MODE: 'real' },
    });
    expect(run.json.data.SERVICE_MODE).toBe('hybrid');
    const broken = await runTvdb(['upload', 'a'], {
      commands: commands as typeof COMMANDS,
      env: { MAX_PAGES: 'many' },
    });
    expect(broken.code).toBe(4);
    expect(broken.stderr).toContain('TVDB-E103');
  });
});
