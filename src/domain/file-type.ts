/** What kind of file bytes are, judged by the bytes alone: names and declared types are claims of whoever sent them. */

export type FileKind =
  | 'pdf'
  | 'png'
  | 'jpeg'
  | 'gif'
  | 'tiff'
  | 'webp'
  | 'bmp'
  | 'docx'
  | 'xlsx'
  | 'pptx'
  | 'odf'
  | 'epub'
  | 'zip'
  | 'gzip'
  | '7z'
  | 'rar'
  | 'ole'
  | 'rtf'
  | 'postscript'
  | 'executable'
  | 'html'
  | 'xml'
  | 'text'
  | 'empty'
  | 'unknown';

export interface FileType {
  kind: FileKind;
  /** With an article, for a sentence: "it looks like a PNG image". */
  label: string;
  mime: string;
  /** The usual extension without a dot; `bin` when there is none. */
  ext: string;
}

/** How many of the first bytes `sniff` wants to see; more do no harm, fewer may miss the kind of an office document. */
export const HEAD_BYTES = 4096;

/** A PDF header may start anywhere in the first 1024 bytes (ISO 32000-1, annex H, note 13); all readers allow it. */
const PDF_HEADER_WITHIN = 1024;

const TYPES: Record<FileKind, Omit<FileType, 'kind'>> = {
  pdf: { label: 'a PDF document', mime: 'application/pdf', ext: 'pdf' },
  png: { label: 'a PNG image', mime: 'image/png', ext: 'png' },
  jpeg: { label: 'a JPEG image', mime: 'image/jpeg', ext: 'jpg' },
  gif: { label: 'a GIF image', mime: 'image/gif', ext: 'gif' },
  tiff: { label: 'a TIFF image', mime: 'image/tiff', ext: 'tif' },
  webp: { label: 'a WebP image', mime: 'image/webp', ext: 'webp' },
  bmp: { label: 'a BMP image', mime: 'image/bmp', ext: 'bmp' },
  docx: office('a Word document', 'wordprocessingml.document', 'docx'),
  xlsx: office('an Excel workbook', 'spreadsheetml.sheet', 'xlsx'),
  pptx: office('a PowerPoint presentation', 'presentationml.presentation', 'pptx'),
  odf: { label: 'an OpenDocument file', mime: 'application/vnd.oasis.opendocument', ext: 'odt' },
  epub: { label: 'an EPUB book', mime: 'application/epub+zip', ext: 'epub' },
  zip: { label: 'a ZIP archive', mime: 'application/zip', ext: 'zip' },
  gzip: { label: 'a gzip archive', mime: 'application/gzip', ext: 'gz' },
  '7z': { label: 'a 7-Zip archive', mime: 'application/x-7z-compressed', ext: '7z' },
  rar: { label: 'a RAR archive', mime: 'application/vnd.rar', ext: 'rar' },
  ole: { label: 'an old Office document (before 2007)', mime: 'application/x-ole-storage', ext: 'doc' },
  rtf: { label: 'a rich text (RTF) document', mime: 'application/rtf', ext: 'rtf' },
  postscript: { label: 'a PostScript document', mime: 'application/postscript', ext: 'ps' },
  executable: { label: 'a program', mime: 'application/octet-stream', ext: 'bin' },
  html: { label: 'an HTML page', mime: 'text/html', ext: 'html' },
  xml: { label: 'an XML document', mime: 'application/xml', ext: 'xml' },
  text: { label: 'a text file', mime: 'text/plain', ext: 'txt' },
  empty: { label: 'an empty file', mime: 'application/octet-stream', ext: 'bin' },
  unknown: { label: 'a file of unknown type', mime: 'application/octet-stream', ext: 'bin' },
};

function office(label: string, format: string, ext: string): Omit<FileType, 'kind'> {
  return { label, mime: `application/vnd.openxmlformats-officedocument.${format}`, ext };
}

