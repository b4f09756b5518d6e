import { PDFDocument } from '@cantoo/pdf-lib';
import { describe, expect, it } from 'vitest';
import { makePages } from '../../fixtures/mutate.mjs';
import { codeOf, flat, never, node, pageObject, pool, rawPdf, sharedPool, stored, texts } from './pdf-harness.ts';

const shared = sharedPool();
const extract = (bytes: Uint8Array, pages: number) => shared.extract(stored(bytes), pages, never);
const markdowns = async (bytes: Uint8Array, pages: number) =>
  (await extract(bytes, pages)).map((page) => ('markdown' in page ? page.markdown : page));

describe('extract', () => {
  it('returns every page in order, with its own text', async () => {
    const found = await extract(rawPdf(flat(texts(3))), 3);
    expect(found).toEqual([
      { number: 1, markdown: 'Page number 1 speaks' },
      { number: 2, markdown: 'Page number 2 speaks' },
      { number: 3, markdown: 'Page number 3 speaks' },
    ]);
  });

  it('keeps headings, also those that look like running headers', async () => {
    const found = await markdowns(makePages(5, 9), 5);
    for (const [index, markdown] of found.entries())
      expect(markdown).toMatch(new RegExp(`^#+ Page ${index + 1} of series 9`, 'm'));
  });

  it('loses no page of more than 1,000, the limit liteparse has by default', async () => {
    const found = await markdowns(rawPdf(flat(texts(1_100))), 1_100);
    expect(found).toEqual(texts(1_100));
  });

  it.each([1, 10, 0, -5, 2e9, 60])('T16: loses no page of 50 when /Count says %d', async (count) => {
    expect(await markdowns(rawPdf(flat(texts(50), count)), 50)).toEqual(texts(50));
  });

  it('T16: keeps what pages inherit when it rewrites a lying page tree', async () => {
    const objects = flat(texts(4), 1);
    const inherited = '/MediaBox[0 0 612 792]/Resources<</Font<</F1 3 0 R>>>>';
    for (let index = 0; index < 4; index += 1)
      objects[pageObject(index)] = objects[pageObject(index)]?.replace(inherited, '') ?? '';
    objects[90] = `<</Type/Pages${inherited}/Count 1/Kids[${pageObject(2)} 0 R ${pageObject(3)} 0 R]>>`;
    objects[2] = `<</Type/Pages${inherited}/Count 1/Kids[${pageObject(0)} 0 R ${pageObject(1)} 0 R 90 0 R]>>`;
    expect(await markdowns(rawPdf(objects), 4)).toEqual(texts(4));
  });

  it('T16: repeats a page that is listed twice behind a lying count', async () => {
    const objects = flat(texts(2));
    objects[2] = node([pageObject(0), pageObject(1), pageObject(0)], 1);
    const [first, second] = texts(2);
    expect(await markdowns(rawPdf(objects), 3)).toEqual([first, second, first]);
  });

  it('gives the same markdown for the same bytes, in a used child and in a fresh one', async () => {
    const path = stored(makePages(70, 3));
    const first = await shared.extract(path, 70, never);
    expect(await shared.extract(path, 70, never)).toEqual(first);
    expect(await pool().extract(path, 70, never)).toEqual(first);
  });

  it('returns a page without text as an empty page', async () => {
    expect(await markdowns(rawPdf(flat(['first', '', 'third'])), 3)).toEqual(['first', '', 'third']);
  });

  it('refuses a document without any text with E408', async () => {
    expect(await codeOf(extract(rawPdf(flat(['', '', ''])), 3))).toBe('E408');
  });

  it('names the page that is missing and keeps the others', async () => {
    const objects = flat(texts(3));
    delete objects[pageObject(1)];
    const found = await extract(rawPdf(objects), 3);
    expect(found.map((page) => ('error' in page ? page.number : page.markdown))).toEqual([
      'Page number 1 speaks',
      2,
      'Page number 3 speaks',
    ]);
  });

  it('T16: keeps the numbers of pages when one is missing behind a lying count', async () => {
    const objects = flat(texts(4), 1);
    delete objects[pageObject(1)];
    const found = await extract(rawPdf(objects), 4);
    expect(found.map((page) => ('error' in page ? page.number : page.markdown))).toEqual([
      'Page number 1 speaks',
      2,
      'Page number 3 speaks',
      'Page number 4 speaks',
    ]);
  });

  it('never returns more pages than were counted', async () => {
    expect(await codeOf(extract(rawPdf(flat(texts(5))), 3))).toBe('E405');
  });

  it('reads a document with an owner password only', async () => {
    const document = await PDFDocument.load(rawPdf(flat(texts(2))));
    document.encrypt({ ownerPassword: 'owner' });
    expect(await markdowns(await document.save(), 2)).toEqual(texts(2));
  });

  it('refuses a document that needs a password with E404', async () => {
    const document = await PDFDocument.load(rawPdf(flat(texts(2))));
    document.encrypt({ userPassword: 'user', ownerPassword: 'owner' });
    expect(await codeOf(extract(await document.save(), 2))).toBe('E404');
  });
});
