/**
 * Names of files that are not valid UTF-8. Linux keeps names as bytes; Node hands over a text with U+FFFD in place of
 * what it cannot read, in arguments and listings alike, and under that text there is no file.
 */
import { isUtf8 } from 'node:buffer';
import { lstat, readdir } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { TvdbError } from '../base/errors.ts';

/** What Node puts in place of bytes it cannot read. */
const REPLACEMENT = '\uFFFD';

/** A name as text. One that is not valid UTF-8 has its bytes above 127 as `\xe9`, so that two names stay two. */
export function readName(name: Buffer): { text: string; valid: boolean } {
  if (isUtf8(name)) return { text: name.toString('utf8'), valid: true };
  const text = name.toString('latin1').replace(/[\u0080-\u00ff]/g, (byte) => `\\x${byte.charCodeAt(0).toString(16)}`);
  return { text, valid: false };
}

/** E409 for a path with such a name in it. */
export function unreadableName(shown: string): TvdbError {
  return new TvdbError('E409', {
    message: `${shown} cannot be read`,
    why: 'its name is not valid UTF-8',
    fix: 'Rename it.',
  });
}

/**
 * The names that `typed`, at which there is nothing, may stand for: those in the same place that are not valid UTF-8 and
 * that Node reads as `typed`. Several can read the same. Empty when there is none.
 */
export async function unreadableNames(typed: string, cwd: string): Promise<string[]> {
  if (!typed.includes(REPLACEMENT)) return [];
  let below = resolve(cwd, typed);
  let inTyped = typed;
  // Up to the first part of the path that is not there: a directory may be what has the name.
  while (dirname(below) !== below && !(await isThere(dirname(below)))) {
    below = dirname(below);
    inTyped = dirname(inTyped);
  }
  const parent = dirname(below);
  const names = await readdir(parent, { encoding: 'buffer' }).catch(() => []);
  return names
    .filter((name) => !isUtf8(name) && join(parent, name.toString('utf8')) === below)
    .map((name) => join(dirname(inTyped), readName(name).text));
}

async function isThere(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}
