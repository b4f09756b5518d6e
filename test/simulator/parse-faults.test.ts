/** Everything that can go wrong with a parse after it was accepted, and the bill that goes with it. */
import { describe, expect, it } from 'vitest';
import type { SimulatorOptions } from '../../src/simulator/options.ts';
import { type Started, started, uploaded } from './start.ts';

const tolerant = { processing_control: { job_failure_conditions: { allowed_page_failure_ratio: 1 } } };

/** A simulator with these faults and one job of three pages at 10 credits each. */
async function withJob(faults: string, more: object = {}, options: Partial<SimulatorOptions> = {}) {
  const simulator = await started({ faults, ...options });
  const file_id = await uploaded(simulator.llama, 3);
  const create = () => simulator.llama.parsing.create({ file_id, tier: 'agentic', version: 'latest', ...more });
  const { id } = await create();
  return { ...simulator, id, create };
}

const look = async ({ llama }: Started, id: string) => {
  const { job, markdown, text } = await llama.parsing.get(id, { expand: ['markdown', 'text', 'usage'] });
  return { ...job, credits: job.usage?.credits, pages: markdown?.pages ?? [], texts: text?.pages ?? [] };
};

describe('jobs', () => {
  it.each([
    'UNSUPPORTED_FILE_TYPE',
    'PDF_IS_PROTECTED',
    'PDF_IS_BROKEN',
    'NO_DATA_FOUND_IN_FILE',
    'DOCUMENT_TOO_LARGE',
    'TOO_MANY_PAGES',
    'TIMEOUT',
  ])('can fail with %s, for nothing', async (reason) => {
    const simulator = await withJob(`job=failed:${reason}`);
    expect(await look(simulator, simulator.id)).toMatchObject({
      status: 'FAILED',
      credits: 0,
      error_message: expect.stringMatching(`^${reason}: [A-Z]`),
    });
    expect(simulator.bill().credits).toBe(0);
  });

  it('can fail and be billed, and fail again from the cache until that is passed by', async () => {
    const simulator = await withJob('job=failed:TIMEOUT:billed:cached');
    expect((await look(simulator, simulator.id)).status).toBe('FAILED');
    expect(simulator.bill().credits).toBe(30);
    const again = await simulator.create();
    expect((await look(simulator, again.id)).status).toBe('FAILED');
    const file_id = await uploaded(simulator.llama, 3);
    const fresh = await simulator.llama.parsing.create({
      file_id,
      tier: 'agentic',
      version: 'latest',
      disable_cache: true,
    });
    expect((await look(simulator, fresh.id)).status).toBe('COMPLETED');
  });

  it.each([
    ['stuck', 'PENDING'],
    ['stuck-running', 'RUNNING'],
  ])('%s: stays %s for ever', async (action, status) => {
    const simulator = await withJob(`job=${action}`);
    expect((await look(simulator, (await simulator.create()).id)).status).toBe('COMPLETED');
    await simulator.clock.advance(7 * 24 * 3_600_000);
    expect((await simulator.llama.parsing.get(simulator.id)).job.status).toBe(status);
  });

  it('can take longer and refuse to be cancelled', async () => {
    const simulator = await withJob('job=slow:10m,job=cancel-refused');
    await simulator.clock.advance(599_000);
    expect((await simulator.llama.parsing.get(simulator.id)).job.status).toBe('RUNNING');
    await expect(simulator.llama.parsing.cancel(simulator.id)).rejects.toMatchObject({ status: 409 });
    await simulator.clock.advance(1_000);
    expect((await simulator.llama.parsing.get(simulator.id)).job.status).toBe('COMPLETED');
  });

  it('can be billed when they are cancelled, and answer 404 although they exist', async () => {
    const simulator = await withJob('job=cancel-billed,job=slow:1m');
    await simulator.llama.parsing.cancel(simulator.id);
    expect(simulator.bill().credits).toBe(30);
    simulator.control.faults('job=gone');
    const { id } = await simulator.create();
    await expect(simulator.llama.parsing.get(id)).rejects.toMatchObject({ status: 404 });
  });

  it('can be made twice by one call', async () => {
    const simulator = await withJob('parse.create=duplicate', { user_metadata: { tvdb_attempt: 'a' } });
    const { items } = await simulator.llama.parsing.list();
    expect(items.map((job) => job.user_metadata)).toEqual([{ tvdb_attempt: 'a' }, { tvdb_attempt: 'a' }]);
    const create = simulator.log().filter(({ operation }) => operation === 'parse.create');
    expect(create.map(({ made, attemptId }) => [made.length, attemptId])).toEqual([[2, 'a']]);
    expect(simulator.bill().jobs).toHaveLength(2);
  });

  it('are there after the answer was cut, and are found by listing', async () => {
    const simulator = await started({ faults: 'parse.create=cut' });
    const { llama, log } = simulator;
    const body = {
      file_id: await uploaded(llama),
      tier: 'fast',
      version: 'latest',
      user_metadata: { tvdb_attempt: 'a-1' },
    };
    await expect(llama.parsing.create(body)).rejects.toThrow('Connection error');
    expect(log().at(-1)).toMatchObject({ operation: 'parse.create', attemptId: 'a-1', accepted: true, status: 'cut' });
    const made = log().at(-1)?.made;
    const found = await llama.parsing.list();
    expect(found.items.map(({ id }) => id)).toEqual(made);
  });

  it('are not there after a cut before they were made', async () => {
    const { llama, log } = await started({ faults: 'parse.create=cut-before' });
    const body = { file_id: await uploaded(llama), tier: 'fast', version: 'latest' };
    await expect(llama.parsing.create(body)).rejects.toThrow('Connection error');
    expect(log().at(-1)).toMatchObject({ accepted: false, made: [], status: 'cut' });
    expect((await llama.parsing.list()).items).toEqual([]);
  });
});

