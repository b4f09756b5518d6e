/** The searchable vectors: rows go in and out together with their sign bits, inside the transaction of the caller. */
import type { Origin } from '../domain/service-mode.ts';
import { decodeVector, signBits } from '../domain/vector.ts';
import type { Db, Trx } from '../store/open.ts';

/** Rows of one INSERT: 100 rows carry 600 kB, and the statement text is the same for all full slices. */
const ROWS_PER_INSERT = 100;

export interface IndexedVector {
  chunkId: string;
  /** Float32, little-endian, unit length; already checked with `checkVector`. */
  vector: Buffer;
  vectorSha: string;
  origin: Origin;
}

export interface DocumentVectors {
  spaceName: string;
  dimensions: number;
  documentId: string;
  rows: readonly IndexedVector[];
}

/** The row id of an embedding space, made on first use. Throws when the space is known with other dimensions. */
export async function spaceId(trx: Trx, name: string, dimensions: number): Promise<number> {
  await trx
    .insertInto('embedding_spaces')
    .values({ name, dimensions })
    .onConflict((conflict) => conflict.column('name').doNothing())
    .execute();
  const space = await trx.selectFrom('embedding_spaces').selectAll().where('name', '=', name).executeTakeFirstOrThrow();
  if (space.dimensions !== dimensions) {
    throw new Error(`space ${name} has ${space.dimensions} dimensions in the store, not ${dimensions}`);
  }
  return space.space_id;
}

/**
 * Makes the vectors of one document searchable; their chunks must be in `document_chunks`. Throws when a vector has the
 * wrong size (one such row would fail every later scan of the space) or a chunk already has a vector in the space.
 */
export async function addVectors(
  trx: Trx,
  { spaceName, dimensions, documentId, rows }: DocumentVectors,
): Promise<void> {
  const space = await spaceId(trx, spaceName, dimensions);
  const { last } = await trx
    .selectFrom('vectors')
    .select(({ fn }) => fn.max('vector_id').as('last'))
    .executeTakeFirstOrThrow();
  // Ids are given here, as SQLite itself would: the order in which RETURNING reports rows is not defined.
  const numbered = rows.map((row, index) => ({ ...row, vectorId: (last ?? 0) + 1 + index }));
  for (let from = 0; from < numbered.length; from += ROWS_PER_INSERT) {
    const slice = numbered.slice(from, from + ROWS_PER_INSERT);
    await trx
      .insertInto('vectors')
      .values(
        slice.map(({ vectorId, chunkId, origin, vector, vectorSha }) => ({
          vector_id: vectorId,
          space_id: space,
          chunk_id: chunkId,
          document_id: documentId,
          origin,
          vector,
          vector_sha: vectorSha,
        })),
      )
      .execute();
    await trx
      .insertInto('vector_bits')
      .values(
        slice.map(({ vectorId, chunkId, vector }) => {
          const values = decodeVector(vector);
          if (values.length !== dimensions) {
            throw new Error(`the vector of chunk ${chunkId} has ${values.length} dimensions, not ${dimensions}`);
          }
          return { space_id: space, vector_id: vectorId, bits: signBits(values) };
        }),
      )
      .execute();
  }
}

/** Takes the vectors of a document in one space out of search, with their bits; returns how many there were. */
export async function removeDocumentVectors(trx: Trx, documentId: string, spaceName: string): Promise<number> {
  const { numDeletedRows } = await trx
    .deleteFrom('vectors')
    .where('document_id', '=', documentId)
    .where('space_id', 'in', (query) =>
      query.selectFrom('embedding_spaces').select('space_id').where('name', '=', spaceName),
    )
    .executeTakeFirstOrThrow();
  return Number(numDeletedRows);
}

export interface SpaceSize {
  name: string;
  dimensions: number;
  chunks: number;
}

/** Every known embedding space with its number of searchable chunks, by name. */
export async function listSpaces(db: Db): Promise<SpaceSize[]> {
  return db
    .selectFrom('embedding_spaces as s')
    .leftJoin('vectors as v', 'v.space_id', 's.space_id')
    .select(({ fn }) => ['s.name', 's.dimensions', fn.count<number>('v.vector_id').as('chunks')])
    .groupBy('s.space_id')
    .orderBy('s.name')
    .execute();
}
