import { describe, expect, it } from 'vitest';
import { virtualClock } from '../setup/virtual-clock.ts';
import {
  attempt,
  type ClientOptions,
  clientOf,
  document,
  errorOf,
  job,
  KEY,
  never,
  ORIGIN,
  type ScriptedAnswer,
  SECOND_KEY,
  SHA,
  scripted,
  WEBHOOK,
} from './llamaparse-harness.ts';
import { serve } from './local-server.ts';

const isCreate = ({ method, path }: { method: string; path: string }) => method === 'POST' && path === '/api/v2/parse';

/** One submit over a transport that gives these answers in turn; the last one again and again. */
async function submit(answers: ScriptedAnswer[], options: ClientOptions = {}, pages = 3) {
  const transport = scripted((_request, count) => answers[Math.min(count, answers.length) - 1] ?? {});
  const client = clientOf({ ...options, dispatcher: transport.dispatcher });
  const outcome = await client.service.submit(document(pages), attempt, never).then(
    (receipt) => ({ receipt, error: undefined }),
    (error: unknown) => ({ receipt: undefined, error }),
  );
  return { ...client, ...outcome, sent: transport.sent };
}

describe('a request to parse', () => {
  it('names its attempt, its pages and its pinned version', async () => {
    const { receipt, sent } = await submit([{ body: job(), headers: { 'x-request-id': 'req-1' } }]);
    expect(receipt).toEqual({ remoteId: 'pjb-1', httpStatus: 200, requestId: 'req-1' });
    expect(sent).toMatchObject([{ method: 'POST', path: '/api/v2/parse', authorization: `Bearer ${KEY}` }]);
    expect(sent[0]?.json).toEqual({
      tier: 'cost_effective',
      version: '2026-08-19',
      file_id: 'file-1',
      page_ranges: { max_pages: 3 },
      processing_control: { job_failure_conditions: { allowed_page_failure_ratio: 1 } },
      client_name: 'tvdb',
      user_metadata: { tvdb_job: 'job-1', tvdb_attempt: 'attempt-1', tvdb_correlation: 'correlation-1' },
    });
  });

  it('asks for chosen pages by number, and for a fresh result, where told to', async () => {
    const { dispatcher, sent } = scripted(() => ({ body: job() }));
    const { service } = clientOf({ dispatcher });
    await service.submit(document(9, { targetPages: [8, 1, 3, 7, 3, 6], disableCache: true }), attempt, never);
    expect(sent[0]?.json).toMatchObject({ page_ranges: { target_pages: '1,3,6-8' }, disable_cache: true });
    expect(JSON.stringify(sent[0]?.json)).not.toContain('max_pages');
  });

  it('asks for signed webhooks in plain JSON when there is a place to deliver them', async () => {
    const { sent } = await submit([{ body: job() }], { webhook: WEBHOOK });
    expect(sent[0]?.json).toMatchObject({
      webhook_configurations: [
        {
          webhook_url: WEBHOOK.url,
          webhook_events: ['parse.success', 'parse.error', 'parse.partial_success', 'parse.cancelled'],
          webhook_output_format: 'json',
          webhook_signing_secret: WEBHOOK.secret,
          webhook_headers: { 'x-tvdb-attempt': 'attempt-1' },
        },
      ],
    });
  });

  it('takes a job that is wrapped as well as one that is not', async () => {
    expect((await submit([{ body: { job: job() } }])).receipt).toMatchObject({ remoteId: 'pjb-1' });
  });

  it('is admitted and reported once', async () => {
    const { calls, reports } = await submit([{ body: job() }]);
    const fingerprint = expect.stringMatching(/^[0-9a-f]{8}$/);
    expect(calls).toEqual([{ operation: 'parse.create', billable: true, tokens: 0, fingerprint }]);
    expect(reports).toMatchObject([{ operation: 'parse.create', httpStatus: 200, error: null, fingerprint }]);
  });
});

