/** Reads the list of `--files-from`: one path a line, or separated by NUL bytes (`find -print0`, `git ls-files -z`). */
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { TvdbError } from '../base/errors.ts';

/** Where bytes are piped in. */
export interface StandardInput {
  readonly stream: AsyncIterable<Buffer | string>;
  readonly isTty: boolean;
}

/**
 * Paths as listed, in order; with a NUL byte anywhere in the list only NUL separates, so that names may hold newlines.
 * `-` reads standard input. Throws E008 when that is a terminal, E004 when the list is not there, E409 when it cannot be read.
 */
export async function readFileList(list: string, cwd: string, stdin: StandardInput): Promise<string[]> {
  const text = list === '-' ? await readStdin(stdin) : await readList(list, cwd);
  const paths = text.includes('\0') ? text.split('\0') : text.split(/\r?\n/);
  return paths.filter((path) => path !== '');
}

async function readStdin({ stream, isTty }: StandardInput): Promise<string> {
  if (isTty) {
    throw new TvdbError('E008', {
      message: '--files-from - reads a list from standard input, and that is a terminal',
      fix: '',
      commands: ['find docs -name "*.pdf" -print0 | tvdb upload --files-from -'],
      facts: { command: 'upload' },
    });
  }
  const parts: Buffer[] = [];
  for await (const part of stream) parts.push(Buffer.from(part));
  return Buffer.concat(parts).toString('utf8');
}

async function readList(list: string, cwd: string): Promise<string> {
  try {
    return await readFile(resolve(cwd, list), 'utf8');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown';
    if (code === 'ENOENT')
      throw new TvdbError('E004', {
        message: `There is no list ${list}`,
        facts: { flag: '--files-from', value: list, command: 'upload' },
      });
    throw new TvdbError('E409', {
      message: `The list ${list} cannot be read`,
      why: `the system says ${code}`,
      cause: error,
    });
  }
}
