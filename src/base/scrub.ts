/** Removes secrets from text by value: path-based redaction misses secrets in messages, URLs and error causes. */
import { jsonText } from './json-text.ts';

const MASK = '[secret]';

/** A function that replaces every occurrence of a secret, plain or encoded, by `[secret]`. */
export type Scrub = (text: string) => string;

/** What breaking a line at the width of a terminal puts into a word: the end of the line, its indent, colour off and on. */
const LINE_BREAK = /(?:\x1b\[[\d;]*m)*\n *(?:\x1b\[[\d;]*m)*/g;

/**
 * Builds the scrubber for a set of secrets. It finds each as it is, URL-encoded, JSON-escaped, hex and in the three
 * alignments of base64, also where lines were broken inside of it: keys are longer than terminals are wide. Like every
 * matcher by value it cannot find a secret that was cut or hashed.
 */
export function createScrubber(secrets: readonly string[]): Scrub {
  const needles = [...new Set(secrets.filter((secret) => secret.length >= 8).flatMap(encodings))].sort(
    (a, b) => b.length - a.length,
  );
  if (needles.length === 0) return (text) => text;
  const pattern = new RegExp(needles.map(escapeRegExp).join('|'), 'gi');
  return (text) => {
    const clean = text.replace(pattern, MASK);
    return clean.includes('\n') ? maskBroken(clean, pattern) : clean;
  };
}

/** Masks what only matches across the ends of lines. */
function maskBroken(text: string, pattern: RegExp): string {
  const flat = text.replace(LINE_BREAK, '');
  if (flat.search(pattern) < 0) return text;
  // Where each piece between two breaks is, in the flat text and in the real one.
  const pieces: { flatAt: number; at: number }[] = [{ flatAt: 0, at: 0 }];
  let removed = 0;
  for (const { index, 0: gap } of text.matchAll(LINE_BREAK)) {
    removed += gap.length;
    pieces.push({ flatAt: index + gap.length - removed, at: index + gap.length });
  }
  const realOf = (flatAt: number) => {
    const { flatAt: start, at } = pieces.findLast((piece) => piece.flatAt <= flatAt) ?? { flatAt: 0, at: 0 };
    return at + flatAt - start;
  };
  let clean = '';
  let done = 0;
  for (const { index, 0: found } of flat.matchAll(pattern)) {
    clean += text.slice(done, realOf(index)) + MASK;
    done = realOf(index + found.length - 1) + 1;
  }
  return clean + text.slice(done);
}

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
