/** The lock of mock mode, tried from a process of its own, and the whole tool under a count of every connection. */
import { execFile } from 'node:child_process';
import { copyFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { rolldown } from 'rolldown';
import { describe, expect, it } from 'vitest';
import { tempDirectory } from '../setup/temp.ts';

const run = promisify(execFile);

interface Report {
  refused: Record<string, string>;
  passed: string[];
  open: Record<string, string>;
  stillLocked: string;
  restored: boolean;
}

/** The lock as a file that plain Node can load. */
async function bundledLock(directory: string): Promise<string> {
  const file = join(directory, 'lock.mjs');
  const bundle = await rolldown({ input: resolve('src/services/transport-lock.ts'), platform: 'node' });
  await bundle.write({ file, format: 'esm' });
  await bundle.close();
  return file;
}

describe('a locked process', () => {
  it('refuses every way out before a name is looked up, leaves this machine open, and opens again', async () => {
    const directory = tempDirectory();
    const lock = await bundledLock(directory);
    const { stdout } = await run(process.execPath, [resolve('test/services/dialling.mjs'), lock, directory]);
    const report = JSON.parse(stdout) as Report;
    expect(Object.keys(report.refused).length).toBeGreaterThan(90);
    expect(Object.entries(report.refused).filter(([, code]) => code !== 'E901')).toEqual([]);
    expect(report.passed).toEqual([]);
    expect(Object.values(report.open)).toEqual(Object.values(report.open).map(() => 'hello'));
    expect(report).toMatchObject({ stillLocked: 'E901', restored: true });
  });
});

/**
 * Loaded before the tool and before its child processes: notes every connection, datagram and name that is asked for.
 * It sits below the lock, so what it sees has left.
 */
const COUNTER = `
import { appendFileSync } from 'node:fs';
import childProcess from 'node:child_process';
import dgram from 'node:dgram';
import dns from 'node:dns';
import { syncBuiltinESMExports } from 'node:module';
import net from 'node:net';
const note = (text) => appendFileSync(new URL('./seen.txt', import.meta.url), process.argv[1].replace(/.*[/\\\\]/, '') + ' ' + text + '\\n');
note('started');
const watch = (owner, name, label) => {
  const original = owner[name];
  owner[name] = function (...args) { note(label + ' ' + JSON.stringify(args.filter((arg) => typeof arg !== 'function'))); return Reflect.apply(original, this, args); };
};
watch(net.Socket.prototype, 'connect', 'connect');
watch(dgram.Socket.prototype, 'send', 'send');
for (const owner of [dns, dns.promises]) for (const name of ['lookup', 'resolve', 'resolve4', 'resolve6']) watch(owner, name, name);
const { spawn } = childProcess;
childProcess.spawn = (command, args, options) => {
  const at = args.indexOf(process.execPath);
  const counted = ['--import', import.meta.url];
  if (command === process.execPath) return spawn(command, [...counted, ...args], options);
  return spawn(command, at < 0 ? args : [...args.slice(0, at + 1), ...counted, ...args.slice(at + 1)], options);
};
syncBuiltinESMExports();
`;

describe('the whole tool in mock mode', () => {
  async function counted(script: string, args: readonly string[]): Promise<string[]> {
    const home = tempDirectory();
    const counter = join(home, 'counter.mjs');
    writeFileSync(counter, COUNTER);
    copyFileSync(resolve('fixtures/documents/letter.pdf'), join(home, 'letter.pdf'));
    await run(process.execPath, ['--import', pathToFileURL(counter).href, script, ...args], {
      cwd: home,
      env: { PATH: process.env.PATH ?? '', HOME: home, TVDB_HOME: join(home, 'store'), SERVICE_MODE: 'mock' },
    });
    const seen = join(home, 'seen.txt');
    return existsSync(seen) ? readFileSync(seen, 'utf8').trimEnd().split('\n') : [];
  }

  it('uploads a document without one connection, datagram or name lookup, its child processes included', async () => {
    const seen = await counted(resolve('bin/tvdb.js'), ['upload', 'letter.pdf', '--no-input']);
    expect(new Set(seen)).toEqual(new Set(['tvdb.js started', 'pdf-child.cjs started']));
  });

  it('is counted by something that counts', async () => {
    const script = join(tempDirectory(), 'dials.mjs');
    writeFileSync(script, "import net from 'node:net';\nnet.connect(1, '127.0.0.1').on('error', () => {});\n");
    expect(await counted(script, [])).toEqual(['dials.mjs started', expect.stringMatching(/^dials.mjs connect /)]);
  });
});
