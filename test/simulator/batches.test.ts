/** The Batch API for embeddings, through the official SDK. */
import { describe, expect, it } from 'vitest';
import type { SimulatorOptions } from '../../src/simulator/options.ts';
import { type Started, started } from './start.ts';

const model = 'text-embedding-3-small';
const HOUR = 3_600_000;

const line = (customId: string, body: object = { model, input: `text ${customId}` }) => ({
  custom_id: customId,
  method: 'POST',
  url: '/v1/embeddings',
  body,
});
const rows = (count: number) => Array.from({ length: count }, (_, at) => line(`row-${at}`));

async function submit({ openai }: Started, lines: readonly unknown[]) {
  const text = lines.map((one) => (typeof one === 'string' ? one : JSON.stringify(one))).join('\n');
  const file = await openai.files.create({ file: new File([text], 'batch.jsonl'), purpose: 'batch' });
  return openai.batches.create({ input_file_id: file.id, endpoint: '/v1/embeddings', completion_window: '24h' });
}

async function linesOf({ openai }: Started, id: string | null | undefined) {
  if (!id) return [];
  const text = await (await openai.files.content(id)).text();
  return text
    .trimEnd()
    .split('\n')
    .map((one) => JSON.parse(one));
}

const withBatch = async (lines: readonly unknown[], options: Partial<SimulatorOptions> = {}) => {
  const simulator = await started({ latency: { batch: HOUR }, ...options });
  const { id } = await submit(simulator, lines);
  const look = () => simulator.openai.batches.retrieve(id);
  return { ...simulator, id, look };
};
const customIds = (lines: { custom_id: string }[]) => lines.map((one) => one.custom_id);

describe('a batch', () => {
  it('can be made twice by one call', async () => {
    const batch = await withBatch(rows(3), { faults: 'batches.create=duplicate' });
    const { data } = await batch.openai.batches.list();
    expect(data).toHaveLength(2);
    expect(new Set(data.map(({ input_file_id: file }) => file)).size).toBe(1);
    await batch.clock.advance(HOUR);
    await batch.look();
    expect(batch.bill().requests).toHaveLength(2);
  });

  it('is validated, worked on, finalised and completed, and costs half', async () => {
    const batch = await withBatch(rows(10));
    const statuses: string[] = [];
    const counts: unknown[] = [];
    for (const share of [0, 0.5, 0.42, 0.08]) {
      await batch.clock.advance(share * HOUR);
      const { status, request_counts } = await batch.look();
      statuses.push(status);
      counts.push(request_counts?.completed);
    }
    expect(statuses).toEqual(['validating', 'in_progress', 'finalizing', 'completed']);
    expect(counts).toEqual([0, 5, 10, 10]);
    const { output_file_id, error_file_id, usage } = await batch.look();
    expect(error_file_id).toBeNull();
    const output = await linesOf(batch, output_file_id);
    expect(customIds(output).sort()).toEqual(
      rows(10)
        .map((row) => row.custom_id)
        .sort(),
    );
    expect(customIds(output)).not.toEqual(rows(10).map((row) => row.custom_id));
    expect(output[0].response).toMatchObject({ status_code: 200, body: { object: 'list', data: [{ index: 0 }] } });
    expect(batch.bill()).toMatchObject({ tokens: usage?.total_tokens, nanoUsd: (usage?.total_tokens ?? 0) * 10 });
  });

  it('gives the vectors that the endpoint gives', async () => {
    const batch = await withBatch(rows(2));
    await batch.clock.advance(HOUR);
    const [first] = await linesOf(batch, (await batch.look()).output_file_id);
    const input = `text ${first.custom_id}`;
    const direct = await batch.openai.embeddings.create({ model, input, encoding_format: 'float' });
    expect(first.response.body.data[0].embedding).toEqual(direct.data[0]?.embedding);
  });

  it('puts rows that are refused into the error file and goes on', async () => {
    const batch = await withBatch([...rows(2), line('bad', { model, input: '' })]);
    await batch.clock.advance(HOUR);
    const { output_file_id, error_file_id, status, request_counts } = await batch.look();
    expect([status, request_counts]).toEqual(['completed', { total: 3, completed: 2, failed: 1 }]);
    expect(await linesOf(batch, output_file_id)).toHaveLength(2);
    expect(await linesOf(batch, error_file_id)).toMatchObject([{ custom_id: 'bad', response: { status_code: 400 } }]);
  });

  it.each<[string, unknown[], string]>([
    ['a line that is no JSON', [line('a'), '{"custom_id"'], 'invalid_json_line'],
    ['an id twice', [line('a'), line('a')], 'duplicate_custom_id'],
    ['two models', [line('a'), line('b', { model: 'text-embedding-3-large', input: 'x' })], 'mismatched_model'],
    ['another endpoint', [{ ...line('a'), url: '/v1/chat/completions' }], 'invalid_url'],
    ['nothing', [''], 'empty_file'],
    [
      'too many inputs',
      Array.from({ length: 25 }, (_, at) => line(`${at}`, { model, input: Array(2001).fill('x') })),
      'too_many_inputs',
    ],
  ])('fails validation for %s, for nothing', async (_what, lines, code) => {
    const batch = await withBatch(lines, { latency: { batch: 0 } });
    const { status, errors } = await batch.look();
    expect([status, errors?.data?.map((one) => one.code)]).toEqual(['failed', [code]]);
    expect(batch.bill().requests).toEqual([]);
  });

  it('waits in a queue of limited tokens', async () => {
    const batch = await withBatch(rows(3), { limits: { batchTokens: 15 } });
    const second = await submit(batch, rows(3));
    await batch.clock.advance(HOUR);
    expect((await batch.look()).status).toBe('completed');
    expect((await batch.openai.batches.retrieve(second.id)).errors?.data?.[0]?.code).toBe('token_limit_exceeded');
  });

  it('that is cancelled is billed for what it did', async () => {
    const batch = await withBatch(rows(10));
    await batch.clock.advance(HOUR / 2);
    expect((await batch.openai.batches.cancel(batch.id)).status).toBe('cancelling');
    const { status, output_file_id, error_file_id } = await batch.look();
    expect([status, error_file_id]).toEqual(['cancelled', null]);
    expect(await linesOf(batch, output_file_id)).toHaveLength(5);
    expect(batch.bill().requests).toHaveLength(1);
    await expect(batch.openai.batches.cancel(batch.id)).rejects.toMatchObject({ status: 409 });
  });

  it('is listed page by page, newest first', async () => {
    const batch = await withBatch(rows(1));
    const others = [await submit(batch, rows(1)), await submit(batch, rows(1))];
    const found: string[] = [];
    for await (const { id } of batch.openai.batches.list({ limit: 2 })) found.push(id);
    expect(found).toEqual([others[1]?.id, others[0]?.id, batch.id]);
  });

  it('is asked for strictly', async () => {
    const { openai } = await started();
    const ask = (body: object) => openai.post('/batches', { body });
    const base = { input_file_id: 'file-none', endpoint: '/v1/embeddings', completion_window: '24h' };
    await expect(ask(base)).rejects.toMatchObject({ status: 404 });
    await expect(ask({ ...base, priority: 1 })).rejects.toMatchObject({ status: 400 });
    await expect(ask({ ...base, endpoint: '/v1/responses' })).rejects.toMatchObject({ status: 400, param: 'endpoint' });
    await expect(ask({ ...base, completion_window: '1h' })).rejects.toMatchObject({ status: 400 });
    await expect(openai.batches.retrieve('batch_none')).rejects.toMatchObject({ status: 404 });
    const file = new File(['{}'], 'x.jsonl');
    await expect(openai.files.create({ file, purpose: 'vision' })).rejects.toMatchObject({ status: 400 });
  });

  it('leaves files that can be deleted', async () => {
    const { openai } = await started();
    const { id } = await openai.files.create({ file: new File(['{}'], 'x.jsonl'), purpose: 'batch' });
    expect((await openai.files.retrieve(id)).bytes).toBe(2);
    expect((await openai.files.delete(id)).deleted).toBe(true);
    await expect(openai.files.content(id)).rejects.toMatchObject({ status: 404 });
  });
});

