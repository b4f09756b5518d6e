/** The completion script in a bash of its own, without the bash-completion package. */
import { spawnSync } from 'node:child_process';
import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { runTvdb } from '../setup/run-tvdb.ts';
import { tempDirectory } from '../setup/temp.ts';

const BIN = resolve('bin/tvdb.js');
const hasBash = spawnSync('bash', ['--version']).status === 0;

/** What Tab offers after `words`; `before` runs ahead of the script. */
async function offered(words: readonly string[], line = words.join(' '), before = '') {
  const { stdout: script } = await runTvdb(['completion', 'bash']);
  const body = `
    ${before}
    tvdb() { "$NODE" "$BIN" "$@"; }
    eval "$SCRIPT"; eval "$SCRIPT"
    # Only a real Tab may change its options.
    compopt() { :; }
    COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMP_LINE=$LINE COMP_POINT=\${#LINE}
    __tvdb_complete
    printf '%s\\n' "\${COMPREPLY[@]}"`;
  const home = tempDirectory();
  const { stdout, stderr } = spawnSync('bash', ['--norc', '--noprofile', '-c', body, 'bash', ...words], {
    cwd: home,
    encoding: 'utf8',
    env: { HOME: home, PATH: process.env.PATH ?? '', NODE: process.execPath, BIN, SCRIPT: script, LINE: line },
  });
  return { words: stdout.split('\n').filter((word) => word !== ''), stderr };
}

describe.skipIf(!hasBash)('bash completion without the bash-completion package', () => {
  it('offers commands, and can be loaded twice', async () => {
    const { words, stderr } = await offered(['tvdb', ''], 'tvdb ');
    expect(words).toEqual(expect.arrayContaining(['upload', 'search', 'mode']));
    expect(stderr).toBe('');
  });

  it.each([
    [['tvdb', 'mode', ''], 'tvdb mode ', ['mock', 'real', 'hybrid']],
    [['tvdb', 'mode', 'h'], 'tvdb mode h', ['hybrid']],
    [['tvdb', 'upload', '--mode', ''], 'tvdb upload --mode ', ['mock', 'real', 'hybrid']],
    [['tvdb', 'search', '--tag', 'a', '=', 'b', '--mode', 'r'], 'tvdb search --tag a=b --mode r', ['real']],
    [['tvdb', 'sear'], 'tvdb sear', ['search']],
  ])('offers what can stand there: %j', async (words, line, expected) => {
    expect(await offered(words, line)).toEqual({ words: expected, stderr: '' });
  });

  it.each([
    [['tvdb', 'search', '--mode', '=', 're'], 'tvdb search --mode=re', 'tvdb|search|--mode=re', '--mode=re 2'],
    [['tvdb', 'search', '--mode', '='], 'tvdb search --mode=', 'tvdb|search|--mode=', '--mode= 2'],
    [['tvdb', 'x', '=', 'y'], 'tvdb x = y', 'tvdb|x|=|y', 'y 3'],
    [['tvdb', 'x', ''], 'tvdb x ', 'tvdb|x|', ' 2'],
    [['tvdb', 'C', ':', '/a b', 'z'], 'tvdb C:/a b z', 'tvdb|C:/a b|z', 'z 2'],
  ])('puts together what bash takes apart: %j', async (words, line, expected, current) => {
    const { stdout: script } = await runTvdb(['completion', 'bash']);
    const body = `eval "$SCRIPT"
      show() { local cur prev words cword; __tvdb_words -n "=:" cur prev words cword; local IFS='|'; echo "\${words[*]}"; echo "$cur $cword"; }
      COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMP_LINE=$LINE; show`;
    const { stdout } = spawnSync('bash', ['--norc', '-c', body, 'bash', ...words], {
      encoding: 'utf8',
      env: { PATH: process.env.PATH ?? '', SCRIPT: script, LINE: line },
    });
    expect(stdout).toBe(`${expected}\n${current}\n`);
  });

  it('uses the package where it is loaded', async () => {
    const before = '_get_comp_words_by_ref() { words=(tvdb mode r) cword=2 cur=r prev=mode; }';
    expect((await offered(['tvdb', ''], 'tvdb ', before)).words).toEqual(['real']);
  });
});

describe('what a completion script is answered', () => {
  it('is also answered with a setting that is not valid', async () => {
    const { stdout, code } = await runTvdb(['complete', '--', 'mode', ''], { env: { SERVICE_MODE: 'reel' } });
    expect([code, stdout]).toEqual([0, expect.stringContaining('hybrid')]);
  });

  it('has one line for each suggestion, whatever a file is called', async () => {
    const completeIds = async () => [{ value: '3fa85f64', description: 'job, complete, a\n$(touch pwned).pdf' }];
    const { stdout } = await runTvdb(['complete', '--', 'trace', '3f'], { product: { completeIds } });
    expect(stdout.split('\n').filter((line) => !line.startsWith(':') && line !== '')).toEqual([
      expect.stringMatching(/^3fa85f64\tjob/),
    ]);
  });
});
