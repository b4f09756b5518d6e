/** The built tool on a real pseudo terminal: keys, colours, widths. */
import { resolve } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { spawn } from '@lydell/node-pty';
import { describe, expect, it } from 'vitest';
import { tempDirectory } from '../setup/temp.ts';

const TOOL = resolve('test/cli/tool.mjs');
const SHOW_CURSOR = '\x1b[?25h';
const HIDE_CURSOR = '\x1b[?25l';

interface Session {
  text: string;
  code: number;
  /** Milliseconds from the last key to the end. */
  took: number;
}

/** Runs the tool on a terminal of `cols` columns; `keys` says what to type when a text has appeared. */
function onTerminal(
  args: string,
  {
    cols = 80,
    rows = 24,
    keys = [],
    env = {},
  }: { cols?: number; rows?: number; keys?: [after: string, type: string][]; env?: Record<string, string> } = {},
): Promise<Session> {
  const home = tempDirectory();
  // node-pty cannot open a terminal of 0 columns, but a terminal can be told to have none.
  const size = cols === 0 ? 'stty cols 0 && ' : '';
  const child = spawn('bash', ['-c', `${size}exec "${process.execPath}" "${TOOL}" ${args}`], {
    cols: Math.max(1, cols),
    rows,
    cwd: home,
    env: { HOME: home, PATH: process.env.PATH, LANG: 'C.UTF-8', TERM: 'xterm-256color', ...env },
  });
  const waiting = [...keys];
  let text = '';
  let seen = 0;
  let typedAt = performance.now();
  child.onData((data) => {
    text += data;
    const next = waiting[0];
    if (next === undefined || !text.slice(seen).includes(next[0])) return;
    waiting.shift();
    seen = text.length;
    typedAt = performance.now();
    child.write(next[1]);
  });
  return new Promise((done) =>
    child.onExit(({ exitCode }) => done({ text, code: exitCode, took: performance.now() - typedAt })),
  );
}

/** What stood on one line of the screen at a time: a spinner redraws from the first column without a line end. */
const lines = (text: string) => text.split(/\r?\n|\x1b\[1G/).map(stripVTControlCharacters);

describe('Ctrl-C on a terminal', () => {
  it('trap 2: during a spinner ends with 130, the cursor back and a way to resume', async () => {
    const { text, code, took } = await onTerminal('spin', { keys: [['started', '\x03']] });
    expect(code).toBe(130);
    expect(took).toBeLessThan(11_000);
    expect(text).toContain('Ctrl-C again ends at once');
    expect(stripVTControlCharacters(text)).toContain('resume tvdb upload --resume run_1');
    expect(text.lastIndexOf(SHOW_CURSOR)).toBeGreaterThan(text.lastIndexOf(HIDE_CURSOR));
  });

  it('twice ends at once, even if the work does not stop', async () => {
    const { text, code, took } = await onTerminal('stubborn', {
      keys: [
        ['started', '\x03'],
        ['again ends at once', '\x03'],
      ],
    });
    expect(code).toBe(130);
    expect(took).toBeLessThan(3_000);
    expect(text).toContain('ended at once');
    expect(stripVTControlCharacters(text)).toContain('resume tvdb upload --resume run_1');
    expect(text.lastIndexOf(SHOW_CURSOR)).toBeGreaterThan(text.lastIndexOf(HIDE_CURSOR));
  });

  it('at a question ends with 130 and no stack', async () => {
    const { text, code } = await onTerminal('ask', { keys: [['(y/N)', '\x03']] });
    expect(code).toBe(130);
    expect(text).not.toContain('    at ');
  });
});

describe('questions on a terminal', () => {
  it('take no for an answer that was not given', async () => {
    const { text, code } = await onTerminal('ask', { keys: [['(y/N)', '\r']] });
    expect(code).toBe(0);
    expect(text).toContain('answered');
  });

  it('are plain text without colour', async () => {
    const { text } = await onTerminal('ask', { keys: [['(y/N)', 'y\r']], env: { NO_COLOR: '1' } });
    // inquirer still moves the cursor; only colours (SGR) must be gone.
    expect(text).not.toMatch(/\x1b\[[\d;]*m/);
  });

  it('are not asked under CI', async () => {
    expect((await onTerminal('ask', { env: { CI: '1' } })).code).toBe(2);
  });
});

describe('widths', () => {
  it.each([0, 20, 40, 80, 200])(
    'trap 3: a page at %i columns: no hang, no lost value, no line too wide',
    async (cols) => {
      const { text, code } = await onTerminal('page', { cols, env: { NO_COLOR: '1' } });
      expect(code).toBe(0);
      const limit = cols === 0 ? 80 : cols;
      for (const line of lines(text)) expect(line.length).toBeLessThanOrEqual(limit);
      const together = lines(text).join('').replace(/\s/g, '');
      for (const value of ['a81f3c20', 'a81f3c22', 'complete', '$0.0910']) expect(together).toContain(value);
      if (limit !== 80) for (const i of [0, 1, 2]) expect(together).toContain(`policy-with-a-long-name-${i}-2024.pdf`);
    },
  );

  it.each([0, 20, 40, 80, 200])('trap 3: progress at %i columns ends by itself', async (cols) => {
    const { text, code } = await onTerminal('finish', { cols });
    expect(code).toBe(0);
    expect(text).toContain('finished');
    if (cols === 0) expect(text).not.toContain(HIDE_CURSOR);
    else for (const line of lines(text)) expect(line.length).toBeLessThanOrEqual(cols);
  });

  it('G3: progress takes the height of the terminal minus two lines at most, and says what it hides', async () => {
    const { text } = await onTerminal('spin', { rows: 12, keys: [['more', '\x03']] });
    const frame = lines(text).filter((line) => line.includes('a-rather-long-file-name') || line.includes('... '));
    expect(frame.some((line) => /\.\.\. 32 more/.test(line))).toBe(true);
  });
});

describe('colour on a terminal', () => {
  it('is there, and gone on both streams with NO_COLOR', async () => {
    expect((await onTerminal('page')).text).toMatch(/\x1b\[\d+m/);
    expect((await onTerminal('page', { env: { NO_COLOR: '1' } })).text).not.toContain('\x1b');
  });

  it('is gone from the spinner too', async () => {
    const { text } = await onTerminal('finish', { env: { NO_COLOR: '1' } });
    expect(text).not.toMatch(/\x1b\[[\d;]*m/);
  });
});
