import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openStore } from '../../src/store/open.ts';
import { runTvdb } from '../setup/run-tvdb.ts';
import { tempDirectory } from '../setup/temp.ts';

const preferences = (home: string) => join(home, 'config', 'tvdb', 'config.json');
const KEY = 'sk-0123456789abcdef-wxyz';

async function changes(home: string) {
  const store = openStore({ home: join(home, 'data', 'tvdb') });
  try {
    return await store.db.selectFrom('mode_changes').selectAll().execute();
  } finally {
    await store.close();
  }
}

describe('tvdb mode', () => {
  it('shows the mode, its source and what each service does and why', async () => {
    const { code, json } = await runTvdb(['mode', '--json']);
    expect(code).toBe(0);
    expect(json.schema).toBe('tvdb.mode/v1');
    expect(json.data).toEqual({
      mode: 'mock',
      source: 'default',
      shadowed: [],
      services: [
        {
          name: 'llamaparse',
          wanted: 'mock',
          effective: 'mock',
          reason: 'mode_mock',
          fallback: false,
          key: null,
          retry_at: null,
        },
        {
          name: 'openai',
          wanted: 'mock',
          effective: 'mock',
          reason: 'mode_mock',
          fallback: false,
          key: null,
          retry_at: null,
        },
      ],
      saved: null,
    });
  });

  it('shouts a stand-in in hybrid, and names the key that is missing', async () => {
    const { stdout, code } = await runTvdb(['mode'], { tty: true, env: { SERVICE_MODE: 'hybrid', NO_COLOR: '1' } });
    expect(code).toBe(0);
    expect(stdout).toMatch(/Mode\s+hybrid\s+from SERVICE_MODE in the environment/);
    expect(stdout).toMatch(/LlamaParse\s+real\s+MOCK\s+LLAMAPARSE_API_KEY is not set/);
  });

  it('saves a mode for its owner only, records the change, and uses it from then on', async () => {
    const home = tempDirectory();
    const saved = await runTvdb(['mode', 'hybrid', '--json'], { home });
    expect(saved.code).toBe(0);
    expect(saved.json.data.saved).toMatchObject({ mode: 'hybrid', was: null, changed: true, in_effect: true });
    expect(JSON.parse(readFileSync(preferences(home), 'utf8'))).toMatchObject({ SERVICE_MODE: 'hybrid' });
    expect(statSync(preferences(home)).mode & 0o777).toBe(0o600);
    expect((await runTvdb(['mode', '-q'], { home })).stdout).toBe('hybrid\n');
    expect(await changes(home)).toMatchObject([{ from_mode: null, to_mode: 'hybrid' }]);
    expect((await runTvdb(['mode', 'hybrid', '--json'], { home })).json.data.saved).toMatchObject({
      was: 'hybrid',
      changed: false,
    });
    expect(await changes(home)).toHaveLength(1);
  });

  it('warns when the environment hides what was saved', async () => {
    const home = tempDirectory();
    const { code, json, stderr } = await runTvdb(['mode', 'hybrid', '--json'], { home, env: { SERVICE_MODE: 'mock' } });
    expect(code).toBe(0);
    expect(json.data).toMatchObject({
      mode: 'mock',
      source: 'env:SERVICE_MODE',
      shadowed: [{ source: `preferences:${preferences(home)}`, value: 'hybrid' }],
      saved: { in_effect: false },
    });
    expect(json.warnings).toMatchObject([{ code: 'TVDB-W103' }]);
    expect(stderr).toContain('unset SERVICE_MODE');
  });

  it('warns when an .env file hides what was saved', async () => {
    const home = tempDirectory();
    mkdirSync(join(home, 'work'));
    writeFileSync(join(home, 'work', '.env'), 'SERVICE_MODE=mock\n');
    const { json } = await runTvdb(['mode', 'hybrid', '--json'], { home });
    expect(json.data.source).toBe(`file:${join(home, 'work', '.env')}`);
    expect(json.warnings[0].message).toContain(`remove SERVICE_MODE from ${join(home, 'work', '.env')}`);
  });

  it('saves nothing when real lacks a key (exit 4)', async () => {
    const home = tempDirectory();
    const { code, json } = await runTvdb(['mode', 'real', '--json'], { home });
    expect(code).toBe(4);
    expect(json.error.code).toBe('TVDB-E101');
    expect(existsSync(preferences(home))).toBe(false);
    expect(await changes(home)).toEqual([]);
  });

  it('saves nothing when the real services are not built in (exit 4), and shows of keys only their end', async () => {
    const home = tempDirectory();
    const env = { LLAMAPARSE_API_KEY: KEY, OPENAI_API_KEY: KEY };
    const refused = await runTvdb(['mode', 'real', '--json'], { home, env });
    expect([refused.code, refused.json.error.code]).toEqual([4, 'TVDB-E102']);
    expect(existsSync(preferences(home))).toBe(false);
    const shown = await runTvdb(['mode', '--json'], { home, env });
    expect(shown.json.data.services[0].key).toBe('set, ends wxyz');
    expect(shown.stdout + shown.stderr).not.toContain(KEY);
  });

  it('T14 suggests the mode that was meant (exit 2)', async () => {
    const { code, json, stderr } = await runTvdb(['mode', 'hybird', '--json']);
    expect([code, json.error.code]).toEqual([2, 'TVDB-E005']);
    expect(stderr).toContain('Did you mean "hybrid"?');
  });

  it('is tab-separated in a pipe and fits 40 columns', async () => {
    const piped = await runTvdb(['mode']);
    expect(piped.stdout).toBe('mode\tmock\tdefault\nllamaparse\tmock\tmode_mock\nopenai\tmock\tmode_mock\n');
    const narrow = await runTvdb(['mode'], { tty: true, cols: 40, env: { NO_COLOR: '1' } });
    for (const line of narrow.stdout.split('\n')) expect(line.length).toBeLessThanOrEqual(40);
    expect(narrow.stdout).toContain('LlamaParse');
  });

  it('writes only a file called config.json', async () => {
    const home = tempDirectory();
    writeFileSync(join(home, 'mine.json'), '{}');
    const { code, stderr } = await runTvdb(['mode', 'hybrid', '--config', join(home, 'mine.json')], { home });
    expect(code).toBe(2);
    expect(stderr).toContain('config.json');
  });
});
