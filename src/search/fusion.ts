/** One order out of two: nearness of vectors, and words in common. */

/**
 * What the words count of the whole. Measured with the vectors of `hash-ngram@1`: from 0.55 to 0.9 it answers 15 or 16 of the
 * 20 questions in fixtures/queries.json and 31 to 33 of the 54 in queries-blind.json, with 0.5 12 and 32. Embeddings of a
 * model know more than these and will want a smaller number here.
 */
const WORDS_SHARE = 0.6;
/** The chunk with this rank by nearness counts as not near. */
const RANK_OF_FAR = 100;

export interface Candidate {
  /** Cosine of the angle to the query. */
  readonly score: number;
  /** BM25 of the words in common, 0 for none. */
  readonly words: number;
}

/**
 * The same candidates, best first, with their share of the best possible, from 0 to 1. Both scores are brought to one scale:
 * the best of either is 1; no words, and the cosine at rank 100 or less, are 0. Unlike ranks (RRF) that keeps by how much one
 * is better than the next. Between equals the order of the candidates decides: give them nearest first, and without words
 * the answer has the order of the cosines.
 */
export function fused<T extends Candidate>(candidates: readonly T[]): (T & { relevance: number })[] {
  const scores = candidates.map(({ score }) => score).sort((a, b) => b - a);
  const near = scores[0] ?? 0;
  const far = scores[Math.min(scores.length, RANK_OF_FAR) - 1] ?? 0;
  const mostWords = candidates.reduce((most, { words }) => Math.max(most, words), 0);
  const share = mostWords > 0 ? WORDS_SHARE : 0;
  return candidates
    .map((candidate) => {
      const nearness = near > far ? Math.max(0, (candidate.score - far) / (near - far)) : 0;
      const inCommon = mostWords > 0 ? candidate.words / mostWords : 0;
      return { ...candidate, relevance: share * inCommon + (1 - share) * nearness };
    })
    .sort((a, b) => b.relevance - a.relevance);
}
