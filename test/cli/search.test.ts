/** `tvdb search`: hits, filters, spaces, empty answers, hostile text. */
import { stripVTControlCharacters } from 'node:util';
import { beforeAll, describe, expect, it } from 'vitest';
import { encodeVector, unit, vectorSha } from '../../src/domain/vector.ts';
import { bestPassage } from '../../src/search/passage.ts';
import { addVectors } from '../../src/search/vector-index.ts';
import type { Store } from '../../src/store/open.ts';
import { runTvdb } from '../setup/run-tvdb.ts';
import { makeHome, type Seed, seed, storeAt } from './seeded-home.ts';

const SPACE = 'mock/hash-ngram@1/1536';
const OTHER = 'openai/text-embedding-3-small/1536';

/** Gives a document's first chunk a vector of another space, as a paid embedding would. */
async function addOtherSpace(store: Store, documentId: string): Promise<void> {
  const chunk = await store.db
    .selectFrom('document_chunks')
    .select('chunk_id')
    .where('document_id', '=', documentId)
    .orderBy('chunk_ord')
    .executeTakeFirstOrThrow();
  const vector = encodeVector(unit(Array.from({ length: 1536 }, (_zero, i) => (i % 7) - 3)));
  await store.write((trx) =>
    addVectors(trx, {
      spaceName: OTHER,
      dimensions: 1536,
      documentId,
      rows: [{ chunkId: chunk.chunk_id, vector, vectorSha: vectorSha(vector), origin: 'real' }],
    }),
  );
}

