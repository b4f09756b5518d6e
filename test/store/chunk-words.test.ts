/** The index of words follows the chunks, and leaves nothing of what is deleted. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { sql } from 'kysely';
import { describe, expect, it } from 'vitest';
import { termReader } from '../../src/domain/words.ts';
import { clearBuffers, dropOrphanChunks, promoteChunks, putChunkBuffer } from '../../src/store/chunks.ts';
import { openStore, STORE_FILE, type Store } from '../../src/store/open.ts';
import { overwriteDeleted, purgeRemains } from '../../src/store/purge.ts';
import { tempDirectory } from '../setup/temp.ts';

/** Makes the chunks `<document>-<n>` searchable, as a job that ends does. */
async function promote(store: Store, documentId: string, texts: readonly string[], heading = 'Head'): Promise<void> {
  const chunks = texts.map((text, ord) => ({
    chunkId: `${documentId}-${ord}`,
    ord,
    text,
    chunkSha: '',
    pageFrom: 1,
    pageTo: 1,
    headingPath: [heading],
    tokenCount: 1,
  }));
  await store.write(async (trx) => {
    await putChunkBuffer(trx, documentId, 'test', chunks);
    await promoteChunks(trx, { jobId: documentId, documentId, parseId: 'parse', origin: 'mock' });
    await clearBuffers(trx, documentId);
  });
}

/** Ids of the chunks that have the term of this word. */
async function matching(store: Store, word: string): Promise<string[]> {
  const expression = `"${termReader()(word).join('')}"`;
  const { rows } = await sql<{ id: string }>`
    SELECT c.chunk_id AS id FROM chunk_words JOIN document_chunks AS c ON c.chunk_no = chunk_words.rowid
    WHERE chunk_words MATCH ${expression} ORDER BY c.chunk_no`.execute(store.db);
  return rows.map(({ id }) => id);
}

async function indexed(store: Store): Promise<number> {
  return (await store.db.selectFrom('chunk_words').select('rowid').execute()).length;
}

function withStore<T>(use: (store: Store, home: string) => Promise<T>): () => Promise<void> {
  return async () => {
    const home = join(tempDirectory(), 'home');
    const store = openStore({ home });
    try {
      await use(store, home);
    } finally {
      if (store.sqlite.open) await store.close();
    }
  };
}

describe('chunk_words', () => {
  it(
    'finds chunks by the stems of their text and headings, in any script',
    withStore(async (store) => {
      await promote(store, 'a', ['Reimbursed expenses: 1,234', 'Übergrößen und Café', '保険料の説明'], 'About travel');
      expect(await matching(store, 'reimbursement')).toEqual(['a-0']);
      expect(await matching(store, '1234')).toEqual(['a-0']);
      expect(await matching(store, 'cafe')).toEqual(['a-1']);
      expect(await matching(store, '保険')).toEqual(['a-2']);
      expect(await matching(store, 'travel')).toHaveLength(3);
    }),
  );

  it(
    'has the new words of a chunk that is promoted again, not the old ones, and one row for each',
    withStore(async (store) => {
      await promote(store, 'a', ['zebra', 'lion']);
      await promote(store, 'a', ['giraffe', 'lion']);
      expect(await matching(store, 'zebra')).toEqual([]);
      expect(await matching(store, 'giraffe')).toEqual(['a-0']);
      expect(await indexed(store)).toBe(2);
    }),
  );

  it(
    'loses the rows of chunks that go, and only those, also with a transaction that is undone',
    withStore(async (store) => {
      await promote(store, 'a', ['zebra', 'lion']);
      await promote(store, 'b', ['zebra']);
      const failing = store.write(async (trx) => {
        await dropOrphanChunks(trx, 'a');
        throw new Error('power cut');
      });
      await expect(failing).rejects.toThrow('power cut');
      expect(await matching(store, 'zebra')).toEqual(['a-0', 'b-0']);
      await store.write((trx) => dropOrphanChunks(trx, 'a'));
      expect(await matching(store, 'zebra')).toEqual(['b-0']);
      expect(await indexed(store)).toBe(1);
    }),
  );

  it(
    'still belongs to the same chunks after VACUUM, and is whole',
    withStore(async (store) => {
      await promote(store, 'a', ['zebra', 'lion']);
      await promote(store, 'b', ['tiger']);
      await store.write((trx) => dropOrphanChunks(trx, 'a'));
      purgeRemains(store);
      await promote(store, 'c', ['panther']);
      expect(await matching(store, 'tiger')).toEqual(['b-0']);
      expect(await matching(store, 'panther')).toEqual(['c-0']);
      expect(store.sqlite.pragma('integrity_check', { simple: true })).toBe('ok');
    }),
  );

  it(
    'leaves no term of a deleted chunk in the bytes of the file once it is purged',
    withStore(async (store, home) => {
      const inFile = () =>
        readdirSync(home).some(
          (name) => name.startsWith(STORE_FILE) && readFileSync(join(home, name)).includes('xylophonist'),
        );
      // One of many: so few deleted rows do not make FTS5 merge its segments by itself.
      for (let document = 0; document < 20; document += 1) {
        const words = document === 11 ? 'xylophonist' : 'other';
        await promote(
          store,
          `d${document}`,
          Array.from({ length: 20 }, (_, ord) => `${words} ${document} ${ord}`),
        );
      }
      overwriteDeleted(store);
      await store.write((trx) => dropOrphanChunks(trx, 'd11'));
      expect(await matching(store, 'xylophonist')).toEqual([]);
      store.sqlite.exec('VACUUM');
      store.sqlite.pragma('wal_checkpoint(TRUNCATE)');
      expect(inFile()).toBe(true);
      expect(purgeRemains(store)).toBeNull();
      await store.close();
      expect(inFile()).toBe(false);
    }),
  );
});
