/** Pages for documents that nobody reads: sentences seeded by the bytes, so that the same bytes give the same pages. */
import { sha256 } from '../base/hash.ts';

/** What LlamaParse keeps of a page; the rest is dropped without a word (wire facts A7). */
export const PAGE_BYTES = 64 * 1024;

const SUBJECTS = [
  'The contract',
  'The invoice',
  'A delivery',
  'The report',
  'Every payment',
  'The annex',
  'This policy',
];
const VERBS = ['names', 'replaces', 'confirms', 'limits', 'describes', 'extends', 'cancels'];
const OBJECTS = [
  'the agreed price',
  'a period of notice',
  'the place of delivery',
  'an earlier version',
  'all open items',
];
const ENDS = [
  'within 30 days',
  'for both parties',
  'without further notice',
  'from the first of the month',
  'in writing',
];
const TITLES = ['Scope', 'Prices', 'Delivery', 'Liability', 'Duration', 'Payment', 'Final provisions'];

/** Page objects in the bytes of a PDF, counted crudely; 1 for anything without any. */
function countPages(bytes: Uint8Array): number {
  const found = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    .toString('latin1')
    .match(/\/Type\s*\/Page(?![a-zA-Z])/g);
  return found?.length ?? 1;
}

/** One page of markdown for each page object: a heading and three paragraphs. */
export function inventPages(bytes: Uint8Array): string[] {
  const seed = sha256(bytes);
  return Array.from({ length: countPages(bytes) }, (_, index) => {
    let dice = Buffer.from(sha256(`${seed}:${index}`), 'hex');
    let at = 0;
    const pick = (words: readonly string[]): string => {
      if (at === dice.length) {
        dice = Buffer.from(sha256(dice), 'hex');
        at = 0;
      }
      const word = words[(dice[at] ?? 0) % words.length] ?? '';
      at += 1;
      return word;
    };
    const sentence = () => `${pick(SUBJECTS)} ${pick(VERBS)} ${pick(OBJECTS)} ${pick(ENDS)}.`;
    const paragraph = () => Array.from({ length: 4 }, sentence).join(' ');
    return `# ${index + 1}. ${pick(TITLES)}\n\n${paragraph()}\n\n${paragraph()}\n\n${paragraph()}\n`;
  });
}

/** The first 64 KB of a page, never half a character. */
export function cutPage(text: string): string {
  const bytes = Buffer.from(text, 'utf8');
  if (bytes.length <= PAGE_BYTES) return text;
  let end = PAGE_BYTES;
  while (((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return bytes.toString('utf8', 0, end);
}

/** Markdown without its marks: what `expand=text` gives. */
export function plainOf(markdown: string): string {
  return markdown.replace(/^#{1,6} +/gm, '').replace(/(\*\*|__|`)/g, '');
}
