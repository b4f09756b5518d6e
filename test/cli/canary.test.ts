/** T90: a key that must not get out is set as every key; every byte that the tool makes is searched for it. */
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { defineCommand } from '../../src/cli/command.ts';
import { COMMANDS } from '../../src/cli/commands/index.ts';
import { type RunOptions, runTvdb } from '../setup/run-tvdb.ts';
import { tempDirectory } from '../setup/temp.ts';
import { canary, filesIn, KEYS, leaks, SECRETS } from './canary.ts';
import { hostile, letter } from './workplace.ts';

/** Says the key in every way a careless piece of code could. */
const careless = defineCommand({
  name: 'careless',
  summary: 'tells everything it knows',
  args: [],
  options: [],
  examples: [],
  needs: 'world',
  exitCodes: [0],
  json: 'tvdb.test/v1',
  ndjson: true,
  async handler(_input, ctx) {
    const { log, config } = await ctx.openWorld();
    for (const key of Object.values(KEYS)) {
      const bytes = Buffer.from(key);
      log('debug', 'request', {
        headers: { Authorization: `Bearer ${key}` },
        url: `https://example.com/?key=${encodeURIComponent(key)}`,
        body: bytes.toString('base64'),
        [key]: bytes.toString('hex'),
      });
      ctx.ui.verbose(2, `> authorization: Bearer ${key}`);
      ctx.ui.warn({ code: 'TVDB-W001', message: `401: the key ${key} is wrong` });
      ctx.ui.event('request', { headers: [['authorization', key]] });
      ctx.ui.note((page) => page.field('Key', key));
    }
    const told = JSON.stringify(config.settings);
    throw new Error(`unexpected answer to ${told}`, { cause: new Error(Object.values(KEYS).join(' ')) });
  },
});

interface Extent {
  /** Every command; else only those that the search is tried out on. */
  all: boolean;
  /** Also with the key where an argument belongs. */
  typed: boolean;
  product?: RunOptions['product'];
}

/** Runs commands in every form they have. */
async function everything(home: string, keys: Record<string, string>, { all, typed, product = {} }: Extent) {
  const found: string[] = [];
  const codes = new Map<string, number>();
  const env = {
    ...keys,
    LOG_LEVEL: 'debug',
    // Nobody listens there: what the services say is the business of canary-services.test.ts.
    LLAMA_CLOUD_BASE_URL: 'http://127.0.0.1:1',
    OPENAI_BASE_URL: 'http://127.0.0.1:1/v1',
    MAX_RETRIES: '0',
    DRAIN_WAIT: '0s',
  };
  const tvdb = async (argv: readonly string[], options: RunOptions = {}) => {
    const run = await runTvdb(argv, { home, env, commands: [...COMMANDS, careless], product, ...options });
    const name = argv.join(' ');
    codes.set(name, run.code);
    found.push(...leaks(`stdout of ${name}`, run.stdout), ...leaks(`stderr of ${name}`, run.stderr));
    return run;
  };
  const uploaded = await tvdb(['upload', 'letter.pdf', 'bad.pdf', '--mode', 'mock', '--json', '-vv']);
  const jobId: string = uploaded.json.data.documents[0].job_id;
  const [key = ''] = Object.values(KEYS);
  const lines: (readonly string[])[] = [['careless'], ['upload', 'letter.pdf', '--force', '--mode', 'real']];
  const others: (readonly string[])[] = [
    ['mode'],
    ['mode', 'real'],
    ['mode', 'hybrid'],
    ['mode', 'mock'],
    ['config', 'list'],
    ['doctor'],
    ['doctor', '--fix'],
    ['status'],
    ['trace', jobId, '--full'],
    ['search', 'letter'],
    ['search', 'letter', '--mode', 'real'],
    ['export'],
    ['costs'],
    ['run'],
    ['retry', '--failed', '--yes'],
    ['retry', jobId],
    ['cancel', jobId],
    ['upload', 'letter.pdf', '--force', '--mode', 'hybrid'],
    ['delete', jobId, '--yes'],
  ];
  const misplaced: (readonly string[])[] = [
    ['upload', key],
    ['upload', 'letter.pdf', '--mode', key],
    [key],
    ['search', key],
    ['status', key],
    ['help', 'errors', key],
  ];
  for (const line of [...lines, ...(all ? others : []), ...(typed ? misplaced : [])]) {
    await tvdb([...line, '-vv']);
    // Live progress would need a real terminal on stderr.
    const tty = ['upload', 'run', 'retry'].includes(line[0] ?? '') ? 'stdout' : true;
    for (const cols of [80, 40]) await tvdb([...line, '-vv'], { tty, cols });
    await tvdb([...line, '--json']);
    if (line[0] === 'careless') await tvdb([...line, '--ndjson']);
  }
  for (const [path, bytes] of filesIn(home)) found.push(...leaks(path, bytes));
  return { found, codes };
}