describe('batch faults', () => {
  it('expired: finished rows are there and billed, the others are named as expired', async () => {
    const batch = await withBatch(rows(10), { faults: 'batch=expired:0.4' });
    await batch.clock.advance(HOUR);
    const { status, output_file_id, error_file_id } = await batch.look();
    expect(status).toBe('expired');
    const [output, errors] = [await linesOf(batch, output_file_id), await linesOf(batch, error_file_id)];
    expect([output.length, errors.length]).toEqual([4, 6]);
    expect(errors[0]).toMatchObject({ response: null, error: { code: 'batch_expired' } });
    expect(new Set([...customIds(output), ...customIds(errors)]).size).toBe(10);
    expect(batch.bill().tokens).toBe((await batch.look()).usage?.total_tokens);
  });

  it('invalid, frozen, row-errors and unanswered', async () => {
    const invalid = await withBatch(rows(1), { faults: 'batch=invalid', latency: { batch: 0 } });
    expect((await invalid.look()).status).toBe('failed');
    const frozen = await withBatch(rows(1), { faults: 'batch=frozen' });
    await frozen.clock.advance(48 * HOUR);
    expect((await frozen.look()).status).toBe('in_progress');
    const holes = await withBatch(rows(10), { faults: 'batch=row-errors:2,batch=unanswered:3', latency: { batch: 0 } });
    const { output_file_id, error_file_id, request_counts } = await holes.look();
    expect((await linesOf(holes, output_file_id)).length).toBe(5);
    expect((await linesOf(holes, error_file_id)).map(({ response }) => response.status_code)).toEqual([500, 500]);
    expect(request_counts).toEqual({ total: 10, completed: 8, failed: 2 });
  });
});
