/** Embedding requests that several documents share: what goes into one, when it leaves, and what a failure does to whom. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TvdbError } from '../../src/base/errors.ts';
import { sha256 } from '../../src/base/hash.ts';
import type { Settings } from '../../src/config/variables.ts';
import { cancelJob } from '../../src/pipeline/cancel.ts';
import { createEmbedBatcher } from '../../src/pipeline/embed-batcher.ts';
import type { EmbedAsk } from '../../src/pipeline/embed-request.ts';
import { insertDocument } from '../../src/store/documents.ts';
import { LostLeaseError } from '../../src/store/jobs/move.ts';
import type { BufferedChunk } from '../../src/store/schema.ts';
import { documentRow, jobRow } from '../setup/jobs.ts';
import {
  attemptsOf,
  codesOf,
  crash,
  expectSound,
  finish,
  type PaidEmbedderOptions,
  paidLine,
  problem,
  rateLimited,
  settle,
  until,
  vectorOf,
} from './paid-services.ts';

/** A batcher over a store in which jobs exist; `ask` makes what a job asks for. */
async function batching({ settings, ...paidEmbed }: PaidEmbedderOptions & { settings?: Partial<Settings> } = {}) {
  const line = paidLine({ paidEmbed, ...(settings && { settings }) });
  const abort = new AbortController();
  const batcher = createEmbedBatcher(line.deps, 'run', abort.signal);
  const held = new Map<string, boolean>();
  let made = 0;
  const ask = async (
    texts: readonly (string | [string, number])[],
    costCenter: string | null = null,
  ): Promise<EmbedAsk> => {
    made += 1;
    const { ids } = line.deps;
    const document = documentRow(ids);
    const job = jobRow(ids, document, { cost_center: costCenter, correlation_id: `c${made}` });
    await line.store.write(async (trx) => {
      await insertDocument(trx, document);
      await trx.insertInto('upload_jobs').values(job).execute();
    });
    held.set(job.job_id, true);
    const chunks = texts.map((one, ord): BufferedChunk => {
      const [text, tokens] = typeof one === 'string' ? [one, 10] : one;
      return {
        job_id: job.job_id,
        chunk_id: `${job.job_id}-${ord}`,
        chunk_ord: ord,
        chunker: 'test',
        text,
        chunk_sha: sha256(text),
        page_from: 1,
        page_to: 1,
        heading_path: '[]',
        token_count: tokens,
      };
    });
    return {
      job: {
        job_id: job.job_id,
        correlation_id: job.correlation_id,
        cost_center: costCenter,
        run_id: 'run',
        consent_nano_usd: 1_000_000_000,
      },
      service: line.embedding,
      chunks,
      held: async () => held.get(job.job_id) === true,
    };
  };
  /** Asks until every chunk has its vector, as a document does. */
  const all = async (wanted: EmbedAsk): Promise<Map<string, Buffer>> => {
    const got = new Map<string, Buffer>();
    for (let rest = wanted.chunks; rest.length > 0; rest = wanted.chunks.filter(({ chunk_id: id }) => !got.has(id))) {
      const part = await batcher.embed({ ...wanted, chunks: rest });
      expect(part.chunks.length).toBe(part.vectors.length);
      for (const [index, chunk] of part.chunks.entries()) {
        expect(got.has(chunk.chunk_id)).toBe(false);
        got.set(chunk.chunk_id, part.vectors[index] ?? Buffer.alloc(0));
      }
    }
    return got;
  };
  return { line, batcher, ask, all, held, abort };
}

const bytesOf = (text: string) => Buffer.from(vectorOf(text).buffer);