function place(): string {
  const home = tempDirectory();
  mkdirSync(join(home, 'work'));
  copyFileSync(letter, join(home, 'work', 'letter.pdf'));
  copyFileSync(hostile('garbage.pdf'), join(home, 'work', 'bad.pdf'));
  return home;
}

describe('T90 a key', { timeout: 120_000 }, () => {
  it('is set as every key there is', () => {
    expect(SECRETS).toEqual(
      expect.arrayContaining([
        'LLAMAPARSE_API_KEY',
        'LLAMA_CLOUD_API_KEY',
        'OPENAI_API_KEY',
        'LLAMAPARSE_API_KEY_SECONDARY',
        'OPENAI_API_KEY_SECONDARY',
        'TVDB_API_TOKEN',
      ]),
    );
  });

  it('is hidden even where the configuration could not be read, each of them', async () => {
    const env = { ...KEYS, LEASE_DURATION: 'forever' };
    for (const key of Object.values(KEYS)) {
      const run = await runTvdb(['upload', key], { env });
      expect([run.code, leaks('', run.stdout + run.stderr)]).toEqual([4, []]);
      const unknown = await runTvdb([key], { env });
      expect(unknown.stderr).toContain('[secret]');
      expect(leaks('', unknown.stdout + unknown.stderr)).toEqual([]);
    }
  });

  it('T92 is refused when it is so short that hiding it would mask ordinary words, without being shown', async () => {
    const run = await runTvdb(['status'], { env: { OPENAI_API_KEY: 'q7Xz' } });
    expect([run.code, run.stderr]).toEqual([
      4,
      expect.stringContaining('OPENAI_API_KEY must be at least 8 characters'),
    ]);
    expect(run.stdout + run.stderr).not.toContain('q7Xz');
  });

  it('from the environment is in no byte on stdout or stderr, in logs, in the store or in a crash report', async () => {
    const home = place();
    const { found, codes } = await everything(home, KEYS, { all: true, typed: true });
    expect(found).toEqual([]);
    // What should have failed did, and what should have been written was.
    expect(codes.get('careless --json')).toBe(70);
    expect(codes.get('upload letter.pdf --force --mode real --json')).not.toBe(0);
    const files = filesIn(home).map(([path]) => path);
    for (const part of ['/crash/', '/logs/', 'tvdb.sqlite'])
      expect(files.filter((path) => path.includes(part))).not.toEqual([]);
  });

  it('from an .env file is not either', async () => {
    const home = place();
    const lines = SECRETS.map((name) => `${name}='${canary(name)}'\n`);
    writeFileSync(join(home, 'work', '.env'), lines.join(''), { mode: 0o600 });
    expect((await everything(home, {}, { all: true, typed: false })).found).toEqual([]);
  });

  it('would be found in every sink if nothing took it out', async () => {
    const { found } = await everything(place(), KEYS, {
      all: false,
      typed: true,
      product: { scrubber: () => (text) => text },
    });
    const sinks = [
      'stdout of careless',
      'stderr of careless',
      '/logs/',
      '/crash/',
      'stdout of upload',
      'stderr of upload',
    ];
    for (const sink of sinks) expect([sink, found.some((one) => one.includes(sink))]).toEqual([sink, true]);
    expect(found.length).toBeGreaterThanOrEqual(6);
  });

  it('that nobody knows as a key would be found by this search in stdout, stderr, the log and the crash report', async () => {
    const { found } = await everything(place(), {}, { all: false, typed: true });
    for (const place of ['stdout of careless --ndjson', 'stderr of careless', '/logs/', '/crash/'])
      expect([place, found.some((one) => one.includes(place))]).toEqual([place, true]);
    expect(found.length).toBeGreaterThan(20);
  });
});
