import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { storedEntries } from '../../src/storage/inventory.ts';
import { openStorage, storageUri } from '../../src/storage/local.ts';
import { tempDirectory } from '../setup/temp.ts';

const userId = 'aaaaaaaa-0000-4000-8000-000000000001';
const documentId = 'bbbbbbbb-0000-4000-8000-000000000001';
const uri = storageUri({ bucket: 'parsed', userId, documentId, ext: 'md' });
const other = storageUri({ bucket: 'parsed', userId, documentId: documentId.replace('b', 'c'), ext: 'md' });

function setup() {
  const directory = tempDirectory();
  const home = join(directory, 'home');
  const elsewhere = join(directory, 'elsewhere');
  mkdirSync(elsewhere);
  return { home, elsewhere, storage: openStorage(home) };
}

/** Puts a link where a directory was; what was in it is then found through the link, too. */
function swap(path: string, elsewhere: string): void {
  rmSync(elsewhere, { recursive: true });
  renameSync(path, elsewhere);
  symlinkSync(elsewhere, path);
}

describe('a symbolic link in the place of a directory', () => {
  it.each([
    ['the root', []],
    ['a bucket', ['parsed']],
    ['a directory of a user', ['parsed', userId]],
  ])('T85 is refused with E104 when it is put there during a run: %s', async (_what, levels) => {
    const { home, elsewhere, storage } = setup();
    await storage.write(uri, 'one', 'temp');
    const link = join(home, 'storage', ...levels);
    swap(link, elsewhere);
    const before = readdirSync(elsewhere, { recursive: true });
    const refused = { code: 'E104', message: `${link} cannot be used`, why: expect.stringContaining('symbolic link') };
    await expect(storage.write(uri, 'two', 'temp')).rejects.toMatchObject(refused);
    await expect(storage.write(other, 'two', 'temp')).rejects.toMatchObject(refused);
    await expect(storage.remove(uri)).rejects.toMatchObject(refused);
    expect(readdirSync(elsewhere, { recursive: true })).toEqual(before);
    expect(readFileSync(join(elsewhere, ...['parsed', userId].slice(levels.length), `${documentId}.md`), 'utf8')).toBe(
      'one',
    );
  });

  it('T85 is refused when it was there before, and nothing is put behind it, dangling or not', async () => {
    const { home, elsewhere, storage } = setup();
    for (const target of [elsewhere, join(elsewhere, 'nothing')]) {
      for (const name of ['incoming', 'parsed']) {
        rmSync(join(home, 'storage'), { recursive: true, force: true });
        mkdirSync(join(home, 'storage'), { recursive: true });
        symlinkSync(target, join(home, 'storage', name));
        await expect(storage.write(uri, 'text', 'temp')).rejects.toMatchObject({ code: 'E104' });
      }
    }
    expect(readdirSync(elsewhere)).toEqual([]);
    expect(readdirSync(join(home, 'storage', 'incoming'))).toEqual([]);
  });

  it('S3 hides what is behind it from those who clean up', async () => {
    const { home, elsewhere, storage } = setup();
    await storage.write(uri, 'text', 'temp');
    expect(await storedEntries(storage.root)).toHaveLength(1);
    swap(join(home, 'storage', 'parsed', userId), elsewhere);
    expect(await storedEntries(storage.root)).toEqual([]);
    const letter = join(elsewhere, 'letter.txt');
    writeFileSync(letter, '');
    utimesSync(letter, 0, 0);
    rmSync(join(home, 'storage', 'incoming'), { recursive: true });
    symlinkSync(elsewhere, join(home, 'storage', 'incoming'));
    await expect(storage.abandoned(Date.UTC(2026, 10, 23))).rejects.toMatchObject({ code: 'E104' });
  });

  it('is replaced, not followed, in the place of a file', async () => {
    const { elsewhere, storage } = setup();
    await storage.write(uri, 'one', 'temp');
    const target = join(elsewhere, 'letter.txt');
    writeFileSync(target, 'mine');
    rmSync(storage.pathOf(uri));
    symlinkSync(target, storage.pathOf(uri));
    await storage.write(uri, 'two', 'temp');
    expect(readFileSync(target, 'utf8')).toBe('mine');
    expect(readFileSync(storage.pathOf(uri), 'utf8')).toBe('two');
  });

  it('may be the home itself', async () => {
    const { home, elsewhere, storage } = setup();
    symlinkSync(elsewhere, home);
    await storage.write(uri, 'text', 'temp');
    expect(await storage.hasLength(uri, 4)).toBe(true);
  });
});

