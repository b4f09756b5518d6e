/** Finds the documents below a directory: by what files hold, not by how they are called. */
import { constants, type Dirent } from 'node:fs';
import { open, readdir, stat } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { TvdbError } from '../base/errors.ts';
import { HEAD_BYTES, sniff } from '../domain/file-type.ts';
import { readName, unreadableName } from './input-name.ts';

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
    let entries: Dirent<Buffer>[];
    try {
      // Not as text: a name that is not valid UTF-8 would come as another one, under which nothing can be opened.
      entries = await readdir(directory.path, { withFileTypes: true, encoding: 'buffer' });
    } catch (error) {
      walked.found.push(refused(directory, unreadable(directory.shown, error)));
      continue;
    }
    for (const entry of entries) {
      const { text, valid } = readName(entry.name);
      const place = { path: join(directory.path, text), shown: join(directory.shown, text) };
      if (text.startsWith('.')) walked.skipped.push({ shown: place.shown, reason: 'hidden' });
      else if (!valid) await takeUnnamable(entry, directory, place, walked);
      else if (entry.isDirectory()) waiting.push(place);
      else await takeEntry(entry, text, place, walked);
    }
  }
  return walked;
}

interface Place {
  readonly path: string;
  readonly shown: string;
}

/** One whose name is no text: refused where it would have been found, skipped where any other would. */
async function takeUnnamable(
  entry: Dirent<Buffer>,
  directory: Place,
  place: Place,
  { found, skipped }: Walked,
): Promise<void> {
  const path = Buffer.concat([Buffer.from(directory.path), Buffer.from(sep), entry.name]);
  const meant = entry.isDirectory() || NAMED_PDF.test(place.shown) || (entry.isFile() && (await holdsPdf(path)));
  if (meant) found.push(refused(place, unreadableName(place.shown)));
  else skipped.push({ shown: place.shown, reason: 'not a PDF' });
}

async function takeEntry(entry: Dirent<Buffer>, name: string, place: Place, { found, skipped }: Walked): Promise<void> {
  const named = NAMED_PDF.test(name);
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
async function holdsPdf(path: string | Buffer): Promise<boolean> {
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
