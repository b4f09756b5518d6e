/** The name of a document as it is shown and stored: data only, never part of a path that tvdb writes to. */

/** Longest display name, in code points. */
export const NAME_LENGTH = 120;

/** Longest extension that is kept when a name is cut, with its dot; a longer one is not an extension. */
const EXTENSION_LENGTH = 16;

/** Separators of any system, and the colon of drives and streams. */
const PATH_CHARACTERS = /[/\\:]/gu;

/** C0 controls and DEL; Unicode has a picture of each, so they stay readable. */
const CONTROLS = /[\u0000-\u001f\u007f]/gu;

/**
 * Characters that show nothing or change how others show: C1 controls, bidirectional marks, embeddings, overrides and
 * isolates, line separators, zero-width space and joiners of words, soft hyphen, tags, noncharacters, lone surrogates.
 * The joiners U+200C and U+200D stay: Persian, Indic scripts and emoji need them.
 */
const DECEPTIVE =
  /[\u0080-\u009f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}]|\p{Noncharacter_Code_Point}|\p{Surrogate}/gu;

const REPLACEMENT = '\uFFFD';

/**
 * The display form of a file name: NFC, at most 120 code points, never empty, one line, no character that could be a
 * path or could deceive the reader; each of those has a visible stand-in. A name that is too long loses its middle and
 * keeps its extension. Cleaning a clean name changes nothing.
 */
export function displayName(name: string): string {
  const cleaned = name
    .replace(PATH_CHARACTERS, '_')
    .replace(CONTROLS, (control) => String.fromCharCode(control === '\u007f' ? 0x2421 : 0x2400 + control.charCodeAt(0)))
    .replace(DECEPTIVE, REPLACEMENT)
    .normalize('NFC')
    .trim();
  if (cleaned === '') return 'unnamed';
  if (/^\.+$/u.test(cleaned)) return '_'.repeat(Math.min(cleaned.length, NAME_LENGTH));
  return shortened(cleaned);
}

function shortened(name: string): string {
  const points = Array.from(name);
  if (points.length <= NAME_LENGTH) return name;
  const dot = points.lastIndexOf('.');
  const extension = points.length - dot <= EXTENSION_LENGTH ? points.slice(dot) : [];
  const stem = points
    .slice(0, NAME_LENGTH - 1 - extension.length)
    .join('')
    .trimEnd();
  return `${stem}…${extension.join('')}`;
}
