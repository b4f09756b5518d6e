/** The part of a chunk that shows why it was found. */
import { isFunctionWord } from '../domain/english-words.ts';
import { stem } from '../domain/stem.ts';

export interface Passage {
  /** One line: runs of white space are single spaces. */
  readonly text: string;
  /** Whether something of the chunk comes before or after it. */
  readonly cutBefore: boolean;
  readonly cutAfter: boolean;
}

interface Hit {
  readonly word: string;
  readonly from: number;
  readonly to: number;
}

/** How far before the first match a passage may begin, so that it can begin with a sentence. */
const LEAD = 60;

/**
 * At most `room` characters of `text` around the place where most different words of `query` stand, compared by their
 * stems; from the beginning when none of them stands there (meaning, not words, made it a hit). Never cuts a word of a
 * script that has spaces.
 */
export function bestPassage(text: string, query: string, room: number): Passage {
  const flat = readable(text);
  if (flat.length <= room) return { text: flat, cutBefore: false, cutAfter: false };
  const hits = hitsOf(flat, query);
  const first = densest(hits, room);
  const start = first === undefined ? 0 : beginning(flat, first.from, Math.min(LEAD, Math.floor(room / 3)));
  const end = ending(flat, start + room);
  return { text: flat.slice(start, end).trim(), cutBefore: start > 0, cutAfter: end < flat.length };
}

/** One line without the markup that only arranges: rules, heading marks, the bars of tables. */
function readable(markdown: string): string {
  const lines = markdown.split('\n').filter((line) => !/^[\s|:*_-]*$/.test(line));
  return lines
    .map((line) => line.replace(/^#{1,6} /, '').replace(/\|/g, ' '))
    .join(' ')
    .replace(/\s+/g, ' ')
    .trim();
}

function hitsOf(text: string, query: string): Hit[] {
  const words = wordsOf(query);
  const telling = words.filter(({ plain }) => !isFunctionWord(plain));
  const wanted = new Set((telling.length > 0 ? telling : words).map(({ root }) => root));
  const hits = wordsOf(text).flatMap(({ root, from, to }) => (wanted.has(root) ? [{ word: root, from, to }] : []));
  // Scripts without spaces have no words to compare: their text is searched as it is.
  for (const { plain } of telling) {
    if (/^[\p{Script=Latin}\p{M}\p{N}]+$/u.test(plain)) continue;
    const at = text.toLowerCase().indexOf(plain);
    if (at >= 0) hits.push({ word: plain, from: at, to: at + plain.length });
  }
  return hits.sort((a, b) => a.from - b.from);
}

function wordsOf(text: string): { plain: string; root: string; from: number; to: number }[] {
  return Array.from(text.matchAll(/[\p{L}\p{M}\p{N}]+/gu), ({ 0: word, index }) => {
    const plain = word.toLowerCase();
    return { plain, root: isFunctionWord(plain) ? plain : stem(plain), from: index, to: index + word.length };
  });
}

/** The first hit of the window with the most different words, then the most hits. */
function densest(hits: readonly Hit[], room: number): Hit | undefined {
  let best: Hit | undefined;
  let most = 0;
  const counts = new Map<string, number>();
  let end = 0;
  for (const [index, hit] of hits.entries()) {
    for (; end < hits.length && (hits[end]?.to ?? 0) <= hit.from + room - LEAD; end += 1) {
      const { word } = hits[end] as Hit;
      counts.set(word, (counts.get(word) ?? 0) + 1);
    }
    const score = counts.size * 1_000 + (end - index);
    if (score > most && end > index) {
      most = score;
      best = hit;
    }
    const left = (counts.get(hit.word) ?? 0) - 1;
    if (left > 0) counts.set(hit.word, left);
    else counts.delete(hit.word);
    end = Math.max(end, index + 1);
  }
  return best ?? hits[0];
}

/** The sentence `at` stands in, when it begins within `reach` before it, else the word nearest to that distance. */
function beginning(text: string, at: number, reach: number): number {
  const from = Math.max(0, at - reach);
  if (from === 0) return 0;
  const lead = text.slice(from, at);
  const sentence = Math.max(
    lead.lastIndexOf('. '),
    lead.lastIndexOf('? '),
    lead.lastIndexOf('! '),
    lead.lastIndexOf(': '),
  );
  if (sentence >= 0) return from + sentence + 2;
  const space = lead.indexOf(' ');
  return space < 0 ? at : from + space + 1;
}

function ending(text: string, at: number): number {
  if (at >= text.length) return text.length;
  const space = text.lastIndexOf(' ', at);
  // Text without spaces is cut where the room ends, but never inside a surrogate pair.
  if (space > at - LEAD) return space;
  return /[\udc00-\udfff]/.test(text.charAt(at)) ? at - 1 : at;
}
