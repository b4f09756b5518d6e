/** Identifiers derived from what they name (UUIDv5): the same work has the same id, whoever does it, however often. */
import { createHash } from 'node:crypto';

/** Namespace of parse and chunk ids; fixed for ever, because ids are compared across versions of the tool. */
const NAMESPACE = Buffer.from('6c8a1e6e1f0b4aa89f0a1a7c2e6f2b42', 'hex');

/** UUIDv5 (RFC 9562, SHA-1) of `name` in the namespace of tvdb, lower case. */
export function uuidV5(name: string): string {
  const bytes = createHash('sha1').update(NAMESPACE).update(name, 'utf8').digest().subarray(0, 16);
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x50, 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

/** `parse_id`: the same document parsed by the same parser has the same id; parser name and version tell mock from real. */
export function parseId(documentId: string, parserName: string, parserVersion: string): string {
  return uuidV5(`${documentId}:${parserName}:${parserVersion}`.toLowerCase());
}

/** Attempt id of what a service made besides of one request: found by two processes, or twice, it is booked once. */
export function twinAttemptId(attemptId: string, remoteId: string): string {
  return uuidV5(`${attemptId}:twin:${remoteId}`);
}

/** `chunk_id`: position `ord` in the chunks one chunker version makes of one parse. */
export function chunkId(parse: string, chunkerName: string, chunkerVersion: string, ord: number): string {
  return uuidV5(`${parse}:${chunkerName}:${chunkerVersion}:${ord}`.toLowerCase());
}
