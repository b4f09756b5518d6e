/** Text as it may be stored, hashed and shown: one kind of line ending, one kind of space, nothing invisible. */

/**
 * Zero-width and control characters, as fixed ranges: `\p{...}` classes grow with the Unicode version of the runtime and
 * would change hashes. Bidi controls and tag characters (hidden text) are among them, and so are the joiner U+200D and
 * the variation selectors: an emoji sequence falls into its parts, and Persian or Indic words lose a shaping hint. A
 * query cleaned the same way still matches; keeping joiners would leave two spellings of one visible word.
 */
const INVISIBLE =
  // biome-ignore lint/suspicious/noMisleadingCharacterClass: single code points are meant, combining ones among them
  /[\0-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\u{1bca0}-\u{1bca3}\u{1d173}-\u{1d17a}\u{e0000}-\u{e0fff}]/gu;
const LONE_SURROGATE = /[\ud800-\udfff]/gu;
const LINE_ENDING = /\r\n?|[\v\f\x85\u2028\u2029]/g;
const OTHER_SPACE = /[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]/g;

/**
 * Removes zero-width and control characters, makes every line ending `\n`, every Unicode space a plain one, tabs the
 * spaces up to the next multiple of four, and a lone surrogate U+FFFD (so that text survives UTF-8). Idempotent.
 */
export function cleanText(text: string): string {
  const clean = text
    .replace(LONE_SURROGATE, '\ufffd')
    .replace(INVISIBLE, '')
    .replace(LINE_ENDING, '\n')
    .replace(OTHER_SPACE, ' ');
  return clean.includes('\t') ? clean.split('\n').map(expandTabs).join('\n') : clean;
}

function expandTabs(line: string): string {
  if (!line.includes('\t')) return line;
  const parts: string[] = [];
  let column = 0;
  for (const part of line.split('\t')) {
    const width = (Math.floor((column + part.length) / 4) + 1) * 4 - column;
    parts.push(part.padEnd(width));
    column += width;
  }
  // The last part is not followed by a tab.
  parts[parts.length - 1] = line.slice(line.lastIndexOf('\t') + 1);
  return parts.join('');
}
