import { readFile } from 'node:fs/promises';
import { PDFDocument } from '@cantoo/pdf-lib';
import { describe, expect, it } from 'vitest';
import { codeOf, flat, never, node, pageObject, rawPdf, sharedPool, stored, texts } from './pdf-harness.ts';

const FIFTY = texts(50);
const pool = sharedPool();
const inspect = (bytes: Uint8Array | string) => pool.inspect(stored(bytes), never);

async function encrypted(options: { userPassword?: string; ownerPassword: string }): Promise<Uint8Array> {
  const document = await PDFDocument.load(rawPdf(flat(texts(3))));
  document.encrypt(options);
  return document.save();
}

describe('inspect', () => {
  it.each([50, 1, 10, 0, -5, 2e9, 60])('T16: finds 50 real pages behind /Count %d', async (count) => {
    expect(await inspect(rawPdf(flat(FIFTY, count)))).toEqual({ pages: 50, encrypted: false });
  });

  it.each([10, 1, 0, 99])('T16: finds 50 real pages in nested nodes that claim %d each', async (claimed) => {
    const groups = Object.fromEntries(
      Array.from({ length: 5 }, (_, group) => [
        500 + group,
        node(
          Array.from({ length: 10 }, (_, index) => pageObject(group * 10 + index)),
          claimed,
        ),
      ]),
    );
    const objects = { ...flat(FIFTY), ...groups, 2: node([500, 501, 502, 503, 504], 1) };
    expect(await inspect(rawPdf(objects))).toMatchObject({ pages: 50 });
  });

  it('T16: counts the pages of a tree that contains itself', async () => {
    const objects = flat(FIFTY);
    objects[2] = node([2, ...FIFTY.map((_, index) => pageObject(index)), 2], 50);
    expect(await inspect(rawPdf(objects))).toMatchObject({ pages: 50 });
  });

  it('T16: counts a page that is listed twice twice, as readers show it twice', async () => {
    const objects = flat(texts(2));
    objects[2] = node([pageObject(0), pageObject(1), pageObject(0)], 3);
    expect(await inspect(rawPdf(objects))).toMatchObject({ pages: 3 });
  });

  it('T16: reserves for a page that is missing from the file if one reader counts it', async () => {
    const objects = flat(texts(5));
    delete objects[pageObject(2)];
    expect(await inspect(rawPdf(objects))).toMatchObject({ pages: 5 });
  });

  it('T16: accepts a document with an owner password only, and says that it is encrypted', async () => {
    expect(await inspect(await encrypted({ ownerPassword: 'owner' }))).toEqual({ pages: 3, encrypted: true });
  });

  it('T16: refuses a document that needs a password with E404', async () => {
    expect(await codeOf(inspect(await encrypted({ userPassword: 'user', ownerPassword: 'owner' })))).toBe('E404');
  });

  it('T81: refuses a million pages with E407, one page listed a million times', async () => {
    const objects = flat(texts(1));
    objects[2] = node(new Array(1_000_000).fill(pageObject(0)), 1_000_000);
    expect(await codeOf(inspect(rawPdf(objects)))).toBe('E407');
  });

  it('T81: refuses nodes that share each other, 10^12 pages in two kilobytes, with E407', async () => {
    const objects = flat(texts(1));
    for (let level = 0; level < 12; level += 1) objects[100 + level] = node(new Array(10).fill(101 + level), 10);
    objects[112] = node([pageObject(0)], 1);
    objects[2] = node([100], 10);
    expect(await codeOf(inspect(rawPdf(objects)))).toBe('E407');
  });

  it('T81: refuses shared nodes without any page with E405', async () => {
    const objects = flat(texts(1));
    for (let level = 0; level < 12; level += 1) objects[100 + level] = node(new Array(10).fill(101 + level), 10);
    objects[112] = node([], 0);
    objects[2] = node([100], 10);
    expect(await codeOf(inspect(rawPdf(objects)))).toBe('E405');
  });

  it('refuses a tree that is nested deeper than readers follow with E405', async () => {
    const objects = flat(texts(1));
    for (let level = 0; level < 1_500; level += 1) objects[100 + level] = node([101 + level], 1);
    objects[1_600] = node([pageObject(0)], 1);
    objects[2] = node([100], 1);
    expect(await codeOf(inspect(rawPdf(objects)))).toBe('E405');
  });

  it.each([
    ['an empty page tree', rawPdf({ ...flat([]), 2: node([], 0) }), 'E415'],
    ['a file without catalog', rawPdf({ 5: '<</Type/Nothing>>' }), 'E405'],
    ['a header and nothing else', '%PDF-1.7\n', 'E405'],
    ['an empty file', '', 'E403'],
    ['a PNG picture', '\x89PNG\r\n\x1a\n', 'E402'],
    ['a ZIP archive around a PDF', Buffer.concat([Buffer.from('PK\x03\x04'), rawPdf(flat(texts(1)))]), 'E402'],
  ])('refuses %s', async (_name, bytes, code) => {
    expect(await codeOf(inspect(bytes))).toBe(code);
  });

  it('reads a PDF behind a kilobyte of mail headers, and not behind two', async () => {
    const behind = (length: number) =>
      Buffer.concat([Buffer.from('X-Scanner: yes\n'.repeat(200)).subarray(0, length), rawPdf(flat(texts(2)))]);
    expect(await inspect(behind(1_000))).toMatchObject({ pages: 2 });
    expect(await codeOf(inspect(behind(2_000)))).toBe('E402');
  });

  it('reports a file that is gone with E409', async () => {
    expect(await codeOf(pool.inspect('/nonexistent/document', never))).toBe('E409');
  });

  it('refuses what is no PDF although its name says so', async () => {
    expect(await codeOf(inspect(await readFile(new URL(import.meta.url))))).toBe('E402');
  });
});
