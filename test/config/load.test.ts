/** One implementation of precedence, read strictly and leniently. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { inspectConfig, loadConfig } from '../../src/config/load.ts';
import { tempDirectory } from '../setup/temp.ts';

const options = (env: Record<string, string>) => {
  const cwd = tempDirectory();
  return { cwd, env: { HOME: cwd, ...env } };
};

describe('inspectConfig', () => {
  it('finds what loadConfig finds, and no problem where there is none', () => {
    const good = options({ MAX_PAGES: '7', SERVICE_MODE: 'hybrid' });
    writeFileSync(join(good.cwd, '.env'), 'MAX_PAGES=9\nMAX_FILE_MB=3\n');
    expect(inspectConfig(good)).toEqual(loadConfig(good));
    expect(inspectConfig(good)).toMatchObject({ problems: [], settings: { MAX_PAGES: 7, MAX_FILE_MB: 3 } });
  });

  it('collects every problem, and loadConfig throws the first of them', () => {
    const bad = options({ SERVICE_MODE: 'reel', MAX_PAGES: '0', HEARTBEAT_INTERVAL: '20s' });
    const { problems, settings } = inspectConfig(bad);
    expect(problems.map(({ setting, text }) => [setting, text])).toEqual([
      ['SERVICE_MODE', 'reel'],
      ['MAX_PAGES', '0'],
      ['LEASE_DURATION', undefined],
    ]);
    expect(settings).toMatchObject({ SERVICE_MODE: 'mock', MAX_PAGES: 200 });
    expect(() => loadConfig(bad)).toThrow(problems[0]?.error.message);
  });

  it('does not blame a setting for the default that stands in for another', () => {
    const bad = options({ CHUNK_TARGET_TOKENS: 'many', CHUNK_MAX_TOKENS: '60' });
    expect(inspectConfig(bad).problems.map(({ setting }) => setting)).toEqual(['CHUNK_TARGET_TOKENS']);
  });

  it('goes on without a file that cannot be read (E108)', () => {
    const bad = { ...options({ MAX_PAGES: '7' }), envFile: 'none.env', preferencesFile: '/nonexist' };
    const { problems, settings } = inspectConfig(bad);
    expect(problems.map(({ error, setting }) => [error.code, setting])).toEqual([
      ['E108', undefined],
      ['E108', undefined],
    ]);
    expect(settings.MAX_PAGES).toBe(7);
    expect(() => loadConfig(bad)).toThrow('none.env');
  });
});
