/** Nearest chunks: exact against a plain computation, coarse against exact, and what is left out. */
import { sql } from 'kysely';
import { describe, expect, it } from 'vitest';
import { searchSpace } from '../../src/search/query.ts';
import { between, putDocument, randomUnit, SPACE, seeded, temporaryStore } from './library.ts';

function cosine(one: Float32Array, other: Float32Array): number {
  return one.reduce((sum, value, index) => sum + value * (other[index] ?? 0), 0);
}

describe('searchSpace', () => {
  it('gives the k nearest chunks, best first, with the place each came from', async () => {
    const store = await temporaryStore();
    const random = seeded(1);
    const vectors = Array.from({ length: 40 }, () => randomUnit(random));
    await putDocument(store, 'alpha', vectors.slice(0, 25));
    await putDocument(store, 'beta', vectors.slice(25));
    const query = randomUnit(random);

    const answer = await searchSpace(store.db, { space: SPACE, query, k: 5 });

    const expected = vectors
      .map((vector, index) => ({
        id: index < 25 ? `alpha-${index}` : `beta-${index - 25}`,
        score: cosine(vector, query),
      }))
      .sort((a, b) => b.score - a.score)
      .slice(0, 5);
    expect(answer.hits.map((hit) => hit.chunkId)).toEqual(expected.map(({ id }) => id));
    for (const [rank, hit] of answer.hits.entries()) expect(hit.score).toBeCloseTo(expected[rank]?.score ?? 2, 5);
    expect(answer).toMatchObject({ rankedBy: 'vector', searched: 40, excluded: [], method: 'exact' });
    expect(answer.bestScore).toBe(answer.hits[0]?.score);
    const first = answer.hits[0];
    const ord = Number(first?.chunkId.split('-')[1]);
    expect(first).toEqual({
      score: first?.score,
      relevance: 1,
      chunkId: `${first?.documentId}-${ord}`,
      documentId: first?.documentId,
      filename: `${first?.documentId}.pdf`,
      pageFrom: ord + 1,
      pageTo: ord + 2,
      headingPath: ['Part', `Section ${ord}`],
      text: `text ${ord} of ${first?.documentId}`,
      chunkOrd: ord,
      origin: 'mock',
      sourcePath: null,
      supersededBy: null,
    });
  });

  it('scores the same vector 1 and the opposite one -1', async () => {
    const store = await temporaryStore();
    const query = randomUnit(seeded(2));
    await putDocument(store, 'same', [query]);
    await putDocument(store, 'opposite', [query.map((value) => -value)]);
    const { hits } = await searchSpace(store.db, { space: SPACE, query, k: 2 });
    expect(hits.map((hit) => [hit.documentId, Math.round(hit.score * 1e5) / 1e5])).toEqual([
      ['same', 1],
      ['opposite', -1],
    ]);
  });

  it('drops hits under the least score and answers fewer than k', async () => {
    const store = await temporaryStore();
    const random = seeded(3);
    const query = randomUnit(random);
    await putDocument(store, 'near', [between(query, randomUnit(random), 0.9)]);
    await putDocument(store, 'far', [query.map((value) => -value)]);
    const { hits } = await searchSpace(store.db, { space: SPACE, query, k: 10, minScore: 0.5 });
    expect(hits.map((hit) => hit.documentId)).toEqual(['near']);
  });

  it('compares one space at a time and says what it left out', async () => {
    const store = await temporaryStore();
    const random = seeded(4);
    const query = randomUnit(random);
    await putDocument(store, 'here', [randomUnit(random), randomUnit(random)]);
    await putDocument(store, 'elsewhere', [query, query, query], 'other/test@1/64');
    await putDocument(store, 'wide', [randomUnit(random, 128)], 'wide/test@1/128');

    const answer = await searchSpace(store.db, { space: SPACE, query, k: 10 });

    expect(new Set(answer.hits.map((hit) => hit.documentId))).toEqual(new Set(['here']));
    expect(answer.searched).toBe(2);
    expect(answer.excluded).toEqual([
      { space: 'other/test@1/64', chunks: 3 },
      { space: 'wide/test@1/128', chunks: 1 },
    ]);
  });

  it('gives no hits for a space nothing was stored in, and names the others', async () => {
    const store = await temporaryStore();
    const query = randomUnit(seeded(5));
    await putDocument(store, 'here', [query]);
    expect(await searchSpace(store.db, { space: 'none/none@1/64', query, k: 3 })).toEqual({
      hits: [],
      rankedBy: 'vector',
      bestScore: null,
      searched: 0,
      excluded: [{ space: SPACE, chunks: 1 }],
      method: 'exact',
    });
  });

  it.each([{ exactUpTo: 1000 }, { exactUpTo: 0 }])(
    'stays within the documents asked for ($exactUpTo)',
    async ({ exactUpTo }) => {
      const store = await temporaryStore();
      const random = seeded(6);
      const query = randomUnit(random);
      for (const id of ['one', 'two', 'three']) await putDocument(store, id, [query, randomUnit(random)]);
      await putDocument(store, 'foreign', [query], 'other/test@1/64');

      const answer = await searchSpace(store.db, {
        space: SPACE,
        query,
        k: 10,
        documentIds: ['one', 'three', 'foreign'],
        exactUpTo,
      });

      expect(answer.hits.map((hit) => hit.documentId).sort()).toEqual(['one', 'one', 'three', 'three']);
      expect(answer.searched).toBe(4);
      expect(answer.excluded).toEqual([{ space: 'other/test@1/64', chunks: 1 }]);
      const none = await searchSpace(store.db, { space: SPACE, query, k: 10, documentIds: [], exactUpTo });
      expect(none).toMatchObject({ hits: [], searched: 0, excluded: [] });
    },
  );

  it('finds by sign bits and rescoring what the exact scan finds, on clustered vectors', async () => {
    const store = await temporaryStore();
    const random = seeded(7);
    const dimensions = 1536;
    const space = 'mock/test@1/1536';
    const topics = Array.from({ length: 8 }, () => randomUnit(random, dimensions));
    const all: Float32Array[] = [];
    for (let document = 0; document < 40; document += 1) {
      const theme = between(topics[document % 8] ?? randomUnit(random), randomUnit(random, dimensions), 0.5);
      const vectors = Array.from({ length: 25 }, () => between(theme, randomUnit(random, dimensions), 0.5));
      all.push(...vectors);
      await putDocument(store, `doc${document}`, vectors, space);
    }
    let found = 0;
    for (let round = 0; round < 10; round += 1) {
      const query = between(
        all[Math.floor(random() * all.length)] ?? randomUnit(random),
        randomUnit(random, dimensions),
        0.5,
      );
      const exact = await searchSpace(store.db, { space, query, k: 10 });
      const coarse = await searchSpace(store.db, { space, query, k: 10, exactUpTo: 999 });
      expect([exact.method, coarse.method]).toEqual(['exact', 'coarse']);
      const ids = new Set(coarse.hits.map((hit) => hit.chunkId));
      found += exact.hits.filter((hit) => ids.has(hit.chunkId)).length;
    }
    expect(found).toBeGreaterThanOrEqual(98);
  });

  it('orders equal scores by the order of storing', async () => {
    const store = await temporaryStore();
    const query = randomUnit(seeded(8));
    for (const id of ['zeta', 'alpha', 'mid']) await putDocument(store, id, [query, query]);
    const { hits } = await searchSpace(store.db, { space: SPACE, query, k: 6 });
    expect(hits.map((hit) => hit.chunkId)).toEqual(['zeta-0', 'zeta-1', 'alpha-0', 'alpha-1', 'mid-0', 'mid-1']);
  });

  it.each([
    ['of another size', (query: Float32Array) => query.slice(1)],
    ['that is zero', (query: Float32Array) => query.map(() => 0)],
    ['that is not a number', (query: Float32Array) => query.map(() => Number.NaN)],
  ])('refuses a query %s', async (_, spoil) => {
    const store = await temporaryStore();
    const query = randomUnit(seeded(9));
    await putDocument(store, 'here', [query]);
    await expect(searchSpace(store.db, { space: SPACE, query: spoil(query), k: 3 })).rejects.toThrow(
      /cannot be compared/,
    );
  });

  it('reads a space in the order of its table, and its bits from one range', async () => {
    const store = await temporaryStore();
    const query = randomUnit(seeded(10));
    await putDocument(store, 'here', [query]);
    const plan = async (text: string) =>
      (await sql<{ detail: string }>`${sql.raw(`EXPLAIN QUERY PLAN ${text}`)}`.execute(store.db)).rows.map(
        ({ detail }) => detail,
      );
    expect(await plan('SELECT space_id, count(*) FROM vectors GROUP BY space_id')).toEqual([
      expect.stringContaining('COVERING INDEX vectors_by_space'),
    ]);
    expect(await plan('SELECT vector_id, bits FROM vector_bits WHERE space_id = 1')).toEqual([
      'SEARCH vector_bits USING PRIMARY KEY (space_id=?)',
    ]);
  });
});
