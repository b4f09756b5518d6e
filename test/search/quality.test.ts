/** Offline search is useful: what it finds in three documents, 223 pages and 449 chunks, with mock embeddings. */
import { readFileSync } from 'node:fs';
import { LiteParse } from '@llamaindex/liteparse';
import { beforeAll, describe, expect, it } from 'vitest';
import { type Chunk, chunk, DEFAULT_CHUNK_OPTIONS } from '../../src/domain/chunker.ts';
import { assemble } from '../../src/domain/markdown.ts';
import { embedNgrams } from '../../src/domain/ngram-embedding.ts';
import { loadTokenizer } from '../../src/domain/tokens.ts';
import { searchSpace } from '../../src/search/query.ts';
import { addVectors } from '../../src/search/vector-index.ts';
import { MOCK_SPACE } from '../../src/services/embed/mock.ts';
import type { Store } from '../../src/store/open.ts';
import { putChunks, row, seeded, temporaryStore } from './library.ts';

const NAMES = ['benefits-guide', 'employee-handbook', 'policy'];
const PHRASE_WORDS = 8;

interface Library {
  chunks: Map<string, Chunk & { document: string }>;
  /** Page texts in plain words. */
  pages: { document: string; number: number; words: string[] }[];
}

const plain = (text: string) => (text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? []).join(' ');

async function readFixtures(): Promise<Library> {
  const tokens = await loadTokenizer();
  const library: Library = { chunks: new Map(), pages: [] };
  for (const name of NAMES) {
    const parser = new LiteParse({ ocrEnabled: false, outputFormat: 'markdown', imageMode: 'off', quiet: true });
    const parsed = await parser.parse(`fixtures/documents/${name}.pdf`);
    const pages = parsed.pages.map((page) => ({ number: page.pageNum, markdown: page.markdown ?? '' }));
    for (const { number, markdown } of pages) {
      const words = markdown
        .replace(/[#*|_`-]+/g, ' ')
        .split(/\s+/)
        .filter(Boolean);
      library.pages.push({ document: name, number, words });
    }
    const { markdown, pageStarts } = assemble(pages);
    for (const one of await chunk(markdown, pageStarts, DEFAULT_CHUNK_OPTIONS, tokens)) {
      library.chunks.set(`${name}-${one.ord}`, { ...one, document: name });
    }
  }
  return library;
}

async function indexed({ chunks }: Library): Promise<Store> {
  const store = await temporaryStore();
  await store.write(async (trx) => {
    for (const name of NAMES) {
      const own = [...chunks].filter(([, one]) => one.document === name);
      const texts = own.map(([, one]) => one);
      await putChunks(trx, name, own.length, (ord) => texts[ord] ?? { text: '', headingPath: [] });
      const rows = own.map(([id, one]) => row(id, embedNgrams(one.text)));
      await addVectors(trx, { spaceName: MOCK_SPACE.name, dimensions: MOCK_SPACE.dimensions, documentId: name, rows });
    }
  });
  return store;
}

/** Phrases of eight words that stand on one page only: of boilerplate that many pages repeat, no page is the right one. */
function drawPhrases({ pages }: Library, seed: number, count: number) {
  const random = seeded(seed);
  const texts = pages.map(({ words }) => plain(words.join(' ')));
  const drawn: { document: string; page: number; phrase: string }[] = [];
  while (drawn.length < count) {
    const document = NAMES[Math.floor(random() * NAMES.length)];
    const own = pages.filter((page) => page.document === document);
    const page = own[Math.floor(random() * own.length)];
    if (page === undefined || page.words.length < 2 * PHRASE_WORDS) continue;
    const start = Math.floor(random() * (page.words.length - PHRASE_WORDS));
    const phrase = page.words.slice(start, start + PHRASE_WORDS).join(' ');
    if (texts.filter((text) => text.includes(plain(phrase))).length !== 1) continue;
    drawn.push({ document: page.document, page: page.number, phrase });
  }
  return drawn;
}

describe('search over mock embeddings', () => {
  let library: Library;
  beforeAll(async () => {
    library = await readFixtures();
  });

  const top = async (store: Store, text: string, k: number) => {
    const { hits } = await searchSpace(store.db, { space: MOCK_SPACE.name, query: embedNgrams(text), text, k });
    return hits.flatMap((hit) => library.chunks.get(hit.chunkId) ?? []);
  };

  it('finds the page of 8 words from it first, in at least 18 of 20 cases, for each of 10 seeds', async () => {
    const store = await indexed(library);
    const found: number[] = [];
    for (let seed = 101; seed <= 110; seed += 1) {
      let right = 0;
      for (const { document, page, phrase } of drawPhrases(library, seed, 20)) {
        const [best] = await top(store, phrase, 1);
        if (best?.document === document && best.pageFrom <= page && page <= best.pageTo) right += 1;
      }
      found.push(right);
    }
    expect(Math.min(...found), `found of 20 for each seed: ${found.join(' ')}`).toBeGreaterThanOrEqual(18);
  });

  // What is found stays near what was measured (docs/decisions/0004-search.md): 16 of 20, and 32 of the 54 that were written
  // without a look at any result. What is missed shares no word with its answer.
  it.each([
    ['queries.json', 20, 14],
    ['queries-blind.json', 54, 31],
  ])('answers questions in other words among the first 3 (%s: of %i at least %i)', async (file, asked, least) => {
    const store = await indexed(library);
    const queries = JSON.parse(readFileSync(`fixtures/${file}`, 'utf8')) as {
      query: string;
      document: string;
      mustContain: string;
    }[];
    expect(queries).toHaveLength(asked);
    const missed: string[] = [];
    for (const { query, document, mustContain } of queries) {
      const best = await top(store, query, 3);
      const right = best.some(
        (one) => document.endsWith(`/${one.document}.pdf`) && plain(one.text).includes(plain(mustContain)),
      );
      if (!right) missed.push(query);
    }
    expect(asked - missed.length, `missed: ${missed.join('; ')}`).toBeGreaterThanOrEqual(least);
  });
});
