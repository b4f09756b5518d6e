/** The body of `POST /upload`, checked field by field. */
import { TvdbError } from '../base/errors.ts';
import { HttpRefusal, refusal } from './api-errors.ts';
import type { Exchange } from './http-server.ts';
import { readBody } from './request-body.ts';
import type { Announcement } from './tickets.ts';

const MOST_BYTES = 16_384;
const MOST_NAME = 1_024;
const FIELDS = ['filename', 'bytes', 'sha256', 'mime'];

/**
 * Reads `{filename, bytes, sha256?, mime?}`. The type of a document is decided by its bytes; `mime` is a claim and only
 * has to be text. Throws 400 for anything else, 413 (E406) for more bytes than MAX_FILE_MB allows, 422 (E403) for none.
 */
export async function readAnnouncement(exchange: Exchange, maxFileMb: number): Promise<Announcement> {
  const body = await readBody(exchange, MOST_BYTES);
  if ('refused' in body) throw refusal(body.refused, 'The request must carry a JSON object of at most 16 KiB');
  const { filename, bytes, sha256 = null, mime, ...others } = objectOf(body);
  const [other] = Object.keys(others);
  if (other !== undefined) throw refusal(400, `There is no field ${JSON.stringify(other.slice(0, 40))}`, takes());
  if (typeof filename !== 'string' || filename.trim() === '' || filename.length > MOST_NAME)
    throw refusal(400, `filename must be a text of 1 to ${MOST_NAME} characters`);
  if (typeof bytes !== 'number' || !Number.isSafeInteger(bytes) || bytes < 0)
    throw refusal(400, 'bytes must be the length of the document, a whole number');
  if (sha256 !== null && (typeof sha256 !== 'string' || !/^[0-9a-f]{64}$/i.test(sha256)))
    throw refusal(400, 'sha256 must be 64 hexadecimal digits');
  if (mime !== undefined && mime !== null && typeof mime !== 'string') throw refusal(400, 'mime must be a text');
  if (bytes === 0) throw new TvdbError('E403', { message: 'A document of 0 bytes was announced' });
  if (bytes > maxFileMb * 1_000_000) {
    const message = `The document is too large: ${(bytes / 1e6).toFixed(1)} MB, at most ${maxFileMb} MB`;
    throw new HttpRefusal(413, new TvdbError('E406', { message }));
  }
  return { filename, bytes, sha256: sha256?.toLowerCase() ?? null };
}

function objectOf(body: Buffer): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(body.toString('utf8'));
  } catch {
    throw refusal(400, 'The request is not valid JSON', takes());
  }
  if (value === null || typeof value !== 'object' || Array.isArray(value))
    throw refusal(400, 'The request must be a JSON object', takes());
  return value as Record<string, unknown>;
}

function takes(): { fix: string } {
  return { fix: `The fields are ${FIELDS.join(', ')}.` };
}
