/** Colour, format, progress and the gate before any question. */
import { describe, expect, it } from 'vitest';
import { readGlobals } from '../../src/cli/globals.ts';
import { decide, type StreamLike } from '../../src/cli/ui/facts.ts';

const TERMINAL: StreamLike = { isTTY: true, columns: 80, rows: 24 };
const PIPE: StreamLike = {};
const UTF8 = { LANG: 'en_US.UTF-8', TERM: 'xterm-256color' };
const SETTINGS = { ascii: false, accessible: false, noInput: false };

interface Given {
  env?: Record<string, string>;
  flags?: Record<string, unknown>;
  out?: StreamLike;
  err?: StreamLike;
  stdin?: boolean;
  settings?: Partial<typeof SETTINGS>;
}

const facts = ({ env = {}, flags = {}, out = TERMINAL, err = TERMINAL, stdin = true, settings = {} }: Given) =>
  decide({ stdin: { isTTY: stdin }, stdout: out, stderr: err }, { ...UTF8, ...env }, readGlobals(flags), {
    ...SETTINGS,
    ...settings,
  });

describe('colour (B1)', () => {
  it.each<[string, Given, boolean]>([
    ['a terminal', {}, true],
    ['a pipe', { out: PIPE }, false],
    ['NO_COLOR on a terminal', { env: { NO_COLOR: '1' } }, false],
    ['empty NO_COLOR counts as unset', { env: { NO_COLOR: '' } }, true],
    ['NO_COLOR beats FORCE_COLOR', { env: { NO_COLOR: '1', FORCE_COLOR: '1' } }, false],
    ['FORCE_COLOR in a pipe', { out: PIPE, env: { FORCE_COLOR: '1' } }, true],
    ['FORCE_COLOR=0', { env: { FORCE_COLOR: '0' } }, false],
    ['FORCE_COLOR=false', { env: { FORCE_COLOR: 'false' } }, false],
    ['FORCE_COLOR beats TERM=dumb', { env: { TERM: 'dumb', FORCE_COLOR: '1' } }, true],
    ['TERM=dumb', { env: { TERM: 'dumb' } }, false],
    ['--color=always beats NO_COLOR', { out: PIPE, env: { NO_COLOR: '1' }, flags: { color: 'always' } }, true],
    ['--no-color beats FORCE_COLOR', { env: { FORCE_COLOR: '1' }, flags: { color: false } }, false],
  ])('%s', (_title, given, color) => {
    expect(facts(given).out.color).toBe(color);
  });

  it('is decided for each stream', () => {
    const { out, err } = facts({ out: PIPE });
    expect([out.color, err.color]).toEqual([false, true]);
  });
});

describe('format: the first that applies', () => {
  it.each<[Given, string]>([
    [{ flags: { json: true, ndjson: true, quiet: true } }, 'json'],
    [{ flags: { ndjson: true, quiet: true } }, 'ndjson'],
    [{ flags: { quiet: true }, out: PIPE }, 'quiet'],
    [{ out: PIPE }, 'plain'],
    [{}, 'rich'],
  ])('%j', (given, format) => {
    expect(facts(given).format).toBe(format);
  });
});

describe('interactivity gate (1.C)', () => {
  it('lets a question through only on a terminal', () => {
    expect(facts({}).interactive).toBe(true);
  });

  it.each<[string, Given]>([
    ['stdin is no terminal', { stdin: false }],
    ['stderr is no terminal', { err: PIPE }],
    ['CI=true', { env: { CI: 'true' } }],
    ['CI=1', { env: { CI: '1' } }],
    ['CI=woodpecker', { env: { CI: 'woodpecker' } }],
    ['--no-input', { flags: { input: false } }],
    ['TVDB_NO_INPUT', { settings: { noInput: true } }],
    ['--json', { flags: { json: true } }],
    ['--ndjson', { flags: { ndjson: true } }],
    ['TERM=dumb', { env: { TERM: 'dumb' } }],
  ])('is closed by %s', (_title, given) => {
    expect(facts(given).interactive).toBe(false);
  });

  it.each(['0', 'false', ''])('is not closed by CI=%j', (CI) => {
    expect(facts({ env: { CI } }).interactive).toBe(true);
  });
});

describe('progress (G1)', () => {
  it.each<[Given, string]>([
    [{}, 'tty'],
    [{ err: PIPE }, 'plain'],
    [{ err: { isTTY: true, columns: 0 } }, 'plain'],
    [{ err: { isTTY: true, columns: 19 } }, 'plain'],
    [{ err: { isTTY: true, columns: 20 } }, 'tty'],
    [{ env: { CI: '1' } }, 'plain'],
    [{ settings: { accessible: true } }, 'plain'],
    [{ flags: { progress: 'tty' }, err: { isTTY: true, columns: 0 } }, 'plain'],
    [{ flags: { progress: 'tty' }, env: { CI: '1' } }, 'tty'],
    [{ flags: { progress: false } }, 'none'],
    [{ flags: { quiet: true } }, 'none'],
    [{ flags: { ndjson: true } }, 'none'],
    [{ flags: { json: true } }, 'tty'],
    [{ flags: { progress: 'plain' } }, 'plain'],
  ])('%j', (given, progress) => {
    expect(facts(given).progress).toBe(progress);
  });
});

describe('glyphs (B5) and width', () => {
  it.each([
    [{ LANG: 'C' }, true],
    [{ LANG: 'de_DE.UTF-8' }, false],
    [{ LANG: 'en_US.UTF-8', LC_ALL: 'POSIX' }, true],
    [{ LANG: 'en_US.utf8' }, false],
  ])('%j: ascii %s', (env, ascii) => {
    expect(decide({ stdin: {}, stdout: TERMINAL, stderr: TERMINAL }, env, readGlobals({}), SETTINGS).ascii).toBe(ascii);
  });

  it('takes 80 columns where the terminal reports none', () => {
    expect(facts({ out: { isTTY: true, columns: 0 } }).out.cols).toBe(80);
    expect(facts({ out: PIPE }).out.cols).toBe(80);
  });
});
