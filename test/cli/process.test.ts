/** The built tool as a process: pipes that close or are slow, and completion. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { tempDirectory } from '../setup/temp.ts';

const TOOL = resolve('test/cli/tool.mjs');
const BIN = resolve('bin/tvdb.js');

function start(
  script: string,
  args: readonly string[],
  node: readonly string[] = [],
  env: Record<string, string> = {},
): ChildProcess {
  const home = tempDirectory();
  return spawn(process.execPath, [...node, script, ...args], {
    cwd: home,
    env: { HOME: home, LANG: 'C.UTF-8', TERM: 'xterm-256color', ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
}

async function output(child: ChildProcess): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const texts = { stdout: '', stderr: '' };
  child.stdout?.on('data', (chunk) => {
    texts.stdout += chunk;
  });
  child.stderr?.on('data', (chunk) => {
    texts.stderr += chunk;
  });
  const [code] = await once(child, 'close');
  return { code, ...texts };
}

describe('pipes', () => {
  it.each(['rows', 'stream'])('`%s | head -1`: the reader gets its line, exit 0, no stack', async (command) => {
    const child = start(TOOL, [command]);
    child.stdout?.once('data', () => child.stdout?.destroy());
    let stderr = '';
    child.stderr?.on('data', (chunk) => {
      stderr += chunk;
    });
    const [code] = await once(child, 'exit');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  });

  it('5 MB of JSON arrive whole through a slow pipe', async () => {
    const child = start(TOOL, ['big', '--json']);
    const chunks: Buffer[] = [];
    for await (const chunk of child.stdout ?? []) {
      chunks.push(chunk);
      for (let turn = 0; turn < 20; turn += 1) await new Promise((next) => setImmediate(next));
    }
    const document = JSON.parse(Buffer.concat(chunks).toString('utf8'));
    expect(document.data.text).toHaveLength(5_000_000);
    expect(document.data.end).toBe('END');
  });

  it('a disk that is full behind stdout is an error, not a silence', async () => {
    const child = spawn('sh', ['-c', `"${process.execPath}" "${TOOL}" big --json > /dev/full`], {
      env: { HOME: tempDirectory(), PATH: process.env.PATH ?? '' },
    });
    const { code, stderr } = await output(child);
    expect(stderr).toContain('TVDB-E109');
    expect(code).toBe(1);
  });

  it('trap 1: no ESC byte on either stream of a page with a table, with CI unset', async () => {
    const { code, stdout, stderr } = await output(start(TOOL, ['page']));
    expect(code).toBe(0);
    expect(stdout).toContain('JOB       STATUS');
    expect(stdout + stderr).not.toContain('\x1b');
  });

  it('a question never reads a piped yes', async () => {
    const child = start(TOOL, ['ask']);
    child.stdin?.end('y\ny\n');
    const { code, stderr } = await output(child);
    expect(code).toBe(2);
    expect(stderr).toContain('Add --yes.');
  });

  it('a closed stdin does no harm', async () => {
    const child = spawn('sh', ['-c', `"${process.execPath}" "${TOOL}" page <&-`], {
      env: { HOME: tempDirectory(), LANG: 'C.UTF-8' },
    });
    expect((await output(child)).code).toBe(0);
  });

  it('SIGTERM ends with 143 and the command that resumes', async () => {
    const child = start(TOOL, ['spin']);
    const ended = output(child);
    child.stderr?.once('data', () => child.kill('SIGTERM'));
    const { code, stderr } = await ended;
    expect(code).toBe(143);
    expect(stderr).toContain('resume tvdb upload --resume run_1');
  });

  it('NO_COLOR together with FORCE_COLOR brings no warning of Node', async () => {
    const { code, stderr } = await output(start(BIN, ['--version'], [], { NO_COLOR: '1', FORCE_COLOR: '1' }));
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  });
});

describe('completion', () => {
  const complete = async (...words: string[]) => (await output(start(BIN, ['complete', '--', ...words]))).stdout;

  it('knows commands, flags and choices', async () => {
    expect(await complete('hel')).toContain('help\t');
    expect(await complete('help', '--js')).toContain('--json\t');
    expect(await complete('help', '--color', '')).toContain('always');
    expect(await complete('completion', '')).toContain('powershell');
  });

  it.each(['bash', 'zsh', 'fish', 'powershell'])('prints a %s script to stdout and nothing else', async (shell) => {
    const { code, stdout, stderr } = await output(start(BIN, ['completion', shell]));
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain('tvdb');
    expect(stdout.length).toBeGreaterThan(500);
  });

  it('the bash script is valid bash', async () => {
    const { stdout } = await output(start(BIN, ['completion', 'bash']));
    const child = spawn('bash', ['-n'], { stdio: ['pipe', 'pipe', 'pipe'] });
    child.stdin?.end(stdout);
    expect(await output(child)).toEqual({ code: 0, stdout: '', stderr: '' });
  });
});
