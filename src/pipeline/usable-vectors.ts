/** What an embedding service answered, before anything of it is stored. */
import { TvdbError } from '../base/errors.ts';
import { checkVector, encodeVector } from '../domain/vector.ts';
import type { EmbedResult } from '../services/embed/port.ts';
import type { BufferedChunk } from '../store/schema.ts';

/** The stored form of the vectors, by text. Throws E418 unless there is one usable vector for each. */
export function usableVectors(
  texts: readonly BufferedChunk[],
  { vectors, tokensBilled }: EmbedResult,
  dimensions: number,
): Map<string, Buffer> {
  const unusable = (message: string) =>
    new TvdbError('E418', { message, chargedNanoUsd: null, facts: { tokens_billed: tokensBilled } });
  if (vectors.length !== texts.length) throw unusable(`Asked for ${texts.length} vectors, got ${vectors.length}`);
  return new Map(
    texts.map(({ chunk_sha: sha, chunk_ord: ord }, index) => {
      const vector = vectors[index];
      const problem = vector === undefined ? 'is missing' : checkVector(vector, dimensions);
      if (vector === undefined || problem !== null) throw unusable(`The vector of chunk ${ord} ${problem}`);
      return [sha, encodeVector(vector)];
    }),
  );
}
