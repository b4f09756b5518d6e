/** Words in search: which count, where they are looked for, and what they do to the order. */
import { describe, expect, it } from 'vitest';
import { wordExpression } from '../../src/search/lexical.ts';
import { searchSpace } from '../../src/search/query.ts';
import { addVectors } from '../../src/search/vector-index.ts';
import type { Store } from '../../src/store/open.ts';
import {
  between,
  type ChunkText,
  DIMENSIONS,
  putDocument,
  randomUnit,
  row,
  SPACE,
  seeded,
  temporaryStore,
} from './library.ts';

const OTHER = 'other/test@1/64';

/** Vectors that say nothing: what is found is found by words. */
function noise(count: number, seed = 1): Float32Array[] {
  const random = seeded(seed);
  return Array.from({ length: count }, () => randomUnit(random));
}

const texts =
  (...list: string[]) =>
  (ord: number): ChunkText => ({ text: list[ord] ?? '', headingPath: [] });

async function library(): Promise<Store> {
  const store = await temporaryStore();
  const animals = texts('the zebra', 'the lion', 'the lion and the zebra', 'the giraffe', 'the okapi', 'form MC-204');
  await putDocument(store, 'zoo', noise(6), SPACE, animals);
  return store;
}

describe('wordExpression', () => {
  it('has the stems that occur, rarest first, without those in more than half of the chunks', async () => {
    const { db } = await library();
    expect(await wordExpression(db, 'The lions, the Okapi’s and a walrus')).toBe('"okap" OR "and" OR "lion"');
    expect(await wordExpression(db, 'the')).toBeNull();
    expect(await wordExpression(db, 'walrus')).toBeNull();
    expect(await wordExpression(db, '?!')).toBeNull();
  });

  it('takes operators, quotes and column names as words', async () => {
    const store = await temporaryStore();
    await putDocument(store, 'doc', noise(4), SPACE, texts('near or not', 'terms', 'x', 'y'));
    const hostile = 'NEAR("x" OR) terms: * ^ AND NOT -y {terms}:';
    const query = noise(1, 9)[0] as Float32Array;
    const { hits } = await searchSpace(store.db, { space: SPACE, query, text: hostile, k: 4 });
    expect(hits).toHaveLength(4);
  });

  it('lets frequent words count only in chunks that rarer words bring in', async () => {
    const store = await temporaryStore();
    const size = 12_000;
    // Rows of the index alone: the expression is made of counts.
    const insert = store.sqlite.prepare('INSERT INTO chunk_words (rowid, terms) VALUES (?, ?)');
    store.sqlite.exec(`
      WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${2 * size})
      INSERT INTO document_chunks (chunk_no, chunk_id, document_id, parse_id, chunk_ord, chunker, text, chunk_sha, page_from,
        page_to, heading_path, token_count, origin)
      SELECT i, 'big-' || i, 'big', '', i, '', '', '', 1, 1, '[]', 1, 'mock' FROM n`);
    store.sqlite.transaction(() => {
      for (let number = 1; number <= size; number += 1) {
        insert.run(number, `w1${number % 4 === 0 ? ' w2' : ''}${number === 7 ? ' w3' : ''}`);
      }
    })();
    expect(await wordExpression(store.db, 'w1 w2 w3')).toBe('("w3" OR "w2") OR (("w3" OR "w2") AND ("w1"))');
    expect(await wordExpression(store.db, 'w1')).toBe('"w1"');
  });
});

