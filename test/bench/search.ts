/** Search latency at 10,000 and 100,000 chunks: clustered vectors in a real store, warm, and the recall of the coarse way. */
import { join } from 'node:path';
import { systemIds } from '../../src/base/ids.ts';
import { encodeVector, unit } from '../../src/domain/vector.ts';
import { searchSpace } from '../../src/search/query.ts';
import { addVectors } from '../../src/search/vector-index.ts';
import { openStore, type Store } from '../../src/store/open.ts';
import { type Bench, median, ms } from './figures.ts';

const DIMENSIONS = 1536;
const SPACE = `bench/clustered/${DIMENSIONS}`;
const PER_DOCUMENT = 100;
const TOPICS = 200;
const QUERIES = 20;
const K = 10;

export async function measure({ directory }: Bench): Promise<string[]> {
  const random = xorshift(7);
  const gauss = () => random() + random() + random() + random() - 2;
  const topics = Array.from({ length: TOPICS }, () => Float32Array.from({ length: DIMENSIONS }, gauss));
  const near = (topic: number) =>
    unit(Float32Array.from(topics[topic % TOPICS] ?? [], (value) => value + 1.2 * gauss()));
  const store = openStore({ home: join(directory, 'home') });
  const lines: string[] = [];
  try {
    await store.loadVectorExtension();
    let chunks = 0;
    for (const size of [10_000, 100_000]) {
      for (; chunks < size; chunks += PER_DOCUMENT) await addDocument(store, chunks, near);
      const queries = Array.from({ length: QUERIES }, (_, index) => near(index * 7));
      const times: number[] = [];
      let found = 0;
      for (const query of queries) {
        const started = performance.now();
        const { hits } = await searchSpace(store.db, { space: SPACE, query, k: K });
        times.push(performance.now() - started);
        const exact = await searchSpace(store.db, { space: SPACE, query, k: K, exactUpTo: size });
        const best = new Set(exact.hits.map((hit) => hit.chunkId));
        found += hits.filter((hit) => best.has(hit.chunkId)).length;
      }
      lines.push(
        `search at ${size.toLocaleString('en')} chunks`.padEnd(34) +
          ` ${ms(median(times)).padStart(8)} median of ${QUERIES}, recall@${K} ${(found / QUERIES / K).toFixed(3)}`,
      );
    }
  } finally {
    await store.close();
  }
  return lines;
}

async function addDocument(store: Store, from: number, near: (topic: number) => Float32Array): Promise<void> {
  const documentId = systemIds.uuid();
  const chunkIds = Array.from({ length: PER_DOCUMENT }, () => systemIds.uuid());
  await store.write(async (trx) => {
    await trx
      .insertInto('documents')
      .values({
        document_id: documentId,
        user_id: 'bench',
        filename: 'bench.pdf',
        mime: 'application/pdf',
        bytes_len: 1,
        pages: 1,
        file_sha256: documentId.padEnd(64, '0'),
        raw_path: '',
        parsed_path: null,
        parsed_sha256: null,
        source_path: null,
        source_at: 0,
        superseded_by: null,
        created_at: 0,
      })
      .execute();
    await trx
      .insertInto('document_chunks')
      .values(
        chunkIds.map((chunkId, ord) => ({
          chunk_id: chunkId,
          document_id: documentId,
          parse_id: documentId,
          chunk_ord: ord,
          chunker: 'bench',
          text: 'x'.repeat(1600),
          chunk_sha: '',
          page_from: 1,
          page_to: 1,
          heading_path: '[]',
          token_count: 400,
          origin: 'mock' as const,
        })),
      )
      .execute();
    await addVectors(trx, {
      spaceName: SPACE,
      dimensions: DIMENSIONS,
      documentId,
      rows: chunkIds.map((chunkId, index) => ({
        chunkId,
        vector: encodeVector(near(from / PER_DOCUMENT + index)),
        vectorSha: '',
        origin: 'mock' as const,
      })),
    });
  });
}

function xorshift(seed: number): () => number {
  let state = seed;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}
