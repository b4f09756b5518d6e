/**
 * Vectors for texts without a model: hashed words, word pairs and letter triples, so that texts which share words are
 * near each other. Deterministic, unit length, float32.
 */

/** Words too frequent to say what a text is about. */
const FREQUENT = new Set(
  'a an and are as at be by for from has in is it its of on or that the this to was with'.split(' '),
);

/** The vector of a text in a number of dimensions. */
export function textVector(text: string, dimensions: number): Float32Array {
  const words =
    text
      .normalize('NFKC')
      .toLowerCase()
      .match(/[\p{L}\p{N}]+/gu) ?? [];
  const weights = new Map<string, number>();
  const add = (feature: string, weight: number) => weights.set(feature, (weights.get(feature) ?? 0) + weight);
  let before = '';
  for (const word of words) {
    const weight = FREQUENT.has(word) ? 0.1 : 1;
    add(`w ${word}`, weight);
    if (before !== '') add(`p ${before} ${word}`, weight / 2);
    for (let at = 0; weight === 1 && at + 3 <= word.length; at++) add(`t ${word.slice(at, at + 3)}`, 0.3);
    before = word;
  }
  if (weights.size === 0) add(`all ${text}`, 1);
  const sums = new Float64Array(dimensions);
  for (const [feature, weight] of weights) spread(feature, Math.sqrt(weight), sums);
  return unit(sums);
}

/** Each feature touches three dimensions, so that two features rarely cancel each other entirely. */
function spread(feature: string, weight: number, sums: Float64Array): void {
  for (const salt of ['', '\u0001', '\u0002']) {
    const hash = fnv1a(salt + feature);
    const at = (hash >>> 1) % sums.length;
    sums[at] = (sums[at] ?? 0) + ((hash & 1) === 0 ? weight : -weight);
  }
}

function unit(sums: Float64Array): Float32Array {
  const norm = Math.hypot(...sums);
  if (norm === 0) sums[0] = 1;
  return Float32Array.from(sums, (value) => value / (norm || 1));
}

/** 32-bit FNV-1a over UTF-16 units, finished with the mixer of MurmurHash3 because its low bits are weak. */
function fnv1a(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
