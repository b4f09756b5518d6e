/** What is done about a parse that calls itself complete and is not, and what is remembered of one that is. */
import { describe, expect, it } from 'vitest';
import type { ParsedPage } from '../../src/domain/parsed-page.ts';
import { deleteDocument } from '../../src/pipeline/delete.ts';
import { retryJob } from '../../src/pipeline/retry.ts';
import { createRemoteFiles } from '../../src/store/remote-files.ts';
import {
  attemptsOf,
  codesOf,
  crash,
  expectSound,
  finish,
  noAnswer,
  type PaidParserOptions,
  paidLine,
  settle,
  until,
} from './paid-services.ts';

const good = (number: number): ParsedPage => ({ number, markdown: `# Page ${number}\n\nText of page ${number}.` });
const failed = (number: number): ParsedPage => ({ number, error: 'it could not be read' });
const blank = (number: number): ParsedPage => ({ number, markdown: '' });
const cut = (number: number): ParsedPage => ({ number, markdown: 'text', cut: true });

async function parsed(
  page: NonNullable<PaidParserOptions['page']>,
  policy: 'retry-failed-pages' | 'fail' | 'accept' = 'retry-failed-pages',
) {
  const line = paidLine({ paid: { page }, settings: { PARSE_INCOMPLETE: policy } });
  await line.upload('one', { mode: 'real' });
  await finish(line);
  await expectSound(line);
  const [job] = await line.jobs();
  const parses = await line.store.db.selectFrom('parses').selectAll().execute();
  return { ...line, job, parse: parses[0] };
}

describe('a parse with pages that failed', () => {
  it('asks once more for exactly those pages, and puts them in their place', async () => {
    const line = await parsed((number, reading) => (number === 2 && reading === 1 ? failed(2) : good(number)));
    expect(line.remote.requests.map(({ targetPages }) => targetPages)).toEqual([undefined, [2]]);
    expect(line.job?.status).toBe('complete');
    expect(JSON.parse(line.parse?.pages ?? '')).toEqual([good(1), good(2), good(3)]);
    expect(line.parse?.incomplete_pages).toBeNull();
    expect(await attemptsOf(line, 'parse')).toMatchObject([
      { operation: 'parse', units: 3, billed_units: 9 },
      { operation: 'parse_pages', units: 1, billed_units: 3 },
    ]);
  });

  it('that fail again fails the job with E419 and the list, after two requests and no more', async () => {
    const line = await parsed((number) => (number === 2 ? failed(2) : good(number)));
    expect(line.remote.posts).toHaveLength(2);
    expect(line.job?.status).toBe('failed_parse');
    expect(JSON.parse(line.job?.last_error ?? '')).toMatchObject({ code: 'TVDB-E419', why: 'failed: 2' });
  });

  it('does not ask again for pages under the policy `fail`', async () => {
    const line = await parsed((number) => (number === 2 ? failed(2) : good(number)), 'fail');
    expect(line.remote.posts).toHaveLength(1);
    expect(line.job?.status).toBe('failed_parse');
  });

  it('passes under the policy `accept`, labelled, and is not kept for others', async () => {
    const line = await parsed((number) => (number === 2 ? failed(2) : good(number)), 'accept');
    expect(line.remote.posts).toHaveLength(1);
    expect(line.job?.status).toBe('complete');
    expect(line.parse?.incomplete_pages).toBe('[2]');
    expect(await line.store.db.selectFrom('parse_cache').selectAll().execute()).toEqual([]);
    const label = line.events.find(({ code }) => code === 'PARSE_INCOMPLETE');
    expect(JSON.parse(label?.data ?? '')).toMatchObject({ accepted: true, failed_pages: [2] });
  });

  it('asks for the pages again after a request for them failed in passing, never for the whole document', async () => {
    const line = paidLine({
      paid: {
        page: (number, reading) => (number === 2 && reading === 1 ? failed(2) : good(number)),
        onSubmit: async (create, nth) => (nth === 2 ? Promise.reject(noAnswer()) : create()),
      },
    });
    await line.upload('one', { mode: 'real' });
    await finish(line);
    expect(line.remote.requests.map(({ targetPages }) => targetPages)).toEqual([undefined, [2], [2]]);
    expect(await line.jobs()).toMatchObject([{ status: 'complete' }]);
  });

  it('keeps to the paid service for the missing pages, even in hybrid and while it rests', async () => {
    let open = false;
    const line = paidLine({
      stateOf: async () => ({ open, why: open ? 'breaker_open' : 'ok', retryAt: null }),
      paid: {
        page: (number, reading) => (number === 2 && reading === 1 ? failed(2) : good(number)),
        onFetch: () => {
          open = true;
        },
      },
    });
    await line.upload('one', { mode: 'hybrid' });
    await finish(line);
    expect(line.remote.requests.map(({ targetPages }) => targetPages)).toEqual([undefined, [2]]);
    expect(await line.jobs()).toMatchObject([{ parse_origin: 'real' }]);
  });
});

describe('a parse with blank pages', () => {
  it('is taken at its word after a second reading, and says so', async () => {
    const line = await parsed((number) => (number === 3 ? blank(3) : good(number)));
    expect(line.remote.requests.map(({ targetPages }) => targetPages)).toEqual([undefined, [3]]);
    expect(line.job?.status).toBe('complete');
    expect(line.parse?.incomplete_pages).toBe('[3]');
  });

  it('gets the text of a page that only the first reading found blank', async () => {
    const line = await parsed((number, reading) => (number === 3 && reading === 1 ? blank(3) : good(number)));
    expect(JSON.parse(line.parse?.pages ?? '')).toEqual([good(1), good(2), good(3)]);
    expect(line.parse?.incomplete_pages).toBeNull();
  });

  it('is not read again when it comes out of the cache', async () => {
    const line = await parsed((number) => (number === 3 ? blank(3) : good(number)));
    await line.upload('one', { mode: 'real', force: true });
    await finish(line);
    expect((await line.jobs()).map(({ status }) => status)).toEqual(['complete', 'complete']);
    expect(line.remote.posts).toHaveLength(2);
  });
});

