import { mkdirSync, readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sha256 } from '../../src/base/hash.ts';
import { openStorage, parseStorageUri, storageUri } from '../../src/storage/local.ts';
import { tempDirectory } from '../setup/temp.ts';

const userId = 'aaaaaaaa-0000-4000-8000-000000000001';
const documentId = 'bbbbbbbb-0000-4000-8000-000000000001';
const key = { bucket: 'raw', userId, documentId, ext: 'pdf' } as const;
const uri = storageUri(key);

describe('storage URIs', () => {
  it('carry ids only and can be read back', () => {
    expect(uri).toBe(`storage://raw/${userId}/${documentId}.pdf`);
    expect(parseStorageUri(uri)).toEqual(key);
  });

  it.each([
    'storage://raw/../../etc/passwd',
    `storage://raw/${userId}/../${documentId}.pdf`,
    `storage://other/${userId}/${documentId}.pdf`,
    `storage://raw/${userId}/${documentId}.pdf/x`,
    `storage://raw/${userId}/${documentId}.PDF`,
    `storage://raw/${userId}/${documentId}.pdf\n`,
    `file:///${documentId}`,
    '',
  ])('T84 are refused when they are anything else: %j', (text) => {
    expect(parseStorageUri(text)).toBeNull();
    expect(() => openStorage('/nowhere').pathOf(text)).toThrow('not a storage URI');
  });

  it('T84 never lead outside the root', () => {
    const root = openStorage('/data/x').root;
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 120 }), (text) => {
        const parsed = parseStorageUri(`storage://raw/${text}`);
        if (parsed !== null)
          expect(openStorage('/data/x').pathOf(`storage://raw/${text}`).startsWith(`${root}/raw/`)).toBe(true);
      }),
    );
  });
});

describe('stored files', () => {
  it('appear whole, private, and without a trace of the temp file', async () => {
    const home = tempDirectory();
    const storage = openStorage(home);
    await storage.write(uri, 'hello', 'temp');
    const path = storage.pathOf(uri);
    expect(readFileSync(path, 'utf8')).toBe('hello');
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(statSync(join(path, '..')).mode & 0o777).toBe(0o700);
    expect(readdirSync(join(home, 'storage', 'incoming'))).toEqual([]);
    expect(await storage.isWhole(uri, sha256('hello'))).toBe(true);
    expect(await storage.isWhole(uri, sha256('other'))).toBe(false);
    expect(await storage.hasLength(uri, 5)).toBe(true);
    expect(await storage.hasLength(uri, 4)).toBe(false);
    await storage.remove(uri);
    await storage.remove(uri);
    expect(await storage.isWhole(uri, sha256('hello'))).toBe(false);
  });

  it('lists temp files as abandoned only after a day', async () => {
    const home = tempDirectory();
    const incoming = join(home, 'storage', 'incoming');
    mkdirSync(incoming, { recursive: true });
    writeFileSync(join(incoming, 'fresh'), '');
    writeFileSync(join(incoming, 'old'), '');
    const now = Date.UTC(2026, 10, 23);
    utimesSync(join(incoming, 'fresh'), now / 1000 - 3600, now / 1000 - 3600);
    utimesSync(join(incoming, 'old'), now / 1000 - 25 * 3600, now / 1000 - 25 * 3600);
    expect(await openStorage(home).abandoned(now)).toEqual([join(incoming, 'old')]);
    expect(await openStorage(tempDirectory()).abandoned(now)).toEqual([]);
  });
});
