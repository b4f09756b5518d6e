/** Batches of embeddings at OpenAI: what is sent, and what is made of every answer, hostile ones too. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { sha256 } from '../../src/base/hash.ts';
import { embedNgrams } from '../../src/domain/ngram-embedding.ts';
import type { EmbedBatchService, EndedBatch } from '../../src/services/embed/port.ts';
import { createHttp } from '../../src/services/http/client.ts';
import { createDispatcher } from '../../src/services/http/dispatcher.ts';
import type { SimulatorOptions } from '../../src/simulator/options.ts';
import { tempDirectory } from '../setup/temp.ts';
import { started } from '../simulator/start.ts';
import { type Answering, ATTEMPT, answer, clientOver, failed, KEYS, refused } from './openai-like.ts';

const HOUR = 3_600_000;
const LIMITS = { connectMs: 2_000, headersMs: 20_000, bodyMs: 20_000, requestMs: 20_000, responseBytes: 64_000_000 };
const never = new AbortController().signal;
const TEXTS = ['one text', 'two texts', 'three texts', 'four texts'];
const ENDED: EndedBatch = {
  ...{ state: 'ended', status: 'completed', outputFileId: 'file-out', errorFileId: 'file-err', tokensBilled: 9 },
};

function batchOf({ service }: ReturnType<typeof clientOver>): EmbedBatchService {
  if (service.batch === undefined) throw new Error('no batches');
  return service.batch;
}

const over = (answering: Answering) => {
  const client = clientOver(answering);
  return { ...client, batch: batchOf(client), space: client.service.space };
};

/** A file of rows on disk. */
function fileOf(batch: EmbedBatchService, texts: readonly string[] = TEXTS) {
  const content = texts.map((text) => batch.line(sha256(text), text)).join('');
  const path = join(tempDirectory(), 'batch.jsonl');
  writeFileSync(path, content);
  return { path, sha256: sha256(content), content };
}

/** The client over a simulator whose clock stands still. */
async function simulated(options: Partial<SimulatorOptions> = {}) {
  const simulator = await started({ latency: { batch: HOUR }, ...options });
  const dispatcher = createDispatcher(LIMITS);
  onTestFinished(() => dispatcher.destroy());
  const http = createHttp({ dispatcher, limits: LIMITS, clock: systemClock, boundary: () => 'boundary' });
  const client = clientOver(() => answer(500, ''), { options: { baseUrl: simulator.openaiUrl, http } });
  const batch = batchOf(client);
  const order = async (texts: readonly string[] = TEXTS) => {
    const fileId = await batch.upload(fileOf(batch, texts), never);
    return (await batch.create(fileId, ATTEMPT, never)).batchId;
  };
  return { ...client, simulator, batch, order, space: client.service.space };
}

