/** From what was typed to the files that are meant: paths, patterns, directories, lists, standard input. */
import { lstat, readdir, realpath } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, relative, resolve, sep } from 'node:path';
import { TvdbError } from '../base/errors.ts';
import { commandLine } from './command-line.ts';
import { readFileList, type StandardInput } from './input-list.ts';
import { unreadableName, unreadableNames } from './input-name.ts';
import type { FoundInput, SkippedInput } from './input-walk.ts';
import { closest } from './suggest.ts';

export interface Inputs {
  /** Sorted by name, each file once. */
  readonly found: readonly FoundInput[];
  readonly skipped: readonly SkippedInput[];
}

export interface InputRequest {
  /** Who asks: errors name it. */
  readonly command: 'upload' | 'costs estimate';
  /** Paths, patterns and `-`, as typed. */
  readonly named: readonly string[];
  /** `--files-from`: its lines are paths, never patterns. */
  readonly filesFrom: string | undefined;
  /** Name of what comes through `-`. */
  readonly filename: string | undefined;
  readonly recursive: boolean;
  readonly cwd: string;
  readonly stdin: StandardInput;
}

/**
 * Finds the inputs. A path that exists is that path, whatever characters it has; else it is tried as a pattern.
 * Nothing is taken when one is missing: throws E004 naming every path and pattern that fits nothing, E008 for standard
 * input that cannot be used so. Directories without `--recursive` and unreadable ones are inputs of kind `refused`.
 */
export async function findInputs(request: InputRequest, signal: AbortSignal): Promise<Inputs> {
  const piped = request.named.includes('-');
  checkStdin(request, piped);
  const listed =
    request.filesFrom === undefined ? [] : await readFileList(request.filesFrom, request.cwd, request.stdin);
  const found: FoundInput[] = piped ? [{ kind: 'stdin', shown: request.filename ?? '-' }] : [];
  const skipped: SkippedInput[] = [];
  const missing: string[] = [];
  const names = [
    ...request.named.filter((name) => name !== '-').map((name) => ({ name, pattern: true })),
    ...listed.map((name) => ({ name, pattern: false })),
  ];
  for (const { name, pattern } of names) {
    signal.throwIfAborted();
    const matches =
      (await literal(name, request, skipped, signal)) ?? (pattern ? await expandPattern(name, request.cwd) : []);
    found.push(...matches);
    if (matches.length === 0 && !(await isDirectory(resolve(request.cwd, name)))) missing.push(name);
  }
  if (missing.length > 0) throw await nothingMatches(missing, request);
  const unique = await eachOnce(found);
  if (unique.length === 0)
    throw noDocuments(
      names.map(({ name }) => name),
      skipped.length,
      request,
    );
  return { found: unique.sort((a, b) => (a.shown < b.shown ? -1 : a.shown > b.shown ? 1 : 0)), skipped };
}

function checkStdin({ command, filename, filesFrom, stdin }: InputRequest, piped: boolean): void {
  const refuse = (message: string) => {
    throw new TvdbError('E008', { message, facts: { command } });
  };
  if (filename !== undefined && !piped)
    refuse('--filename names what comes through standard input, and `-` was not given');
  if (!piped) return;
  if (filesFrom === '-') refuse('`-` and `--files-from -` cannot both read standard input');
  if (stdin.isTty) refuse('`-` reads a document from standard input, and that is a terminal');
  if (filename === undefined) refuse('A document from standard input needs a name: --filename');
}

/** The inputs a path that exists stands for; `null` when there is nothing at it. */
async function literal(
  name: string,
  { command, cwd, recursive }: InputRequest,
  skipped: SkippedInput[],
  signal: AbortSignal,
): Promise<FoundInput[] | null> {
  const path = resolve(cwd, name);
  const kind = await kindOf(path);
  if (kind === 'missing') return unnamable(name, cwd);
  if (kind === 'other') return [{ kind: 'file', shown: name, path }];
  const { refused, walkDirectory } = await import('./input-walk.ts');
  if (recursive) {
    const walked = await walkDirectory(path, name, signal);
    skipped.push(...walked.skipped);
    return walked.found;
  }
  const error = new TvdbError('E412', {
    message: `${name} is a directory`,
    fix: '',
    commands: [commandLine([...command.split(' '), '--recursive', ...(name.startsWith('-') ? ['--'] : []), name])],
  });
  return [refused({ path, shown: name }, error)];
}

