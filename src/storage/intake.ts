/**
 * Takes a user's bytes into storage, once: opened, hashed and copied in a single read, so that the bytes hashed are the
 * bytes stored, whatever happens to the file meanwhile.
 */
import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, open, rm } from 'node:fs/promises';
import { TvdbError } from '../base/errors.ts';
import type { Storage } from './local.ts';
import { onDisk, storageError } from './storage-error.ts';

const READ_SIZE = 1024 * 1024;
/** Enough of the beginning to tell the type: a PDF header may stand anywhere in the first 1,024 bytes. */
const HEAD_BYTES = 4096;

export interface StagedFile {
  /** Absolute path of the temp file, fsynced. */
  path: string;
  sha256: string;
  bytes: number;
  head: Buffer;
}

export interface IntakeLimits {
  maxBytes: number;
}

/**
 * Reads a file of the user into storage. Opened without blocking, so that a FIFO cannot hang it.
 * Throws E403 empty, E406 too large, E409 unreadable, E410 vanished, E411 changed while read, E412 a directory,
 * E413 a FIFO, device or socket, E503 no room for it, E104 a storage that cannot be used; nothing is left behind then.
 */
export async function stageFile(
  storage: Storage,
  path: string,
  tempName: string,
  limits: IntakeLimits,
): Promise<StagedFile> {
  const source = await openSource(path);
  try {
    const before = await source.stat({ bigint: true });
    if (before.isDirectory()) throw new TvdbError('E412', { message: `${path} is a directory` });
    if (!before.isFile()) {
      const kind = before.isFIFO() ? 'a FIFO' : before.isSocket() ? 'a socket' : 'a device';
      throw new TvdbError('E413', { message: `${path} is ${kind}, not a regular file` });
    }
    if (before.size > BigInt(limits.maxBytes)) throw tooLarge(path, Number(before.size), limits.maxBytes);
    const staged = await copyIn(storage, readParts(source, path), path, tempName, limits);
    const after = await source.stat({ bigint: true }).catch(() => null);
    if (after?.size !== before.size || after.mtimeNs !== before.mtimeNs || BigInt(staged.bytes) !== before.size) {
      await discard(staged);
      throw new TvdbError('E411', { message: `${path} changed while it was read`, retry: { kind: 'later' } });
    }
    return staged;
  } finally {
    await source.close();
  }
}

/** Reads a stream (standard input) into storage, under the same limits. `name` is for messages. */
export async function stageStream(
  storage: Storage,
  stream: AsyncIterable<Buffer>,
  name: string,
  tempName: string,
  limits: IntakeLimits,
): Promise<StagedFile> {
  return copyIn(storage, stream, name, tempName, limits);
}

/** Removes a staged file that was not accepted. */
export async function discard(staged: StagedFile): Promise<void> {
  await rm(staged.path, { force: true });
}

async function openSource(path: string): Promise<FileHandle> {
  try {
    return await open(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT' || code === 'ENOTDIR') {
      throw new TvdbError('E410', { message: `${path} is not there any more`, retry: { kind: 'later' }, cause: error });
    }
    if (code === 'ENXIO')
      throw new TvdbError('E413', { message: `${path} is a socket, not a regular file`, cause: error });
    // Not the fault of this document.
    if (code === 'EMFILE' || code === 'ENFILE') throw storageError(error, path) ?? error;
    throw unreadable(path, error);
  }
}

async function* readParts(source: FileHandle, path: string): AsyncGenerator<Buffer> {
  const buffer = Buffer.allocUnsafe(READ_SIZE);
  for (;;) {
    let bytesRead: number;
    try {
      ({ bytesRead } = await source.read(buffer, 0, READ_SIZE));
    } catch (error) {
      throw unreadable(path, error);
    }
    if (bytesRead === 0) return;
    yield buffer.subarray(0, bytesRead);
  }
}

async function copyIn(
  storage: Storage,
  parts: AsyncIterable<Buffer>,
  name: string,
  tempName: string,
  { maxBytes }: IntakeLimits,
): Promise<StagedFile> {
  const hash = createHash('sha256');
  const { path, handle } = await storage.openIncoming(tempName);
  let bytes = 0;
  let head = Buffer.alloc(0);
  try {
    for await (const part of parts) {
      bytes += part.length;
      if (bytes > maxBytes) throw tooLarge(name, bytes, maxBytes);
      if (head.length < HEAD_BYTES) head = Buffer.concat([head, part.subarray(0, HEAD_BYTES - head.length)]);
      hash.update(part);
      // Not `write`: at the end of the room that one writes a part of the bytes, says so, and succeeds.
      await onDisk(path, () => handle.writeFile(part));
    }
    if (bytes === 0) throw new TvdbError('E403', { message: `${name} is empty` });
    await onDisk(path, async () => {
      await handle.sync();
      const { size } = await handle.stat();
      if (size !== bytes) throw cutShort(path, size, bytes);
      await handle.close();
    });
  } catch (error) {
    await handle.close().catch(() => {});
    await rm(path, { force: true }).catch(() => {});
    throw error;
  }
  return { path, sha256: hash.digest('hex'), bytes, head };
}

function cutShort(path: string, stored: number, bytes: number): TvdbError {
  return new TvdbError('E503', {
    message: 'A document was not stored whole; the disk may be full',
    why: `${path} has ${stored} of ${bytes} bytes`,
    retry: { kind: 'later' },
  });
}

function tooLarge(name: string, bytes: number, maxBytes: number): TvdbError {
  return new TvdbError('E406', {
    message: `${name} is too large: ${(bytes / 1e6).toFixed(1)} MB or more, at most ${maxBytes / 1e6} MB`,
    facts: { bytes, max_bytes: maxBytes },
  });
}

function unreadable(path: string, cause: unknown): TvdbError {
  const code = (cause as NodeJS.ErrnoException).code ?? 'unknown';
  return new TvdbError('E409', { message: `${path} cannot be read`, why: `the system says ${code}`, cause });
}
