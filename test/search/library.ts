/** A store in a temporary directory with documents whose vectors the test chooses. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { encodeVector, unit, vectorSha } from '../../src/domain/vector.ts';
import { termReader } from '../../src/domain/words.ts';
import { addVectors, type IndexedVector } from '../../src/search/vector-index.ts';
import { indexTerms } from '../../src/store/chunks.ts';
import { openStore, type Store, type Trx } from '../../src/store/open.ts';

export const SPACE = 'mock/test@1/64';
export const DIMENSIONS = 64;

/** Seeded numbers in [0, 1) (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export function randomUnit(random: () => number, dimensions = DIMENSIONS): Float32Array {
  return unit(Float32Array.from({ length: dimensions }, () => random() + random() + random() - 1.5));
}

/** The unit vector between two others: `share` of the first. */
export function between(one: Float32Array, other: Float32Array, share: number): Float32Array {
  return unit(one.map((value, index) => share * value + (1 - share) * (other[index] ?? 0)));
}

export async function temporaryStore(): Promise<Store> {
  const home = mkdtempSync(join(tmpdir(), 'tvdb-search-'));
  const store = openStore({ home });
  onTestFinished(async () => {
    await store.close();
    rmSync(home, { recursive: true, force: true });
  });
  await store.loadVectorExtension();
  return store;
}

export function row(chunkId: string, vector: Float32Array): IndexedVector {
  const stored = encodeVector(vector);
  return { chunkId, vector: stored, vectorSha: vectorSha(stored), origin: 'mock' };
}

export interface ChunkText {
  text: string;
  headingPath: readonly string[];
}

/** Document and chunk rows (`<documentId>-<ord>`) with their terms, without vectors. */
export async function putChunks(
  trx: Trx,
  documentId: string,
  count: number,
  textOf: (ord: number) => ChunkText = (ord) => ({
    text: `text ${ord} of ${documentId}`,
    headingPath: ['Part', `Section ${ord}`],
  }),
): Promise<void> {
  const termsOf = termReader();
  await trx
    .insertInto('documents')
    .values({
      document_id: documentId,
      user_id: 'user',
      filename: `${documentId}.pdf`,
      mime: 'application/pdf',
      bytes_len: 1,
      pages: 1,
      file_sha256: documentId.padStart(64, '0'),
      raw_path: `storage://raw/${documentId}`,
      parsed_path: null,
      parsed_sha256: null,
      source_path: null,
      source_at: 0,
      superseded_by: null,
      created_at: 0,
    })
    .execute();
  for (let ord = 0; ord < count; ord += 1) {
    const { text, headingPath } = textOf(ord);
    const { chunk_no: chunkNo } = await trx
      .insertInto('document_chunks')
      .values({
        chunk_id: `${documentId}-${ord}`,
        document_id: documentId,
        parse_id: `parse-${documentId}`,
        chunk_ord: ord,
        chunker: 'markdown-simple@1',
        text,
        chunk_sha: '',
        page_from: ord + 1,
        page_to: ord + 2,
        heading_path: JSON.stringify(headingPath),
        token_count: 4,
        origin: 'mock',
      })
      .returning('chunk_no')
      .executeTakeFirstOrThrow();
    await indexTerms(trx, chunkNo, termsOf([...headingPath, text].join('\n')));
  }
}

/** A document whose chunk `n` has the `n`-th vector. */
export async function putDocument(
  store: Store,
  documentId: string,
  vectors: readonly Float32Array[],
  spaceName = SPACE,
  textOf?: (ord: number) => ChunkText,
): Promise<void> {
  await store.write(async (trx) => {
    await putChunks(trx, documentId, vectors.length, textOf);
    const rows = vectors.map((vector, ord) => row(`${documentId}-${ord}`, vector));
    await addVectors(trx, { spaceName, dimensions: vectors[0]?.length ?? DIMENSIONS, documentId, rows });
  });
}
