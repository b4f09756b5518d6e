/**
 * Embedding without a model: `hash-ngram@1`. Word stems, pairs of words and character trigrams are hashed into 1536
 * dimensions, so that texts with words in common are near each other.
 *
 * Results have the same bits on every machine: integer hashes, and of floating point only + - * / and square roots,
 * which IEEE 754 rounds exactly; no logarithms, no locale. (Characters a newer Unicode adds are the one exception: an
 * older runtime does not know yet that they are letters.) Any change of a number or word list below is a new version.
 *
 * The weights were tuned on the Vim user manual and the READMEs of npm packages, 2,500 chunks of 400 tokens, three
 * documents at a time, with the fixture documents in view as well. Eight words from a chunk find exactly it first in 89 %
 * (words without pairs: 76 to 80 %), a sentence cut out of a chunk finds the rest of it among the first three in 59 to
 * 67 %, a heading its section in 73 to 83 %. Tried and left out: padding short texts, heavier headings, word triples,
 * stronger damping of repeated words. Alone it answers 9 of the 20 questions in fixtures/queries.json, in 8,192 dimensions 11;
 * no fixed embedding knows which words are rare in a collection, so search adds an index of words (search/lexical.ts).
 */
import { isFunctionWord, wordWeight } from './english-words.ts';
import { hadamardRotate } from './hadamard.ts';
import { stem } from './stem.ts';
import { unit } from './vector.ts';
import { wordsOf } from './words.ts';

export const NGRAM_DIMENSIONS = 1536;

/** Shares of the features, against a word's own weight. Pairs tell phrases apart, trigrams forgive spelling. */
const PAIR = 0.6;
const GAP_PAIR = 0.4;
const TRIGRAM = 0.45;
/** A pair counts as its heavier word, at least this: "out of" says little, but more than its two halves. */
const LEAST_PAIR_WEIGHT = 0.8;

/** Start values of the hash: one per kind of feature, so that the word "abc" and the trigram "abc" differ. */
const SEED = {
  word: 0x811c9dc5,
  pair: 0x2545f491,
  gapPair: 0x5bd1e995,
  trigram: 0x6c8e9cf5,
  text: 0x1b873593,
} as const;
/** Marks both ends of a word in its trigrams; no word contains it. */
const WORD_EDGE = 0;

/** A word as features: computed once for each different word of a text. */
interface WordFeatures {
  hash: number;
  weight: number;
  trigrams: number[];
}

/**
 * The unit vector of a text, 1536 dimensions. Every text has one: a text without letters or digits is told apart only
 * from texts that differ from it.
 */
export function embedNgrams(text: string): Float32Array {
  const values = project(features(text));
  if (values.every((value) => value === 0)) addFeature(values, hashText(text, SEED.text), 1);
  hadamardRotate(values);
  return unit(values);
}

/** Sum of squared weights of each feature by its hash: the square root damps repetition, whatever the single weights are. */
function features(text: string): Map<number, number> {
  const squares = new Map<number, number>();
  const add = (hash: number, weight: number) => squares.set(hash, (squares.get(hash) ?? 0) + weight * weight);
  const known = new Map<string, WordFeatures>();
  let before: WordFeatures | undefined;
  let twoBefore: WordFeatures | undefined;
  for (const word of wordsOf(text)) {
    let now = known.get(word);
    if (now === undefined) {
      now = wordFeatures(word);
      known.set(word, now);
    }
    add(now.hash, now.weight);
    for (const trigram of now.trigrams) add(trigram, TRIGRAM * now.weight);
    if (before !== undefined) add(hashPair(before, now, SEED.pair), PAIR * pairWeight(before, now));
    if (twoBefore !== undefined) add(hashPair(twoBefore, now, SEED.gapPair), GAP_PAIR * pairWeight(twoBefore, now));
    twoBefore = before;
    before = now;
  }
  return squares;
}

/** Adds each feature to the dimension its hash names, with the sign its hash names, so that collisions cancel out. */
function project(squares: Map<number, number>): Float64Array {
  const values = new Float64Array(NGRAM_DIMENSIONS);
  for (const [hash, square] of squares) addFeature(values, hash, Math.sqrt(square));
  return values;
}

function addFeature(values: Float64Array, hash: number, weight: number): void {
  const dimension = (hash >>> 0) % NGRAM_DIMENSIONS;
  values[dimension] = (values[dimension] as number) + (hash < 0 ? weight : -weight);
}

function wordFeatures(word: string): WordFeatures {
  const plainWord = isFunctionWord(word);
  return {
    hash: hashText(plainWord ? word : stem(word), SEED.word),
    weight: wordWeight(word),
    trigrams: plainWord ? [] : trigramsOf(word),
  };
}

function trigramsOf(word: string): number[] {
  const units = [WORD_EDGE, ...Array.from({ length: word.length }, (_, index) => word.charCodeAt(index)), WORD_EDGE];
  return units.slice(2).map((unitAfter, index) => {
    const first = step(step(SEED.trigram, units[index] ?? WORD_EDGE), units[index + 1] ?? WORD_EDGE);
    return finish(step(first, unitAfter));
  });
}

function pairWeight(one: WordFeatures, other: WordFeatures): number {
  return Math.max(one.weight, other.weight, LEAST_PAIR_WEIGHT);
}

function hashPair(one: WordFeatures, other: WordFeatures, seed: number): number {
  return finish(step(step(seed, one.hash), other.hash));
}

function hashText(text: string, seed: number): number {
  let state: number = seed;
  for (let index = 0; index < text.length; index += 1) state = step(state, text.charCodeAt(index));
  return finish(state);
}

/** FNV-1a, a code unit (or hash) at a time. */
function step(state: number, value: number): number {
  return Math.imul(state ^ value, 0x01000193);
}

/** The finalizer of MurmurHash3: FNV alone leaves the high bits of short texts nearly constant. Signed: V8 keeps it unboxed. */
function finish(state: number): number {
  let mixed = state ^ (state >>> 16);
  mixed = Math.imul(mixed, 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return mixed ^ (mixed >>> 16);
}
