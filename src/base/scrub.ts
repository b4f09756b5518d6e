/** Removes secrets from text by value: path-based redaction misses secrets in messages, URLs and error causes. */
import { jsonText } from './json-text.ts';

const MASK = '[secret]';

/** A function that replaces every occurrence of a secret, plain or encoded, by `[secret]`. */
export type Scrub = (text: string) => string;

/**
 * Builds the scrubber for a set of secrets. It finds each as it is, URL-encoded, JSON-escaped, hex and in the three
 * alignments of base64. Like every matcher by value it cannot find a secret that was split or hashed.
 */
export function createScrubber(secrets: readonly string[]): Scrub {
  const needles = [...new Set(secrets.filter((secret) => secret.length >= 8).flatMap(encodings))].sort(
    (a, b) => b.length - a.length,
  );
  if (needles.length === 0) return (text) => text;
  const pattern = new RegExp(needles.map(escapeRegExp).join('|'), 'gi');
  return (text) => text.replace(pattern, MASK);
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
