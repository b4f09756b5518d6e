/** Start-up is counted in what is loaded, never in time: each file and each part of Node costs its share of a start. */
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ROOT } from '../rules/sources.ts';
import { tempDirectory } from '../setup/temp.ts';
import { loaded } from './loaded.ts';
import { BIN, FIXTURES } from './seeded-home.ts';

const LIBRARIES = [
  ...['ora', '@inquirer', 'conf', 'cli-table3', 'chalk', 'undici', 'openai', 'gpt-tokenizer', 'markdown-it'],
  ...['sqlite-vec', '@llamaindex', 'unpdf', 'tinyglobby', '@bomb.sh'],
];
/** Parts of Node that cost 1 to 10 ms. */
const HEAVY = ['crypto', 'fs/promises', 'child_process', 'http', 'https', 'http2', 'worker_threads', 'readline'];

/** What any output needs as well, and what Node needs to keep compiled code of libraries, which 20 cannot. */
const ALLOWED = ['stream', 'process', ...(process.version.startsWith('v20.') ? [] : ['module', 'os'])];

function homeWithDocument(): string {
  const home = tempDirectory();
  execFileSync(process.execPath, [BIN, 'upload', join(FIXTURES, 'letter.pdf'), '--no-input'], {
    env: { HOME: home },
    stdio: 'ignore',
  });
  return home;
}

const packagesOf = (files: readonly string[]) =>
  LIBRARIES.filter((name) => files.some((path) => path.includes(`/node_modules/${name}/`)));

describe('what a start loads', () => {
  it.each([[['--version']], [['-V']], [['--help']], [['help']], [['help', 'upload']]])(
    '%j: one chunk, with its compiled code, and no more parts of Node than any output needs',
    async (args) => {
      const home = tempDirectory();
      const bare = join(home, 'bare.cjs');
      writeFileSync(bare, "require('node:vm'); require('node:zlib'); require('node:tty'); process.stdout.write('x');");
      const { bundle, refused, files, node } = await loaded(args, { home });
      expect(bundle).toEqual(['main', 'rolldown-runtime', 'start']);
      expect(refused).toEqual([]);
      expect(files.filter((path) => path.includes('/node_modules/'))).toEqual([]);
      const { node: least } = await loaded([], { home }, bare);
      expect(node.filter((part) => !least.includes(part) && !ALLOWED.includes(part))).toEqual([]);
    },
  );

  it.each([
    [['status'], 8],
    [['costs', '--today'], 14],
  ])('%j: the store and at most %i files of the bundle, with their compiled code', async (args, most) => {
    const home = homeWithDocument();
    const { bundle, refused, files, node } = await loaded(args, { home });
    expect(bundle).toEqual(expect.arrayContaining(['main', 'start', 'store']));
    expect(bundle.length).toBeLessThanOrEqual(most);
    expect(refused).toEqual([]);
    // Nothing at all but the native part of SQLite, which is not read but opened.
    expect(files.filter((path) => path.includes('/node_modules/'))).toEqual([]);
    expect(HEAVY.filter((part) => node.includes(part))).toEqual([]);
    // Whatever is imported later asks this file to.
    expect(files.filter((path) => path.endsWith('/bin/import.js'))).toEqual([]);
  });

  it('a page with colours: what makes them, and no other library', async () => {
    const { files } = await loaded(['status', '--color', 'always'], { home: tempDirectory(), imports: true });
    expect(packagesOf(files)).toEqual(['chalk']);
  });
});

describe('compiled code', () => {
  /** A copy of the tool whose files may be changed. */
  function copyOfTool(): { binary: string; chunk: string } {
    const directory = tempDirectory();
    for (const part of ['bin', 'dist', 'package.json'])
      cpSync(join(ROOT, part), join(directory, part), { recursive: true, preserveTimestamps: true });
    symlinkSync(join(ROOT, 'node_modules'), join(directory, 'node_modules'));
    mkdirSync(join(directory, 'home'));
    const chunks = join(directory, 'dist', 'chunks');
    const name = readdirSync(chunks).find((file) => /^start-.*\.cjs$/.test(file)) ?? '';
    return { binary: join(directory, 'bin', 'tvdb.js'), chunk: join(chunks, name) };
  }
  const version = (binary: string, ...flags: string[]) => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [...flags, binary, '--version'], {
      encoding: 'utf8',
    });
    return { status, stdout, stderr };
  };
  const sound = { status: 0, stdout: '0.1.0\n', stderr: '' };

  it('is not used for a file that was edited since, even to the same length', () => {
    const { binary, chunk } = copyOfTool();
    const text = readFileSync(chunk, 'utf8');
    expect(text.split('"0.1.0"')).toHaveLength(2);
    writeFileSync(chunk, text.replace('"0.1.0"', '"0.1.é"'));
    expect(version(binary)).toEqual({ ...sound, stdout: '0.1.é\n' });
  });

  it.each([
    ['a changed byte', (bytes: Buffer) => bytes.fill(bytes.readUInt8(1000) ^ 0xff, 1000, 1001)],
    ['a cut end', (bytes: Buffer) => bytes.subarray(0, bytes.length / 2)],
    ['nothing in it', () => Buffer.alloc(0)],
  ])('with %s is passed over', (_damage, damaged) => {
    const { binary, chunk } = copyOfTool();
    writeFileSync(`${chunk}.compiled`, damaged(readFileSync(`${chunk}.compiled`)));
    expect(version(binary)).toEqual(sound);
  });

  it('that V8 made under other flags is passed over', async () => {
    expect(version(BIN, '--max-lazy')).toEqual(sound);
    const { refused } = await loaded(['--version'], { home: tempDirectory(), flags: ['--max-lazy'] });
    expect(refused.length).toBeGreaterThan(0);
  });

  it('lets a library be imported still', () => {
    const { status, stderr } = spawnSync(process.execPath, [BIN, 'completion', 'bash'], {
      env: { HOME: tempDirectory() },
      encoding: 'utf8',
    });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  });
});
