/** Splits text that is too long for a chunk: between sentences, else between words, else between code points. */
import type { Range } from './markdown-blocks.ts';
import { insidePair } from './tokens.ts';

/** A range and its tokens (a sum over its parts: at least about what the whole counts). */
export interface Piece extends Range {
  tokens: number;
}

export type Count = (text: string) => number;

/** Text with more characters per allowed token than this is too long without counting (English has about 4 to 5). */
const LONGEST_TOKENS = 16;
/** Words are counted in portions of about this many characters, so that long text is counted once and not per word. */
const PORTION = 64;

/** White space after the end of a sentence, the end of a sentence in scripts without spaces, line ends. */
const SENTENCE_END = /(?<=[.!?…]["'”’)\]]{0,3})\s+|(?<=[。！？｡][」』”）]{0,3})(?=[^」』”）。！？｡\s])|\n+/gu;

/** The tokens of a range, or Infinity when it is obviously too long for `limit`: then it is not worth counting. */
export function tokensWithin(source: string, range: Range, limit: number, count: Count): number {
  if (range.end - range.start > limit * LONGEST_TOKENS) return Number.POSITIVE_INFINITY;
  return count(source.slice(range.start, range.end));
}

/**
 * Cuts a range into pieces of at most `limit` tokens (as far as one code point allows), in order; only white space falls
 * between pieces. Sentences come one by one, for the caller to pack. Lazy, and linear in the length of the range.
 */
export function* splitText(source: string, range: Range, limit: number, count: Count): Generator<Piece> {
  for (const sentence of sentences(source, range)) {
    const tokens = tokensWithin(source, sentence, limit, count);
    if (tokens <= limit) yield { ...sentence, tokens };
    else yield* splitSentence(source, sentence, limit, count);
  }
}

function* sentences(source: string, range: Range): Generator<Range> {
  // The pattern looks at most four characters back, so a window of its own keeps the search inside the range.
  const text = source.slice(range.start, range.end);
  let from = 0;
  for (const match of text.matchAll(SENTENCE_END)) {
    const sentence = trim(source, { start: range.start + from, end: range.start + match.index });
    if (sentence.start < sentence.end) yield sentence;
    from = match.index + match[0].length;
  }
  const last = trim(source, { start: range.start + from, end: range.end });
  if (last.start < last.end) yield last;
}

function* splitSentence(source: string, range: Range, limit: number, count: Count): Generator<Piece> {
  let start = range.start;
  let tokens = 0;
  for (const portion of portions(source, range, limit, count)) {
    if (tokens > 0 && tokens + portion.tokens > limit) {
      yield { ...trim(source, { start, end: portion.start }), tokens };
      start = portion.start;
      tokens = 0;
    }
    tokens += portion.tokens;
  }
  const last = trim(source, { start, end: range.end });
  if (last.start < last.end) yield { ...last, tokens };
}

/** Portions of whole words; a word that alone is over the limit is cut between code points. */
function* portions(source: string, range: Range, limit: number, count: Count): Generator<Piece> {
  const size = Math.max(1, Math.min(PORTION, Math.floor(limit / 3)));
  let at = range.start;
  while (at < range.end) {
    const words = { start: at, end: wordEnd(source, at, range.end, size, limit) };
    const tokens = tokensWithin(source, words, limit, count);
    if (tokens <= limit) {
      yield { ...words, tokens };
    } else {
      for (let from = at; from < words.end; ) {
        let to = Math.min(words.end, from + size);
        if (insidePair(source, to)) to += 1;
        yield { start: from, end: to, tokens: count(source.slice(from, to)) };
        from = to;
      }
    }
    at = words.end;
  }
}

/** The last end of a word within `size` characters, else the next one, as far as `limit` tokens could ever reach. */
function wordEnd(source: string, at: number, end: number, size: number, limit: number): number {
  if (at + size >= end) return end;
  for (let here = at + size; here > at; here -= 1) {
    if (isSpace(source, here) && !isSpace(source, here - 1)) return here;
  }
  const furthest = Math.min(end, at + limit * LONGEST_TOKENS);
  for (let here = at + size + 1; here < furthest; here += 1) {
    if (isSpace(source, here) && !isSpace(source, here - 1)) return here;
  }
  return insidePair(source, furthest) ? furthest + 1 : furthest;
}

function trim(source: string, range: Range): Range {
  let { start, end } = range;
  while (end > start && isSpace(source, end - 1)) end -= 1;
  while (start < end && isSpace(source, start)) start += 1;
  return { start, end };
}

function isSpace(source: string, at: number): boolean {
  const code = source.charCodeAt(at);
  if (code === 0x20 || code === 0x0a) return true;
  return code < 0x80 ? code >= 0x09 && code <= 0x0d : /\s/.test(source.charAt(at));
}

/**
 * The longest tail of a range that starts at a word (at a code point, if no word fits) and has at most `limit` tokens;
 * its start, or the end of the range when there is none.
 */
export function tailStart(source: string, range: Range, limit: number, count: Count): number {
  const from = Math.max(range.start, range.end - (limit * LONGEST_TOKENS) / 2);
  const words: number[] = [];
  const points: number[] = [];
  for (let at = from; at < range.end; at += 1) {
    if (insidePair(source, at) || isSpace(source, at)) continue;
    points.push(at);
    if (at === range.start || isSpace(source, at - 1)) words.push(at);
  }
  return longestFit(words) ?? longestFit(points) ?? range.end;

  function longestFit(starts: readonly number[]): number | undefined {
    let low = 0;
    let high = starts.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (count(source.slice(starts[middle], range.end)) <= limit) high = middle;
      else low = middle + 1;
    }
    return starts[low];
  }
}
