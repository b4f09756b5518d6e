/**
 * Signed URLs of stored files: `{base}/storage/{bucket}/{user}/{document}?expires=…&signature=…`.
 *
 * The signature is HMAC-SHA256 over method, path and expiry, so a URL made for reading cannot write, and none outlives
 * its time. It is a bearer token: short-lived, made just in time, never logged or stored.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import type { Bucket } from './local.ts';

const PATH = /^\/storage\/(raw|parsed)\/([0-9a-f-]{36})\/([0-9a-f-]{36})$/;

export type SignedMethod = 'GET' | 'PUT';

export interface SignedTarget {
  method: SignedMethod;
  bucket: Bucket;
  userId: string;
  documentId: string;
}

/** Makes a URL under `base` (scheme and authority) that is valid until `expiresAt` (milliseconds, kept in whole seconds). */
export function signUrl(base: string, target: SignedTarget, expiresAt: number, key: Buffer): string {
  const path = `/storage/${target.bucket}/${target.userId}/${target.documentId}`;
  const expires = Math.floor(expiresAt / 1000);
  const url = new URL(path, base);
  url.searchParams.set('expires', String(expires));
  url.searchParams.set('signature', signature(target.method, path, expires, key).toString('hex'));
  return url.href;
}

/** Why a signed URL is refused. Callers answer all of them alike; the reason is for the log. */
export type Refusal = 'malformed' | 'expired' | 'forged';

/** Verifies method, path, expiry and signature, in constant time for the last; the target, or why not. */
export function verifySignedUrl(
  method: string,
  url: URL,
  now: number,
  key: Buffer,
): SignedTarget | { refused: Refusal } {
  const [, bucket, userId, documentId] = PATH.exec(url.pathname) ?? [];
  const expires = url.searchParams.getAll('expires');
  const given = url.searchParams.getAll('signature');
  if (bucket === undefined || userId === undefined || documentId === undefined) return { refused: 'malformed' };
  if (method !== 'GET' && method !== 'PUT') return { refused: 'malformed' };
  if (expires.length !== 1 || given.length !== 1) return { refused: 'malformed' };
  // Digits and hex are checked first: Buffer.from(…, 'hex') silently drops what it cannot read.
  if (!/^\d{1,12}$/.test(expires[0] ?? '') || !/^[0-9a-f]{64}$/.test(given[0] ?? '')) return { refused: 'malformed' };
  const expected = signature(method, url.pathname, Number(expires[0]), key);
  if (!timingSafeEqual(expected, Buffer.from(given[0] ?? '', 'hex'))) return { refused: 'forged' };
  if (Number(expires[0]) * 1000 <= now) return { refused: 'expired' };
  return { method, bucket: bucket as Bucket, userId, documentId };
}

function signature(method: string, path: string, expires: number, key: Buffer): Buffer {
  if (key.length < 32) throw new Error('the signing key must have at least 32 bytes');
  return createHmac('sha256', key).update(`${method}\n${path}\n${expires}`).digest();
}
