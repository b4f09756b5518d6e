/** The built tool, started in a directory that was deleted. */
import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { tempDirectory } from '../setup/temp.ts';

const BIN = resolve('bin/tvdb.js');

function inDeletedDirectory(...args: string[]) {
  const home = tempDirectory();
  const gone = join(home, 'gone');
  mkdirSync(gone);
  const script = 'cd "$1" && rmdir "$1" && shift && exec "$@"';
  return spawnSync('sh', ['-c', script, 'sh', gone, process.execPath, BIN, ...args], {
    encoding: 'utf8',
    env: { HOME: home, LANG: 'C.UTF-8' },
  });
}

describe.skipIf(process.platform === 'win32')('in a working directory that was deleted', () => {
  it('is an error with a way out (E111, exit 4), also as JSON', () => {
    const { status, stdout, stderr } = inDeletedDirectory('status', '--json');
    expect(status).toBe(4);
    expect(stderr).toContain('TVDB-E111');
    expect(stderr).not.toContain('    at ');
    expect(JSON.parse(stdout)).toMatchObject({
      schema: 'tvdb.status/v1',
      error: { code: 'TVDB-E111', fix: { text: expect.stringContaining('--cwd') } },
    });
  });

  it.each([[['--version']], [['help']], [['config', 'list', '-C', '/']]])(
    'goes on where it does not matter: %j',
    (args) => {
      expect(inDeletedDirectory(...args)).toMatchObject({ status: 0, stderr: '' });
    },
  );
});
