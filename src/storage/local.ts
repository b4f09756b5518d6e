/**
 * The two private buckets under the tool's home: `storage://raw/{user}/{document}.{ext}` and
 * `storage://parsed/{user}/{document}.md`. Paths are made of ids, never of user file names.
 *
 * A file appears under its name whole or not at all: temp file in the same file system, fsync, rename, fsync of the
 * directory (without the last one a power cut can undo the rename).
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';

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

/** The storage under `home`. Directories are made (0700) as they are needed. */
export function openStorage(home: string) {
  const root = join(home, 'storage');
  const incoming = join(root, 'incoming');

  const pathOf = (uri: string): string => {
    const key = parseStorageUri(uri);
    if (key === null) throw new Error(`not a storage URI: ${JSON.stringify(uri)}`);
    return join(root, key.bucket, key.userId, `${key.documentId}.${key.ext}`);
  };

  const place = async (temp: string, uri: string): Promise<void> => {
    const path = pathOf(uri);
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    await rename(temp, path);
    await syncDirectory(dirname(path));
  };

  return {
    root,
    /** Absolute path of a stored file. Throws for anything that is not a storage URI. */
    pathOf,

    /** Opens a fresh temp file for incoming bytes; `name` must be unique (an id). */
    async openIncoming(name: string): Promise<{ path: string; handle: FileHandle }> {
      await mkdir(incoming, { recursive: true, mode: 0o700 });
      const path = join(incoming, name);
      return { path, handle: await open(path, 'wx', 0o600) };
    },

    /** Gives a temp file (already fsynced) its final name, replacing what was there. */
    place,

    /** Writes a whole file under its URI. */
    async write(uri: string, content: string | Uint8Array, tempName: string): Promise<void> {
      const { path, handle } = await this.openIncoming(tempName);
      try {
        await handle.writeFile(content);
        await handle.sync();
      } finally {
        await handle.close();
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

    /** Whether a file of this length is stored there: the cheap check before work that would notice damage anyway. */
    async hasLength(uri: string, bytes: number): Promise<boolean> {
      return (await stat(pathOf(uri)).catch(() => null))?.size === bytes;
    },

    /** Removes a stored file; no-op when it is gone. */
    async remove(uri: string): Promise<void> {
      await rm(pathOf(uri), { force: true });
    },

    /** Temp files left by processes that were killed, a day old or more at `now`. */
    async abandoned(now: number): Promise<string[]> {
      const names = await readdir(incoming).catch(() => []);
      const old = await Promise.all(
        names.map(async (name) => {
          const info = await stat(join(incoming, name)).catch(() => null);
          return info !== null && info.mtimeMs < now - ABANDONED_AFTER_MS ? [join(incoming, name)] : [];
        }),
      );
      return old.flat();
    },
  };
}

async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
