/**
 * Reads the body of an answered embeddings request: bit-exact vectors in the order of the texts, or why there are none.
 *
 * The SDK's own decoding is not used: openai 6 takes an array of floats for base64 text where a server ignores
 * `encoding_format`, and turns 8 numbers into 2 zeros without a word. Here both forms are read for what they are.
 * The content type is not looked at: vectors that pass every check were paid for, whatever a proxy calls them.
 */
import { checkVector, decodeVector } from '../../domain/vector.ts';

export interface Expected {
  /** How many texts were sent. */
  texts: number;
  dimensions: number;
  model: string;
}

export type Reading =
  | { kind: 'usable'; vectors: Float32Array[]; tokens: number; model: string }
  /** Answered and charged `tokens`, but nothing in it may be stored. `again` is false when it would be so every time. */
  | { kind: 'unusable'; tokens: number; why: string; again: boolean }
  /** Nothing says what was charged. */
  | { kind: 'unreadable'; why: string };

/** Reads `{ data: [{ index, embedding }], model, usage: { prompt_tokens, total_tokens } }`; hostile input is expected. */
export function readEmbeddings(text: string, expected: Expected): Reading {
  if (text.trim() === '') return { kind: 'unreadable', why: 'the answer is empty' };
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    const what = /^\s*</.test(text) ? 'a page of HTML or XML' : 'no JSON, or cut off';
    return { kind: 'unreadable', why: `the answer is ${what}` };
  }
  return readEmbeddingsBody(body, expected);
}

/** The same for a body that is parsed already: a row of a batch has one. */
export function readEmbeddingsBody(body: unknown, expected: Expected): Reading {
  const tokens = isObject(body) ? billedTokens(body.usage) : null;
  if (!isObject(body) || tokens === null) return { kind: 'unreadable', why: 'the answer does not say what it billed' };
  const model = typeof body.model === 'string' && body.model !== '' ? body.model : expected.model;
  // Snapshots and proxies add to the name (`-001`, `openai/`). Another model's vectors would poison the space.
  if (!model.includes(expected.model)) {
    return { kind: 'unusable', tokens, why: `it is of the model ${model.slice(0, 80)}`, again: false };
  }
  const vectors = placed(body.data, expected);
  if (typeof vectors === 'string') return { kind: 'unusable', tokens, why: vectors, again: true };
  return { kind: 'usable', vectors, tokens, model: expected.model };
}

/** Both counts are the same for embeddings; should they differ, the larger one is believed. `null` when one is missing. */
function billedTokens(usage: unknown): number | null {
  if (!isObject(usage)) return null;
  const { prompt_tokens: prompt, total_tokens: total } = usage;
  return isCount(prompt) && isCount(total) ? Math.max(prompt, total) : null;
}

/** The vectors by `index`, never by their place in the list; or what is wrong with them, as a phrase. */
function placed(data: unknown, { texts, dimensions }: Expected): Float32Array[] | string {
  if (!Array.isArray(data)) return 'it has no list of vectors';
  if (data.length !== texts) return `it has ${data.length} vectors for ${texts} texts`;
  const vectors = new Map<number, Float32Array>();
  for (const entry of data) {
    const index: unknown = isObject(entry) ? entry.index : undefined;
    if (!isCount(index) || index >= texts) return 'a vector has no index of a text';
    if (vectors.has(index)) return `two vectors have the index ${index}`;
    const vector = decoded(isObject(entry) ? entry.embedding : undefined, dimensions);
    const problem = typeof vector === 'string' ? vector : checkVector(vector, dimensions);
    if (typeof vector === 'string' || problem !== null) return `vector ${index} cannot be used: ${problem}`;
    vectors.set(index, vector);
  }
  return Array.from({ length: texts }, (_, index) => vectors.get(index) ?? new Float32Array());
}

/** Base64 of little-endian Float32 values, or a list of numbers. */
function decoded(embedding: unknown, dimensions: number): Float32Array | string {
  if (typeof embedding === 'string') {
    const bytes = Buffer.from(embedding, 'base64');
    const wanted = dimensions * Float32Array.BYTES_PER_ELEMENT;
    // Node skips what is no base64: the lengths of both sides together leave no room for that.
    if (bytes.byteLength !== wanted || embedding.length !== Math.ceil(wanted / 3) * 4) {
      return `its text does not decode to ${dimensions} numbers`;
    }
    return decodeVector(bytes);
  }
  if (!Array.isArray(embedding)) return 'it is neither text nor a list of numbers';
  if (!embedding.every((value) => typeof value === 'number')) return 'it has values that are no numbers';
  return Float32Array.from(embedding);
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
