import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { TvdbError } from '../../src/base/errors.ts';
import { sha256 } from '../../src/base/hash.ts';
import { storageUri } from '../../src/storage/local.ts';
import { eraseDocument } from '../../src/store/documents.ts';
import { eventsOfJob } from '../../src/store/events.ts';
import { moveJob } from '../../src/store/jobs/move.ts';
import { virtualClock } from '../setup/virtual-clock.ts';
import { memoryEmbedder, memoryParser, passing, pipeline, SPACE } from './harness.ts';

describe('a document on its way through the pipeline', () => {
  it('visits every status in order, under one correlation id, and ends searchable', async () => {
    const line = pipeline();
    const { job, state } = await line.upload('one');
    expect(state).toBe('accepted');
    expect((await line.drain()).stoppedBy).toBe('drained');
    const events = await eventsOfJob(line.store.db, job.job_id);
    expect(events.filter((event) => event.from_status !== event.to_status).map((event) => event.to_status)).toEqual([
      'uploaded',
      'parse_queued',
      'parsed',
      'parse_validated',
      'chunking',
      'chunks_stored',
      'embedding_queued',
      'embedding_in_progress',
      'embeddings_stored',
      'complete',
    ]);
    expect(new Set(events.map((event) => event.correlation_id))).toEqual(new Set([job.correlation_id]));
    const [after] = await line.jobs();
    expect(after).toMatchObject({
      status: 'complete',
      embedding_space: SPACE,
      parse_origin: 'mock',
      embed_origin: 'mock',
      lease_owner: null,
    });
    const rows = await line.rows();
    expect(rows).toMatchObject({ chunkBuffer: 0, vectorBuffer: 0, workers: 0 });
    expect(rows.vectors).toBe(rows.chunks);
    expect(rows.bits).toBe(rows.chunks);
    expect(rows.chunks).toBeGreaterThan(0);
  });

  it('leaves its markdown in storage, whole and under its hash', async () => {
    const line = pipeline();
    const { job, document } = await line.upload('one');
    await line.drain();
    const uri = storageUri({ bucket: 'parsed', userId: job.user_id, documentId: document.document_id, ext: 'md' });
    const markdown = readFileSync(line.deps.storage.pathOf(uri), 'utf8');
    expect(markdown).toContain('Text of page 3');
    expect((await line.jobs())[0]).toMatchObject({ parsed_path: uri, parsed_sha256: sha256(markdown) });
  });

  it('is a duplicate the second time, and done again with --force under the same ids', async () => {
    const line = pipeline();
    const first = await line.upload('one');
    await line.drain();
    const before = await line.rows();
    const second = await line.upload('one');
    expect(second).toMatchObject({ state: 'duplicate', job: { status: 'duplicate', duplicate_of: first.job.job_id } });
    expect(second.document.document_id).toBe(first.document.document_id);
    const third = await line.upload('one', { force: true });
    expect(third.state).toBe('accepted');
    await line.drain();
    expect(await line.rows()).toEqual(before);
  });

  it('is attached to when it is uploaded again while in flight (T06)', async () => {
    const line = pipeline();
    const first = await line.upload('one', { runId: 'run-1' });
    const second = await line.upload('one', { runId: 'run-2' });
    expect(second).toMatchObject({ state: 'attached', job: { job_id: first.job.job_id } });
    await line.drain({ scope: { runId: 'run-2' } });
    expect((await line.jobs()).map((job) => job.status)).toEqual(['complete']);
  });

  it('replaces the earlier version of its path only when it is complete', async () => {
    let fail = false;
    const embedder = memoryEmbedder();
    const flaky = {
      ...embedder,
      embed: (...args: Parameters<typeof embedder.embed>) =>
        fail ? Promise.reject(new TvdbError('E418', { message: 'bad' })) : embedder.embed(...args),
    };
    const line = pipeline({ embedder: flaky });
    const old = await line.upload('old', { path: '/a/file.pdf' });
    await line.drain();
    fail = true;
    const broken = await line.upload('new', { path: '/a/file.pdf' });
    await line.drain();
    const searchable = async () => [
      ...new Set(
        (await line.store.db.selectFrom('vectors').select('document_id').execute()).map((row) => row.document_id),
      ),
    ];
    expect(await searchable()).toEqual([old.document.document_id]);
    fail = false;
    await line
      .upload('newer', { path: '/a/file.pdf' })
      .then(({ document }) => expect(document.document_id).not.toBe(broken.document.document_id));
    await line.drain();
    expect(await searchable()).toHaveLength(1);
    expect(await searchable()).not.toContain(old.document.document_id);
    const again = await line.upload('old', { path: '/a/file.pdf' });
    expect(again.state).toBe('accepted');
    await line.drain();
    expect(await searchable()).toEqual([old.document.document_id]);
  });

  it('that is older never takes the place of a newer version, whichever ends first', async () => {
    const line = pipeline();
    const old = await line.upload('old', { path: '/a/file.pdf', priority: 0 });
    const young = await line.upload('new', { path: '/a/file.pdf', priority: 5 });
    await line.drain({ concurrency: 1 });
    const rows = await line.store.db.selectFrom('vectors').select('document_id').distinct().execute();
    expect(rows).toEqual([{ document_id: young.document.document_id }]);
    const documents = await line.store.db.selectFrom('documents').select(['document_id', 'superseded_by']).execute();
    expect(new Map(documents.map((row) => [row.document_id, row.superseded_by]))).toEqual(
      new Map([
        [old.document.document_id, young.document.document_id],
        [young.document.document_id, null],
      ]),
    );
    expect((await line.jobs()).map((job) => job.status)).toEqual(['complete', 'complete']);
  });

  it('is no duplicate of work whose chunks other chunk sizes have replaced', async () => {
    const line = pipeline();
    await line.upload('one');
    await line.drain();
    const other = pipeline({
      home: line.home,
      seed: 2,
      settings: { CHUNK_TARGET_TOKENS: 60, CHUNK_MAX_TOKENS: 90, CHUNK_OVERLAP_TOKENS: 10 },
    });
    expect((await other.upload('one')).state).toBe('accepted');
    await other.drain();
    expect((await line.upload('one')).state).toBe('accepted');
  });

  it('keeps its upload when it is deleted between its look-up and its acceptance', async () => {
    const line = pipeline();
    const first = await line.upload('one');
    await line.drain();
    const isWhole = line.deps.storage.isWhole;
    line.deps.storage.isWhole = async (...args) => {
      const whole = await isWhole.apply(line.deps.storage, args);
      await line.store.write((trx) => eraseDocument(trx, first.document.document_id));
      await line.deps.storage.remove(first.document.raw_path);
      line.deps.storage.isWhole = isWhole;
      return whole;
    };
    const again = await line.upload('one');
    expect(again.state).toBe('accepted');
    expect(again.document.document_id).not.toBe(first.document.document_id);
    await line.drain();
    expect((await line.jobs()).at(-1)?.status).toBe('complete');
    expect(await line.deps.storage.isWhole(again.document.raw_path, again.document.file_sha256)).toBe(true);
  });

  it('shares its parse with another job of the same bytes without disturbing it', async () => {
    const line = pipeline();
    await line.upload('one');
    await line.upload('one', { decision: line.deps.router.decide('hybrid') });
    await line.drain({ concurrency: 2 });
    expect((await line.jobs()).map((job) => job.status)).toEqual(['complete', 'complete']);
  });

  it('keeps both versions with --keep-old', async () => {
    const line = pipeline();
    await line.upload('old', { path: '/a/file.pdf' });
    await line.drain();
    await line.upload('new', { path: '/a/file.pdf', keepOld: true });
    await line.drain();
    const documents = await line.store.db.selectFrom('vectors').select('document_id').distinct().execute();
    expect(documents).toHaveLength(2);
  });
});

