/** What is on disk below the tool's home: for checks that compare it with the store. Reads directories and modes, never content. */
import type { Dirent } from 'node:fs';
import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type Bucket, storageUri } from './local.ts';

/** A file in one of the two buckets. */
export interface StoredEntry {
  path: string;
  /** `null` when its name is not one that storage gives. */
  uri: string | null;
  documentId: string | null;
  modifiedAt: number;
}

const NAME = /^([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})\.([a-z0-9]{1,8})$/;

const BUCKETS = ['raw', 'parsed'] as const satisfies readonly Bucket[];

/** Every file of both buckets; links in the place of a directory are not followed, what is behind them is not the tool's. */
export async function storedEntries(root: string): Promise<StoredEntry[]> {
  const entries: StoredEntry[] = [];
  const present = new Set((await list(root)).map(({ name }) => name));
  for (const bucket of BUCKETS.filter((name) => present.has(name))) {
    for (const user of await list(join(root, bucket))) {
      for (const file of await list(join(root, bucket, user.name))) {
        const path = join(root, bucket, user.name, file.name);
        const info = await lstat(path).catch(() => null);
        if (info === null || info.isDirectory()) continue;
        const [, documentId = null, ext = ''] = NAME.exec(file.name) ?? [];
        const uri = documentId === null ? null : storageUri({ bucket, userId: user.name, documentId, ext });
        entries.push({ path, uri, documentId, modifiedAt: info.mtimeMs });
      }
    }
  }
  return entries;
}

/** Something that others than its owner may read or write. */
export interface OpenEntry {
  path: string;
  directory: boolean;
}

/** Everything below `home`, itself included, that has rights for others; links are not followed. At most `limit` entries are looked at. */
export async function openEntries(home: string, limit: number): Promise<{ open: OpenEntry[]; seen: number }> {
  const open: OpenEntry[] = [];
  const waiting = [home];
  let seen = 0;
  for (let path = waiting.pop(); path !== undefined && seen < limit; path = waiting.pop()) {
    const info = await lstat(path).catch(() => null);
    if (info === null || info.isSymbolicLink()) continue;
    seen += 1;
    const directory = info.isDirectory();
    if ((info.mode & 0o077) !== 0) open.push({ path, directory });
    if (directory) for (const entry of await list(path)) waiting.push(join(path, entry.name));
  }
  return { open, seen };
}

async function list(directory: string): Promise<Dirent[]> {
  const info = await lstat(directory).catch(() => null);
  if (info?.isDirectory() !== true) return [];
  return readdir(directory, { withFileTypes: true }).catch(() => []);
}
