/** What the built tool loads for a command line: seen from inside, by a file that Node loads before it. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { BIN } from './seeded-home.ts';

/** Whatever is loaded by require, and every file of dist/, is read by this function. */
const WATCH = `
  const fs = require('node:fs');
  const vm = require('node:vm');
  const seen = { files: [], refused: [] };
  const { readFileSync } = fs;
  fs.readFileSync = (...args) => {
    seen.files.push(String(args[0]));
    return readFileSync(...args);
  };
  vm.Script = class extends vm.Script {
    constructor(code, options) {
      super(code, options);
      if (this.cachedDataRejected !== false) seen.refused.push(options.filename);
    }
  };
  process.on('exit', () => fs.writeFileSync(process.env.SEEN, JSON.stringify({ ...seen, node: process.moduleLoadList })));
`;

/** What is loaded by import, which has threads and parts of Node of its own. */
const WATCH_IMPORTS = `
  import { writeSync } from 'node:fs';
  export async function load(url, context, next) {
    writeSync(2, 'LOADED ' + url + '\\n');
    return next(url, context);
  }
`;

interface Loaded {
  /** Files of dist/ that hold code, without folder, hash and ending. */
  readonly bundle: readonly string[];
  /** Files of dist/ that were compiled anew. */
  readonly refused: readonly string[];
  /** Paths of files, in and outside dist/. */
  readonly files: readonly string[];
  /** Public parts of Node. */
  readonly node: readonly string[];
}

interface Options {
  readonly home: string;
  /** See also what is imported; `node` is worth nothing then. */
  readonly imports?: boolean;
  readonly flags?: readonly string[];
}

/** Runs the built tool, or another script, and tells what it loaded. Throws when it fails. */
export async function loaded(
  args: readonly string[],
  { home, imports, flags = [] }: Options,
  script = BIN,
): Promise<Loaded> {
  const [watch, watchImports, seen] = ['watch.cjs', 'watch-imports.mjs', 'seen.json'].map((name) => join(home, name));
  if (watch === undefined || watchImports === undefined || seen === undefined) throw new Error('no paths');
  writeFileSync(watch, WATCH);
  writeFileSync(watchImports, WATCH_IMPORTS);
  const node = imports === true ? ['--no-warnings', '--experimental-loader', watchImports] : [];
  const child = spawn(process.execPath, [...flags, '--require', watch, ...node, script, ...args], {
    cwd: home,
    env: { HOME: home, LANG: 'C.UTF-8', SEEN: seen },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  child.stdout.resume();
  let stderr = '';
  child.stderr.on('data', (part) => {
    stderr += part;
  });
  const [code] = (await once(child, 'close')) as [number];
  if (code !== 0) throw new Error(`${args.join(' ')} ended with ${code}: ${stderr}`);
  const { files, refused, node: parts } = JSON.parse(readFileSync(seen, 'utf8')) as Record<string, string[]>;
  const imported = [...stderr.matchAll(/^LOADED file:\/\/(.*)$/gm)].flatMap(([, path]) => path ?? []);
  const all = [...(files ?? []), ...imported];
  return {
    bundle: all.flatMap((path) => /\/dist\/(?:chunks\/)?([^/]+?)(?:-[\w-]{8})?\.cjs$/.exec(path)?.[1] ?? []).sort(),
    refused: refused ?? [],
    files: all,
    node: (parts ?? []).flatMap((part) => /^NativeModule ((?!internal\/).*)$/.exec(part)?.[1] ?? []),
  };
}