describe('what else cannot be used', () => {
  it('is E104, to be tried later, and leaves no temp file', async () => {
    const { home, storage } = setup();
    await storage.write(uri, 'text', 'temp');
    const user = dirname(storage.pathOf(uri));
    rmSync(storage.pathOf(uri));
    mkdirSync(storage.pathOf(uri));
    const refused = { code: 'E104', retry: { kind: 'later' } };
    await expect(storage.write(uri, 'text', 'temp')).rejects.toMatchObject(refused);
    rmSync(user, { recursive: true });
    writeFileSync(user, 'a file in the place of a directory');
    await expect(storage.write(uri, 'text', 'temp')).rejects.toMatchObject(refused);
    // Not "no such bytes": a job must not end for that.
    await expect(storage.hasLength(uri, 4)).rejects.toMatchObject(refused);
    expect(readdirSync(join(home, 'storage', 'incoming'))).toEqual([]);
  });

  it('is E104 when a temp file is gone before it got its name', async () => {
    const { home, storage } = setup();
    await expect(storage.place(join(home, 'storage', 'incoming', 'gone'), uri)).rejects.toMatchObject({ code: 'E104' });
  });

  it('takes the temp file of an upload with it', async () => {
    const { home, storage } = setup();
    const { path, handle } = await storage.openIncoming('temp');
    await handle.close();
    writeFileSync(join(home, 'storage', 'parsed'), '');
    await expect(storage.place(path, uri)).rejects.toMatchObject({ code: 'E104' });
    expect(existsSync(path)).toBe(false);
  });
});

describe.skipIf(process.platform !== 'linux')('a new directory', () => {
  /** Paths of the directories that were fsynced, in order. */
  async function fsyncs(): Promise<string[]> {
    const paths: string[] = [];
    const handle = await open('/dev/null');
    const prototype = Object.getPrototypeOf(handle) as FileHandle;
    await handle.close();
    const spy = vi.spyOn(prototype, 'sync').mockImplementation(async function (this: FileHandle) {
      paths.push(readlinkSync(`/proc/self/fd/${this.fd}`));
    });
    onTestFinished(() => spy.mockRestore());
    return paths;
  }

  it('D1 survives a power cut before a file is in it: its parent is fsynced, on every level', async () => {
    const { home, storage } = setup();
    const paths = await fsyncs();
    const root = join(home, 'storage');
    await storage.write(uri, 'text', 'temp');
    expect(paths).toEqual([
      home,
      root,
      join(root, 'incoming', 'temp'),
      root,
      join(root, 'parsed'),
      join(root, 'parsed', userId),
    ]);
    paths.length = 0;
    await storage.write(other, 'text', 'temp');
    expect(paths).toEqual([join(root, 'incoming', 'temp'), join(root, 'parsed', userId)]);
  });

  it('is fsynced by whoever uses it first, for another process may have made it without coming that far', async () => {
    const { home, storage } = setup();
    mkdirSync(join(home, 'storage', 'parsed', userId), { recursive: true });
    const paths = await fsyncs();
    await storage.write(uri, 'text', 'temp');
    expect(paths).toEqual(expect.arrayContaining([home, join(home, 'storage'), join(home, 'storage', 'parsed')]));
  });

  it('is fsynced again when it was removed and made again', async () => {
    const { home, storage } = setup();
    await storage.write(uri, 'text', 'temp');
    rmSync(join(home, 'storage', 'parsed'), { recursive: true });
    const paths = await fsyncs();
    await storage.write(uri, 'text', 'temp');
    expect(paths).toEqual(expect.arrayContaining([join(home, 'storage'), join(home, 'storage', 'parsed')]));
  });
});
