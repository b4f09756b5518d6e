/** Chunk and vector buffers of a job, and their promotion to the searchable set. */
import type { Chunk } from '../domain/chunker.ts';
import type { Origin } from '../domain/service-mode.ts';
import { termReader } from '../domain/words.ts';
import type { Db, Trx } from './open.ts';
import type { BufferedChunk } from './schema.ts';

/** Rows written by one INSERT: SQLite allows 32,766 parameters, and a short statement keeps the transaction short. */
const ROWS_PER_INSERT = 200;

export interface NewChunk extends Chunk {
  chunkId: string;
  chunkSha: string;
}

/** Replaces the chunk buffer of a job: a repeated stage leaves the same rows, never more. */
export async function putChunkBuffer(
  trx: Trx,
  jobId: string,
  chunker: string,
  chunks: readonly NewChunk[],
): Promise<void> {
  await trx.deleteFrom('chunk_buffer').where('job_id', '=', jobId).execute();
  for (let from = 0; from < chunks.length; from += ROWS_PER_INSERT) {
    await trx
      .insertInto('chunk_buffer')
      .values(
        chunks.slice(from, from + ROWS_PER_INSERT).map((chunk) => ({
          job_id: jobId,
          chunk_id: chunk.chunkId,
          chunk_ord: chunk.ord,
          chunker,
          text: chunk.text,
          chunk_sha: chunk.chunkSha,
          page_from: chunk.pageFrom,
          page_to: chunk.pageTo,
          heading_path: JSON.stringify(chunk.headingPath),
          token_count: chunk.tokenCount,
        })),
      )
      .execute();
  }
}

/** Buffered chunks that have no vector of `space` yet, in order, at most `limit`. */
export async function chunksWithoutVector(
  db: Db,
  jobId: string,
  space: string,
  limit: number,
): Promise<BufferedChunk[]> {
  return db
    .selectFrom('chunk_buffer as c')
    .selectAll('c')
    .where('c.job_id', '=', jobId)
    .where((where) =>
      where.not(
        where.exists(
          where
            .selectFrom('vector_buffer as v')
            .select('v.chunk_id')
            .where('v.job_id', '=', jobId)
            .whereRef('v.chunk_id', '=', 'c.chunk_id')
            .where('v.embedding_space', '=', space),
        ),
      ),
    )
    .orderBy('c.chunk_ord')
    .limit(limit)
    .execute();
}

/** The buffered chunks of a job, in order. */
export async function bufferedChunks(db: Db, jobId: string): Promise<BufferedChunk[]> {
  return db.selectFrom('chunk_buffer').selectAll().where('job_id', '=', jobId).orderBy('chunk_ord').execute();
}

/** Drops buffered vectors of any other space: a document never mixes spaces. */
export async function keepOnlySpace(trx: Trx, jobId: string, space: string): Promise<void> {
  await trx.deleteFrom('vector_buffer').where('job_id', '=', jobId).where('embedding_space', '!=', space).execute();
}

export interface NewVector {
  chunkId: string;
  vector: Buffer;
  vectorSha: string;
}

/** Adds one batch of vectors; a batch that comes a second time changes nothing. */
export async function addBufferedVectors(
  trx: Trx,
  jobId: string,
  space: string,
  origin: Origin,
  vectors: readonly NewVector[],
): Promise<void> {
  for (const { chunkId, vector, vectorSha } of vectors) {
    await trx
      .insertInto('vector_buffer')
      .values({ job_id: jobId, chunk_id: chunkId, embedding_space: space, origin, vector, vector_sha: vectorSha })
      .onConflict((conflict) => conflict.columns(['job_id', 'chunk_id']).doNothing())
      .execute();
  }
}

/** The buffered vectors of a job in one space. */
export async function bufferedVectors(db: Db, jobId: string, space: string) {
  return db
    .selectFrom('vector_buffer')
    .select(['chunk_id', 'vector', 'vector_sha', 'origin'])
    .where('job_id', '=', jobId)
    .where('embedding_space', '=', space)
    .execute();
}

/** Moves the chunk rows of a job to the searchable set with their terms (same ids replace their earlier text). */
export async function promoteChunks(
  trx: Trx,
  { jobId, documentId, parseId, origin }: { jobId: string; documentId: string; parseId: string; origin: Origin },
): Promise<void> {
  const chunks = await bufferedChunks(trx, jobId);
  const termsOf = termReader();
  for (const { job_id: _, ...chunk } of chunks) {
    const row = { ...chunk, document_id: documentId, parse_id: parseId, origin };
    const { chunk_no } = await trx
      .insertInto('document_chunks')
      .values(row)
      .onConflict((conflict) => conflict.column('chunk_id').doUpdateSet(row))
      .returning('chunk_no')
      .executeTakeFirstOrThrow();
    const headings = JSON.parse(chunk.heading_path) as string[];
    await indexTerms(trx, chunk_no, termsOf([...headings, chunk.text].join('\n')));
  }
}

/** Makes a chunk findable by these terms and no others; they go with the row of the chunk. */
export async function indexTerms(trx: Trx, chunkNo: number, terms: readonly string[]): Promise<void> {
  await trx
    .insertInto('chunk_words')
    .orReplace()
    .values({ rowid: chunkNo, terms: terms.join(' ') })
    .execute();
}

/** Removes searchable chunks of a document that no vector refers to any more. */
export async function dropOrphanChunks(trx: Trx, documentId: string): Promise<void> {
  await trx
    .deleteFrom('document_chunks')
    .where('document_id', '=', documentId)
    .where('chunk_id', 'not in', (query) =>
      query.selectFrom('vectors').select('chunk_id').where('document_id', '=', documentId),
    )
    .execute();
}

/** Empties the buffers of a job. */
export async function clearBuffers(trx: Trx, jobId: string): Promise<void> {
  await trx.deleteFrom('chunk_buffer').where('job_id', '=', jobId).execute();
  await trx.deleteFrom('vector_buffer').where('job_id', '=', jobId).execute();
}
