/** T90: a key that must not get out is set as every key; every byte that the tool makes is searched for it. */
import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { defineCommand } from '../../src/cli/command.ts';
import { COMMANDS } from '../../src/cli/commands/index.ts';
import { VARIABLES } from '../../src/config/variables.ts';
import { type RunOptions, runTvdb } from '../setup/run-tvdb.ts';
import { tempDirectory } from '../setup/temp.ts';
import { hostile, letter } from './workplace.ts';

const SECRETS = Object.entries(VARIABLES).flatMap(([name, variable]) =>
  'secret' in variable && variable.secret ? [name] : [],
);
/** With characters that an encoding changes, longer than a terminal is wide, another for each variable. */
const canary = (name: string) => `llx-ZANZIBAR/${name}+k=${'7f3a9c9b1e0d'.repeat(8)}`;
const KEYS = Object.fromEntries(SECRETS.map((name) => [name, canary(name)]));

/** The key in the six forms it could leave in, and the word that every one of them would show in the first three. */
function forms(key: string): string[] {
  const bytes = Buffer.from(key);
  const base64 = [0, 1, 2].map((shift) =>
    Buffer.concat([Buffer.alloc(shift), bytes])
      .toString('base64')
      .slice(4, -4),
  );
  return [
    key,
    'ZANZIBAR',
    encodeURIComponent(key),
    JSON.stringify(key).slice(1, -1),
    bytes.toString('hex'),
    ...base64,
    bytes.toString('base64url').slice(0, -4),
  ];
}

/** What of the key is in these bytes, in any of its forms and any case. */
function leaks(where: string, bytes: string): string[] {
  const text = bytes.toLowerCase();
  return Object.values(KEYS)
    .flatMap(forms)
    .filter((form) => text.includes(form.toLowerCase()))
    .map((form) => `${where}: ${form}`);
}

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

/** Every file below a home but those the test itself wrote keys into. */
function filesIn(home: string): [string, string][] {
  return readdirSync(home, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && entry.name !== '.env')
    .map((entry) => join(entry.parentPath, entry.name))
    .map((path) => [path, readFileSync(path, 'latin1')]);
}

/** Runs every command in every form. `typed`: also with the key where an argument belongs. */
async function everything(home: string, keys: Record<string, string>, typed: boolean) {
  const found: string[] = [];
  const codes = new Map<string, number>();
  const env = { ...keys, LOG_LEVEL: 'debug' };
  const tvdb = async (argv: readonly string[], options: RunOptions = {}) => {
    const run = await runTvdb(argv, { home, env, commands: [...COMMANDS, careless], ...options });
    const name = argv.join(' ');
    codes.set(name, run.code);
    found.push(...leaks(`stdout of ${name}`, run.stdout), ...leaks(`stderr of ${name}`, run.stderr));
    return run;
  };
  const uploaded = await tvdb(['upload', 'letter.pdf', 'bad.pdf', '--mode', 'mock', '--json', '-vv']);
  const jobId: string = uploaded.json.data.documents[0].job_id;
  const [key = ''] = Object.values(KEYS);
  const lines: (readonly string[])[] = [
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
    ['upload', 'letter.pdf', '--force', '--mode', 'real'],
    ['upload', 'letter.pdf', '--force', '--mode', 'hybrid'],
    ['careless'],
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
  for (const line of typed ? [...lines, ...misplaced] : lines) {
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

describe('T90 a key', () => {
  it('is set as every key there is', () => {
    expect(SECRETS).toEqual(expect.arrayContaining(['LLAMAPARSE_API_KEY', 'LLAMA_CLOUD_API_KEY', 'OPENAI_API_KEY']));
  });

  it('from the environment is in no byte on stdout or stderr, in logs, in the store or in a crash report', async () => {
    const home = place();
    const { found, codes } = await everything(home, KEYS, true);
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
    expect((await everything(home, {}, false)).found).toEqual([]);
  });

  it('that nobody knows as a key would be found by this search in stdout, stderr, the log and the crash report', async () => {
    const { found } = await everything(place(), {}, true);
    for (const place of ['stdout of careless --ndjson', 'stderr of careless', '/logs/', '/crash/'])
      expect([place, found.some((one) => one.includes(place))]).toEqual([place, true]);
    expect(found.length).toBeGreaterThan(20);
  });
});