describe('an order', () => {
  it('is a file of rows and one POST that names the attempt, and leaves only after the mark', async () => {
    const marks: number[] = [];
    const { batch, sent, admitted } = over((request) =>
      answer(200, { id: request.url.endsWith('/files') ? 'file-1' : 'batch_1' }, { 'x-request-id': 'req_7' }),
    );
    const { content: _content, ...file } = fileOf(batch);
    const fileId = await batch.upload(file, never);
    const leaving = async () => void marks.push(sent.length);
    const receipt = await batch.create(fileId, { ...ATTEMPT, leaving }, never);
    expect(receipt).toEqual({ batchId: 'batch_1', httpStatus: 200, requestId: 'req_7' });
    expect(marks).toEqual([1]);
    expect(sent.map(({ method, url, body }) => [method, url, body])).toEqual([
      [
        'POST',
        'https://api.openai.com/v1/files',
        {
          fields: { purpose: 'batch' },
          file: { field: 'file', name: 'tvdb.jsonl', mime: 'application/jsonl', ...file },
        },
      ],
      [
        'POST',
        'https://api.openai.com/v1/batches',
        {
          json: {
            input_file_id: 'file-1',
            endpoint: '/v1/embeddings',
            completion_window: '24h',
            metadata: {
              tvdb_attempt: ATTEMPT.attemptId,
              tvdb_job: ATTEMPT.jobId,
              tvdb_correlation: ATTEMPT.correlationId,
            },
          },
        },
      ],
    ]);
    expect(sent[1]?.headers['x-client-request-id']).toBe(ATTEMPT.attemptId);
    expect(admitted.map(({ operation, billable }) => [operation, billable])).toEqual([
      ['batch-files.create', false],
      ['batches.create', true],
    ]);
  });

  it('has one text in a row, in the words of the endpoint, and any text is one line', () => {
    const { batch } = over(() => answer(200, {}));
    const line = batch.line('abc', 'a "text"\nof two lines\u2028and more');
    expect(line.split('\n')).toHaveLength(2);
    expect(JSON.parse(line)).toEqual({
      custom_id: 'abc',
      method: 'POST',
      url: '/v1/embeddings',
      body: {
        model: 'text-embedding-3-small',
        input: 'a "text"\nof two lines\u2028and more',
        encoding_format: 'base64',
      },
    });
  });

  it('has no more rows than can be read back whole', () => {
    const rows = (options: object) => batchOf(clientOver(() => answer(200, {}), { options })).mostRows;
    expect(rows({})).toBe(7_279);
    expect(rows({ baseUrl: 'http://127.0.0.1:1/v1' })).toBe(1_641);
    expect(rows({ answerBytes: 2_000_000_000 })).toBe(50_000);
    expect(rows({ answerBytes: 1_000 })).toBe(1);
  });

  it.each<[string, Answering, string]>([
    ['500', () => answer(500, ''), 'E307'],
    ['a cut', () => failed('cut', true), 'E307'],
    ['an answer without an id', () => answer(200, { object: 'batch' }), 'E307'],
    ['an id that is a path', () => answer(200, { id: '../files/x' }), 'E307'],
    ['no connection', () => failed('unreachable', false), 'E303'],
    ['400', () => refused(400, { message: 'no' }), 'E309'],
    ['429', () => refused(429, { type: 'requests' }), 'E301'],
    ['429 without quota', () => refused(429, { code: 'insufficient_quota' }), 'E302'],
    ['401', () => refused(401, {}), 'E112'],
  ])('answered with %s is judged by whether it may exist', async (_what, answering, code) => {
    const { batch } = over(answering);
    const error = await batch.create('file-1', ATTEMPT, never).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code, message: expect.stringContaining('order of a batch') });
    expect(error).toMatchObject({ chargedNanoUsd: code === 'E307' ? null : 0 });
  });
});

describe('a look at a batch', () => {
  const look = (body: unknown, status = 200) => over(() => answer(status, body)).batch.look('batch_1', never);

  it.each(['validating', 'in_progress', 'finalizing', 'cancelling', 'a_status_of_tomorrow'])(
    'finds it at work: %s',
    async (status) => {
      const counts = { total: 9, completed: 4, failed: 1 };
      expect(await look({ id: 'batch_1', status, request_counts: counts })).toEqual({
        ...{ state: 'working', status, done: 5, total: 9 },
      });
    },
  );

  it('finds its end with both files and the bill, none of which it needs to have', async () => {
    const files = { output_file_id: 'file-o', error_file_id: null };
    expect(await look({ id: 'b', status: 'expired', ...files, usage: { total_tokens: 12 } })).toEqual({
      ...{ state: 'ended', status: 'expired', outputFileId: 'file-o', errorFileId: null, tokensBilled: 12 },
    });
    expect(await look({ id: 'b', status: 'cancelled', output_file_id: '../../x' })).toEqual({
      ...{ state: 'ended', status: 'cancelled', outputFileId: null, errorFileId: null, tokensBilled: null },
    });
  });

  it('finds it refused, with the words of the service cleaned and without the key', async () => {
    const data = [{ code: 'invalid_json_line', line: 3, message: `bad\u202e line, key ${KEYS[0]}` }];
    const found = await look({ id: 'batch_1', status: 'failed', errors: { data } });
    expect(found).toMatchObject({ state: 'failed', queueFull: false, error: { code: 'E309', chargedNanoUsd: 0 } });
    expect(found).toMatchObject({ error: { why: 'line 3: invalid_json_line: bad line, key [secret]' } });
    const full = [{ code: 'token_limit_exceeded', message: 'Enqueued token limit reached' }];
    expect(await look({ id: 'batch_1', status: 'failed', errors: { data: full } })).toMatchObject({ queueFull: true });
    expect(await look({ id: 'batch_1', status: 'failed', errors: 'x' })).toMatchObject({ queueFull: false });
  });

  it('finds none, or an answer that is not understood, which costs nothing', async () => {
    expect(await look({ error: { message: 'no such batch' } }, 404)).toEqual({ state: 'gone' });
    for (const body of ['<html>', { id: 'batch_1' }, [], { status: 'completed' }]) {
      await expect(look(body)).rejects.toMatchObject({ code: 'E308', retry: { kind: 'later' } });
    }
    await expect(look('', 500)).rejects.toMatchObject({ code: 'E303' });
  });
});

