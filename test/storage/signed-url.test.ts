import { describe, expect, it } from 'vitest';
import { signUrl, verifySignedUrl } from '../../src/storage/signed-url.ts';
import { seededRandom } from '../setup/seeded.ts';

const key = Buffer.alloc(32, 7);
const target = {
  method: 'GET',
  bucket: 'raw',
  userId: 'aaaaaaaa-0000-4000-8000-000000000001',
  documentId: 'bbbbbbbb-0000-4000-8000-000000000001',
} as const;
/** Where the path begins: a change before it is another host, not another signature. */
const AUTHORITY = 'http://127.0.0.1:4000/'.length;
const now = Date.UTC(2026, 10, 23, 12);
const url = signUrl('http://127.0.0.1:4000', target, now + 300_000, key);

describe('signed URLs', () => {
  it('verify for their method, path and time', () => {
    expect(new URL(url).pathname).toBe(`/storage/raw/${target.userId}/${target.documentId}`);
    expect(verifySignedUrl('GET', new URL(url), now, key)).toEqual(target);
    expect(verifySignedUrl('GET', new URL(url), now + 299_999, key)).toEqual(target);
  });

  it('expire on the second', () => {
    expect(verifySignedUrl('GET', new URL(url), now + 300_000, key)).toEqual({ refused: 'expired' });
  });

  it('are refused for another method, host path, document, key or expiry', () => {
    expect(verifySignedUrl('PUT', new URL(url), now, key)).toEqual({ refused: 'forged' });
    expect(verifySignedUrl('DELETE', new URL(url), now, key)).toEqual({ refused: 'malformed' });
    expect(verifySignedUrl('GET', new URL(url), now, Buffer.alloc(32, 8))).toEqual({ refused: 'forged' });
    expect(verifySignedUrl('GET', new URL(url.replace('bbbbbbbb', 'cccccccc')), now, key)).toEqual({
      refused: 'forged',
    });
    expect(verifySignedUrl('GET', new URL(url.replace('/raw/', '/parsed/')), now, key)).toEqual({ refused: 'forged' });
    const later = new URL(url);
    later.searchParams.set('expires', String(now / 1000 + 9999));
    expect(verifySignedUrl('GET', later, now, key)).toEqual({ refused: 'forged' });
  });

  it('are refused when a parameter is missing, doubled or oddly written', () => {
    for (const change of ['&signature=', '&expires=1', `&signature=${'a'.repeat(64)}`]) {
      expect(verifySignedUrl('GET', new URL(url + change), now, key)).toEqual({ refused: 'malformed' });
    }
    const signature = new URL(url).searchParams.get('signature') ?? '';
    for (const odd of [
      signature.toUpperCase(),
      signature.slice(1),
      `${signature}0`,
      signature.replace(/.$/, 'z'),
      ` ${signature}`,
    ]) {
      const changed = new URL(url);
      changed.searchParams.set('signature', odd);
      expect(verifySignedUrl('GET', changed, now, key)).toHaveProperty('refused');
    }
    for (const odd of ['', '-1', '1e12', '١', '0x10', '9'.repeat(13)]) {
      const changed = new URL(url);
      changed.searchParams.set('expires', odd);
      expect(verifySignedUrl('GET', changed, now, key)).toEqual({ refused: 'malformed' });
    }
  });

  it('are refused after any single change of a character', () => {
    const random = seededRandom(1);
    for (let trial = 0; trial < 2000; trial++) {
      const at = AUTHORITY + Math.floor(random() * (url.length - AUTHORITY));
      const letter = '0123456789abcdef-/=&?storage'[Math.floor(random() * 27)] ?? '0';
      const changed = url.slice(0, at) + letter + url.slice(at + 1);
      if (changed !== url) expect(verifySignedUrl('GET', new URL(changed), now, key)).toHaveProperty('refused');
    }
  });

  it('refuse a short key', () => {
    expect(() => signUrl('http://127.0.0.1', target, now, Buffer.alloc(31))).toThrow('32 bytes');
  });
});
