/** Builds of tvdb with one mistake each, made by replacing text of `src/`: what the crash tests must catch. */
import { execFile } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { BINARY } from './processes.ts';

/** A mistake: a text that stands exactly once in the sources, and what takes its place. */
export interface Mistake {
  find: string;
  put: string;
}

/** Builds a copy of the sources with the mistakes in it; returns the path of its binary and of the directory, which the caller removes. */
export async function mutantBuild(mistakes: readonly Mistake[]): Promise<{ binary: string; directory: string }> {
  const root = dirname(dirname(BINARY));
  const directory = mkdtempSync(join(realpathSync(tmpdir()), 'tvdb-mutant-'));
  for (const part of ['bin', 'src', 'package.json', '.rolldown.config.mjs'])
    cpSync(join(root, part), join(directory, part), { recursive: true });
  // Compiling ahead takes longer than the few starts of a mutant would gain.
  writeFileSync(join(directory, '.compile.mjs'), '');
  symlinkSync(realpathSync(join(root, 'node_modules')), join(directory, 'node_modules'));
  mkdirSync(join(directory, 'fixtures'), { recursive: true });
  const files = readdirSync(join(directory, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join(directory, 'src', name));
  for (const { find, put } of mistakes) {
    const holding = files.filter((file) => readFileSync(file, 'utf8').includes(find));
    const [file = ''] = holding;
    const parts = holding.length === 1 ? readFileSync(file, 'utf8').split(find) : [];
    if (parts.length !== 2) throw new Error(`"${find}" stands in ${holding.length} files of src, not once in one`);
    writeFileSync(file, parts.join(put));
  }
  const rolldown = join(directory, 'node_modules', 'rolldown', 'bin', 'cli.mjs');
  await promisify(execFile)(process.execPath, [rolldown, '-c', '.rolldown.config.mjs', '--log-level', 'silent'], {
    cwd: directory,
  });
  return { binary: join(directory, 'bin', 'tvdb.js'), directory };
}
