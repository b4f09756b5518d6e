/** Vectors by space and text: the same text in the same space is never paid for twice. */
import { sql } from 'kysely';
import { checkVector, decodeVector, vectorSha } from '../domain/vector.ts';
import type { Db, Trx } from './open.ts';

const SHA256 = /^[0-9a-f]{64}$/;

/** Rows written by one INSERT, as in `chunks.ts`. */
const ROWS_PER_INSERT = 200;

export interface CachedVector {
  /** Float32, little-endian: the stored form. */
  vector: Buffer;
  vectorSha: string;
  tokens: number;
}

export interface VectorToRemember {
  chunkSha: string;
  vector: Buffer;
  /** Tokens of the text. */
  tokens: number;
}

/**
 * The remembered vectors of some texts, by the SHA-256 of the text; texts without one are missing, as are
 * those made before `madeSince`. A row whose bytes do
 * not match its own hash, or are no unit vector of the space's dimensions, counts as missing.
 */
export async function cachedVectors(
  db: Db,
  space: { name: string; dimensions: number },
  chunkShas: readonly string[],
  madeSince = 0,
): Promise<Map<string, CachedVector>> {
  const rows = await db
    .selectFrom('embedding_cache')
    .select(['chunk_sha', 'vector', 'vector_sha', 'tokens'])
    .where('embedding_space', '=', space.name)
    .where('chunk_sha', 'in', among(chunkShas))
    .where('made_at', '>=', madeSince)
    .execute();
  return new Map(
    rows
      .filter(({ vector, vector_sha }) => isWhole(vector, vector_sha, space.dimensions))
      .map(({ chunk_sha, vector, vector_sha, tokens }) => [chunk_sha, { vector, vectorSha: vector_sha, tokens }]),
  );
}

/** Notes at `now` that remembered vectors were used. */
export async function touchVectors(
  trx: Trx,
  spaceName: string,
  chunkShas: readonly string[],
  now: number,
): Promise<void> {
  await trx
    .updateTable('embedding_cache')
    .set({ last_used_at: now })
    .where('embedding_space', '=', spaceName)
    .where('chunk_sha', 'in', among(chunkShas))
    .execute();
}

/**
 * Remembers vectors; a newer one of the same text and space takes the place of the older, which may be damaged. Throws a
 * RangeError for one that could not be used later: that would be a mistake of ours.
 */
export async function rememberVectors(
  trx: Trx,
  space: { name: string; dimensions: number },
  vectors: readonly VectorToRemember[],
  now: number,
): Promise<void> {
  const rows = vectors.map(({ chunkSha, vector, tokens }) => {
    const sha = vectorSha(vector);
    if (!SHA256.test(chunkSha)) throw new RangeError('a vector is remembered under the SHA-256 of its text');
    if (!isWhole(vector, sha, space.dimensions)) throw new RangeError(`the vector of ${chunkSha} cannot be remembered`);
    return {
      embedding_space: space.name,
      chunk_sha: chunkSha,
      vector,
      vector_sha: sha,
      tokens,
      made_at: now,
      last_used_at: now,
    };
  });
  for (let from = 0; from < rows.length; from += ROWS_PER_INSERT) {
    await trx
      .insertInto('embedding_cache')
      .values(rows.slice(from, from + ROWS_PER_INSERT))
      .onConflict((conflict) =>
        conflict.columns(['embedding_space', 'chunk_sha']).doUpdateSet((row) => ({
          vector: row.ref('excluded.vector'),
          vector_sha: row.ref('excluded.vector_sha'),
          tokens: row.ref('excluded.tokens'),
          made_at: row.ref('excluded.made_at'),
          last_used_at: row.ref('excluded.last_used_at'),
        })),
      )
      .execute();
  }
}

/** Forgets the vectors of some texts in every space: their last document is deleted. */
export async function forgetVectorsOf(trx: Trx, chunkShas: readonly string[]): Promise<void> {
  await trx.deleteFrom('embedding_cache').where('chunk_sha', 'in', among(chunkShas)).execute();
}

function among(chunkShas: readonly string[]) {
  return sql<string>`(SELECT value FROM json_each(${JSON.stringify(chunkShas)}))`;
}

function isWhole(vector: Buffer, sha: string, dimensions: number): boolean {
  const bytes = dimensions * Float32Array.BYTES_PER_ELEMENT;
  return (
    vector.byteLength === bytes && vectorSha(vector) === sha && checkVector(decodeVector(vector), dimensions) === null
  );
}