describe('the rows of a batch', () => {
  const vector = (text: string) => [...embedNgrams(text)];
  const row = (id: string, embedding: unknown = vector(id), changes: object = {}) => ({
    custom_id: id,
    response: {
      status_code: 200,
      body: {
        object: 'list',
        data: [{ index: 0, embedding }],
        model: 'text-embedding-3-small',
        usage: { prompt_tokens: 3, total_tokens: 3 },
        ...changes,
      },
    },
    error: null,
  });
  const rowsOf = async (output: readonly unknown[], errors: readonly unknown[] = []) => {
    const text = (lines: readonly unknown[]) =>
      lines.map((line) => (typeof line === 'string' ? line : JSON.stringify(line))).join('\n');
    const { batch, space } = over(({ url }) => answer(200, text(url.includes('file-out') ? output : errors)));
    return batch.rows(ENDED, space, never);
  };

  it('are checked like every vector: length, numbers, norm, model, usage', async () => {
    const zeros = vector('x').map(() => 0);
    const rows = await rowsOf([
      row('good'),
      row('short', vector('x').slice(1)),
      row('zero', zeros),
      row(
        'long',
        vector('x').map((value) => value * 2),
      ),
      row('none', null),
      row('other', vector('x'), { model: 'another' }),
      row('free', vector('x'), { usage: null }),
      row('two', vector('x'), { data: [] }),
    ]);
    expect(rows.map(({ id, tokens, vector: found }) => [id, tokens, found === null])).toEqual([
      ['good', 3, false],
      ['short', 3, true],
      ['zero', 3, true],
      ['long', 3, true],
      ['none', 3, true],
      ['other', 3, true],
      ['free', 0, true],
      ['two', 3, true],
    ]);
    expect(rows[0]?.vector).toEqual(embedNgrams('good'));
  });

  it('come out of both files by their id, each once, and say what would be refused again', async () => {
    const error = (status: number, message: string) => ({
      response: { status_code: status, body: { error: { message } } },
    });
    const rows = await rowsOf(
      [row('b'), row('a'), row('a', vector('other'))],
      [
        { custom_id: 'late', response: null, error: { code: 'batch_expired', message: 'too late' } },
        { custom_id: 'bad', ...error(400, 'input is empty') },
        { custom_id: 'down', ...error(500, 'oops') },
        { custom_id: 'a', ...error(500, 'oops') },
      ],
    );
    expect(rows.map((one) => [one.id, one.vector === null ? [one.why, one.forGood] : 'vector'])).toEqual([
      ['b', 'vector'],
      ['a', 'vector'],
      ['late', ['batch_expired: too late', false]],
      ['bad', ['status 400: input is empty', true]],
      ['down', ['status 500: oops', false]],
    ]);
    expect(rows[1]?.vector).toEqual(embedNgrams('a'));
  });

  it.each([['{"custom_id": "c", "resp'], ['<html>'], ['[]'], ['{"response": {}}'], ['null']])(
    'of files that are not whole are asked for again, not paid again: %s',
    async (line) => {
      await expect(rowsOf([row('a'), line])).rejects.toMatchObject({ code: 'E308', retry: { kind: 'later' } });
    },
  );

  it('are gone when their files are', async () => {
    const { batch, space } = over(() => refused(404, { message: 'No such File' }));
    await expect(batch.rows(ENDED, space, never)).rejects.toMatchObject({ code: 'E311' });
  });
});