describe('what becomes of a request to parse, always with one POST (T03)', () => {
  const HTML = { headers: { 'content-type': 'text/html' }, body: '<html>busy</html>' };
  const detail = (text: string) => ({ body: { detail: text } });

  it.each<[string, ScriptedAnswer, string, string, number | null]>([
    ['400', { status: 400, ...detail('bad page range') }, 'E309', 'never', 0],
    ['401', { status: 401, ...detail('Invalid API Key. Please check your region') }, 'E112', 'never', 0],
    ['402', { status: 402, ...detail('No quota left to create a job') }, 'E302', 'never', 0],
    ['403', { status: 403, ...detail('disabled project') }, 'E112', 'never', 0],
    ['404', { status: 404, ...detail('Not Found') }, 'E309', 'never', 0],
    ['408', { status: 408, ...HTML }, 'E307', 'later', null],
    ['409', { status: 409, ...detail('conflict') }, 'E309', 'never', 0],
    ['413', { status: 413, ...HTML }, 'E309', 'never', 0],
    ['422', { status: 422, body: { detail: [{ loc: ['body', 'tier'], msg: 'bad' }] } }, 'E309', 'never', 0],
    ['429', { status: 429, ...detail('slow down') }, 'E301', 'later', 0],
    ['429 with a wait', { status: 429, headers: { 'retry-after': '7' } }, 'E301', 'after', 0],
    ['429 with a wild wait', { status: 429, headers: { 'retry-after': '-1' } }, 'E301', 'later', 0],
    [
      '429 of a plan',
      { status: 429, ...detail("You've already reached the maximum number of projects") },
      'E302',
      'never',
      0,
    ],
    ['500', { status: 500, ...detail('correlation id 1234') }, 'E307', 'later', null],
    ['502 in HTML', { status: 502, ...HTML }, 'E307', 'later', null],
    ['503 with a wait', { status: 503, headers: { 'retry-after': '7' } }, 'E307', 'later', null],
    ['504', { status: 504, ...HTML }, 'E307', 'later', null],
    ['a redirect', { status: 307, headers: { location: 'https://elsewhere.example/' } }, 'E307', 'later', null],
    ['200 with HTML', HTML, 'E307', 'later', null],
    ['200 with truncated JSON', { body: '{"id":"pjb-1","sta' }, 'E307', 'later', null],
    ['200 without an id', { body: { status: 'PENDING' } }, 'E307', 'later', null],
    ['200 with an id that leaves the path', { body: job({ id: '../files' }) }, 'E307', 'later', null],
    ['200 with an unknown status', { body: job({ status: 'SUCCESS' }) }, 'E307', 'later', null],
    ['200 with null', { body: 'null' }, 'E307', 'later', null],
    ['204', { status: 204 }, 'E307', 'later', null],
  ])('%s', async (_name, answer, code, retry, charged) => {
    const { error, sent, reports } = await submit([answer]);
    expect(error).toMatchObject({ code, retry: { kind: retry }, chargedNanoUsd: charged });
    expect(error).toMatchObject({ facts: { service: 'llamaparse', http_status: answer.status ?? 200 } });
    expect(sent.filter(isCreate)).toHaveLength(1);
    expect(reports).toMatchObject([{ httpStatus: answer.status ?? 200, error: { code } }]);
  });

  it('takes the wait of a 429 in milliseconds', async () => {
    const { error } = await submit([{ status: 429, headers: { 'retry-after': '1.5' } }]);
    expect(error).toMatchObject({ retry: { kind: 'after', ms: 1_500 } });
  });

  it('accepts JSON under a wrong type: the id is what counts', async () => {
    const { receipt } = await submit([{ body: job(), headers: { 'content-type': 'text/plain' } }]);
    expect(receipt).toMatchObject({ remoteId: 'pjb-1' });
  });

  it('cut after it was accepted: unknown', async () => {
    const server = await serve((_seen, _response, socket) => socket.destroy());
    const error = await errorOf(clientOf({ baseUrl: server.url }).service.submit(document(), attempt, never));
    expect(error).toMatchObject({ code: 'E307', chargedNanoUsd: null, facts: { sent: true } });
    expect(server.seen.filter(isCreate)).toHaveLength(1);
  });

  it('cut in the middle of the answer: unknown', async () => {
    const server = await serve((_seen, response, socket) => {
      response.writeHead(200, { 'content-length': '500' });
      response.write('{"id":"pjb-1",', () => socket.destroy());
    });
    const error = await errorOf(clientOf({ baseUrl: server.url }).service.submit(document(), attempt, never));
    expect(error).toMatchObject({ code: 'E307', facts: { http_status: 200 } });
    expect(server.seen).toHaveLength(1);
  });

  it('hanging: unknown', async () => {
    const server = await serve(() => undefined);
    const clock = virtualClock();
    const { service } = clientOf({ baseUrl: server.url, clock, limits: { requestMs: 5_000 } });
    const outcome = errorOf(service.submit(document(), attempt, never));
    await expect.poll(() => server.seen.length).toBe(1);
    await clock.advance(5_000);
    expect(await outcome).toMatchObject({ code: 'E307', facts: { sent: true } });
    expect(server.seen).toHaveLength(1);
  });

  it('an answer without end: unknown, and not read to its end', async () => {
    const { error } = await submit([{ body: 'x'.repeat(2_000_000) }]);
    expect(error).toMatchObject({ code: 'E307' });
  });

  it('no connection: proven not sent', async () => {
    const server = await serve(() => undefined);
    await server.stop();
    const { service, reports } = clientOf({ baseUrl: server.url });
    const error = await errorOf(service.submit(document(), attempt, never));
    expect(error).toMatchObject({ code: 'E303', retry: { kind: 'later' }, chargedNanoUsd: 0, facts: { sent: false } });
    expect(reports).toMatchObject([{ httpStatus: null, headers: {}, error: { code: 'E303' } }]);
  });

  it('given up before it left: the reason of the caller', async () => {
    const { dispatcher, sent } = scripted(() => ({ body: job() }));
    const gone = AbortSignal.abort(new Error('interrupted'));
    await expect(clientOf({ dispatcher }).service.submit(document(), attempt, gone)).rejects.toThrow('interrupted');
    expect(sent).toEqual([]);
  });

  it('given up after it left: unknown', async () => {
    const server = await serve(() => undefined);
    const stop = new AbortController();
    const { service, reports } = clientOf({ baseUrl: server.url });
    const outcome = errorOf(service.submit(document(), attempt, stop.signal));
    await expect.poll(() => server.seen.length).toBe(1);
    stop.abort(new Error('interrupted'));
    expect(await outcome).toMatchObject({ code: 'E307' });
    // It says nothing about the service.
    expect(reports).toEqual([]);
  });

  it('not admitted: nothing leaves', async () => {
    const { dispatcher, sent } = scripted(() => ({ body: job() }));
    const { service, reports } = clientOf({
      dispatcher,
      refuse: () => Object.assign(new Error('paused')) as never,
    });
    await expect(service.submit(document(), attempt, never)).rejects.toThrow('paused');
    expect([sent, reports]).toEqual([[], []]);
  });

  it('never tells a key, a webhook or its secret, whatever the service echoes', async () => {
    const echo = `${KEY} ${WEBHOOK.secret} ${WEBHOOK.url} \x1b[2J ${'long '.repeat(200)}`;
    const body = { detail: [{ loc: ['body', echo], msg: echo, input: { webhook_signing_secret: WEBHOOK.secret } }] };
    for (const status of [400, 401, 422, 429, 500]) {
      const { error } = await submit([{ status, body, headers: { 'x-request-id': KEY } }], { webhook: WEBHOOK });
      const { message, why, facts } = error as { message: string; why: string; facts: unknown };
      const told = JSON.stringify([message, why, { ...(facts as object), request_id: null }]);
      expect(told).not.toMatch(/llx-|ssss|token-1234|\\u001b/);
      expect(why.length).toBeLessThanOrEqual(340);
    }
  });
});

