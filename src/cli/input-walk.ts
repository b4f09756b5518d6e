/** Finds the documents below a directory: by what files hold, not by how they are called. */
import { constants, type Dirent } from 'node:fs';
import { open, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { TvdbError } from '../base/errors.ts';
import { HEAD_BYTES, sniff } from '../domain/file-type.ts';

/** One thing to upload. `shown` is the name the user knows it by; `path` is absolute. */
export type FoundInput =
  | { readonly kind: 'file'; readonly shown: string; readonly path: string }
  | { readonly kind: 'stdin'; readonly shown: string }
  | { readonly kind: 'refused'; readonly shown: string; readonly path: string; readonly error: TvdbError };

export type SkipReason = 'hidden' | 'not a PDF' | 'linked directory' | 'broken link';

/** Met in a directory and not meant: no document, and nobody named it. */
export interface SkippedInput {
  readonly shown: string;
  readonly reason: SkipReason;
}

export interface Walked {
  readonly found: FoundInput[];
  readonly skipped: SkippedInput[];
}

/** What a file that is called a document is named like; if it is none, that is worth an error. */
const NAMED_PDF = /\.pdf$/i;

/**
 * Everything below `path`. Files that hold a PDF or are named like one are found; so is what cannot be read, as a refusal.
 * Other files, hidden ones and links to directories are skipped with a reason: a link may lead out of the tree or in a circle.
 * `shown` is how the user named the directory. Stops with the signal's reason.
 */
export async function walkDirectory(path: string, shown: string, signal: AbortSignal): Promise<Walked> {
  const walked: Walked = { found: [], skipped: [] };
  const waiting = [{ path, shown }];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    signal.throwIfAborted();
    const directory = next;
    let entries: Dirent[];
    try {
      entries = await readdir(directory.path, { withFileTypes: true });
    } catch (error) {
      walked.found.push(refused(directory, unreadable(directory.shown, error)));
      continue;
    }
    for (const entry of entries) {
      const place = { path: join(directory.path, entry.name), shown: join(directory.shown, entry.name) };
      if (entry.name.startsWith('.')) walked.skipped.push({ shown: place.shown, reason: 'hidden' });
      else if (entry.isDirectory()) waiting.push(place);
      else await takeEntry(entry, place, walked);
    }
  }
  return walked;
}

interface Place {
  readonly path: string;
  readonly shown: string;
}

async function takeEntry(entry: Dirent, place: Place, { found, skipped }: Walked): Promise<void> {
  const named = NAMED_PDF.test(entry.name);
  const kind = entry.isSymbolicLink() ? await linkTarget(place.path) : entry.isFile() ? 'file' : 'special';
  if (kind === 'directory') skipped.push({ shown: place.shown, reason: 'linked directory' });
  else if (kind === 'broken' && !named) skipped.push({ shown: place.shown, reason: 'broken link' });
  else if (kind !== 'file' || named || (await holdsPdf(place.path))) found.push({ kind: 'file', ...place });
  else skipped.push({ shown: place.shown, reason: 'not a PDF' });
}

async function linkTarget(path: string): Promise<'file' | 'directory' | 'special' | 'broken'> {
  try {
    const target = await stat(path);
    return target.isDirectory() ? 'directory' : target.isFile() ? 'file' : 'special';
  } catch {
    return 'broken';
  }
}

/** Whether the first bytes are those of a PDF. A file that cannot be read counts as one, so that taking it in says why. */
async function holdsPdf(path: string): Promise<boolean> {
  try {
    const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(HEAD_BYTES), 0, HEAD_BYTES, 0);
      return sniff(buffer.subarray(0, bytesRead)).kind === 'pdf';
    } finally {
      await file.close();
    }
  } catch {
    return true;
  }
}

/** An input that is known to be unusable before it is opened. */
export function refused(place: Place, error: TvdbError): FoundInput {
  return { kind: 'refused', ...place, error };
}

function unreadable(shown: string, cause: unknown): TvdbError {
  const code = (cause as NodeJS.ErrnoException).code ?? 'unknown';
  return new TvdbError('E409', {
    message: `The directory ${shown} cannot be read`,
    why: `the system says ${code}`,
    cause,
  });
}