describe('a request that documents share', () => {
  it('carries the chunks of all that wait, is one attempt with the share of each, and gives everybody his own vectors', async () => {
    const { line, batcher, ask } = await batching();
    const asks = [await ask(['a1', 'a2']), await ask(['b1']), await ask(['c1', 'c2', 'c3'])];
    const parts = Promise.all(asks.map((one) => batcher.embed(one)));
    expect(batcher.waiting).toBe(3);
    batcher.flush();
    const got = await settle(line.clock, parts);
    expect(line.embedding.requests.map(({ texts }) => texts)).toEqual([['a1', 'a2', 'b1', 'c1', 'c2', 'c3']]);
    expect(got.map(({ vectors }) => vectors)).toEqual([
      ['a1', 'a2'].map(bytesOf),
      ['b1'].map(bytesOf),
      ['c1', 'c2', 'c3'].map(bytesOf),
    ]);
    expect(await attemptsOf(line)).toMatchObject([
      { job_id: asks[0]?.job.job_id, units: 60, billed_units: 60, outcome: 'ok', run_id: 'run' },
    ]);
    const shares = await line.store.db.selectFrom('attempt_shares').select(['job_id', 'units']).execute();
    expect(new Map(shares.map(({ job_id: id, units }) => [id, units]))).toEqual(
      new Map([
        [asks[1]?.job.job_id, 10],
        [asks[2]?.job.job_id, 30],
      ]),
    );
  });

  it('respects both limits, and every chunk is sent exactly once, for any documents', async () => {
    const documents = fc.array(fc.array(fc.integer({ min: 1, max: 8_191 }), { minLength: 1, maxLength: 12 }), {
      minLength: 1,
      maxLength: 5,
    });
    await fc.assert(
      fc.asyncProperty(documents, fc.integer({ min: 1, max: 9 }), async (counts, most) => {
        const { line, ask, all } = await batching({ settings: { EMBED_BATCH_SIZE: most, EMBED_BATCH_TOKENS: 10_000 } });
        const asks: EmbedAsk[] = [];
        for (const [index, tokens] of counts.entries())
          asks.push(await ask(tokens.map((count, ord) => [`text ${index} ${ord}`, count])));
        const got = await settle(line.clock, Promise.all(asks.map(all)));
        expect(got.map(({ size }) => size)).toEqual(counts.map(({ length }) => length));
        const tokensOf = new Map(asks.flatMap(({ chunks }) => chunks.map((chunk) => [chunk.text, chunk.token_count])));
        for (const { texts } of line.embedding.requests) {
          expect(texts.length).toBeLessThanOrEqual(most);
          expect(texts.reduce((sum, text) => sum + (tokensOf.get(text) ?? 0), 0)).toBeLessThanOrEqual(10_000);
        }
        const sent = line.embedding.requests.flatMap(({ texts }) => texts);
        expect(sent.toSorted()).toEqual([...tokensOf.keys()].toSorted());
        for (const [index, one] of asks.entries())
          for (const chunk of one.chunks) expect(got[index]?.get(chunk.chunk_id)).toEqual(bytesOf(chunk.text));
      }),
      { numRuns: 15 },
    );
  });

  it('sends a text that stands in several chunks once', async () => {
    const { line, ask, all } = await batching();
    const got = await settle(
      line.clock,
      Promise.all([all(await ask(['same', 'other', 'same'])), all(await ask(['same']))]),
    );
    expect(line.embedding.requests.map(({ texts }) => texts)).toEqual([['same', 'other']]);
    expect(got.map((one) => [...one.values()])).toEqual([['same', 'other', 'same'].map(bytesOf), [bytesOf('same')]]);
  });

  it('is never shared between cost centers', async () => {
    const { line, batcher, ask, all } = await batching();
    const done = Promise.all([
      all(await ask(['a'], 'north')),
      all(await ask(['b'], 'south')),
      all(await ask(['c'], 'north')),
    ]);
    batcher.flush();
    await settle(line.clock, done);
    expect(line.embedding.requests.map(({ texts }) => texts)).toEqual([['a', 'c'], ['b']]);
  });

  it('leaves when it is full, else after the linger, else when told that nobody joins', async () => {
    const { line, batcher, ask, all } = await batching({ settings: { EMBED_BATCH_SIZE: 2, EMBED_LINGER: 7_000 } });
    const done = all(await ask(['a', 'b', 'c']));
    await until(line.clock, () => batcher.waiting === 1 && line.embedding.requests.length === 1);
    await line.clock.advance(6_900);
    expect(line.embedding.requests).toHaveLength(1);
    await line.clock.advance(200);
    await settle(line.clock, done, 0);
    expect(line.embedding.requests.map(({ texts }) => texts)).toEqual([['a', 'b'], ['c']]);
    const last = all(await ask(['d']));
    batcher.close();
    await settle(line.clock, last, 0);
    // Nobody waits any more once it is closed.
    await settle(line.clock, all(await ask(['e'])), 0);
    expect(line.embedding.requests).toHaveLength(4);
  });

  it('goes without a job that was lost, also when it was lost while the request waited for its turn', async () => {
    const { line, batcher, ask, held } = await batching();
    const [a, b, c] = [await ask(['a']), await ask(['b']), await ask(['c'])];
    const { embed } = line.embedding;
    let turns = 0;
    line.embedding.embed = async (texts, attempt, signal) => {
      turns += 1;
      if (turns === 1) held.set(b.job.job_id, false);
      return embed(texts, attempt, signal);
    };
    held.set(a.job.job_id, false);
    const ends = Promise.allSettled([a, b, c].map((one) => batcher.embed(one)));
    batcher.flush();
    const [first, second, third] = await settle(line.clock, ends);
    expect(first).toMatchObject({ reason: expect.any(LostLeaseError) as unknown });
    expect(second).toMatchObject({ reason: expect.any(LostLeaseError) as unknown });
    expect(third).toMatchObject({ status: 'fulfilled', value: { vectors: [bytesOf('c')] } });
    expect(line.embedding.requests.map(({ texts }) => texts)).toEqual([['c']]);
    expect(await attemptsOf(line)).toMatchObject([{ job_id: c.job.job_id, outcome: 'ok' }]);
  });
});