describe('the search for a batch', () => {
  const page = (entries: [string, number, string | null][], more: boolean) => ({
    object: 'list',
    data: entries.map(([id, at, attempt]) => ({
      ...{ id, created_at: at, metadata: attempt === null ? null : { tvdb_attempt: attempt } },
    })),
    has_more: more,
  });

  it('goes through the pages as far back as it must, and gives the oldest first', async () => {
    const pages = [
      page(
        [
          ['b3', 900, ATTEMPT.attemptId],
          ['b2', 800, 'other'],
        ],
        true,
      ),
      page(
        [
          ['b1', 700, ATTEMPT.attemptId],
          ['b0', 100, null],
        ],
        true,
      ),
      page([['a9', 90, ATTEMPT.attemptId]], true),
    ];
    const { batch, sent } = over(() => answer(200, pages.shift()));
    expect(await batch.find(ATTEMPT.attemptId, 500_000, never)).toEqual(['a9', 'b1', 'b3']);
    expect(sent.map(({ url }) => new URL(url).search)).toEqual([
      '?limit=100',
      '?limit=100&after=b2',
      '?limit=100&after=b0',
    ]);
  });

  it('is no proof of absence where the list cannot be read to its end', async () => {
    const endless = over(() => answer(200, page([['b', 900, null]], true)));
    await expect(endless.batch.find('x', 1, never)).rejects.toMatchObject({ code: 'E308', retry: { kind: 'later' } });
    for (const body of [{ data: [] }, { data: [{ id: 1 }], has_more: false }, '<html>']) {
      await expect(over(() => answer(200, body)).batch.find('x', 1, never)).rejects.toMatchObject({ code: 'E308' });
    }
  });
});

describe('the client against the simulator', () => {
  it('orders, finds, looks, reads, and is billed half of what the same texts cost at once', async () => {
    const { batch, order, simulator, service, space } = await simulated();
    const batchId = await order();
    expect(await batch.find(ATTEMPT.attemptId, 0, never)).toEqual([batchId]);
    expect(await batch.find('another', 0, never)).toEqual([]);
    expect(await batch.look(batchId, never)).toMatchObject({ state: 'working', total: 4 });
    await simulator.clock.advance(HOUR);
    const look = await batch.look(batchId, never);
    if (look.state !== 'ended') throw new Error('it has not ended');
    const rows = await batch.rows(look, space, never);
    const { vectors, tokensBilled } = await service.embed(TEXTS, ATTEMPT, never);
    const byId = new Map(rows.map((row) => [row.id, row.vector]));
    expect(TEXTS.map((text) => byId.get(sha256(text)))).toEqual(vectors);
    expect(look.tokensBilled).toBe(tokensBilled);
    const [half, whole] = simulator.bill().requests.map(({ nanoUsd }) => nanoUsd);
    expect(half).toBe((whole ?? 0) / 2);
  });

  it('gets what an expired batch finished, and is billed that', async () => {
    const { batch, order, simulator, space } = await simulated({ faults: 'batch=expired:0.5' });
    const batchId = await order();
    await simulator.clock.advance(HOUR);
    const look = await batch.look(batchId, never);
    if (look.state !== 'ended') throw new Error('it has not ended');
    const rows = await batch.rows(look, space, never);
    expect([look.status, rows.filter((row) => row.vector !== null).length, rows.length]).toEqual(['expired', 2, 4]);
    expect(rows.reduce((sum, { tokens }) => sum + tokens, 0)).toBe(simulator.bill().tokens);
  });

  it('deletes files, also those that are gone', async () => {
    const { batch, simulator } = await simulated();
    const fileId = await batch.upload(fileOf(batch), never);
    await batch.remove(fileId, never);
    await batch.remove(fileId, never);
    expect((await simulator.openai.files.list()).data).toEqual([]);
    simulator.control.faults('batch-files.delete=500');
    await expect(batch.remove(fileId, never)).rejects.toMatchObject({ code: 'E303' });
  });

  it('that may not be deleted with this key say nothing against the key', async () => {
    const { batch, reported } = over(() => refused(403, { message: 'Missing scopes: api.files.write' }));
    await expect(batch.remove('file-1', never)).rejects.toMatchObject({ code: 'E309' });
    expect(reported.map(({ error, httpStatus }) => [error, httpStatus])).toEqual([[null, 403]]);
  });

  it('cancels what runs, and leaves alone what has ended', async () => {
    const { batch, order, simulator } = await simulated();
    const batchId = await order();
    await simulator.clock.advance(HOUR / 2);
    await batch.cancel(batchId, never);
    await simulator.clock.advance(1);
    expect(await batch.look(batchId, never)).toMatchObject({ state: 'ended', status: 'cancelled' });
    await batch.cancel(batchId, never);
    await expect(batch.cancel('batch_unknown', never)).resolves.toBeUndefined();
  });
});
