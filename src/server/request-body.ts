/** Reads the body of a request without ever holding, or waiting for, more than is allowed. */
import type { Exchange } from './http-server.ts';

/** Why a body is not taken, as an HTTP status. */
export interface BodyRefusal {
  refused: 400 | 411 | 413 | 415;
}

/**
 * The status with which the head of a request is refused before its body is read, if it must be: no length (neither a
 * length nor chunks), longer than `most` bytes, or compressed (64 KiB of gzip may be a gigabyte).
 */
export function refusedHead({ request }: Exchange, most: number): BodyRefusal | null {
  const { headers } = request;
  if (headers['content-encoding'] !== undefined) return { refused: 415 };
  const length = headers['content-length'];
  if (length === undefined) return headers['transfer-encoding'] === undefined ? { refused: 411 } : null;
  return Number(length) > most ? { refused: 413 } : null;
}

/** The body in parts. When the reader stops early the connection stays, so that an answer can still be sent. */
export async function* bodyParts({ request, response, expectsContinue }: Exchange): AsyncGenerator<Buffer> {
  if (expectsContinue) response.writeContinue();
  for await (const part of request.iterator({ destroyOnReturn: false })) yield part as Buffer;
}

/** The whole body, of `most` bytes at most. A chunked one is cut off at the first byte too many. */
export async function readBody(exchange: Exchange, most: number): Promise<Buffer | BodyRefusal> {
  const refused = refusedHead(exchange, most);
  if (refused !== null) return refused;
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of bodyParts(exchange)) {
    bytes += part.length;
    if (bytes > most) return { refused: 413 };
    parts.push(part);
  }
  return Buffer.concat(parts, bytes);
}
