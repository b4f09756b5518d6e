/** A file that a command writes for the user: complete under its name, or not there at all. */
import { once } from 'node:events';
import { createWriteStream, realpathSync, statSync, type WriteStream } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, relative, sep } from 'node:path';
import { TvdbError } from '../base/errors.ts';

export interface OutputFile {
  /** Resolves when the text was handed to the system. */
  write(text: string): Promise<void>;
  /** Puts the file in its place, its bytes on the disk first. */
  finish(): Promise<void>;
  /** Removes what was written so far. Safe after `finish`. */
  discard(): Promise<void>;
}

/**
 * Opens `path` for writing; an existing file is replaced only by `finish`. A device or a pipe (`/dev/null`) is written to
 * as it is: renaming over it would replace the device. Throws E003 for a place inside `home`, E109 when it cannot be
 * written.
 */
export async function outputFile(path: string, { id, home }: { id: string; home: string }): Promise<OutputFile> {
  refuseInside(home, path);
  const present = statSync(path, { throwIfNoEntry: false });
  if (present?.isDirectory() === true) throw cannotWrite(path, new Error('it is a directory'));
  const inPlace = present !== undefined && !present.isFile();
  const target = inPlace ? path : join(dirname(path), `.${basename(path)}.${id}.tmp`);
  const stream = createWriteStream(target, { flags: inPlace ? 'w' : 'wx' });
  let failure: Error | undefined;
  stream.on('error', (error) => {
    failure = error;
  });
  await Promise.race([once(stream, 'open'), once(stream, 'error')]).catch((error: unknown) => {
    throw cannotWrite(path, error);
  });
  let finished = false;
  return {
    async write(text) {
      if (failure !== undefined) throw cannotWrite(path, failure);
      await new Promise<void>((resolve, reject) =>
        stream.write(text, (error) => (error ? reject(cannotWrite(path, error)) : resolve())),
      );
    },
    async finish() {
      await closed(stream, path);
      finished = true;
      if (inPlace) return;
      try {
        const file = await open(target, 'r+');
        await file.sync().finally(() => file.close());
        await rename(target, path);
      } catch (error) {
        await rm(target, { force: true });
        throw cannotWrite(path, error);
      }
    },
    async discard() {
      if (finished) return;
      stream.destroy();
      if (!inPlace) await rm(target, { force: true });
    },
  };
}

/** Directories of the home that may be links to other disks. */
const BELOW_HOME = ['.', 'storage', 'logs', 'crash'] as const;

/** Whatever is in the home belongs to the store: a file put there could take the place of it or of a document. */
function refuseInside(home: string, path: string): void {
  // The name itself is not followed for the first one: `finish` replaces a link, not what it points to.
  const places = [join(realPath(dirname(path)), basename(path)), realPath(path)];
  for (const name of BELOW_HOME) {
    const root = realPath(join(home, name));
    if (!places.some((place) => isInside(root, place))) continue;
    throw new TvdbError('E003', {
      message: `--output must not be inside the home directory of tvdb, as ${path} is`,
      why: `the store is in ${home}, and a file written there could replace it`,
      fix: 'Write to another directory.',
      facts: { flag: '--output', value: path, home },
    });
  }
}

/** Without links, in the letter case of the disk; of a path that is not there, as far as it is. */
function realPath(path: string): string {
  try {
    return realpathSync.native(path);
  } catch {
    const parent = dirname(path);
    return parent === path ? path : join(realPath(parent), basename(path));
  }
}

function isInside(root: string, path: string): boolean {
  const way = relative(root, path);
  return way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way);
}

async function closed(stream: WriteStream, path: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    stream.once('error', (error) => reject(cannotWrite(path, error)));
    stream.end(() => resolve());
  });
}

function cannotWrite(path: string, cause: unknown): TvdbError {
  return new TvdbError('E109', {
    message: `${path} cannot be written`,
    why: cause instanceof Error ? cause.message : String(cause),
    cause,
  });
}