/**
 * Signatures that must stand at the very start, as Latin-1 text. A file that has one is not a PDF, whatever follows.
 */
const SIGNATURES: readonly (readonly [string, FileKind])[] = [
  ['\x89PNG\r\n\x1a\n', 'png'],
  ['\xff\xd8\xff', 'jpeg'],
  ['GIF87a', 'gif'],
  ['GIF89a', 'gif'],
  ['II*\0', 'tiff'],
  ['MM\0*', 'tiff'],
  ['PK\x03\x04', 'zip'],
  ['PK\x05\x06', 'zip'],
  ['\x1f\x8b', 'gzip'],
  ["7z\xbc\xaf'\x1c", '7z'],
  ['Rar!\x1a\x07', 'rar'],
  ['\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1', 'ole'],
  ['{\\rtf', 'rtf'],
  ['\x7fELF', 'executable'],
  ['\xcf\xfa\xed\xfe', 'executable'],
];

/** Names that the first entries of a ZIP container have, as they stand uncompressed in its local headers. */
const CONTAINERS: readonly (readonly [string, FileKind])[] = [
  ['mimetypeapplication/epub+zip', 'epub'],
  ['mimetypeapplication/vnd.oasis.opendocument', 'odf'],
  ['word/', 'docx'],
  ['xl/', 'xlsx'],
  ['ppt/', 'pptx'],
];

/** Where the PDF header starts in the first bytes of a file, or -1. */
export function pdfHeaderOffset(head: Uint8Array): number {
  return latin1(head.subarray(0, PDF_HEADER_WITHIN + '%PDF-'.length - 1)).indexOf('%PDF-');
}

/** Names the kind of a file from its first bytes (`HEAD_BYTES` of them, or the whole file if it is shorter). */
export function sniff(head: Uint8Array): FileType {
  const kind = kindOf(head);
  return { kind, ...TYPES[kind] };
}

function kindOf(head: Uint8Array): FileKind {
  if (head.length === 0) return 'empty';
  const text = latin1(head.subarray(0, HEAD_BYTES));
  if (text.startsWith('%PDF-')) return 'pdf';
  const signed = SIGNATURES.find(([signature]) => text.startsWith(signature))?.[1];
  if (signed === 'zip') return CONTAINERS.find(([name]) => text.includes(name))?.[1] ?? 'zip';
  if (signed !== undefined) return signed;
  if (text.startsWith('RIFF') && text.slice(8, 12) === 'WEBP') return 'webp';
  if (pdfHeaderOffset(head) >= 0) return 'pdf';
  // Two letters are weak evidence, so these need a second mark: the reserved zero bytes, the link to the new header.
  if (text.startsWith('BM') && text.slice(6, 10) === '\0\0\0\0') return 'bmp';
  if (text.startsWith('MZ') && text.includes('\0')) return 'executable';
  return textKind(head.subarray(0, HEAD_BYTES), text);
}

function textKind(head: Uint8Array, text: string): FileKind {
  const utf16 = /^(?:\xff\xfe|\xfe\xff)/.test(text);
  if (!utf16 && !isText(head)) return 'unknown';
  const start = text
    .replace(/^\xef\xbb\xbf/, '')
    .trimStart()
    .toLowerCase();
  if (start.startsWith('%!ps')) return 'postscript';
  if (/^<(?:!doctype\s+html|html|head|body)\b/.test(start)) return 'html';
  if (start.startsWith('<?xml')) return start.includes('<html') ? 'html' : 'xml';
  return 'text';
}

/** Text has no control bytes other than white space, form feed and escape; its upper half may be any encoding. */
function isText(head: Uint8Array): boolean {
  return head.every((byte) => byte >= 0x20 || (byte >= 0x09 && byte <= 0x0d) || byte === 0x1b);
}

/** One character per byte. `TextDecoder('latin1')` would be windows-1252, which moves 0x80-0x9f. */
function latin1(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes);
}
