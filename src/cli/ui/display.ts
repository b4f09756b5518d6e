/**
 * Makes foreign text safe to show and measures it in terminal columns.
 *
 * Text from documents, services and file names may hold escape sequences (CWE-150). Everything that a terminal would obey or hide
 * is replaced by a visible escape, never deleted: two names must not become equal. `util.stripVTControlCharacters` is not enough:
 * tried, it leaves backspace, carriage return and U+202E.
 */
import stringWidth from 'string-width';

/** Cc, Cf, line and paragraph separators, lone surrogates, and all that is drawn with no width or reorders its surroundings. */
const UNSAFE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Default_Ignorable_Code_Point}]/gu;
/** Some scripts stack three marks; a megabyte of them on one letter is an attack on the terminal. */
const MARKS_KEPT = 4;
const MARK_BOMB = new RegExp(`(\\p{M}{${MARKS_KEPT}})(\\p{M}+)`, 'gu');
const PRINTABLE_ASCII = /^[\x20-\x7e]*$/;
const NAMED: Record<string, string> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/** `text` with every control character as `\n`, `\x1b` or `\u202e`, except those in `keep`. Printable text is unchanged. */
export function display(text: string, keep: '' | '\n' = ''): string {
  if (PRINTABLE_ASCII.test(text)) return text;
  return text
    .replace(UNSAFE, (char) => (char === keep ? char : (NAMED[char] ?? visible(char))))
    .replace(MARK_BOMB, (_all, kept: string, more: string) => `${kept}[+${more.length} marks]`);
}

function visible(char: string): string {
  const code = char.codePointAt(0) ?? 0;
  const hex = code.toString(16);
  if (code < 0x100) return `\\x${hex.padStart(2, '0')}`;
  return code < 0x10000 ? `\\u${hex.padStart(4, '0')}` : `\\u{${hex}}`;
}

/** Columns that displayed text takes. The same measure as cli-table3's, so that padding agrees. */
export function width(text: string): number {
  return PRINTABLE_ASCII.test(text) ? text.length : stringWidth(text);
}

let segmenter: Intl.Segmenter | undefined;

/** Characters as people see them. */
function graphemes(text: string): string[] {
  if (PRINTABLE_ASCII.test(text)) return [...text];
  segmenter ??= new Intl.Segmenter('en', { granularity: 'grapheme' });
  return Array.from(segmenter.segment(text), (part) => part.segment);
}

/** The longest beginning of `text` that fits in `cols`. */
export function head(text: string, cols: number): string {
  if (PRINTABLE_ASCII.test(text)) return text.slice(0, Math.max(0, cols));
  return takeWhileFits(graphemes(text), cols).join('');
}

function takeWhileFits(parts: readonly string[], cols: number): string[] {
  const taken: string[] = [];
  let used = 0;
  for (const part of parts) {
    used += width(part);
    if (used > cols) break;
    taken.push(part);
  }
  return taken;
}

/** `text` in at most `cols` columns; the middle gives way, because names differ at both ends. */
export function truncate(text: string, cols: number): string {
  if (width(text) <= cols) return text;
  if (cols < 5) return head(text, cols);
  const parts = graphemes(text);
  const start = takeWhileFits(parts, Math.ceil((cols - 3) / 2));
  const end = takeWhileFits([...parts].reverse(), Math.floor((cols - 3) / 2)).reverse();
  return `${start.join('')}...${end.join('')}`;
}
