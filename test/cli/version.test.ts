/** `tvdb --version` for people and for programs. */
import { describe, expect, it } from 'vitest';
import { VERSION } from '../../src/cli/version.ts';
import { runTvdb } from '../setup/run-tvdb.ts';

describe('tvdb --version', () => {
  it('prints the version and nothing else', async () => {
    expect(await runTvdb(['--version'])).toMatchObject({ code: 0, stdout: `${VERSION}\n`, stderr: '' });
  });

  it.each([[['--version', '--json']], [['--json', '--version']], [['-V', '--json']], [['version', '--json']]])(
    'prints one JSON document: %j',
    async (argv) => {
      const { code, json } = await runTvdb(argv);
      expect(code).toBe(0);
      expect(json).toMatchObject({ schema: 'tvdb.version/v1', ok: true, data: { version: VERSION }, error: null });
    },
  );
});

describe('flags that belong to another one', () => {
  it.each([
    [['status', '--interval', '5s'], 'status', '--watch'],
    [['run', '--idle-timeout', '5s'], 'run', '--watch'],
    [['run', '--once', '--idle-timeout', '5s'], 'run', '--watch'],
  ])('are refused without it (E009, exit 2): %j', async (argv, command, needed) => {
    const { code, json } = await runTvdb([...argv, '--json']);
    expect([code, json.error.code, json.error.facts.command]).toEqual([2, 'TVDB-E009', command]);
    expect(json.error.message).toContain(`without ${needed}`);
    expect(json.error.fix.text).toContain(`Add ${needed}`);
  });

  it('are named with their dashes when their value is unknown', async () => {
    const { stderr } = await runTvdb(['upload', 'a.pdf', '--on-fallback', 'nope']);
    expect(stderr).toContain('Unknown --on-fallback "nope".');
  });
});
