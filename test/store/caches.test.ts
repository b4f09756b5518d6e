/** What is remembered between jobs: parses, vectors, uploads, keys. */
import fc from 'fast-check';
import { describe, expect, it, onTestFinished } from 'vitest';
import { sha256 } from '../../src/base/hash.ts';
import { encodeVector, unit, vectorSha } from '../../src/domain/vector.ts';
import type { RemoteFiles } from '../../src/services/parse/llamaparse-submit.ts';
import { cachedVectors, forgetVectorsOf, rememberVectors, touchVectors } from '../../src/store/embedding-cache.ts';
import { appendKeyAudit } from '../../src/store/key-audit.ts';
import { openStore, type Store } from '../../src/store/open.ts';
import { cachedParse, forgetParsesOf, type ParseIdentity, rememberParse } from '../../src/store/parse-cache.ts';
import { createRemoteFiles, forgetRemoteFiles } from '../../src/store/remote-files.ts';
import { tempDirectory } from '../setup/temp.ts';
import { virtualClock } from '../setup/virtual-clock.ts';

function open(home = tempDirectory()): Store {
  const store = openStore({ home });
  onTestFinished(() => store.close());
  return store;
}

const FILE = 'f'.repeat(64);
const IDENTITY: ParseIdentity = {
  fileSha256: FILE,
  parserName: 'llamaparse',
  parserVersion: 'cost_effective@2026-08-19',
  origin: 'real',
  pages: 2,
};
const PAGES = [
  { number: 1, markdown: '# One' },
  { number: 2, markdown: '' },
];

describe('parse cache', () => {
  const remember = (store: Store, identity = IDENTITY, pages: object[] = PAGES) =>
    store.write((trx) => rememberParse(trx, identity, { pages: pages as typeof PAGES, credits: 6, now: 100 }));
  const look = (store: Store, identity = IDENTITY, now = 200) => store.write((trx) => cachedParse(trx, identity, now));

  it('gives back what was remembered, and counts its uses', async () => {
    const store = open();
    expect(await look(store)).toBeNull();
    await remember(store);
    expect(await look(store)).toEqual({ pages: PAGES, credits: 6, madeAt: 100 });
    await look(store, IDENTITY, 300);
    expect(await store.db.selectFrom('parse_cache').select(['uses', 'made_at', 'last_used_at']).execute()).toEqual([
      { uses: 2, made_at: 100, last_used_at: 300 },
    ]);
  });

  it('knows a parse by everything that changes it, and by nothing else', async () => {
    const store = open();
    await remember(store, { ...IDENTITY, targetPages: [1, 2], options: { a: 1, b: { c: 2, d: 3 } } });
    const same = { ...IDENTITY, targetPages: [2, 1, 2], options: { b: { d: 3, c: 2 }, a: 1 } };
    expect(await look(store, same)).not.toBeNull();
    const others: ParseIdentity[] = [
      { ...same, fileSha256: 'e'.repeat(64) },
      { ...same, parserName: 'mock-pdf' },
      { ...same, parserVersion: 'agentic@2026-09-07' },
      { ...same, origin: 'mock' },
      { ...same, pages: 3 },
      { ...same, targetPages: [1] },
      { ...same, options: { a: 1 } },
      IDENTITY,
    ];
    for (const other of others) expect(await look(store, other)).toBeNull();
  });

  it('does not remember a parse with a page that failed, is doubled, out of order or missing altogether', async () => {
    const store = open();
    const bad = [
      [],
      [{ number: 1, error: 'unreadable' }],
      [PAGES[0] ?? {}, { number: 2, error: 'unreadable' }],
      [...PAGES, { number: 2, markdown: 'again' }],
      [...PAGES].reverse(),
      [{ number: 0, markdown: 'x' }],
    ];
    for (const pages of bad) await remember(store, IDENTITY, pages);
    expect(await look(store)).toBeNull();
    await remember(store);
    for (const pages of bad) await remember(store, IDENTITY, pages);
    expect((await look(store))?.pages).toEqual(PAGES);
  });

  it('never uses a row that is damaged or of another file, and removes it', async () => {
    const damages: object[] = [
      { pages: '[{"number":1,"markdown":"# O' },
      { pages: 'null' },
      { pages: '[]' },
      { pages: '[null]' },
      { pages: '[{"number":"1","markdown":"x"}]' },
      { pages: '[{"number":1,"error":"x"}]' },
      { pages: '{"0":{"number":1,"markdown":"x"}}' },
      { file_sha256: 'e'.repeat(64) },
      { origin: 'mock' },
    ];
    for (const damage of damages) {
      const store = open();
      await remember(store);
      await store.db.updateTable('parse_cache').set(damage).execute();
      expect(await look(store), JSON.stringify(damage)).toBeNull();
      expect(await store.db.selectFrom('parse_cache').selectAll().execute()).toEqual([]);
    }
  });

  it('keeps the newest of two parses, and forgets all of a file', async () => {
    const store = open();
    await remember(store);
    await remember(store, IDENTITY, [{ number: 1, markdown: 'newer' }]);
    expect((await look(store))?.pages).toEqual([{ number: 1, markdown: 'newer' }]);
    await remember(store, { ...IDENTITY, pages: 9 });
    await remember(store, { ...IDENTITY, fileSha256: 'e'.repeat(64) });
    await store.write((trx) => forgetParsesOf(trx, FILE));
    expect(await store.db.selectFrom('parse_cache').select('file_sha256').execute()).toEqual([
      { file_sha256: 'e'.repeat(64) },
    ]);
  });
});

