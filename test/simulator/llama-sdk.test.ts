/** The official LlamaCloud SDK, unchanged, against the simulator. */
import { describe, expect, it } from 'vitest';
import { pdf, started, uploaded } from './start.ts';

describe('files', () => {
  it('are kept and found again by the id their owner gave them', async () => {
    const { llama } = await started();
    const id = await uploaded(llama, 2);
    await uploaded(llama, 3);
    const found = await llama.files.list({ external_file_id: 'sha-2' });
    expect(found.items.map((file) => file.id)).toEqual([id]);
    const file = await llama.files.retrieve(id);
    expect(file).toMatchObject({ id, name: 'letter.pdf', purpose: 'parse', external_file_id: 'sha-2' });
    expect((await llama.files.content(id)).url).toContain(id);
  });

  it('are gone when they are deleted, and 48 hours later', async () => {
    const { llama, clock } = await started();
    const [one, two] = [await uploaded(llama, 1), await uploaded(llama, 2)];
    await llama.files.delete(one);
    await expect(llama.files.retrieve(one)).rejects.toMatchObject({ status: 404 });
    clock.jump(48 * 3_600_000);
    await expect(llama.files.retrieve(two)).rejects.toMatchObject({ status: 404 });
  });

  it.each([
    ['an empty file', new File([], 'letter.pdf'), 400],
    // The SDK drops a Blob that has no name from the form: the request goes out without a file.
    ['a file without a name', new Blob([pdf(1)]) as File, 400],
  ])('refuses %s', async (_what, file, status) => {
    const { llama, log } = await started();
    await expect(llama.files.create({ file, purpose: 'parse' })).rejects.toMatchObject({ status });
    expect(log()).toMatchObject([{ operation: 'files.create', accepted: false, status }]);
  });
});

