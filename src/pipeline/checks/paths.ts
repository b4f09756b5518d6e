/**
 * Checks of the places on disk. Rights and names only: the files of the store are never opened here, because closing a
 * second handle drops the locks of SQLite.
 */
import { chmod, lstat, mkdtemp, rm, rmdir, statfs } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { openEntries } from '../../storage/inventory.ts';
import { networkFileSystem } from '../../store/open.ts';
import { type Check, type Finding, ok, skipped } from './check.ts';

const LEAST_BYTES = 100_000_000;
const COMFORTABLE_BYTES = 1_000_000_000;
/** More entries than this are not looked at: the first ones tell whether something set their rights. */
const MOST_ENTRIES = 50_000;

const NOT_MADE = 'not made yet; the first upload makes it';

export const home: Check = async ({ config: { home: path } }) => {
  const info = await lstat(path).catch(() => null);
  const move = { text: 'correct its owner and rights, or use another place', commands: ['export TVDB_HOME=...'] };
  if (info === null) {
    const parent = await existingParent(path);
    const problem = await writeProblem(parent);
    if (problem === null) return ok(`${path}: ${NOT_MADE}`);
    return { status: 'fail', detail: `${path} cannot be made`, why: `${parent}: ${problem}`, fix: move };
  }
  if (!info.isDirectory()) return { status: 'fail', detail: `${path} is not a directory`, fix: move };
  const problem = await writeProblem(path);
  if (problem !== null) return { status: 'fail', detail: `${path} is not writable`, why: problem, fix: move };
  if ((info.mode & 0o077) === 0) return ok(`${path}  writable, 0700`);
  return {
    status: 'warn',
    detail: `${path} is open to others (${(info.mode & 0o777).toString(8).padStart(4, '0')})`,
    why: 'your documents are in it',
    fix: { text: 'take the rights of others away', commands: ['tvdb doctor --fix'] },
    repair: { text: `chmod 700 ${path}`, apply: () => chmod(path, 0o700) },
  };
};

/** By trying: rights alone do not tell a read-only mount or an access list. */
async function writeProblem(directory: string): Promise<string | null> {
  try {
    await rmdir(await mkdtemp(join(directory, '.doctor-')));
    return null;
  } catch (error) {
    return `the system says ${(error as NodeJS.ErrnoException).code ?? 'unknown'}`;
  }
}

async function existingParent(path: string): Promise<string> {
  let parent = path;
  while ((await lstat(parent).catch(() => null)) === null && dirname(parent) !== parent) parent = dirname(parent);
  return parent;
}

export const fileModes: Check = async ({ config: { home: path } }) => {
  if ((await lstat(path).catch(() => null)) === null) return skipped(NOT_MADE);
  const { open, seen } = await openEntries(path, MOST_ENTRIES);
  // The directory itself has its own check.
  const inside = open.filter((entry) => entry.path !== path);
  const [first] = inside;
  if (first === undefined) return ok(`${seen} files and directories, all for their owner only`);
  return {
    status: 'warn',
    detail: `${inside.length} of ${seen} are open to others, ${first.path} for one`,
    why: 'directories are 0700 and files 0600 when tvdb makes them',
    fix: { text: 'take the rights of others away', commands: ['tvdb doctor --fix'] },
    repair: {
      text: `take the rights of others away from ${inside.length} files and directories below ${path}`,
      async apply() {
        for (const entry of inside) await chmod(entry.path, entry.directory ? 0o700 : 0o600);
      },
    },
  };
};

export const fileSystem: Check = async ({ config: { home: path } }) => {
  const network = networkFileSystem(await existingParent(path));
  if (network === undefined) return ok('local');
  return {
    status: 'fail',
    detail: `${path} is on a network file system (${network})`,
    why: 'the store needs the locks and shared memory of one machine',
    fix: { text: 'use a directory on a local disk', commands: ['export TVDB_HOME=...'] },
  };
};

export const diskSpace: Check = async ({ config: { home: path } }) => {
  const { bavail, bsize, files, ffree } = await statfs(await existingParent(path));
  return spaceFinding(bavail * bsize, files > 0 && ffree === 0);
};

/** Judges free bytes; `full` when there is no room for one more file, however small. */
export function spaceFinding(free: number, full: boolean): Finding {
  const fix = { text: 'free some space', commands: [] };
  if (full) return { status: 'fail', detail: 'no more files can be made (no free inodes)', fix };
  const detail = `${free < 1e9 ? `${Math.floor(free / 1e6)} MB` : `${(free / 1e9).toFixed(1)} GB`} free`;
  if (free < LEAST_BYTES) return { status: 'fail', detail, why: 'an upload would stop with a full disk', fix };
  return free < COMFORTABLE_BYTES ? { status: 'warn', detail, fix } : ok(detail);
}

export const tempFiles: Check = async ({ storage, clock }) => {
  const left = await storage.abandoned(clock.now());
  if (left.length === 0) return ok('none');
  return {
    status: 'warn',
    detail: `${left.length} temp files are a day old or more`,
    why: 'their processes were killed; they hold parts of documents',
    fix: { text: 'remove them', commands: ['tvdb doctor --fix'] },
    repair: {
      text: `remove ${left.length} abandoned temp files from ${dirname(left[0] ?? '')}`,
      async apply() {
        for (const path of left) await rm(path, { force: true });
      },
    },
  };
};