describe('embedding cache', () => {
  const SPACE = { name: 'openai/tiny/8', dimensions: 8 };
  const vectorOf = (text: string) =>
    encodeVector(unit([...sha256(text).slice(0, 8)].map((digit) => parseInt(digit, 16) + 1)));
  const entry = (text: string) => ({ chunkSha: sha256(text), vector: vectorOf(text), tokens: text.length });
  const remember = (store: Store, texts: readonly string[], now = 100, space = SPACE) =>
    store.write((trx) => rememberVectors(trx, space, texts.map(entry), now));

  it('gives back the same bytes for the same text and space, and nothing for others', async () => {
    const store = open();
    const texts = Array.from({ length: 500 }, (_, at) => `text ${at}`);
    await remember(store, texts);
    const found = await cachedVectors(
      store.db,
      SPACE,
      [...texts, 'unknown'].map((text) => sha256(text)),
    );
    expect(found.size).toBe(500);
    for (const text of texts) {
      const vector = vectorOf(text);
      expect(found.get(sha256(text))).toEqual({ vector, vectorSha: vectorSha(vector), tokens: text.length });
    }
    expect(await cachedVectors(store.db, { ...SPACE, name: 'openai/other/8' }, [sha256('text 1')])).toEqual(new Map());
    expect(await cachedVectors(store.db, SPACE, [])).toEqual(new Map());
  });

  it('never uses a vector whose bytes, length or hash are wrong, whatever was flipped', async () => {
    const store = open();
    await remember(store, ['a']);
    const whole = vectorOf('a');
    const look = async (damage: { vector?: Buffer; vector_sha?: string }) => {
      await store.db
        .updateTable('embedding_cache')
        .set({ vector: whole, vector_sha: vectorSha(whole), ...damage })
        .execute();
      return (await cachedVectors(store.db, SPACE, [sha256('a')])).size;
    };
    expect(await look({})).toBe(1);
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: 32 * 8 - 1 }), async (bit) => {
        const flipped = Buffer.from(whole);
        flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        expect(await look({ vector: flipped })).toBe(0);
      }),
      { numRuns: 50, seed: 20261125 },
    );
    for (const numbers of [
      Float32Array.from({ length: 8 }, () => 0),
      Float32Array.from({ length: 8 }, () => Number.NaN),
      Float32Array.from({ length: 8 }, () => 1),
      unit([1, 2, 3, 4]),
      unit(Array.from({ length: 16 }, () => 1)),
    ]) {
      const vector = encodeVector(numbers);
      expect(await look({ vector, vector_sha: vectorSha(vector) })).toBe(0);
    }
    expect(await look({ vector: whole.subarray(0, 31) })).toBe(0);
    expect(await look({ vector_sha: 'no hash' })).toBe(0);
  });

  it('replaces a damaged row by the next vector of the text', async () => {
    const store = open();
    await remember(store, ['a']);
    await store.db
      .updateTable('embedding_cache')
      .set({ vector_sha: '0'.repeat(64) })
      .execute();
    await remember(store, ['a'], 200);
    expect((await cachedVectors(store.db, SPACE, [sha256('a')])).size).toBe(1);
  });

  it('refuses to remember what it could not use', async () => {
    const store = open();
    const bad = [
      { ...entry('a'), chunkSha: 'a' },
      { ...entry('a'), vector: Buffer.alloc(32) },
      { ...entry('a'), vector: entry('a').vector.subarray(4) },
    ];
    for (const one of bad) {
      await expect(store.write((trx) => rememberVectors(trx, SPACE, [one], 1))).rejects.toThrow(RangeError);
    }
    expect(await store.db.selectFrom('embedding_cache').selectAll().execute()).toEqual([]);
  });

  it('notes when a vector was used, and forgets a text in every space', async () => {
    const store = open();
    const other = { ...SPACE, name: 'openai/other/8' };
    await remember(store, ['a', 'b']);
    await remember(store, ['a'], 100, other);
    await store.write((trx) => touchVectors(trx, SPACE.name, [sha256('a')], 300));
    const rows = () =>
      store.db
        .selectFrom('embedding_cache')
        .select(['embedding_space', 'chunk_sha', 'last_used_at'])
        .orderBy('last_used_at', 'desc')
        .orderBy('embedding_space')
        .execute();
    const row = (space: string, text: string, at: number) => ({
      embedding_space: space,
      chunk_sha: sha256(text),
      last_used_at: at,
    });
    expect(await rows()).toEqual([row(SPACE.name, 'a', 300), row(other.name, 'a', 100), row(SPACE.name, 'b', 100)]);
    await store.write((trx) => forgetVectorsOf(trx, [sha256('a')]));
    expect(await rows()).toEqual([row(SPACE.name, 'b', 100)]);
  });
});