describe('parse', () => {
  it('goes from PENDING over RUNNING to COMPLETED on the clock and has the text of each page', async () => {
    const { llama, clock, bill } = await started({ latency: { parse: 2_000, page: 500 } });
    const file_id = await uploaded(llama, 2);
    const job = await llama.parsing.create({ file_id, tier: 'agentic', version: 'latest' });
    expect(job).toMatchObject({ status: 'PENDING', tier: 'agentic', name: 'letter.pdf' });
    await clock.advance(500);
    expect((await llama.parsing.get(job.id)).job.status).toBe('RUNNING');
    await clock.advance(2_499);
    expect((await llama.parsing.get(job.id)).job.status).toBe('RUNNING');
    expect(bill().credits).toBe(0);
    await clock.advance(1);
    const got = await llama.parsing.get(job.id, {
      expand: ['text', 'markdown', 'usage', 'metadata', 'items', 'job_metadata', 'markdown_full', 'text_full'],
    });
    expect(got.job).toMatchObject({ status: 'COMPLETED', usage: { credits: 20 } });
    expect(got.text?.pages.map((page) => page.page_number)).toEqual([1, 2]);
    expect(got.markdown?.pages[0]).toMatchObject({ success: true, markdown: expect.stringContaining('# 1. ') });
    expect(got.markdown_full).toContain('# 2. ');
    expect(bill()).toMatchObject({
      credits: 20,
      nanoUsd: 25_000_000,
      jobs: [{ jobId: job.id, pages: 2, credits: 20 }],
    });
  });

  it('takes a file in the same call and waits for it', async () => {
    const { llama } = await started();
    const upload_file = new File([pdf(1)], 'letter.pdf');
    const result = await llama.parsing.parse(
      { upload_file, tier: 'cost_effective', version: '2026-08-19', expand: ['markdown'] },
      { pollingInterval: 0.001 },
    );
    expect(result.job.status).toBe('COMPLETED');
    expect(result.markdown?.pages).toHaveLength(1);
  });

  it('parses and bills only the pages that are asked for, under their own numbers', async () => {
    const { llama, bill } = await started();
    const file_id = await uploaded(llama, 5);
    const options = { file_id, tier: 'fast', version: 'latest' } as const;
    const first = await llama.parsing.create({ ...options, page_ranges: { max_pages: 2 } });
    const some = await llama.parsing.create({ ...options, page_ranges: { max_pages: 1, target_pages: '2,4-5' } });
    const pagesOf = async (id: string) =>
      (await llama.parsing.get(id, { expand: ['text'] })).text?.pages.map((page) => page.page_number);
    expect(await pagesOf(first.id)).toEqual([1, 2]);
    expect(await pagesOf(some.id)).toEqual([2, 4, 5]);
    expect(bill().jobs.map((job) => job.credits)).toEqual([2, 3]);
  });

  it('lists what fits the filters, newest first, page by page', async () => {
    const { llama, clock } = await started();
    const file_id = await uploaded(llama, 1);
    const made: string[] = [];
    for (let at = 0; at < 5; at++) {
      const user_metadata = { tvdb_attempt: `attempt-${at}` };
      made.push((await llama.parsing.create({ file_id, tier: 'fast', version: 'latest', user_metadata })).id);
      await clock.advance(60_000);
    }
    const all: string[] = [];
    for await (const job of llama.parsing.list({ page_size: 2 })) all.push(job.id);
    expect(all).toEqual([...made].reverse());
    const since = new Date(clock.now() - 130_000).toISOString();
    const late = await llama.parsing.list({ created_at_on_or_after: since, status: 'COMPLETED' });
    expect(late.items.map((job) => job.user_metadata)).toEqual([
      { tvdb_attempt: 'attempt-4' },
      { tvdb_attempt: 'attempt-3' },
    ]);
    const named = await llama.parsing.list({ job_ids: made.slice(0, 2) });
    expect(named.items.map((job) => job.id)).toEqual([made[1], made[0]]);
    const before = await llama.parsing.list({ created_at_on_or_before: new Date(clock.now() - 250_000).toISOString() });
    expect(before.items.map((job) => job.id)).toEqual([made[0]]);
  });

  it('cancels what runs for nothing and deletes what ended', async () => {
    const { llama, clock, bill } = await started({ latency: { parse: 10_000 } });
    const file_id = await uploaded(llama, 1);
    const job = await llama.parsing.create({ file_id, tier: 'agentic_plus', version: 'latest' });
    await expect(llama.parsing.delete(job.id)).rejects.toMatchObject({ status: 400 });
    expect((await llama.parsing.cancel(job.id)).status).toBe('CANCELLED');
    await clock.advance(20_000);
    await expect(llama.parsing.cancel(job.id)).rejects.toMatchObject({ status: 400 });
    expect(bill().credits).toBe(0);
    expect((await llama.parsing.delete(job.id)).id).toBe(job.id);
    await expect(llama.parsing.get(job.id)).rejects.toMatchObject({ status: 404 });
  });

  it('knows the versions of the SDK, tier by tier', async () => {
    const { llama } = await started();
    const versions = await llama.parsing.listVersions();
    expect(versions.latest).toEqual({
      fast: '2026-06-15',
      cost_effective: '2026-08-19',
      agentic: '2026-09-07',
      agentic_plus: '2026-08-19',
    });
    expect([versions.fast.length, versions.agentic.length]).toEqual([2, 44]);
  });
});

describe('the parse cache', () => {
  it('gives the same file with the same options for nothing within 48 hours, unless told not to', async () => {
    const { llama, bill, clock } = await started();
    const options = { tier: 'cost_effective', version: 'latest' } as const;
    const credits = async (file_id: string, more: object = {}) => {
      const { id } = await llama.parsing.create({ file_id, ...options, ...more });
      return (await llama.parsing.get(id, { expand: ['usage'] })).job.usage?.credits;
    };
    const [one, again] = [await uploaded(llama, 2), await uploaded(llama, 2)];
    expect(await credits(one)).toBe(6);
    expect(await credits(again, { user_metadata: { tvdb_attempt: 'x' } })).toBe(0);
    expect(await credits(again, { disable_cache: true })).toBe(6);
    expect(await credits(again, { page_ranges: { max_pages: 1 } })).toBe(3);
    clock.jump(47 * 3_600_000);
    expect(await credits(await uploaded(llama, 2))).toBe(0);
    clock.jump(2 * 3_600_000);
    expect(await credits(await uploaded(llama, 2))).toBe(6);
    expect(bill().credits).toBe(6 + 6 + 3 + 6);
  });
});
