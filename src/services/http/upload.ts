/** A stored document as the body of a multipart form: streamed from disk, checked against its hash on the way. */
import { createHash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import { TvdbError } from '../../base/errors.ts';
import { reach } from '../../base/fault.ts';

/** The only file of a form, and where its bytes are. */
export interface FormFile {
  field: string;
  /** Sent as the name of the file; characters that do not belong into a header become `_`. */
  name: string;
  mime: string;
  path: string;
  /** Expected SHA-256 of the bytes, 64 lower-case hex digits. */
  sha256: string;
}

/** An opened upload. `chunks` can be read once; it closes the file when it ends or is given up. */
export interface Upload {
  contentType: string;
  contentLength: number;
  chunks(): AsyncGenerator<Uint8Array, void>;
  /** Closes the file where `chunks` was never begun. */
  close(): Promise<void>;
}

const CHUNK_BYTES = 64 * 1024;

/**
 * Opens a form of text fields and one file (RFC 7578). Fails with E417 when the file cannot be opened. The bytes are
 * hashed as they are sent, and the closing boundary leaves only when the hash is the expected one: a file that changed
 * or was cut short reaches the service as a broken form, which it cannot accept, and the caller as an E417. Reading it
 * twice (hash, then send) was rejected: it could change in between. `boundary` is any unique text of letters and digits.
 */
export async function openUpload(
  fields: Readonly<Record<string, string>>,
  file: FormFile,
  boundary: string,
): Promise<Upload> {
  const mark = `tvdb-${boundary}`;
  const head = Buffer.from(
    Object.entries(fields)
      .map(([name, value]) => `--${mark}\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`)
      .concat(
        `--${mark}\r\nContent-Disposition: form-data; name="${file.field}"; filename="${plain(file.name)}"\r\n`,
        `Content-Type: ${file.mime}\r\n\r\n`,
      )
      .join(''),
  );
  const tail = Buffer.from(`\r\n--${mark}--\r\n`);
  let handle: FileHandle;
  let size: number;
  try {
    handle = await open(file.path, 'r');
    size = (await handle.stat()).size;
  } catch (cause) {
    throw damaged('they cannot be opened', cause);
  }
  return {
    contentType: `multipart/form-data; boundary=${mark}`,
    contentLength: head.length + size + tail.length,
    async *chunks() {
      try {
        yield head;
        const hash = createHash('sha256');
        let sent = 0;
        for (;;) {
          // A fresh buffer each time: the socket may still hold the one before.
          const { buffer, bytesRead } = await handle.read(Buffer.allocUnsafe(CHUNK_BYTES), 0, CHUNK_BYTES, null);
          if (bytesRead === 0) break;
          sent += bytesRead;
          if (sent > size) throw damaged('they grew while they were sent');
          const chunk = buffer.subarray(0, bytesRead);
          hash.update(chunk);
          yield chunk;
          reach('parse.mid_upload');
        }
        if (sent < size) throw damaged('they became shorter while they were sent');
        if (hash.digest('hex') !== file.sha256) throw damaged('they are not the bytes that were uploaded to tvdb');
        yield tail;
      } finally {
        await handle.close();
      }
    },
    close: () => handle.close(),
  };
}

function plain(name: string): string {
  return name.replace(/[^\w.-]/g, '_');
}

function damaged(why: string, cause?: unknown): TvdbError {
  return new TvdbError('E417', {
    message: 'The stored bytes of this document are missing or damaged',
    why,
    ...(cause !== undefined && { cause }),
  });
}