describe('failures', () => {
  it('are tried again up to the bound, then end the job with the error of the last try', async () => {
    const parser = memoryParser({
      async submit(_request, { leaving }) {
        await leaving?.();
        throw passing('the parser is busy');
      },
    });
    const line = pipeline({ parser, settings: { MAX_RETRIES: 2 } });
    const { job } = await line.upload('one');
    await line.drain();
    const events = await eventsOfJob(line.store.db, job.job_id);
    const codes = events.map((event) => event.code);
    expect(codes.filter((code) => code === 'PARSE_INTENT')).toHaveLength(3);
    expect(codes.at(-1)).toBe('FAILED');
    const [after] = await line.jobs();
    expect(after).toMatchObject({ status: 'failed_parse', lease_owner: null });
    expect(JSON.parse(after?.last_error ?? '')).toMatchObject({ code: 'TVDB-E306', message: 'the parser is busy' });
  });

  it('that cannot pass end the job at once', async () => {
    const parser = memoryParser({
      poll: async () => ({ state: 'failed', error: new TvdbError('E404', { message: 'locked' }) }),
    });
    const line = pipeline({ parser });
    await line.upload('one');
    await line.drain();
    expect((await line.jobs())[0]).toMatchObject({ status: 'failed_parse', retry_count: 0 });
  });

  it.each([
    ['too few vectors', async () => ({ vectors: [], tokensBilled: 0, model: 'm' })],
    [
      'a vector that is not finite',
      async (texts: readonly string[]) => ({
        vectors: texts.map(() => new Float32Array(8).fill(Number.NaN)),
        tokensBilled: 0,
        model: 'm',
      }),
    ],
    [
      'a zero vector',
      async (texts: readonly string[]) => ({
        vectors: texts.map(() => new Float32Array(8)),
        tokensBilled: 0,
        model: 'm',
      }),
    ],
    [
      'vectors of another size',
      async (texts: readonly string[]) => ({
        vectors: texts.map(() => new Float32Array([1])),
        tokensBilled: 0,
        model: 'm',
      }),
    ],
  ])('of the embedder are caught before anything is stored: %s', async (_, embed) => {
    const line = pipeline({ embedder: memoryEmbedder({ embed }) });
    await line.upload('one');
    await line.drain();
    expect((await line.jobs())[0]).toMatchObject({ status: 'failed_embedding' });
    expect(await line.rows()).toMatchObject({ vectorBuffer: 0, vectors: 0 });
  });

  it('of one document leave the others alone', async () => {
    const parser = memoryParser();
    const submit = parser.submit;
    let bad = '';
    parser.submit = (request, ...rest) =>
      request.documentId === bad
        ? Promise.reject(new TvdbError('E405', { message: 'damaged' }))
        : submit(request, ...rest);
    const line = pipeline({ parser });
    const documents = [];
    for (const content of ['a', 'b', 'c']) documents.push((await line.upload(content)).document.document_id);
    bad = documents[1] ?? '';
    await line.drain();
    expect((await line.jobs()).map((job) => job.status).sort()).toEqual(['complete', 'complete', 'failed_parse']);
  });

  it('a parse without all its pages does not pass as complete', async () => {
    const parser = memoryParser({
      fetchResult: async () => ({
        pages: [
          { number: 1, markdown: 'x' },
          { number: 2, error: 'unreadable' },
        ],
        creditsBilled: 0,
      }),
    });
    const line = pipeline({ parser });
    await line.upload('one');
    await line.drain();
    const [job] = await line.jobs();
    expect(job?.status).toBe('failed_parse');
    expect(JSON.parse(job?.last_error ?? '')).toMatchObject({
      code: 'TVDB-E419',
      why: expect.stringMatching(/failed: \d|missing: \d/),
    });
  });
});