describe('a request that is refused', () => {
  it('for its size is halved until it fits, and that ends, whatever fits', async () => {
    for (const fits of [1, 2, 5]) {
      const { line, ask, all } = await batching({
        onEmbed: async (texts) =>
          texts.length > fits ? Promise.reject(problem('E309', 'too large', { too_large: true })) : undefined,
      });
      const asks = [await ask(['a', 'b', 'c', 'd', 'e', 'f', 'g']), await ask(['h', 'i'])];
      const got = await settle(line.clock, Promise.all(asks.map(all)));
      expect(got.map(({ size }) => size)).toEqual([7, 2]);
      expect(line.embedding.requests.length).toBeLessThan(20);
      const taken = line.embedding.requests.filter(({ texts }) => texts.length <= fits).flatMap(({ texts }) => texts);
      expect(taken.toSorted()).toEqual(['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i']);
    }
  });

  it('for its size makes the next ones smaller for a while; then they grow back to what is configured', async () => {
    const { line, ask, all } = await batching({
      settings: { EMBED_BATCH_SIZE: 16, EMBED_LINGER: 1_000 },
      // Once: the texts of that one were heavier than we had counted.
      onEmbed: async (texts, nth) =>
        nth === 1 ? Promise.reject(problem('E309', `${texts.length} are too large`, { too_large: true })) : undefined,
    });
    const texts = Array.from({ length: 800 }, (_, index) => `text ${index}`);
    const got = await settle(line.clock, all(await ask(texts)));
    expect(got.size).toBe(800);
    const sizes = line.embedding.requests.map((one) => one.texts.length);
    const steps = sizes.filter((size, index) => size !== sizes[index - 1]);
    // The last one has what was left.
    expect(steps.slice(0, 6)).toEqual([16, 8, 10, 12, 14, 16]);
    expect(sizes.filter((size) => size === 8)).toHaveLength(8);
    expect(Math.max(...sizes)).toBe(16);
  });

  it('for its size although it has one text fails that document', async () => {
    const { line, ask, all } = await batching({
      onEmbed: async () => Promise.reject(problem('E309', 'too large', { too_large: true })),
    });
    await expect(settle(line.clock, all(await ask(['a', 'b'])))).rejects.toMatchObject({ code: 'E309' });
    expect(line.embedding.requests.length).toBeLessThan(4);
  });

  it('for a text fails the document of that text alone', async () => {
    const { line, batcher, ask } = await batching({
      onEmbed: async (texts) => (texts.includes('poison') ? Promise.reject(problem('E309', 'refused')) : undefined),
    });
    const ends = Promise.allSettled([
      batcher.embed(await ask(['a'])),
      batcher.embed(await ask(['poison'])),
      batcher.embed(await ask(['c'])),
    ]);
    batcher.flush();
    const [first, second, third] = await settle(line.clock, ends);
    expect([first?.status, second?.status, third?.status]).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect(line.embedding.requests).toHaveLength(4);
  });

  it.each([[0], [8_192], [Number.NaN]])(
    'before it is made, for a chunk of %s tokens, holds nobody up',
    async (tokens) => {
      const { line, batcher, ask, all } = await batching();
      const waits = all(await ask(['a']));
      await expect(batcher.embed(await ask([['b', tokens]]))).rejects.toMatchObject({ code: 'E416' });
      batcher.flush();
      expect((await settle(line.clock, waits)).size).toBe(1);
    },
  );
});

