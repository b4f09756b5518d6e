/**
 * The two private buckets under the tool's home: `storage://raw/{user}/{document}.{ext}` and
 * `storage://parsed/{user}/{document}.md`. Paths are made of ids, never of user file names.
 *
 * A file appears under its name whole or not at all: temp file in the same file system, fsync, rename, fsync of the
 * directory (without the last one a power cut can undo the rename).
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, lstat, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { storageDirectories, syncDirectory } from './directories.ts';
import { onDisk, storageError } from './storage-error.ts';
import { isLeftOver, type ProcessIdentity, type TempOwner, tempName, tempOwner } from './temp-name.ts';

export type Bucket = 'raw' | 'parsed';

const SCHEME = 'storage://';
const ID = '[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}';
const URI = new RegExp(`^${SCHEME}(raw|parsed)/(${ID})/(${ID})\\.([a-z0-9]{1,8})$`);
/** A temp file this old belongs to no living process. */
const ABANDONED_AFTER_MS = 24 * 3_600_000;

export interface StorageKey {
  bucket: Bucket;
  userId: string;
  documentId: string;
  ext: string;
}

/** `storage://raw/{user}/{document}.pdf` */
export function storageUri({ bucket, userId, documentId, ext }: StorageKey): string {
  return `${SCHEME}${bucket}/${userId}/${documentId}.${ext}`;
}

/** The parts of a storage URI, or `null` when the text is not one. Nothing but ids passes, so no path can be smuggled in. */
export function parseStorageUri(uri: string): StorageKey | null {
  const [, bucket, userId, documentId, ext] = URI.exec(uri) ?? [];
  if (bucket === undefined || userId === undefined || documentId === undefined || ext === undefined) return null;
  return { bucket: bucket as Bucket, userId, documentId, ext };
}

export type Storage = ReturnType<typeof openStorage>;

/**
 * The storage under `home`. Directories are made (0700) as they are needed, and must be directories, not links: E104.
 * Whatever the file system refuses is thrown as E104 or E503 (`storage-error.ts`). With `owner`, temp files carry the
 * process that made them.
 */
export function openStorage(home: string, owner?: ProcessIdentity) {
  const root = join(home, 'storage');
  const directories = storageDirectories(home);
  let known: TempOwner | undefined;
  // Not before it is needed: it is made of hashes, and a command that reads must not load node:crypto (2 ms) for it.
  const me = (): TempOwner | null => {
    if (owner !== undefined) known ??= tempOwner(owner);
    return known ?? null;
  };

  const keyOf = (uri: string): StorageKey => {
    const key = parseStorageUri(uri);
    if (key === null) throw new Error(`not a storage URI: ${JSON.stringify(uri)}`);
    return key;
  };

  const pathOf = (uri: string): string => {
    const { bucket, userId, documentId, ext } = keyOf(uri);
    return join(root, bucket, userId, `${documentId}.${ext}`);
  };

  const openIncoming = async (name: string): Promise<{ path: string; handle: FileHandle }> => {
    const incoming = await directories.make('storage', 'incoming');
    const self = me();
    const path = join(incoming, self === null ? name : tempName(self, name));
    return { path, handle: await onDisk(path, () => open(path, 'wx', 0o600)) };
  };

  const place = async (temp: string, uri: string): Promise<void> => {
    const { bucket, userId } = keyOf(uri);
    const path = pathOf(uri);
    try {
      await directories.make('storage', bucket, userId);
      await onDisk(path, async () => {
        await rename(temp, path);
        await syncDirectory(dirname(path));
      });
    } catch (error) {
      await discardTemp(temp);
      throw error;
    }
  };

  /** Paths in `incoming`. Behind a link there would be somebody else's files: E104. */
  const incomingNames = async (): Promise<string[]> => {
    if (!(await directories.has('storage', 'incoming'))) return [];
    return onDisk(root, () => readdir(join(root, 'incoming')));
  };

  return {
    root,
    /** Absolute path of a stored file. Throws for anything that is not a storage URI. */
    pathOf,

    /** Opens a fresh temp file for incoming bytes; `name` must be unique (an id). */
    openIncoming,

    /** Gives a temp file (already fsynced) its final name, replacing what was there. When it fails the temp file is gone. */
    place,

    /** Writes a whole file under its URI. When it fails no temp file is left. */
    async write(uri: string, content: string | Uint8Array, name: string): Promise<void> {
      const { path, handle } = await openIncoming(name);
      try {
        await onDisk(path, async () => {
          try {
            await handle.writeFile(content);
            await handle.sync();
          } finally {
            await handle.close();
          }
        });
      } catch (error) {
        await discardTemp(path);
        throw error;
      }
      await place(path, uri);
    },

    /** Whether the stored bytes are there and hash to `sha256`. */
    async isWhole(uri: string, sha256: string): Promise<boolean> {
      try {
        const hash = createHash('sha256');
        for await (const part of createReadStream(pathOf(uri))) hash.update(part as Buffer);
        return hash.digest('hex') === sha256;
      } catch {
        return false;
      }
    },

    /**
     * Whether a file of this length is stored there: the cheap check before work that would notice damage anyway. Throws
     * E104 or E503 when that cannot be told: a job must not end for want of bytes that are there.
     */
    async hasLength(uri: string, bytes: number): Promise<boolean> {
      const path = pathOf(uri);
      try {
        return (await stat(path)).size === bytes;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
        throw storageError(error, path) ?? error;
      }
    },

    /** Removes a stored file; no-op when it is gone. */
    async remove(uri: string): Promise<void> {
      const { bucket, userId } = keyOf(uri);
      if (!(await directories.has('storage', bucket, userId))) return;
      const path = pathOf(uri);
      await onDisk(path, () => rm(path, { force: true }));
    },

    /** Temp files left by processes that were killed, a day old or more at `now`. */
    async abandoned(now: number): Promise<string[]> {
      const old = await Promise.all(
        (await incomingNames()).map(async (name) => {
          const path = join(root, 'incoming', name);
          const info = await lstat(path).catch(() => null);
          return info !== null && !info.isDirectory() && info.mtimeMs < now - ABANDONED_AFTER_MS ? [path] : [];
        }),
      );
      return old.flat();
    },

    /**
     * Removes the temp files of processes that are certainly dead, and returns their paths. `isRunning` is asked only
     * about processes of this host and this boot; files of others wait until they are `abandoned`.
     * Without an `owner` nothing can be compared, and nothing is removed.
     */
    async sweepIncoming(isRunning: (owner: TempOwner) => boolean): Promise<string[]> {
      const self = me();
      if (self === null) return [];
      const left = (await incomingNames()).filter((name) => isLeftOver(name, self, isRunning));
      const paths = left.map((name) => join(root, 'incoming', name));
      for (const path of paths) await onDisk(path, () => rm(path, { force: true }));
      return paths;
    },
  };
}

/** Removes a temp file after a failure, which stays the one to be told of: what cannot be removed is swept up later. */
async function discardTemp(path: string): Promise<void> {
  await rm(path, { force: true }).catch(() => {});
}
