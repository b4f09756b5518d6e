import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { constants } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { stageFile, stageStream } from '../../src/storage/intake.ts';
import { openStorage, storageUri } from '../../src/storage/local.ts';
import { tempDirectory } from '../setup/temp.ts';

vi.mock('node:fs/promises', async (original) => {
  const real = await original<typeof import('node:fs/promises')>();
  return { ...real, open: vi.fn(real.open) };
});

const documentId = 'bbbbbbbb-0000-4000-8000-000000000001';
const key = { bucket: 'parsed', userId: 'aaaaaaaa-0000-4000-8000-000000000001', documentId, ext: 'md' } as const;
const uri = storageUri(key);

function setup() {
  const home = tempDirectory();
  const storage = openStorage(home);
  return { home, storage, left: () => readdirSync(join(home, 'storage', 'incoming')) };
}

/** Makes the next call of a method of every open file fail with an error as the system makes them. */
async function failNext(method: 'writeFile' | 'sync' | 'close', error: object): Promise<void> {
  const handle = await open('/dev/null');
  const prototype = Object.getPrototypeOf(handle) as FileHandle;
  await handle.close();
  const spy = vi.spyOn(prototype, method).mockImplementationOnce(async () => {
    throw Object.assign(new Error('refused by the test'), error);
  });
  onTestFinished(() => spy.mockRestore());
}

async function* parts(...texts: string[]) {
  for (const text of texts) yield Buffer.from(text);
}

const ROOM = [
  ['ENOSPC', { code: 'ENOSPC' }],
  ['EDQUOT', { code: 'Unknown system error -122', errno: -constants.errno.EDQUOT }],
  ['EFBIG', { code: 'EFBIG' }],
  ['EIO', { code: 'EIO' }],
  ['EMFILE', { code: 'EMFILE' }],
  ['ENFILE', { code: 'ENFILE' }],
] as const;

describe('a system that runs out of something', () => {
  it.each(ROOM)('T23 is E503 to a write, to be tried later, and leaves no temp file: %s', async (name, error) => {
    const { storage, left } = setup();
    for (const method of ['writeFile', 'sync'] as const) {
      await failNext(method, error);
      await expect(storage.write(uri, 'text', 'temp')).rejects.toMatchObject({
        code: 'E503',
        retry: { kind: 'later' },
        why: expect.stringContaining(`says ${name}`),
      });
      expect(left()).toEqual([]);
    }
    await storage.write(uri, 'text', 'temp');
    expect(await storage.hasLength(uri, 4)).toBe(true);
  });

  it.each(ROOM)('T23 is E503 to an intake as well, not the fault of the document: %s', async (_name, error) => {
    const { storage, left } = setup();
    await storage.write(uri, 'the directories are there', 'temp');
    for (const method of ['writeFile', 'sync'] as const) {
      await failNext(method, error);
      const staging = stageStream(storage, parts('%PDF-1.7'), 'a.pdf', 'temp', { maxBytes: 100 });
      await expect(staging).rejects.toMatchObject({ code: 'E503', retry: { kind: 'later' } });
      expect(left()).toEqual([]);
    }
  });

  it.each(['EMFILE', 'ENFILE'])('is E503 too when it has no handle left for the document: %s', async (code) => {
    vi.mocked(open).mockRejectedValueOnce(Object.assign(new Error('refused by the test'), { code }));
    const staging = stageFile(setup().storage, '/dev/null', 'temp', { maxBytes: 100 });
    await expect(staging).rejects.toMatchObject({ code: 'E503', retry: { kind: 'later' } });
  });

  it('does not hide an error that is none of these', async () => {
    const { storage, left } = setup();
    await failNext('writeFile', { code: 'EBADF' });
    await expect(storage.write(uri, 'text', 'temp')).rejects.toMatchObject({ code: 'EBADF' });
    expect(left()).toEqual([]);
  });
});

describe('bytes that the system takes but does not keep', () => {
  it('are noticed: a document is stored whole or refused with E503', async () => {
    const { storage, left } = setup();
    const lossy = {
      ...storage,
      async openIncoming(name: string) {
        const opened = await storage.openIncoming(name);
        const { writeFile } = opened.handle;
        opened.handle.writeFile = (data) => writeFile.call(opened.handle, (data as Buffer).subarray(1));
        return opened;
      },
    };
    await expect(stageStream(lossy, parts('%PDF', '-1.7'), 'a.pdf', 'temp', { maxBytes: 100 })).rejects.toMatchObject({
      code: 'E503',
      why: expect.stringContaining('6 of 8 bytes'),
    });
    expect(left()).toEqual([]);
  });

  // The last part is written short: the system takes what still fits and calls that a success.
  it.skipIf(process.platform === 'win32')('T23 are noticed at the limit of `ulimit -f`, in the real program', () => {
    const home = tempDirectory();
    const file = join(home, 'large.pdf');
    mkdirSync(join(home, 'work'));
    writeFileSync(file, Buffer.concat([Buffer.from('%PDF-1.7\n'), Buffer.alloc(1_900_000, 32)]));
    const binary = fileURLToPath(new URL('../../bin/tvdb.js', import.meta.url));
    const limited = ['-c', 'ulimit -f 1800; exec "$0" "$@"', process.execPath, binary];
    const { status, stdout, stderr } = spawnSync('bash', [...limited, 'upload', file, '--mode', 'mock', '--json'], {
      cwd: join(home, 'work'),
      env: { PATH: process.env.PATH ?? '', HOME: home, TVDB_HOME: join(home, 'home') },
      encoding: 'utf8',
    });
    expect(`${stdout}${stderr}`).toContain('E503');
    expect(status).toBe(6);
    expect(readdirSync(join(home, 'home', 'storage', 'incoming'))).toEqual([]);
  });
});
