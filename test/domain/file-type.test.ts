import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HEAD_BYTES, pdfHeaderOffset, sniff } from '../../src/domain/file-type.ts';

const bytes = (text: string) => Buffer.from(text, 'latin1');

describe('sniff', () => {
  it.each([
    ['%PDF-1.7\n', 'pdf', 'a PDF document'],
    [`${'junk\r\n'.repeat(170)}%PDF-1.4`, 'pdf', 'a PDF document'],
    [`${'x'.repeat(1023)}%PDF-1.4`, 'pdf', 'a PDF document'],
    [`${'x'.repeat(1024)}%PDF-1.4`, 'text', 'a text file'],
    ['\x89PNG\r\n\x1a\n\0\0', 'png', 'a PNG image'],
    ['\xff\xd8\xff\xe0', 'jpeg', 'a JPEG image'],
    ['GIF89a\x01\0%PDF-1.4', 'gif', 'a GIF image'],
    ['II*\0\x08\0', 'tiff', 'a TIFF image'],
    ['RIFF\0\0\0\0WEBPVP8 ', 'webp', 'a WebP image'],
    ['BM\x46\0\0\0\0\0\0\0\x36', 'bmp', 'a BMP image'],
    ['BMW is a car', 'text', 'a text file'],
    ['PK\x03\x04\x14\0\0\0\x08\0word/document.xml', 'docx', 'a Word document'],
    ['PK\x03\x04\x14\0\0\0\x08\0xl/workbook.xml', 'xlsx', 'an Excel workbook'],
    ['PK\x03\x04\x14\0\0\0\x08\0ppt/presentation.xml', 'pptx', 'a PowerPoint presentation'],
    ['PK\x03\x04\x0a\0mimetypeapplication/epub+zip', 'epub', 'an EPUB book'],
    ['PK\x03\x04\x0a\0mimetypeapplication/vnd.oasis.opendocument.text', 'odf', 'an OpenDocument file'],
    ['PK\x03\x04 stored.pdf %PDF-1.7', 'zip', 'a ZIP archive'],
    ['\x1f\x8b\x08', 'gzip', 'a gzip archive'],
    ['\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1', 'ole', 'an old Office document (before 2007)'],
    ['{\\rtf1\\ansi', 'rtf', 'a rich text (RTF) document'],
    ['%!PS-Adobe-3.0', 'postscript', 'a PostScript document'],
    ['\x7fELF\x02', 'executable', 'a program'],
    ['MZ\x90\0', 'executable', 'a program'],
    ['  <!DOCTYPE html>\n<html>', 'html', 'an HTML page'],
    ['<?xml version="1.0"?><html xmlns="x">', 'html', 'an HTML page'],
    ['\xef\xbb\xbf<?xml version="1.0"?><a/>', 'xml', 'an XML document'],
    ['plain words, caf\xe9\n', 'text', 'a text file'],
    ['\xff\xfeh\0i\0', 'text', 'a text file'],
    ['\x01\x02\x03', 'unknown', 'a file of unknown type'],
    ['', 'empty', 'an empty file'],
  ])('recognises case %# by its first bytes', (head, kind, label) => {
    expect(sniff(bytes(head))).toMatchObject({ kind, label });
  });

  it('gives every kind a media type and an extension without dot', () => {
    expect(sniff(bytes('%PDF-1.7'))).toEqual({
      kind: 'pdf',
      label: 'a PDF document',
      mime: 'application/pdf',
      ext: 'pdf',
    });
  });

  it('answers any bytes, and says pdf exactly when there is a header it can start from', async () => {
    await fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(1_200), fc.boolean(), (junk, length, withHeader) => {
        const head = Buffer.concat([Buffer.alloc(length, 0x20), junk, withHeader ? bytes('%PDF-1.5') : bytes('')]);
        const type = sniff(head.subarray(0, HEAD_BYTES));
        expect(type.mime).toMatch(/^[a-z]+\/[a-z0-9.+-]+$/);
        expect(type.ext).toMatch(/^[a-z0-9]+$/);
        if (type.kind === 'pdf') expect(pdfHeaderOffset(head)).toBeGreaterThanOrEqual(0);
      }),
    );
  });
});
