/** Removes secrets from text by value: path-based redaction misses secrets in messages, URLs and error causes. */
import { jsonText } from './json-text.ts';

const MASK = '[secret]';

/** A function that replaces every occurrence of a secret, plain or encoded, whole or cut, by `[secret]`. */
export type Scrub = (text: string) => string;

/** What breaking a line at the width of a terminal puts into a word: the end of the line, its indent, colour off and on. */
const LINE_BREAK = /(?:\x1b\[[\d;]*m)*\n *(?:\x1b\[[\d;]*m)*/g;

/** Shorter texts are no secrets: without them ordinary words would be masked. */
const LEAST_LENGTH = 8;
/** Shorter secrets are found whole only: a word that begins like somebody's token must stay readable. */
const LEAST_CUT = 24;
/** What the keys of a service all begin with. It gives nothing away, so a cut key needs four characters of its own. */
const LEAD = /^(?:llx-|sk-(?:[a-z]+-)?)/;
const OWN = 4;
/** A cut secret without such a beginning. */
const LEAST_PREFIX = 12;

/** One form a secret may appear in, lower case, and how much of it is enough to be one. */
interface Needle {
  text: string;
  least: number;
}

/** Where a secret is: from and up to, in UTF-16 units. */
type Span = [from: number, to: number];

/**
 * Builds the scrubber for a set of secrets. It finds each as it is, URL-encoded, JSON-escaped, hex and in the three
 * alignments of base64, also where lines were broken inside of it (keys are longer than terminals are wide) and where
 * only its beginning is left, because a text was cut. Like every matcher by value it cannot find what was hashed, or the
 * end of a secret whose beginning is gone.
 */
export function createScrubber(secrets: readonly string[]): Scrub {
  const needles = [...new Set(secrets)].filter((secret) => secret.length >= LEAST_LENGTH).flatMap(needlesOf);
  if (needles.length === 0) return (text) => text;
  const beginnings = [...new Set(needles.map(({ text, least }) => text.slice(0, least)))].sort(
    (a, b) => a.length - b.length,
  );
  // Case is of no account: hex and percent signs come in both.
  const pattern = new RegExp(beginnings.map(escapeRegExp).join('|'), 'gi');
  const find = (text: string): Span[] => spansOf(text, pattern, needles);
  return (text) => (text.includes('\n') ? maskLines(text, find) : masked(text, find(text), (at) => at));
}

/** Every place where a needle begins, as far as the text agrees with one. */
function spansOf(text: string, pattern: RegExp, needles: readonly Needle[]): Span[] {
  const spans: Span[] = [];
  pattern.lastIndex = 0;
  for (let match = pattern.exec(text); match !== null; match = pattern.exec(text)) {
    const from = match.index;
    const reach = (needle: Needle) => {
      const length = agreement(text, from, needle.text);
      return length >= needle.least ? length : 0;
    };
    const length = Math.max(...needles.map(reach));
    // The pattern ignores case in more ways than `toLowerCase` does; what only it takes for a match is none.
    if (length > 0) spans.push([from, from + length]);
    pattern.lastIndex = from + Math.max(1, length);
  }
  return spans;
}

function agreement(text: string, from: number, needle: string): number {
  let length = 0;
  while (length < needle.length && text[from + length]?.toLowerCase() === needle[length]) length += 1;
  return length;
}

function masked(text: string, spans: readonly Span[], realOf: (at: number) => number): string {
  let clean = '';
  let done = 0;
  for (const [from, to] of spans) {
    clean += text.slice(done, realOf(from)) + MASK;
    done = realOf(to - 1) + 1;
  }
  return clean + text.slice(done);
}

/** Masks with the ends of lines taken out of account: what is broken must not be taken for cut, and its rest left there. */
function maskLines(text: string, find: (text: string) => Span[]): string {
  const flat = text.replace(LINE_BREAK, '');
  const spans = find(flat);
  if (spans.length === 0) return text;
  // Where each piece between two breaks is, in the flat text and in the real one.
  const pieces: { flatAt: number; at: number }[] = [{ flatAt: 0, at: 0 }];
  let removed = 0;
  for (const { index, 0: gap } of text.matchAll(LINE_BREAK)) {
    removed += gap.length;
    pieces.push({ flatAt: index + gap.length - removed, at: index + gap.length });
  }
  return masked(text, spans, (flatAt) => {
    const { flatAt: start, at } = pieces.findLast((piece) => piece.flatAt <= flatAt) ?? { flatAt: 0, at: 0 };
    return at + flatAt - start;
  });
}

function needlesOf(secret: string): Needle[] {
  const lead = LEAD.exec(secret)?.[0] ?? '';
  const prefix = lead === '' ? LEAST_PREFIX : Math.max(LEAST_LENGTH, lead.length + OWN);
  const cut = secret.length < LEAST_CUT ? secret : secret.slice(0, prefix);
  const whole = encodings(secret);
  return encodings(cut).map((beginning, form) => ({
    text: (whole[form] ?? '').toLowerCase(),
    least: beginning.length,
  }));
}

/** The forms, always in this order. Of each, the form of a beginning of the secret is a beginning of the form of the whole. */
function encodings(secret: string): string[] {
  const bytes = Buffer.from(secret, 'utf8');
  const base64 = [0, 1, 2].map((shift) => {
    // A secret inside a longer base64 text starts at one of three bit offsets; the outer characters also carry bits of
    // its neighbours and are left out of the match.
    const text = Buffer.concat([Buffer.alloc(shift), bytes])
      .toString('base64')
      .replace(/=+$/, '');
    return text.slice(Math.ceil((shift * 8) / 6), Math.floor(((shift + bytes.length) * 8) / 6));
  });
  const urlSafe = base64.map((text) => text.replaceAll('+', '-').replaceAll('/', '_'));
  return [
    secret,
    encodeURIComponent(secret),
    jsonText(secret).slice(1, -1),
    bytes.toString('hex'),
    ...base64,
    ...urlSafe,
  ];
}

function escapeRegExp(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