describe('a second key', () => {
  it('is used once for the same request when the first is refused', async () => {
    const { receipt, sent, audit, calls, reports } = await submit([{ status: 401 }, { body: job() }], {
      keys: [KEY, SECOND_KEY],
    });
    expect(receipt).toMatchObject({ remoteId: 'pjb-1' });
    expect(sent.map(({ authorization }) => authorization)).toEqual([`Bearer ${KEY}`, `Bearer ${SECOND_KEY}`]);
    expect(sent[1]?.json).toEqual(sent[0]?.json);
    expect(audit).toEqual(['first_use', 'refused', 'switched', 'first_use']);
    // The refusal of a key that was replaced must not pause the account.
    expect([calls.length, reports.length, reports[0]?.error]).toEqual([1, 1, null]);
    expect(reports[0]?.fingerprint).not.toBe(calls[0]?.fingerprint);
  });

  it('that is refused as well is the end', async () => {
    const { error, sent } = await submit([{ status: 401 }], { keys: [KEY, SECOND_KEY] });
    expect(error).toMatchObject({ code: 'E112' });
    expect(sent).toHaveLength(2);
  });

  it('is not asked after any other refusal', async () => {
    for (const status of [402, 403, 500]) {
      expect((await submit([{ status }], { keys: [KEY, SECOND_KEY] })).sent).toHaveLength(1);
    }
  });
});