describe('lists', () => {
  it('show a job later, one or all of them', async () => {
    const simulator = await withJob('job=hidden:30s,job=hidden');
    const never = await simulator.create();
    const listed = async () => (await simulator.llama.parsing.list()).items.map(({ id }) => id);
    expect(await listed()).toEqual([]);
    await simulator.clock.advance(30_000);
    expect(await listed()).toEqual([simulator.id]);
    await simulator.clock.advance(86_400_000);
    expect(await listed()).not.toContain(never.id);
    expect((await simulator.llama.parsing.get(never.id)).job.id).toBe(never.id);
  });

  it('show jobs and files later everywhere when told at the start', async () => {
    const { llama, clock, id } = await withJob('', {}, { listDelay: 30_000 });
    const seen = async () => [(await llama.files.list()).items.length, (await llama.parsing.list()).items.length];
    expect(await seen()).toEqual([0, 0]);
    await clock.advance(30_000);
    expect(await seen()).toEqual([1, 1]);
    expect((await llama.parsing.get(id)).job.status).toBe('COMPLETED');
  });
});

describe('credits', () => {
  const told = async (simulator: Started & { id: string }, looks: number) => {
    const seen = [];
    for (let at = 0; at < looks; at++) seen.push((await look(simulator, simulator.id)).credits);
    return seen;
  };

  it('can be null or 0 for some looks, or for ever, while the bill is what it is', async () => {
    const nulls = await withJob('job=credits-null:2');
    expect(await told(nulls, 4)).toEqual([null, null, 30, 30]);
    expect(await told(await withJob('job=credits-null'), 3)).toEqual([null, null, null]);
    expect(await told(await withJob('job=credits-zero:1'), 2)).toEqual([0, 30]);
    expect(await told(await withJob('', {}, { creditsNullPolls: 1 }), 2)).toEqual([null, 30]);
    expect(nulls.bill().credits).toBe(30);
  });

  it('can be others than the pages say', async () => {
    const simulator = await withJob('job=credits:45');
    expect(await told(simulator, 1)).toEqual([45]);
    expect(simulator.bill().credits).toBe(45);
  });

  it('are five more a page for confidence scores with effort', async () => {
    const simulator = await withJob('', { processing_options: { confidence_score_effort: 'high' } });
    expect(await told(simulator, 1)).toEqual([45]);
  });
});

describe('pages', () => {
  it('can fail, and then show as a failure in markdown and as nothing in text', async () => {
    const simulator = await withJob('job=failed-pages:2', tolerant);
    const { pages, texts, status } = await look(simulator, simulator.id);
    expect(status).toBe('COMPLETED');
    expect(pages.map(({ success }) => success)).toEqual([true, false, true]);
    expect(pages[1]).toEqual({ page_number: 2, success: false, error: expect.any(String) });
    expect(texts[1]).toEqual({ page_number: 2, text: '' });
  });

  it('fail the whole job when they are more than 5 %, unless the request allows more', async () => {
    const simulator = await withJob('job=failed-pages:2');
    const job = await look(simulator, simulator.id);
    expect(job).toMatchObject({
      status: 'FAILED',
      error_message: expect.stringContaining('allowed_page_failure_ratio'),
    });
  });

  it('can be missing, empty, or longer than what is kept', async () => {
    const simulator = await withJob('job=missing-pages:3,job=empty-pages:1,job=long-pages:2');
    const { pages } = await look(simulator, simulator.id);
    expect(pages.map(({ page_number }) => page_number)).toEqual([1, 2]);
    expect(pages[0]).toMatchObject({ success: true, markdown: '' });
    const cut = pages[1]?.success === true ? pages[1].markdown : '';
    expect(Buffer.byteLength(cut)).toBe(64 * 1024);
  });

  it('can all be empty', async () => {
    const simulator = await withJob('job=empty-pages');
    const { pages, texts } = await look(simulator, simulator.id);
    expect([...pages.map((page) => page.success && page.markdown), ...texts.map(({ text }) => text)].join('')).toBe('');
  });

  it('come from the reader that is injected, and so do its failures', async () => {
    const read = await withJob('', {}, { pagesOf: async () => ['# Read', 'by something'] });
    await read.clock.advance(0);
    expect((await look(read, read.id)).pages.map((page) => page.success && page.markdown)).toEqual([
      '# Read',
      'by something',
    ]);
    const broken = await withJob('', {}, { pagesOf: () => Promise.reject(new Error('PDF_IS_PROTECTED')) });
    await broken.clock.advance(0);
    expect((await look(broken, broken.id)).error_message).toMatch(/^PDF_IS_PROTECTED/);
  });
});

it('the key of a second look can be refused after the paid job', async () => {
  const simulator = await withJob('parse.result=401');
  expect((await simulator.llama.parsing.get(simulator.id)).job.status).toBe('COMPLETED');
  await expect(look(simulator, simulator.id)).rejects.toMatchObject({ status: 401 });
  expect((await look(simulator, simulator.id)).credits).toBe(30);
});