/** Refusals for files that cannot be named in a command line; `null` when there are none. */
async function unnamable(name: string, cwd: string): Promise<FoundInput[] | null> {
  const shown = await unreadableNames(name, cwd);
  if (shown.length === 0) return null;
  const { refused } = await import('./input-walk.ts');
  return shown.map((one) => refused({ path: resolve(cwd, one), shown: one }, unreadableName(one)));
}

/** A directory is followed through links; what cannot be looked at is left to whoever opens it. */
async function kindOf(path: string): Promise<'missing' | 'directory' | 'other'> {
  try {
    await lstat(path);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    return code === 'ENOENT' || code === 'ENOTDIR' || code === 'ENAMETOOLONG' ? 'missing' : 'other';
  }
  return (await isDirectory(path)) ? 'directory' : 'other';
}

async function isDirectory(path: string): Promise<boolean> {
  // A link to a directory that was named is meant; one that was met on the way is not (see the walk).
  return realpath(path).then(
    async (real) => (await lstat(real)).isDirectory(),
    () => false,
  );
}

/** Regular files that fit a pattern; hidden ones only if the pattern says so. */
async function expandPattern(pattern: string, cwd: string): Promise<FoundInput[]> {
  const { glob, isDynamicPattern } = await import('tinyglobby');
  const slashed = sep === '\\' ? pattern.replaceAll('\\', '/') : pattern;
  if (!isDynamicPattern(slashed) && !slashed.includes('\\')) return [];
  const matches = await glob([slashed], { cwd, expandDirectories: false, absolute: true });
  const found = await Promise.all(
    matches.map(async (match): Promise<FoundInput[]> => {
      const path = resolve(match);
      const shown = isAbsolute(pattern) ? path : relative(cwd, path);
      const mangled = match.includes('\uFFFD') && (await kindOf(path)) === 'missing';
      return (mangled ? await unnamable(shown, cwd) : null) ?? [{ kind: 'file', shown, path }];
    }),
  );
  return found.flat();
}

/** Two names of one file (a link, a pattern beside a path) are one input; the first name stays. */
async function eachOnce(found: readonly FoundInput[]): Promise<FoundInput[]> {
  const seen = new Set<string>();
  const unique: FoundInput[] = [];
  for (const input of found) {
    const key = input.kind === 'stdin' ? '-' : await realpath(input.path).catch(() => input.path);
    if (!seen.has(key)) unique.push(input);
    seen.add(key);
  }
  return unique;
}

async function nothingMatches(missing: readonly string[], { command, cwd }: InputRequest): Promise<TvdbError> {
  const { isDynamicPattern } = await import('tinyglobby');
  const [first = ''] = missing;
  const guess = isDynamicPattern(first) ? undefined : await similarName(first, cwd);
  const noun = missing.every((name) => isDynamicPattern(name)) ? 'pattern' : 'path or pattern';
  const message =
    missing.length > 1
      ? `${missing.length} of the given names fit no file`
      : isDynamicPattern(first)
        ? `No file matches the pattern "${first}"`
        : `There is no file "${first}".${guess === undefined ? '' : ` Did you mean "${guess}"?`}`;
  return new TvdbError('E004', {
    message,
    why: command === 'upload' ? 'nothing was uploaded' : 'nothing was estimated',
    ...(guess !== undefined && { fix: `Use ${guess}.` }),
    facts: {
      command,
      value: first,
      ...(guess !== undefined && { suggestion: guess }),
      ...(missing.length > 1 && { items: missing.slice(0, 20).map((name) => ({ name, reason: `no ${noun} fits` })) }),
    },
  });
}

/** A name in the same directory that is a slip away. */
async function similarName(name: string, cwd: string): Promise<string | undefined> {
  const directory = dirname(resolve(cwd, name));
  // A name with a replacement character in it is none that could be typed.
  const names = (await readdir(directory).catch(() => [])).filter((one) => !one.includes('\uFFFD'));
  const guess = closest(basename(name), names);
  return guess === undefined ? undefined : join(dirname(name), guess);
}

function noDocuments(names: readonly string[], skipped: number, { command }: InputRequest): TvdbError {
  const where = names.length === 1 ? `in ${names[0]}` : 'in what was named';
  return new TvdbError('E004', {
    message: `There is no PDF ${names.length === 0 ? 'in the list: it is empty' : where}`,
    ...(skipped > 0 && { why: `${skipped} other entries were skipped` }),
    facts: { command },
  });
}
