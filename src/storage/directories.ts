/**
 * The directories of the storage: real ones all the way down from the tool's home, and durable before a file goes in.
 *
 * A symbolic link on the way would lead writes and removals out of the root. The levels are looked at on every use, not
 * once: a link can be put in their place during a run, and three calls of lstat take 0.14 ms.
 */
import { lstat, mkdir, open } from 'node:fs/promises';
import { join } from 'node:path';
import { onDisk, unusable } from './storage-error.ts';

/** The directories under `home`; `home` itself may be a link, it is the user's choice. */
export function storageDirectories(home: string) {
  const durable = new Set<string>();
  return {
    /**
     * The directory `levels` below the home, made (0700) where it is missing. The first use of a level also fsyncs its
     * parent: another process may have made it a moment ago and not come that far.
     * Throws E104 naming the first level that is a link or no directory, E503 when there is no room.
     */
    async make(...levels: string[]): Promise<string> {
      await onDisk(home, () => makeDirectory(home));
      let path = home;
      for (const level of levels) {
        const parent = path;
        path = join(parent, level);
        await onDisk(path, () => makeLevel(path, parent, durable));
      }
      return path;
    },

    /** Whether the directory is there, without making it. Throws E104 as `make` does. */
    async has(...levels: string[]): Promise<boolean> {
      let path = home;
      for (const level of levels) {
        path = join(path, level);
        if (!(await onDisk(path, () => isRealDirectory(path)))) return false;
      }
      return true;
    },
  };
}

/** Makes the entries of a directory survive a power cut. */
export async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function makeLevel(path: string, parent: string, durable: Set<string>): Promise<void> {
  if (!(await isRealDirectory(path))) {
    durable.delete(path);
    await makeDirectory(path);
    // Somebody else may have been first, and made something else.
    await isRealDirectory(path);
  }
  if (durable.has(path)) return;
  await syncDirectory(parent);
  durable.add(path);
}

async function makeDirectory(path: string): Promise<void> {
  await mkdir(path, { mode: 0o700 }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
  });
}

/** `false` when nothing is there. Throws E104 when something else is. */
async function isRealDirectory(path: string): Promise<boolean> {
  const info = await lstat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null;
    throw error;
  });
  if (info === null) return false;
  if (info.isSymbolicLink()) {
    throw unusable(path, 'it is a symbolic link; files written there would leave the home directory');
  }
  if (!info.isDirectory()) throw unusable(path, 'it is not a directory');
  return true;
}