describe('remembered uploads', () => {
  const HOUR = 3_600_000;
  const setUp = () => {
    const store = open();
    const clock = virtualClock(1000);
    const files: RemoteFiles = createRemoteFiles(store, clock);
    return { store, clock, files };
  };

  it('are found for 47 hours, to the millisecond, by the account that sent them', async () => {
    const { clock, files } = setUp();
    await files.put('aaaa', FILE, 'dfl-1');
    expect(await files.get('aaaa', FILE)).toBe('dfl-1');
    expect(await files.get('bbbb', FILE)).toBeNull();
    expect(await files.get('aaaa', 'e'.repeat(64))).toBeNull();
    clock.jump(47 * HOUR - 1);
    expect(await files.get('aaaa', FILE)).toBe('dfl-1');
    clock.jump(1);
    expect(await files.get('aaaa', FILE)).toBeNull();
  });

  it('do not get younger when they are remembered again, and give way to a new one', async () => {
    const { clock, files } = setUp();
    await files.put('aaaa', FILE, 'dfl-1');
    clock.jump(40 * HOUR);
    await files.put('aaaa', FILE, 'dfl-1');
    clock.jump(8 * HOUR);
    expect(await files.get('aaaa', FILE)).toBeNull();
    await files.put('aaaa', FILE, 'dfl-2');
    clock.jump(40 * HOUR);
    expect(await files.get('aaaa', FILE)).toBe('dfl-2');
  });

  it('are not trusted when the clock was set back behind them', async () => {
    const { clock, files } = setUp();
    await files.put('aaaa', FILE, 'dfl-1');
    clock.jump(-1);
    expect(await files.get('aaaa', FILE)).toBeNull();
  });

  it('are forgotten for one account or for all', async () => {
    const { store, files } = setUp();
    for (const account of ['aaaa', 'bbbb', 'cccc']) await files.put(account, FILE, 'dfl-1');
    await files.forget('aaaa', FILE);
    expect([await files.get('aaaa', FILE), await files.get('bbbb', FILE)]).toEqual([null, 'dfl-1']);
    await store.write((trx) => forgetRemoteFiles(trx, FILE));
    expect(await store.db.selectFrom('remote_files').selectAll().execute()).toEqual([]);
  });
});

describe('key audit', () => {
  const line = { at: 1, service: 'openai', fingerprint: '0123abcd', event: 'first_use', detail: 'key 1 of 2' } as const;
  const events = async (store: Store) =>
    (await store.db.selectFrom('key_audit').select(['at', 'event']).orderBy('at').execute()).map(({ at, event }) => [
      at,
      event,
    ]);

  it('has the first use of a key once, and every refusal and switch', async () => {
    const home = tempDirectory();
    const [one, other] = [open(home), open(home)];
    for (const [at, store] of [one, other, one].entries()) {
      await store.write((trx) => appendKeyAudit(trx, { ...line, at }));
      await store.write((trx) => appendKeyAudit(trx, { ...line, at: 10 + at, event: 'refused' }));
    }
    await one.write((trx) => appendKeyAudit(trx, { ...line, at: 20, event: 'switched' }));
    expect(await events(one)).toEqual([
      [0, 'first_use'],
      [10, 'refused'],
      [11, 'refused'],
      [12, 'refused'],
      [20, 'switched'],
    ]);
    await one.write((trx) => appendKeyAudit(trx, { ...line, at: 30, service: 'llamaparse' }));
    await one.write((trx) => appendKeyAudit(trx, { ...line, at: 31, fingerprint: '89abcdef' }));
    expect((await events(one)).slice(-2)).toEqual([
      [30, 'first_use'],
      [31, 'first_use'],
    ]);
  });

  it('takes fingerprints alone, short details, and is never changed', async () => {
    const store = open();
    const append = (changes: object) => store.write((trx) => appendKeyAudit(trx, { ...line, ...changes }));
    for (const fingerprint of ['sk-proj-0123456789', '0123ABCD', '0123abcd5', '']) {
      await expect(append({ fingerprint })).rejects.toThrow(RangeError);
    }
    await append({ detail: 'x'.repeat(1000) });
    expect((await store.db.selectFrom('key_audit').select('detail').executeTakeFirst())?.detail).toHaveLength(300);
    await expect(store.db.updateTable('key_audit').set({ detail: '' }).execute()).rejects.toThrow(/append-only/);
    await expect(store.db.deleteFrom('key_audit').execute()).rejects.toThrow(/append-only/);
  });
});