describe('an answer', () => {
  it.each([
    ['too few vectors', () => []],
    ['a vector of zeros', () => [new Float32Array(8)]],
    ['a vector that is not of length one', () => [Float32Array.from({ length: 8 }, () => 1)]],
    ['a vector with NaN', () => [Float32Array.from({ length: 8 }, () => Number.NaN)]],
    ['a vector of another size', () => [Float32Array.of(1)]],
  ])('with %s is not stored, and what it cost is noted', async (_what, vectors) => {
    const { line, batcher, ask } = await batching({
      onEmbed: async () => ({ vectors: vectors(), tokensBilled: 17, model: 'paid' }),
    });
    const end = batcher.embed(await ask(['a']));
    batcher.flush();
    await expect(settle(line.clock, end)).rejects.toMatchObject({ code: 'E418' });
    expect(await attemptsOf(line)).toMatchObject([{ outcome: 'failed', billed_units: 17 }]);
    expect(await line.store.db.selectFrom('embedding_cache').selectAll().execute()).toEqual([]);
  });

  it('that the store cannot take leaves the attempt as sent: it was paid', async () => {
    const { line, batcher, ask } = await batching();
    const end = batcher.embed(await ask(['a']));
    const { write } = line.store;
    let writes = 0;
    line.deps.store.write = async (run) => {
      writes += 1;
      // The look whether the job is held, the intent, then the answer.
      if (writes === 3) throw new TvdbError('E503', { message: 'The disk is full' });
      return write(run);
    };
    batcher.flush();
    await expect(settle(line.clock, end)).rejects.toMatchObject({ code: 'E503' });
    expect(await attemptsOf(line)).toMatchObject([{ outcome: 'sent' }]);
  });
});

describe('a worker with documents to embed', () => {
  it('takes up more jobs than it has hands while those in hand wait for company, and shares their request', async () => {
    const line = paidLine({ settings: { LLAMAPARSE_PARALLEL: 20, EMBED_LINGER: 60_000 } });
    for (let index = 0; index < 10; index += 1) await line.upload(`document ${index}`, { mode: 'real' });
    // In small steps: time must not run ahead of the work that is done meanwhile.
    await settle(line.clock, line.drain({ concurrency: 2 }), 50);
    expect((await line.jobs()).map(({ status }) => status)).toEqual(Array.from({ length: 10 }, () => 'complete'));
    expect(line.embedding.requests.length).toBeLessThanOrEqual(3);
    // Nobody lingered: it went out when nothing else was on its way.
    expect(line.clock.monotonic()).toBeLessThan(50_000);
    await expectSound(line);
  });

  it('pays nothing again after a crash between the answer and the documents', async () => {
    const line = paidLine();
    for (const content of ['one', 'two']) await line.upload(content, { mode: 'real' });
    const { write } = line.store;
    line.deps.store.write = async (run) => {
      const result = await write(run);
      const [attempt] = await attemptsOf(line, 'embed');
      return attempt?.outcome === 'ok' ? new Promise(() => {}) : result;
    };
    void line.drain().catch(() => {});
    await until(line.clock, async () => (await attemptsOf(line, 'embed'))[0]?.outcome === 'ok', 500);
    const next = crash(line);
    await finish(next);
    expect((await next.jobs()).map(({ status }) => status)).toEqual(['complete', 'complete']);
    const sent = line.embedding.requests.flatMap(({ texts }) => texts);
    expect(new Set(sent).size).toBe(sent.length);
    expect(codesOf(next)).toContain('EMBED_CACHE_HIT');
  });

  it('finishes the other documents of a request when one of them is cancelled meanwhile', async () => {
    const line = paidLine({ settings: { EMBED_LINGER: 60_000 } });
    const { job } = await line.upload('one', { mode: 'real' });
    await line.upload('two', { mode: 'real' });
    const { embed } = line.embedding;
    line.embedding.embed = async (...args) => {
      await cancelJob(line.deps, job.job_id, () => {}, new AbortController().signal);
      return embed(...args);
    };
    await finish(line);
    expect((await line.jobs()).map(({ status }) => status).toSorted()).toEqual(['cancelled', 'complete']);
    await expectSound(line);
  });

  it('ends at once when asked to stop, however long requests linger', async () => {
    const line = paidLine({ settings: { EMBED_LINGER: 600_000 } });
    await line.upload('one', { mode: 'real' });
    await line.upload('two', { mode: 'real' });
    const running = line.drain();
    await until(line.clock, () => codesOf(line).filter((code) => code === 'EMBED_PLANNED').length > 0, 100);
    line.signals.stopping.abort();
    await settle(line.clock, running);
    expect(line.clock.monotonic()).toBeLessThan(60_000);
    expect((await line.jobs()).every(({ lease_owner: owner }) => owner === null)).toBe(true);
  });

  it('tries all documents of a refused request again', async () => {
    const line = paidLine({
      paidEmbed: { onEmbed: async (_texts, nth) => (nth === 1 ? Promise.reject(rateLimited(3_000)) : undefined) },
    });
    for (const content of ['one', 'two', 'three']) await line.upload(content, { mode: 'real' });
    await finish(line);
    expect((await line.jobs()).map(({ status }) => status)).toEqual(['complete', 'complete', 'complete']);
    await expectSound(line);
  });
});