describe('a region that lags behind', () => {
  const refusing = (key: string) => ({
    status: 422,
    body: { detail: [{ type: 'extra_forbidden', loc: ['body', key], msg: 'Extra inputs are not permitted' }] },
  });

  /** A region that refuses these keys, and takes everything else. */
  const region = (...keys: string[]) =>
    serve(({ path, body }, response) => {
      if (path === '/api/v1/beta/files') return response.writeHead(201).end(JSON.stringify({ id: 'dfl-9' }));
      const refused = keys.find((key) => body.includes(`"${key}"`));
      return refused === undefined
        ? response.end(JSON.stringify(job()))
        : response.writeHead(422).end(JSON.stringify(refusing(refused).body));
    });

  it('that refuses user_metadata gets the attempt as the name of client and file, from then on', async () => {
    const server = await region('user_metadata');
    const { service, reports } = clientOf({ baseUrl: server.url });
    expect(await service.submit(document(), attempt, never)).toMatchObject({ remoteId: 'pjb-1' });
    await service.prepare?.(document(), never);
    await service.submit(document(), { ...attempt, attemptId: 'attempt-2' }, never);
    const bodies = server.seen.filter(isCreate).map(({ body }) => JSON.parse(body.toString()));
    expect(bodies.map(({ client_name }) => client_name)).toEqual(['tvdb', 'tvdb-attempt-1', 'tvdb-attempt-2']);
    expect(bodies.map((body) => 'user_metadata' in body)).toEqual([true, false, false]);
    const uploads = server.seen
      .filter((one) => !isCreate(one))
      .map(({ body }) => /filename="(.*?)"/.exec(body.toString()));
    expect(uploads.map((found) => found?.[1])).toEqual(['tvdb-attempt-1.pdf', 'tvdb-attempt-2.pdf']);
    expect(reports.filter(({ error }) => error !== null)).toEqual([]);
  });

  it('that refuses the signing secret gets no webhook at all', async () => {
    const refusal = refusing('webhook_configurations');
    refusal.body.detail[0]?.loc.push('0', 'webhook_signing_secret');
    const { receipt, sent } = await submit([refusal, { body: job() }], { webhook: WEBHOOK });
    expect(receipt).toMatchObject({ remoteId: 'pjb-1' });
    expect(JSON.stringify(sent[1]?.json)).not.toContain('webhook');
    expect(sent[1]?.json).toMatchObject({ user_metadata: { tvdb_attempt: 'attempt-1' } });
  });

  it('that refuses both is asked a third time, with neither', async () => {
    const server = await region('user_metadata', 'webhook_signing_secret');
    const { service } = clientOf({ baseUrl: server.url, webhook: WEBHOOK });
    expect(await service.submit(document(), attempt, never)).toMatchObject({ remoteId: 'pjb-1' });
    const bodies = server.seen.filter(isCreate).map(({ body }) => JSON.parse(body.toString()));
    expect(bodies).toHaveLength(3);
    expect(Object.keys(bodies[2])).not.toEqual(
      expect.arrayContaining([expect.stringMatching(/user_metadata|webhook/)]),
    );
    expect(bodies[2]).toMatchObject({ client_name: 'tvdb-attempt-1', page_ranges: { max_pages: 3 } });
  });

  it('that goes on refusing ends it, uncorrelated requests never leave', async () => {
    const server = await serve(({ path }, response) =>
      path === '/api/v1/beta/files'
        ? response.writeHead(201).end(JSON.stringify({ id: 'dfl-9' }))
        : response.writeHead(422).end(JSON.stringify(refusing('user_metadata').body)),
    );
    const error = await errorOf(clientOf({ baseUrl: server.url }).service.submit(document(), attempt, never));
    expect(error).toMatchObject({ code: 'E309', chargedNanoUsd: 0 });
    const creates = server.seen.filter(isCreate);
    expect(creates).toHaveLength(2);
    for (const { body } of creates) expect(body.toString()).toContain('attempt-1');
  });

  it('is not taken for one when the webhook itself is refused', async () => {
    const { error, sent } = await submit([refusing('webhook_url')], { webhook: WEBHOOK });
    expect(error).toMatchObject({ code: 'E309' });
    expect(sent).toHaveLength(1);
  });
});