describe('a parse with a page that was cut', () => {
  it('fails at once: it would be cut again', async () => {
    const line = await parsed((number) => (number === 1 ? cut(1) : number === 2 ? failed(2) : good(number)));
    expect(line.remote.posts).toHaveLength(1);
    expect(line.job?.status).toBe('failed_parse');
    expect(JSON.parse(line.job?.last_error ?? '')).toMatchObject({ why: 'failed: 2; cut at 64 KB: 1' });
  });

  it('is made anew as a whole by `tvdb retry`', async () => {
    const line = await parsed((number, reading) => (number === 1 && reading === 1 ? cut(1) : good(number)));
    await retryJob(line.deps, line.job?.job_id ?? '', 'run', () => {});
    await finish(line);
    expect(line.remote.requests.map(({ targetPages }) => targetPages)).toEqual([undefined, undefined]);
    expect(await line.jobs()).toMatchObject([{ status: 'complete' }]);
  });
});

describe('the parse cache', () => {
  it('answers a second identical parse: 0 requests, and the vectors cost nothing either', async () => {
    const line = await parsed(good);
    await line.upload('one', { mode: 'real', force: true });
    await finish(line);
    expect((await line.jobs()).map(({ status }) => status)).toEqual(['complete', 'complete']);
    expect(line.remote.posts).toHaveLength(1);
    expect(line.embedding.requests).toHaveLength(1);
    expect(codesOf(line)).toEqual(expect.arrayContaining(['PARSE_CACHE_HIT', 'EMBED_CACHE_HIT']));
  });

  it('is passed by with `--no-cache`: both services are paid again', async () => {
    const line = await parsed(good);
    await line.clock.advance(10);
    await line.upload('one', { mode: 'real', force: true, noCache: true });
    await finish(line);
    expect(line.remote.posts).toHaveLength(2);
    expect(line.remote.requests[1]).toMatchObject({ disableCache: true });
    expect(line.embedding.requests).toHaveLength(2);
  });

  it('gives a job with `--no-cache` its own vectors back after a crash: nothing is paid a third time', async () => {
    const line = await parsed(good);
    await line.clock.advance(10);
    await line.upload('one', { mode: 'real', force: true, noCache: true });
    const { write } = line.store;
    // It dies right after the answer was committed, before the job has stored its part.
    line.deps.store.write = async (run) => {
      const result = await write(run);
      if (line.embedding.requests.length === 2) {
        const [last] = (await attemptsOf(line, 'embed')).slice(-1);
        if (last?.outcome === 'ok') return new Promise(() => {});
      }
      return result;
    };
    void line.drain().catch(() => {});
    await until(
      line.clock,
      async () => (await attemptsOf(line, 'embed')).filter(({ outcome }) => outcome === 'ok').length === 2,
      500,
    );
    const next = crash(line);
    await finish(next);
    expect((await next.jobs()).map(({ status }) => status)).toEqual(['complete', 'complete']);
    expect(line.remote.posts).toHaveLength(2);
    expect(line.embedding.requests).toHaveLength(2);
  });
});

describe('deleting a document', () => {
  const remembered = async ({ store }: Awaited<ReturnType<typeof parsed>>) => ({
    parses: (await store.db.selectFrom('parse_cache').selectAll().execute()).length,
    vectors: (await store.db.selectFrom('embedding_cache').selectAll().execute()).length,
    files: (await store.db.selectFrom('remote_files').selectAll().execute()).length,
  });

  async function twoDocuments() {
    const line = await parsed(good);
    // Another document with the same texts.
    const other = await line.upload('two', { mode: 'real' });
    await finish(line);
    const files = createRemoteFiles(line.store, line.clock);
    const documents = await line.store.db.selectFrom('documents').selectAll().execute();
    for (const { file_sha256: sha } of documents) await files.put('account', sha, `file-${sha.slice(0, 4)}`);
    return { line, first: line.job?.document_id ?? '', second: other.document.document_id };
  }

  it('forgets its parse, its upload and its vectors, but not what another document has too', async () => {
    const { line, first, second } = await twoDocuments();
    expect(await remembered(line)).toMatchObject({ parses: 2, files: 2 });
    const { vectors } = await remembered(line);
    await deleteDocument(line.deps, first, () => {}, new AbortController().signal);
    expect(await remembered(line)).toEqual({ parses: 1, vectors, files: 1 });
    await deleteDocument(line.deps, second, () => {}, new AbortController().signal);
    expect(await remembered(line)).toEqual({ parses: 0, vectors: 0, files: 0 });
  });

  it('leaves no vector behind when the answer to its request comes after it', async () => {
    let answer = () => {};
    const line = paidLine({
      paidEmbed: {
        onEmbed: () =>
          new Promise((resolve) => {
            answer = () => resolve(undefined);
          }),
      },
    });
    const { document } = await line.upload('one', { mode: 'real' });
    const running = line.drain();
    await until(line.clock, () => line.embedding.requests.length === 1, 500);
    await deleteDocument(line.deps, document.document_id, () => {}, new AbortController().signal);
    answer();
    await settle(line.clock, running);
    expect(await attemptsOf(line, 'embed')).toMatchObject([{ outcome: 'ok' }]);
    expect(await line.store.db.selectFrom('embedding_cache').selectAll().execute()).toEqual([]);
  });
});
