import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { sha256 } from '../../src/base/hash.ts';
import { discard, stageFile, stageStream } from '../../src/storage/intake.ts';
import { openStorage } from '../../src/storage/local.ts';
import { tempDirectory } from '../setup/temp.ts';

const limits = { maxBytes: 3_000_000 };

function setup() {
  const directory = tempDirectory();
  const storage = openStorage(join(directory, 'home'));
  const left = () => {
    try {
      return readdirSync(join(storage.root, 'incoming'));
    } catch {
      return [];
    }
  };
  return { directory, storage, left, stage: (path: string, max = limits) => stageFile(storage, path, 'temp', max) };
}

describe('stageFile', () => {
  it('copies the bytes it hashes, larger than one read', async () => {
    const { directory, stage, left } = setup();
    const bytes = Buffer.from(Array.from({ length: 2_500_000 }, (_, index) => index % 251));
    writeFileSync(join(directory, 'a'), bytes);
    const staged = await stage(join(directory, 'a'));
    expect(staged).toMatchObject({ sha256: sha256(bytes), bytes: bytes.length });
    expect(readFileSync(staged.path).equals(bytes)).toBe(true);
    expect(staged.head.equals(bytes.subarray(0, 4096))).toBe(true);
    await discard(staged);
    expect(left()).toEqual([]);
  });

  it('T83 notices a file that grows, shrinks or is rewritten while it is read, and keeps nothing', async () => {
    const { directory, storage, left } = setup();
    const path = join(directory, 'a');
    const during = async (change: () => void) => {
      writeFileSync(path, Buffer.alloc(2_000_000, 1));
      const spied = {
        ...storage,
        async openIncoming(name: string) {
          change();
          return storage.openIncoming(name);
        },
      };
      await expect(stageFile(spied, path, 'temp', limits)).rejects.toMatchObject({ code: 'E411' });
      expect(left()).toEqual([]);
    };
    await during(() => appendFileSync(path, 'x'));
    await during(() => truncateSync(path, 10));
    await during(() => writeFileSync(path, Buffer.alloc(2_000_000, 2)));
  });

  it('T85 refuses what is not a regular file, without hanging', async () => {
    const { directory, stage, left } = setup();
    execFileSync('mkfifo', [join(directory, 'fifo')]);
    mkdirSync(join(directory, 'folder'));
    symlinkSync('loop', join(directory, 'loop'));
    const server = createServer().listen(join(directory, 'socket'));
    onTestFinished(() => void server.close());
    await new Promise((resolve) => server.once('listening', resolve));
    await expect(stage(join(directory, 'fifo'))).rejects.toMatchObject({ code: 'E413' });
    await expect(stage(join(directory, 'folder'))).rejects.toMatchObject({ code: 'E412' });
    await expect(stage(join(directory, 'socket'))).rejects.toMatchObject({ code: 'E413' });
    await expect(stage('/dev/zero')).rejects.toMatchObject({ code: 'E413' });
    await expect(stage(join(directory, 'loop'))).rejects.toMatchObject({ code: 'E409' });
    await expect(stage(join(directory, 'missing'))).rejects.toMatchObject({ code: 'E410' });
    expect(left()).toEqual([]);
  });

  it('refuses empty and too large files and says how large', async () => {
    const { directory, stage, left } = setup();
    writeFileSync(join(directory, 'empty'), '');
    writeFileSync(join(directory, 'large'), Buffer.alloc(101));
    await expect(stage(join(directory, 'empty'))).rejects.toMatchObject({ code: 'E403' });
    await expect(stage(join(directory, 'large'), { maxBytes: 100 })).rejects.toMatchObject({
      code: 'E406',
      facts: { bytes: 101 },
    });
    expect((await stage(join(directory, 'large'), { maxBytes: 101 })).bytes).toBe(101);
    expect(left()).toEqual(['temp']);
  });

  it.skipIf(process.getuid?.() === 0)('refuses an unreadable file', async () => {
    const { directory, stage } = setup();
    writeFileSync(join(directory, 'secret'), 'x');
    chmodSync(join(directory, 'secret'), 0);
    await expect(stage(join(directory, 'secret'))).rejects.toMatchObject({ code: 'E409' });
  });
});

describe('stageStream', () => {
  it('stops at the limit and keeps nothing of an endless stream', async () => {
    const { storage, left } = setup();
    async function* endless() {
      for (;;) yield Buffer.alloc(1000);
    }
    await expect(stageStream(storage, endless(), 'stdin.pdf', 'temp', { maxBytes: 5000 })).rejects.toMatchObject({
      code: 'E406',
    });
    expect(left()).toEqual([]);
  });

  it('keeps nothing of a stream that fails', async () => {
    const { storage, left } = setup();
    async function* broken() {
      yield Buffer.from('%PDF-1.7');
      throw new Error('cut');
    }
    await expect(stageStream(storage, broken(), 'stdin.pdf', 'temp', limits)).rejects.toThrow('cut');
    expect(left()).toEqual([]);
  });
});