describe('the bytes of a document', () => {
  it('are uploaded once per account, under the id of the document and never the name of the user', async () => {
    let files = 0;
    const server = await serve(({ path }, response) => {
      const isFile = path === '/api/v1/beta/files';
      response.writeHead(isFile ? 201 : 200, { 'content-type': 'application/json' });
      response.end(JSON.stringify(isFile ? { id: `dfl-${++files}`, name: 'x', project_id: 'p' } : job()));
    });
    const { service, remembered, calls } = clientOf({ baseUrl: server.url, files: new Map() });
    const stored = document();
    await service.prepare?.(stored, never);
    await service.prepare?.(stored, never);
    await service.submit(stored, attempt, never);
    expect(files).toBe(1);
    expect([...remembered.values()]).toEqual(['dfl-1']);
    expect(calls.map(({ operation, billable }) => [operation, billable])).toEqual([
      ['files.create', false],
      ['parse.create', true],
    ]);
    const [upload, create] = server.seen;
    const text = upload?.body.toString() ?? '';
    expect(text).toContain('name="purpose"\r\n\r\nparse\r\n');
    expect(text).toContain(`name="external_file_id"\r\n\r\n${SHA}\r\n`);
    expect(text).toContain('name="file"; filename="0001.pdf"');
    expect(JSON.parse(create?.body.toString() ?? '')).toMatchObject({ file_id: 'dfl-1' });
  });

  it('that the service has lost are uploaded again, before one more request', async () => {
    let creates = 0;
    const server = await serve(({ path }, response) => {
      if (path === '/api/v1/beta/files') return response.writeHead(201).end(JSON.stringify({ id: 'dfl-2' }));
      creates += 1;
      return creates === 1
        ? response.writeHead(404).end(JSON.stringify({ detail: 'Source file not found in storage' }))
        : response.end(JSON.stringify(job()));
    });
    const { service, remembered } = clientOf({ baseUrl: server.url });
    expect(await service.submit(document(), attempt, never)).toMatchObject({ remoteId: 'pjb-1' });
    expect([...remembered.values()]).toEqual(['dfl-2']);
    expect(server.seen.map(({ path }) => path)).toEqual(['/api/v2/parse', '/api/v1/beta/files', '/api/v2/parse']);
  });

  it('that the service loses again and again end the attempt after two refusals', async () => {
    const server = await serve(({ path }, response) => {
      if (path === '/api/v1/beta/files') return response.writeHead(201).end(JSON.stringify({ id: 'dfl-2' }));
      return response.writeHead(400).end(JSON.stringify({ detail: 'Source file not found' }));
    });
    const error = await errorOf(clientOf({ baseUrl: server.url }).service.submit(document(), attempt, never));
    expect(error).toMatchObject({ code: 'E309', chargedNanoUsd: 0 });
    expect(server.seen.filter(isCreate)).toHaveLength(2);
  });

  it.each<[string, number, string, string]>([
    ['is refused', 400, '{"detail":"empty file"}', 'E309'],
    ['fails there', 500, 'oops', 'E303'],
    ['brings no id', 201, '{}', 'E308'],
    ['meets a full plan', 402, '{"detail":"file count"}', 'E302'],
  ])('whose upload %s cost nothing and leave nothing in doubt', async (_how, status, body, code) => {
    const server = await serve((_seen, response) => response.writeHead(status).end(body));
    const { service, remembered } = clientOf({ baseUrl: server.url, files: new Map() });
    const error = await errorOf(service.submit(document(), attempt, never));
    expect(error).toMatchObject({ code });
    expect(error.chargedNanoUsd).toBeUndefined();
    expect(server.seen.filter(isCreate)).toEqual([]);
    expect(remembered.size).toBe(0);
  });

  it('that are not what was stored are never sent for parsing', async () => {
    const server = await serve((_seen, response) => response.writeHead(201).end('{"id":"dfl-1"}'));
    const { service } = clientOf({ baseUrl: server.url, files: new Map() });
    const changed = document(1, { fileSha256: 'f'.repeat(64) });
    expect(await errorOf(service.submit(changed, attempt, never))).toMatchObject({ code: 'E417' });
    expect(server.seen.filter(({ complete }) => complete)).toEqual([]);
  });

  it('go to the service of the base URL and to no other', async () => {
    const { dispatcher } = scripted(() => ({ body: job() }), 'http://other.example');
    const error = await errorOf(clientOf({ dispatcher, baseUrl: ORIGIN }).service.submit(document(), attempt, never));
    expect(error).toMatchObject({ code: 'E303', facts: { sent: false } });
  });
});
