/** Vectors and their bits go in and out together, or not at all. */
import { sql } from 'kysely';
import { describe, expect, it } from 'vitest';
import { encodeVector } from '../../src/domain/vector.ts';
import { addVectors, listSpaces, removeDocumentVectors, spaceId } from '../../src/search/vector-index.ts';
import type { Store } from '../../src/store/open.ts';
import { DIMENSIONS, putChunks, putDocument, randomUnit, row, SPACE, seeded, temporaryStore } from './library.ts';

async function counts(store: Store): Promise<{ vectors: number; bits: number }> {
  const { rows } = await sql<{ vectors: number; bits: number }>`
    SELECT (SELECT count(*) FROM vectors) AS vectors, (SELECT count(*) FROM vector_bits) AS bits`.execute(store.db);
  return rows[0] ?? { vectors: -1, bits: -1 };
}

describe('spaceId', () => {
  it('makes a space once and keeps its id', async () => {
    const store = await temporaryStore();
    const first = await store.write((trx) => spaceId(trx, SPACE, DIMENSIONS));
    const other = await store.write((trx) => spaceId(trx, 'other/test@1/64', DIMENSIONS));
    expect(await store.write((trx) => spaceId(trx, SPACE, DIMENSIONS))).toBe(first);
    expect(other).not.toBe(first);
  });

  it('refuses a known space with other dimensions', async () => {
    const store = await temporaryStore();
    await store.write((trx) => spaceId(trx, SPACE, DIMENSIONS));
    await expect(store.write((trx) => spaceId(trx, SPACE, 128))).rejects.toThrow(/64 dimensions/);
  });
});

describe('addVectors', () => {
  it('stores every vector unchanged, with the bits sqlite-vec itself would make', async () => {
    const store = await temporaryStore();
    const random = seeded(1);
    const vectors = Array.from({ length: 250 }, () => randomUnit(random));
    await putDocument(store, 'doc', vectors);
    const { rows } = await sql<{ chunk_id: string; vector: Buffer; bits: Buffer; expected: Buffer }>`
      SELECT chunk_id, vector, bits, vec_quantize_binary(vector) AS expected
      FROM vectors JOIN vector_bits USING (space_id, vector_id) ORDER BY vector_id`.execute(store.db);
    expect(rows.map((stored) => stored.chunk_id)).toEqual(vectors.map((_, ord) => `doc-${ord}`));
    for (const [ord, stored] of rows.entries()) {
      expect(stored.vector).toEqual(encodeVector(vectors[ord] ?? new Float32Array()));
      expect(stored.bits).toEqual(stored.expected);
    }
  });

  it('stores nothing when one vector has the wrong size', async () => {
    const store = await temporaryStore();
    const random = seeded(2);
    const adding = store.write(async (trx) => {
      await putChunks(trx, 'doc', 2);
      const rows = [row('doc-0', randomUnit(random)), row('doc-1', randomUnit(random, 32))];
      await addVectors(trx, { spaceName: SPACE, dimensions: DIMENSIONS, documentId: 'doc', rows });
    });
    await expect(adding).rejects.toThrow(/doc-1 has 32 dimensions/);
    expect(await counts(store)).toEqual({ vectors: 0, bits: 0 });
  });

  it('refuses a second vector for a chunk in the same space, and a vector without a chunk', async () => {
    const store = await temporaryStore();
    const vector = randomUnit(seeded(3));
    await putDocument(store, 'doc', [vector]);
    const add = (chunkId: string, spaceName: string) =>
      store.write((trx) =>
        addVectors(trx, { spaceName, dimensions: DIMENSIONS, documentId: 'doc', rows: [row(chunkId, vector)] }),
      );
    await expect(add('doc-0', SPACE)).rejects.toThrow();
    await expect(add('nowhere-0', SPACE)).rejects.toThrow();
    await add('doc-0', 'other/test@1/64');
    expect(await counts(store)).toEqual({ vectors: 2, bits: 2 });
  });
});

describe('removeDocumentVectors', () => {
  it('removes vectors and bits of one document in one space, and nothing else', async () => {
    const store = await temporaryStore();
    const random = seeded(4);
    const three = () => [randomUnit(random), randomUnit(random), randomUnit(random)];
    await putDocument(store, 'doc', three());
    await putDocument(store, 'untouched', three());
    await store.write((trx) =>
      addVectors(trx, {
        spaceName: 'other/test@1/64',
        dimensions: DIMENSIONS,
        documentId: 'doc',
        rows: [row('doc-0', randomUnit(random))],
      }),
    );
    expect(await store.write((trx) => removeDocumentVectors(trx, 'doc', SPACE))).toBe(3);
    expect(await counts(store)).toEqual({ vectors: 4, bits: 4 });
    expect(await listSpaces(store.db)).toEqual([
      { name: SPACE, dimensions: DIMENSIONS, chunks: 3 },
      { name: 'other/test@1/64', dimensions: DIMENSIONS, chunks: 1 },
    ]);
    expect(await store.write((trx) => removeDocumentVectors(trx, 'doc', SPACE))).toBe(0);
    expect(await store.write((trx) => removeDocumentVectors(trx, 'doc', 'none/none@1/64'))).toBe(0);
  });

  it('is undone with its transaction', async () => {
    const store = await temporaryStore();
    await putDocument(store, 'doc', [randomUnit(seeded(5))]);
    const failing = store.write(async (trx) => {
      await removeDocumentVectors(trx, 'doc', SPACE);
      throw new Error('power cut');
    });
    await expect(failing).rejects.toThrow('power cut');
    expect(await counts(store)).toEqual({ vectors: 1, bits: 1 });
  });

  it('leaves no vectors or bits behind when the chunks of a document are deleted', async () => {
    const store = await temporaryStore();
    const random = seeded(6);
    await putDocument(store, 'doc', [randomUnit(random), randomUnit(random)]);
    await putDocument(store, 'untouched', [randomUnit(random)]);
    await store.write((trx) => trx.deleteFrom('document_chunks').where('document_id', '=', 'doc').execute());
    expect(await counts(store)).toEqual({ vectors: 1, bits: 1 });
  });
});