describe('a parse that is lost', () => {
  it('is tried again only as often as allowed, even when the clock was set back', async () => {
    let now = Date.UTC(2026, 10, 23);
    const parser = memoryParser({ poll: async () => ({ state: 'gone' }) });
    const line = pipeline({
      parser,
      settings: { MAX_RETRIES: 3 },
      clock: { ...systemClock, now: () => (now -= 1000) },
    });
    await line.upload('one');
    await line.drain();
    expect(parser.submits).toHaveLength(4);
    expect(JSON.parse((await line.jobs())[0]?.last_error ?? '')).toMatchObject({ code: 'TVDB-E303' });
  });
});

describe('a batch that fails', () => {
  it('has tries of its own: those of earlier batches do not count', async () => {
    const embedder = memoryEmbedder();
    let calls = 0;
    const line = pipeline({
      embedder: {
        ...embedder,
        embed: (...args) => (++calls % 2 === 1 ? Promise.reject(passing()) : embedder.embed(...args)),
      },
      settings: { MAX_RETRIES: 1, EMBED_BATCH_SIZE: 1 },
    });
    await line.upload('one');
    await line.drain();
    expect((await line.jobs())[0]?.status).toBe('complete');
    expect(calls).toBeGreaterThan(4);
  });
});

describe('a worker', () => {
  it('stops working at a job within a second of its being cancelled', async () => {
    const clock = virtualClock();
    let entered = () => {};
    const working = new Promise<void>((resolve) => {
      entered = resolve;
    });
    const parser = memoryParser({
      poll: (_id, _wait, signal) =>
        new Promise((_resolve, reject) => {
          entered();
          signal.addEventListener('abort', () => reject(signal.reason));
        }),
    });
    const line = pipeline({ parser, clock });
    await line.upload('one');
    const drained = line.drain();
    await working;
    const [job] = await line.jobs();
    if (job === undefined) throw new Error('no job');
    await line.store.write((trx) =>
      moveJob(trx, { jobId: job.job_id, from: job.status, to: 'cancelled', fence: job.fence, now: 1, takeOver: true }),
    );
    await clock.advance(1_000);
    expect((await drained).stoppedBy).toBe('drained');
  });

  it('keeps its own leases when it slept over them', async () => {
    const clock = virtualClock();
    let entered = () => {};
    const working = new Promise<void>((resolve) => {
      entered = resolve;
    });
    let finish = () => {};
    const parser = memoryParser();
    const poll = parser.poll;
    parser.poll = (...args) =>
      new Promise((resolve, reject) => {
        finish = () => void poll(...args).then(resolve, reject);
        entered();
      });
    const line = pipeline({ parser, clock });
    await line.upload('one');
    const drained = line.drain();
    await working;
    clock.jump(10 * 60_000);
    await clock.advance(6_000);
    finish();
    await drained;
    expect((await line.jobs())[0]).toMatchObject({ status: 'complete', recoveries: 0 });
    expect(line.events.map((event) => event.code)).not.toContain('LEASE_RECLAIMED');
  });

  it('fails a job whose outcome cannot be written, and goes on with the others', async () => {
    const parser = memoryParser();
    const fetchResult = parser.fetchResult;
    let bad = true;
    parser.fetchResult = async (...args) => {
      const result = await fetchResult(...args);
      if (!bad) return result;
      bad = false;
      const circular: Record<string, unknown> = { number: 1, markdown: 'x' };
      circular.self = circular;
      return { ...result, pages: [circular as never] };
    };
    const line = pipeline({ parser });
    await line.upload('a');
    await line.upload('b');
    await line.drain({ concurrency: 1 });
    expect((await line.jobs()).map((job) => job.status).toSorted()).toEqual(['complete', 'failed_parse']);
  });

  it('writes nothing more to a job that the user cancelled meanwhile', async () => {
    const embedder = memoryEmbedder();
    const line = pipeline({
      embedder: {
        ...embedder,
        async embed(...args) {
          const [job] = await line.jobs();
          if (job !== undefined && job.status !== 'cancelled') {
            await line.store.write((trx) =>
              moveJob(trx, {
                jobId: job.job_id,
                from: job.status,
                to: 'cancelled',
                fence: job.fence,
                now: 1,
                takeOver: true,
              }),
            );
          }
          return embedder.embed(...args);
        },
      },
    });
    await line.upload('one');
    await line.drain();
    expect((await line.jobs())[0]?.status).toBe('cancelled');
    expect(await line.rows()).toMatchObject({ vectors: 0, vectorBuffer: 0 });
  });

  it('gives its jobs back when asked to stop, and the next one finishes without parsing again', async () => {
    const parser = memoryParser();
    const embedder = memoryEmbedder();
    const line = pipeline({
      parser,
      embedder: {
        ...embedder,
        async embed(...args) {
          line.signals.stopping.abort();
          return embedder.embed(...args);
        },
      },
    });
    await line.upload('one', { pages: 30 });
    expect((await line.drain()).stoppedBy).toBe('stopped');
    expect((await line.jobs())[0]).toMatchObject({ lease_owner: null, park_reason: null });
    const next = pipeline({ home: line.home, seed: 2, parser });
    await next.drain();
    expect((await next.jobs())[0]?.status).toBe('complete');
    expect(parser.submits).toHaveLength(1);
  });

  it('that dies of its store leaves no lease behind that the next one would have to wait for', async () => {
    const line = pipeline();
    await line.upload('one');
    let writes = 0;
    const store = {
      ...line.store,
      write: (async (run) => {
        writes += 1;
        if (writes === 5) throw new TvdbError('E503', { message: 'full' });
        return line.store.write(run);
      }) as typeof line.store.write,
    };
    const { work } = await import('../../src/pipeline/worker.ts');
    const signals = { abort: new AbortController().signal, stopping: new AbortController().signal };
    const deps = { ...line.deps, store };
    await expect(
      work(deps, { concurrency: 1, until: 'drain', waitForOthers: false, onEvent: () => {}, signals }),
    ).rejects.toMatchObject({ code: 'E503' });
    expect((await line.jobs())[0]?.lease_owner).not.toBeNull();
    await line.drain();
    expect((await line.jobs())[0]?.status).toBe('complete');
  });

  it('stops with E501 and keeps its job claimable when the store stays locked', async () => {
    const line = pipeline();
    await line.upload('one');
    const broken = {
      ...line.deps,
      store: { ...line.store, write: () => Promise.reject(new TvdbError('E501', { message: 'busy' })) },
    };
    const { work } = await import('../../src/pipeline/worker.ts');
    const signals = { abort: new AbortController().signal, stopping: new AbortController().signal };
    await expect(
      work(broken, { concurrency: 1, until: 'drain', waitForOthers: false, onEvent: () => {}, signals }),
    ).rejects.toMatchObject({ code: 'E501' });
    await line.drain();
    expect((await line.jobs())[0]?.status).toBe('complete');
  });
});

describe('a document that is deleted at its last step', () => {
  it('leaves no text behind in storage', async () => {
    const line = pipeline();
    const { job, document } = await line.upload('one');
    const write = line.deps.storage.write;
    const deleting = {
      ...line.deps.storage,
      async write(...args: Parameters<typeof write>) {
        await write.apply(line.deps.storage, args);
        const [current] = await line.jobs();
        await line.store.write(async (trx) => {
          if (current === undefined || current.status === 'cancelled') return;
          await moveJob(trx, {
            jobId: job.job_id,
            from: current.status,
            to: 'cancelled',
            fence: current.fence,
            now: 1,
            takeOver: true,
          });
          await eraseDocument(trx, document.document_id);
        });
      },
    };
    const { work } = await import('../../src/pipeline/worker.ts');
    const signals = { abort: new AbortController().signal, stopping: new AbortController().signal };
    const deps = { ...line.deps, storage: deleting };
    await work(deps, { concurrency: 1, until: 'drain', waitForOthers: false, onEvent: () => {}, signals });
    const uri = storageUri({ bucket: 'parsed', userId: job.user_id, documentId: document.document_id, ext: 'md' });
    expect(existsSync(line.deps.storage.pathOf(uri))).toBe(false);
  });
});