describe('a library of two documents', () => {
  let guide: Seed;
  let letter: Seed;
  const at = () => ({ home: guide.home });
  beforeAll(async () => {
    const home = makeHome();
    guide = await seed(home, ['benefits-guide.pdf'], { tags: { team: 'hr', year: '2026' } });
    letter = await seed(home, ['letter.pdf'], { tags: { team: 'legal' } });
  });

  it('says that hybrid without keys fell back to the mock (W302), labelled in JSON', async () => {
    const { json, stderr } = await runTvdb(['search', 'benefits', '-m', 'hybrid', '--json'], at());
    expect(json.data).toMatchObject({
      mode: 'hybrid',
      services: { openai: { use: 'mock', why: 'key_missing', fallback: true } },
    });
    expect(json.warnings).toMatchObject([{ code: 'TVDB-W302', message: expect.stringContaining('OPENAI_API_KEY') }]);
    expect(stderr).toContain('TVDB-W302');
    const asked = await runTvdb(['search', 'benefits', '-m', 'hybrid', '--space', SPACE, '--json'], at());
    expect([asked.json.data.services.openai.fallback, asked.json.warnings]).toEqual([false, []]);
    expect((await runTvdb(['search', 'benefits', '--json'], at())).json.warnings).toEqual([]);
  });

  it('finds a passage by its words: score, page, document, headings, text, at no cost', async () => {
    const { json, code } = await runTvdb(
      ['search', 'deductible carry-over of October, November and December', '-k', '3', '--json'],
      at(),
    );
    expect(code).toBe(0);
    expect(json.schema).toBe('tvdb.search/v1');
    expect(json.data).toMatchObject({
      k: 3,
      embedding_space: SPACE,
      cost: { total_nano_usd: 0, total_usd: 0 },
      excluded: [],
    });
    expect(json.data.searched_chunks).toBeGreaterThan(60);
    expect(json.data.results).toHaveLength(3);
    const [best] = json.data.results;
    expect(best).toMatchObject({
      rank: 1,
      filename: 'benefits-guide.pdf',
      document_id: guide.jobs[0]?.document_id,
      page: 5,
      origin: 'mock',
    });
    expect(json.data.results.map((hit: { text: string }) => hit.text).join(' ')).toContain(
      'October, November and December',
    );
    expect(json.data.ranked_by).toBe('hybrid');
    const order = json.data.results.map((hit: { relevance: number }) => hit.relevance);
    expect(order).toEqual([...order].sort((a, b) => b - a));
    const scores = json.data.results.map((hit: { score: number }) => hit.score);
    expect(Math.max(...scores)).toBeLessThanOrEqual(json.data.best_score);
  });

  it('shows at most three lines of each hit around the words that match, and all of it with --full', async () => {
    const query = 'broken wrist in March';
    const { stdout } = await runTvdb(['search', query, '-k', '1'], { ...at(), tty: true, cols: 80 });
    const lines = stripVTControlCharacters(stdout).trimEnd().split('\n');
    expect(lines[0]).toMatch(/^1 of \d+ chunks {3}space mock\/hash-ngram@1\/1536 {3}[\d.]+s {3}\$0\.0000$/);
    expect(lines[2]).toMatch(/^1 {2}0\.\d{3} {2}benefits-guide\.pdf {2}p\.5 {3}[0-9a-f]{8}#\d+ {3}mock$/);
    const passage = lines.slice(4);
    expect(passage.length).toBeLessThanOrEqual(3);
    expect(passage.join(' ')).toContain('wrist in March');
    const full = await runTvdb(['search', query, '-k', '1', '--full'], { ...at(), tty: true, cols: 80 });
    expect(stripVTControlCharacters(full.stdout).split('\n').length).toBeGreaterThan(lines.length);
  });

  it.each([30, 40, 60, 80, 200])('fits on a terminal of %i columns', async (cols) => {
    const { stdout } = await runTvdb(['search', 'annual deductible'], { ...at(), tty: true, cols });
    const text = stripVTControlCharacters(stdout);
    expect(Math.max(...text.split('\n').map((line) => line.length))).toBeLessThanOrEqual(cols);
    expect(text).toContain('benefits-guide.pdf');
  });

  it('is one row a hit in a pipe, and document ids with -q', async () => {
    const { stdout } = await runTvdb(['search', 'annual deductible', '-k', '4'], at());
    const rows = stdout
      .split('\n')
      .slice(0, -1)
      .map((line) => line.split('\t'));
    expect(rows.map(([rank]) => rank)).toEqual(['1', '2', '3', '4']);
    expect(rows.every((row) => row.length === 11)).toBe(true);
    const quiet = await runTvdb(['search', 'annual deductible', '-k', '4', '-q'], at());
    expect(quiet.stdout.trimEnd().split('\n')).toEqual([...new Set(rows.map((row) => row[4]))]);
  });

  it('--doc and --tag narrow to documents', async () => {
    const ids = async (...flags: string[]) => {
      const { json } = await runTvdb(['search', 'annual deductible', '-k', '50', '--json', ...flags], at());
      return [...new Set(json.data.results.map((hit: { document_id: string }) => hit.document_id))];
    };
    const [guideId, letterId] = [guide.jobs[0]?.document_id, letter.jobs[0]?.document_id];
    expect(await ids('--doc', letterId?.slice(0, 8) ?? '')).toEqual([letterId]);
    expect(await ids('--doc', letter.jobs[0]?.job_id ?? '')).toEqual([letterId]);
    expect(await ids('--tag', 'team=hr', '--tag', 'year=2026')).toEqual([guideId]);
    expect(await ids('--tag', 'team=legal', '--tag', 'year=2026')).toEqual([]);
    expect(await ids('--tag', 'team=hr', '--doc', letterId ?? '')).toEqual([]);
  });

  it('finds the code of a form by the code alone', async () => {
    const { json } = await runTvdb(['search', 'MC-204', '-k', '1', '--json'], at());
    expect(json.data.results[0].text).toContain('form MC-204');
  });

  it('reads the query from standard input with -', async () => {
    const piped = await runTvdb(['search', '-', '-q', '-k', '1'], { ...at(), stdin: 'annual deductible\n' });
    expect(piped.stdout.trimEnd()).toBe(guide.jobs[0]?.document_id);
  });

  it('--min-results is a gate: exit 9, the answer still there', async () => {
    const { code, json, stderr } = await runTvdb(
      ['search', 'annual deductible', '--min-score', '0.9', '--min-results', '1', '--json'],
      at(),
    );
    expect(code).toBe(9);
    expect(json).toMatchObject({ ok: false, exit_code: 9, data: { results: [] } });
    expect(stderr).toContain('TVDB-W306');
    expect((await runTvdb(['search', 'annual deductible', '--min-results', '5'], at())).code).toBe(0);
  });

  it('an answer emptied by --min-score says how near the nearest is and offers a score that finds it', async () => {
    const { code, stdout, stderr } = await runTvdb(['search', 'annual deductible', '--min-score', '0.95'], {
      ...at(),
      tty: true,
    });
    expect(code).toBe(0);
    expect(stripVTControlCharacters(stdout)).toMatch(
      /No hit: the nearest chunk scores 0\.\d+, and --min-score asks for 0\.95\./,
    );
    const offered = /--min-score (0\.\d+)/.exec(stripVTControlCharacters(stderr))?.[1] ?? '';
    expect((await runTvdb(['search', 'annual deductible', '--min-score', offered, '-q'], at())).stdout).not.toBe('');
  });

  it.each([['   '], ['\u200b\u202e']])('an empty query is exit 2 (%j)', async (query) => {
    const { code, json } = await runTvdb(['search', query, '--json'], at());
    expect(code).toBe(2);
    expect(json.error.code).toBe('TVDB-E505');
  });

  it('an unknown space is exit 2 with the list of spaces', async () => {
    const { code, json } = await runTvdb(['search', 'x', '--space', 'mock/nothing/8', '--json'], at());
    expect(code).toBe(2);
    expect(json.error).toMatchObject({ code: 'TVDB-E504', facts: { spaces: [SPACE] } });
  });

  it('an unknown document is exit 2', async () => {
    expect((await runTvdb(['search', 'x', '--doc', 'ffffffff-ffff'], at())).code).toBe(2);
  });

  it('modes without a usable service are exit 4 and compare nothing', async () => {
    const { code, json } = await runTvdb(['search', 'x', '--mode', 'real', '--json'], at());
    expect(code).toBe(4);
    expect(json.error.code).toBe('TVDB-E101');
  });
});

describe('two spaces', () => {
  it('are never mixed: the other one is counted, named in a warning, and not searched', async () => {
    const { home, jobs } = await seed(makeHome(), ['letter.pdf']);
    await storeAt(home, (store) => addOtherSpace(store, jobs[0]?.document_id ?? ''));
    const { json, stderr } = await runTvdb(['search', 'letter', '--json'], { home });
    expect(json.data.excluded).toEqual([{ embedding_space: OTHER, chunks: 1 }]);
    expect(json.data.results.every((hit: { origin: string }) => hit.origin === 'mock')).toBe(true);
    expect(json.warnings).toMatchObject([{ code: 'TVDB-W305' }]);
    expect(stderr).toContain(`(--space ${OTHER})`);
    const wanted = await runTvdb(['search', 'letter', '--space', OTHER, '--json'], { home });
    expect(wanted.code).toBe(4);

    await storeAt(home, (store) => store.db.deleteFrom('vectors').where('origin', '=', 'mock').execute());
    const empty = await runTvdb(['search', 'letter'], { home, tty: true, cols: 200 });
    expect(stripVTControlCharacters(empty.stdout)).toContain(`nothing is in space ${SPACE}; 1 chunk in ${OTHER}`);
  });
});

describe('an empty store', () => {
  it('has the same envelope, explains, and is exit 0', async () => {
    const { code, json } = await runTvdb(['search', 'deductible', '--json']);
    expect(code).toBe(0);
    expect(json.data).toMatchObject({
      query: 'deductible',
      searched_chunks: 0,
      best_score: null,
      excluded: [],
      results: [],
    });
    const rich = await runTvdb(['search', 'deductible'], { tty: true });
    expect(rich.stdout).toContain('No hit: nothing is searchable yet.');
    expect(stripVTControlCharacters(rich.stderr)).toContain('next   tvdb status');
  });
});

describe('hostile text', () => {
  it('in a document, its headings, its name and the query is shown, not obeyed', async () => {
    const { home } = await seed(makeHome(), ['letter.pdf']);
    const evil = 'x\x1b[2J\x1b]0;t\x07\u202ey\u009b31m';
    await storeAt(home, async (store) => {
      await store.db
        .updateTable('document_chunks')
        .set({ text: `letter ${evil}`, heading_path: JSON.stringify([evil]) })
        .execute();
      await store.db.updateTable('documents').set({ filename: evil }).execute();
    });
    for (const tty of [true, false]) {
      const { stdout } = await runTvdb(['search', 'letter', '--full'], { home, tty, env: { NO_COLOR: '1' } });
      expect(stdout).toContain('\\x1b[2J');
      for (const byte of ['\x1b', '\x07', '\u202e', '\u009b']) expect(stdout).not.toContain(byte);
    }
  });
});

describe('bestPassage', () => {
  const filler = 'Lorem ipsum dolor sit amet consectetur. '.repeat(30);

  it('is around the place with most different words of the query', () => {
    const text = `Deductible. ${filler}The annual deductible is what you pay first. ${filler}`;
    const { text: passage, cutBefore, cutAfter } = bestPassage(text, 'what is the annual deductible', 120);
    expect(passage).toContain('The annual deductible is what you pay first.');
    expect(passage.length).toBeLessThanOrEqual(120);
    expect([cutBefore, cutAfter]).toEqual([true, true]);
  });

  it('begins at the beginning when no word is there, and is the whole of a short text', () => {
    expect(bestPassage(filler, 'quantum', 80)).toMatchObject({ cutBefore: false, cutAfter: true });
    expect(bestPassage('Short.\n\ntext', 'quantum', 80)).toEqual({
      text: 'Short. text',
      cutBefore: false,
      cutAfter: false,
    });
  });

  it('leaves out the bars and rules of tables', () => {
    expect(bestPassage('## Copays\n\n| Visit | $25 |\n|---|---|\n| Urgent | $60 |', 'x', 100).text).toBe(
      'Copays Visit $25 Urgent $60',
    );
  });

  it('finds words of scripts without spaces and never cuts a surrogate pair', () => {
    const text = `${'説明'.repeat(100)}保険料${'説明'.repeat(100)}`;
    expect(bestPassage(text, '保険料', 60).text).toContain('保険料');
    const emoji = '😀'.repeat(100);
    expect(bestPassage(emoji, 'x', 61).text).toMatch(/^(😀)+$/u);
  });
});
