import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { VARIABLES } from '../../src/config/variables.ts';
import { runTvdb } from '../setup/run-tvdb.ts';
import { tempDirectory } from '../setup/temp.ts';

const KEY = 'sk-0123456789abcdef-wxyz';
const SHORT = 'abcdefgh';

interface Setting {
  name: string;
  value: string | null;
  source: string;
  shadowed: { source: string; value: string }[];
}

const settingsOf = (json: { data: { settings: Setting[] } }) =>
  new Map(json.data.settings.map((setting) => [setting.name, setting]));

describe('tvdb config list', () => {
  it('lists every setting with value and source, in all three forms', async () => {
    const { code, json } = await runTvdb(['config', 'list', '--json'], { env: { MAX_PAGES: '7' } });
    expect([code, json.schema]).toEqual([0, 'tvdb.config/v1']);
    const settings = settingsOf(json);
    expect([...settings.keys()]).toEqual(Object.keys(VARIABLES));
    expect(settings.get('MAX_PAGES')).toMatchObject({ value: '7', source: 'env:MAX_PAGES', shadowed: [] });
    expect(settings.get('SERVICE_MODE')).toMatchObject({ value: 'mock', source: 'default' });
    const piped = await runTvdb(['config', 'list'], { env: { MAX_PAGES: '7' } });
    expect(piped.stdout.split('\n')).toContain('MAX_PAGES\t7\tenv:MAX_PAGES\t');
    expect(piped.stdout.trimEnd().split('\n')).toHaveLength(Object.keys(VARIABLES).length);
  });

  it('writes every value so that it could be set again', async () => {
    const { json } = await runTvdb(['config', 'list', '--json']);
    const shown = settingsOf(json);
    for (const [name, variable] of Object.entries(VARIABLES)) {
      const text = shown.get(name)?.value ?? null;
      if (variable.default === undefined) expect([name, text]).toEqual([name, null]);
      else expect([name, variable.parse(text ?? '')]).toEqual([name, variable.parse(variable.default)]);
    }
  });

  it('shows of keys at most their end, wherever they are set', async () => {
    const home = tempDirectory();
    mkdirSync(join(home, 'work'));
    writeFileSync(join(home, 'work', '.env'), `OPENAI_API_KEY=${KEY}2\nLLAMAPARSE_API_KEY=${SHORT}\n`, { mode: 0o600 });
    const run = await runTvdb(['config', 'list', '--json'], { home, env: { OPENAI_API_KEY: KEY } });
    const settings = settingsOf(run.json);
    expect(settings.get('OPENAI_API_KEY')).toMatchObject({
      value: 'set, ends wxyz',
      source: 'env:OPENAI_API_KEY',
      shadowed: [{ source: `file:${join(home, 'work', '.env')}`, value: 'set, ends xyz2' }],
    });
    // Four of eight characters would be half of it.
    expect(settings.get('LLAMAPARSE_API_KEY')?.value).toBe('set');
    const page = await runTvdb(['config', 'list'], { home, tty: true, env: { OPENAI_API_KEY: KEY } });
    for (const text of [run.stdout, run.stderr, page.stdout, page.stderr]) {
      expect(text).not.toContain(KEY);
      expect(text).not.toContain(SHORT);
    }
  });

  it('names what a value hides, on the page too', async () => {
    const home = tempDirectory();
    mkdirSync(join(home, 'work'));
    writeFileSync(join(home, 'work', '.env'), 'MAX_PAGES=9\n');
    const { stdout } = await runTvdb(['config', 'list'], {
      home,
      tty: true,
      cols: 200,
      env: { MAX_PAGES: '7', NO_COLOR: '1' },
    });
    expect(stdout).toContain(`MAX_PAGES=9 in file:${join(home, 'work', '.env')} is hidden by the environment`);
  });

  it('lists with --set only what is not at its default', async () => {
    const { stdout } = await runTvdb(['config', 'list', '--set', '-q'], { env: { MAX_PAGES: '7' } });
    expect(stdout).toBe('MAX_PAGES\n');
  });

  it('writes nothing', async () => {
    const { home } = await runTvdb(['config', 'list']);
    expect(existsSync(join(home, 'data'))).toBe(false);
    expect(existsSync(join(home, 'config'))).toBe(false);
  });

  it('names the setting and its source when a value is not valid (exit 4)', async () => {
    const { code, stdout, stderr } = await runTvdb(['config', 'list'], { env: { MAX_PAGES: 'many' } });
    expect(code).toBe(4);
    expect(stderr).toContain('TVDB-E103');
    expect(stderr).toContain('the environment');
    expect(stdout).toContain(
      'MAX_PAGES\tmany\tenv:MAX_PAGES\tMAX_PAGES must be a whole number from 1 to 5000, not "many"\n',
    );
  });

  it('lists every setting beside several that are not valid, and a broken file (exit 4)', async () => {
    const home = tempDirectory();
    mkdirSync(join(home, 'config', 'tvdb'), { recursive: true });
    writeFileSync(join(home, 'config', 'tvdb', 'config.json'), '{"SERVICE_MODE": ');
    const env = { SERVICE_MODE: 'reel', OPENAI_API_KEY: 'short', CHUNK_MAX_TOKENS: '60' };
    const { code, json, stderr } = await runTvdb(['config', 'list', '--json'], { home, env });
    expect(code).toBe(4);
    const settings = settingsOf(json);
    expect([...settings.keys()]).toEqual(Object.keys(VARIABLES));
    expect(settings.get('SERVICE_MODE')).toMatchObject({
      value: 'reel',
      source: 'env:SERVICE_MODE',
      error: 'SERVICE_MODE must be one of mock, real, hybrid, not "reel"',
    });
    // One that is only wrong beside another.
    expect(settings.get('CHUNK_TARGET_TOKENS')).toMatchObject({ value: '400', error: expect.stringContaining('more') });
    expect(settings.get('OPENAI_API_KEY')).toMatchObject({ value: 'set' });
    expect(settings.get('MAX_PAGES')).toMatchObject({ error: null });
    expect(json.error.code).toBe('TVDB-E103');
    expect(json.error.facts.items.map(({ name }: { name: string }) => name)).toEqual([
      'TVDB-E108',
      'SERVICE_MODE',
      'OPENAI_API_KEY',
      'CHUNK_TARGET_TOKENS',
    ]);
    expect(stderr).toContain('not valid JSON');
    const page = await runTvdb(['config', 'list'], { home, env, tty: true, cols: 100 });
    expect(page.stdout).toContain('reel');
    expect(page.stdout + page.stderr + stderr).not.toContain('short');
  });

  it('says that a file named with --config is not there (E108, exit 4), to every command', async () => {
    for (const command of [['status'], ['config', 'list'], ['mode', 'mock']]) {
      const { code, json } = await runTvdb([...command, '--config', '/nonexist', '--json']);
      expect([command, code, json.error.code]).toEqual([command, 4, 'TVDB-E108']);
    }
  });

  it('fits narrow terminals', async () => {
    for (const cols of [40, 80]) {
      const { stdout } = await runTvdb(['config', 'list'], { tty: true, cols, env: { NO_COLOR: '1' } });
      for (const line of stdout.split('\n')) expect(line.length).toBeLessThanOrEqual(cols);
    }
  });

  it('is under a group that prints help', async () => {
    const { code, stdout } = await runTvdb(['config']);
    expect(code).toBe(0);
    expect(stdout).toContain('config list');
  });
});