describe('searchSpace with words', () => {
  it('finds the chunk that has the word, with its exact cosine, however far its vector is', async () => {
    const store = await library();
    const query = noise(1, 2)[0] as Float32Array;
    const byVector = await searchSpace(store.db, { space: SPACE, query, k: 6 });
    const answer = await searchSpace(store.db, { space: SPACE, query, text: 'is there an okapi?', k: 6 });
    expect(answer).toMatchObject({ rankedBy: 'hybrid', bestScore: byVector.bestScore });
    expect(answer.hits[0]?.chunkId).toBe('zoo-4');
    const scores = (hits: typeof answer.hits) => new Map(hits.map(({ chunkId, score }) => [chunkId, score]));
    expect(scores(answer.hits)).toEqual(scores(byVector.hits));
  });

  it('prefers the chunk with more of the words, and finds numbers of forms', async () => {
    const store = await library();
    const query = noise(1, 3)[0] as Float32Array;
    const first = async (text: string) =>
      (await searchSpace(store.db, { space: SPACE, query, text, k: 1 })).hits[0]?.chunkId;
    expect(await first('zebra with lions')).toBe('zoo-2');
    expect(await first('MC-204')).toBe('zoo-5');
  });

  it('ranks by vectors when no word tells chunks apart', async () => {
    const store = await library();
    const query = noise(1, 4)[0] as Float32Array;
    const plain = await searchSpace(store.db, { space: SPACE, query, k: 6 });
    expect(await searchSpace(store.db, { space: SPACE, query, text: 'the walrus', k: 6 })).toEqual(plain);
    expect(plain.rankedBy).toBe('vector');
  });

  it.each([{ exactUpTo: 1000 }, { exactUpTo: 0 }])(
    'never leaves the space or the documents asked for ($exactUpTo)',
    async ({ exactUpTo }) => {
      const store = await temporaryStore();
      const query = noise(1, 5)[0] as Float32Array;
      const words = texts('zebra', 'lion', 'giraffe');
      await putDocument(store, 'here', noise(3, 6), SPACE, words);
      await putDocument(store, 'there', noise(3, 7), OTHER, words);
      await putDocument(store, 'both', noise(3, 8), SPACE, words);
      await store.write((trx) =>
        addVectors(trx, { spaceName: OTHER, dimensions: DIMENSIONS, documentId: 'both', rows: [row('both-0', query)] }),
      );
      const found = async (space: string, documentIds?: string[]) => {
        const only = documentIds === undefined ? {} : { documentIds };
        const { hits } = await searchSpace(store.db, { space, query, text: 'zebra', k: 20, exactUpTo, ...only });
        return hits.map(({ chunkId }) => chunkId);
      };
      const inSpace = await found(SPACE);
      expect(inSpace.slice(0, 2).sort()).toEqual(['both-0', 'here-0']);
      expect(inSpace).toHaveLength(6);
      expect((await found(OTHER)).sort()).toEqual(['both-0', 'there-0', 'there-1', 'there-2']);
      expect((await found(SPACE, ['here', 'there']))[0]).toBe('here-0');
      expect((await found(SPACE, ['here', 'there'])).length).toBe(3);
      expect(await found(SPACE, [])).toEqual([]);
    },
  );

  it('finds a word outside of the first hundred by vector, also by sign bits', async () => {
    const store = await temporaryStore();
    const random = seeded(11);
    const query = randomUnit(random);
    const near = Array.from({ length: 150 }, () => between(query, randomUnit(random), 0.8));
    await putDocument(store, 'near', near, SPACE, texts());
    const far = query.map((value) => -value);
    await putDocument(store, 'far', [far], SPACE, texts('okapi'));
    for (const exactUpTo of [1000, 0]) {
      const { hits } = await searchSpace(store.db, { space: SPACE, query, text: 'okapi', k: 2, exactUpTo });
      expect(hits.find(({ documentId }) => documentId === 'far')?.score).toBeCloseTo(-1, 5);
    }
  });

  it('filters by the cosine and still fills the answer from what is left', async () => {
    const store = await temporaryStore();
    const random = seeded(12);
    const query = randomUnit(random);
    await putDocument(store, 'near', [between(query, randomUnit(random), 0.9), query], SPACE, texts('lion', 'giraffe'));
    await putDocument(store, 'far', noise(4, 13), SPACE, texts('okapi', 'okapi', 'x', 'y'));
    const ask = { space: SPACE, query, text: 'okapi', k: 1 };
    expect((await searchSpace(store.db, ask)).hits[0]?.documentId).toBe('far');
    const { hits, bestScore } = await searchSpace(store.db, { ...ask, minScore: 0.8 });
    expect(hits.map(({ chunkId }) => chunkId)).toEqual(['near-1']);
    expect(bestScore).toBeCloseTo(1, 5);
    const none = await searchSpace(store.db, { ...ask, minScore: 1.1 });
    expect(none.hits).toEqual([]);
    expect(none.bestScore).toBeCloseTo(1, 5);
  });

  it('reads the index of words best first and stops at its limit, without sorting again', async () => {
    const store = await library();
    const plan = store.sqlite
      .prepare(
        `EXPLAIN QUERY PLAN SELECT v.vector_id FROM chunk_words AS w
         CROSS JOIN document_chunks AS c ON c.chunk_no = w.rowid
         CROSS JOIN vectors AS v ON v.chunk_id = c.chunk_id AND v.space_id = 1
         WHERE w.chunk_words MATCH '"lion"' ORDER BY w.rank LIMIT 100`,
      )
      .all() as { detail: string }[];
    expect(plan.map(({ detail }) => detail).join('\n')).not.toContain('TEMP B-TREE');
  });
});
