import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { TvdbError } from '../../src/base/errors.ts';
import { sha256 } from '../../src/base/hash.ts';
import type { Log } from '../../src/base/log.ts';
import { createRouter } from '../../src/services/router.ts';
import { memoryEmbedder, memoryParser, pipeline } from '../pipeline/harness.ts';
import { USER } from '../setup/jobs.ts';
import { pdf, serving, TOKEN } from './api-place.ts';
import { dial, ended, statusOf } from './listener-place.ts';

const left = (home: string) => readdirSync(join(home, 'storage/incoming'), { withFileTypes: true });

describe('an upload through the API', () => {
  it('is announced, sent and followed to its end, under the ids that were given out', async () => {
    const { announce, put, ask, drain, clock, store } = await serving();
    const bytes = pdf('one');
    const { status, json: ticket } = await announce({ bytes: bytes.length, sha256: sha256(bytes).toUpperCase() });
    expect(status).toBe(201);
    expect(Object.keys(ticket)).toEqual(['job_id', 'document_id', 'upload_url', 'expires_at']);
    expect(ticket.upload_url).toContain(`/storage/raw/${USER}/${ticket.document_id}?expires=`);
    expect(Date.parse(ticket.expires_at) - clock.now()).toBe(300_000);
    expect(await ask('GET', `/job/${ticket.job_id}`)).toMatchObject({
      status: 200,
      json: { job_id: ticket.job_id, status: 'awaiting_bytes', error: null },
    });
    expect(await store.db.selectFrom('upload_jobs').selectAll().execute()).toEqual([]);
    expect(await put(ticket.upload_url, bytes)).toMatchObject({
      status: 201,
      json: { job_id: ticket.job_id, document_id: ticket.document_id, result: 'accepted', status: 'uploaded' },
    });
    expect((await ask('GET', `/job/${ticket.job_id}`)).json).toMatchObject({ status: 'uploaded', completed_at: null });
    await drain();
    expect((await ask('GET', `/job/${ticket.job_id}`)).json).toMatchObject({
      job_id: ticket.job_id,
      document_id: ticket.document_id,
      status: 'complete',
      filename: 'a.pdf',
      mode: 'mock',
      pages: 3,
      parked: null,
      error: null,
    });
  });

  it('may come in chunks without a length', async () => {
    const { announce, put } = await serving();
    const { json } = await announce({ bytes: 13 });
    async function* parts() {
      yield Buffer.from('%PDF-');
      yield Buffer.from('1.7\nabcd');
    }
    expect(await put(json.upload_url, parts())).toMatchObject({ status: 201 });
  });

  it('of bytes that are done already is a duplicate, with a job that points to the first', async () => {
    const { upload, drain, ask } = await serving({ settings: { ACTIVE_JOBS_LIMIT: 9 } });
    const first = await upload(pdf('one'));
    await drain();
    const { announced, answer } = await upload(pdf('one'));
    expect(answer).toMatchObject({
      status: 200,
      json: { job_id: announced.job_id, document_id: first.announced.document_id, result: 'duplicate' },
    });
    const job = await ask('GET', `/job/${announced.job_id}`);
    expect(job.json).toMatchObject({ status: 'duplicate', duplicate_of: first.announced.job_id });
  });

  it('of bytes that are in work is attached to their job, and found by either id', async () => {
    const { upload, ask } = await serving({ settings: { ACTIVE_JOBS_LIMIT: 9 } });
    const first = await upload(pdf('one'));
    const { announced, answer } = await upload(pdf('one'));
    expect(answer).toMatchObject({ status: 200, json: { job_id: first.announced.job_id, result: 'attached' } });
    expect((await ask('GET', `/job/${announced.job_id}`)).json).toMatchObject({ job_id: first.announced.job_id });
  });

  it('takes one PUT, even when two come together', async () => {
    const { announce, put, store } = await serving();
    const bytes = pdf('one');
    const { json } = await announce({ bytes: bytes.length });
    const answers = await Promise.all([put(json.upload_url, bytes), put(json.upload_url, bytes)]);
    expect(answers.map(({ status }) => status).sort()).toEqual([201, 409]);
    expect((await put(json.upload_url, bytes)).status).toBe(409);
    expect(await store.db.selectFrom('upload_jobs').selectAll().execute()).toHaveLength(1);
  });

  it('is over when its time is over: 410 for the bytes and for who asks', async () => {
    const { announce, put, ask, clock } = await serving();
    const { json } = await announce();
    await clock.advance(300_000);
    expect(await put(json.upload_url, pdf('abc'))).toMatchObject({
      status: 410,
      json: { error: { code: 'TVDB-E603' } },
    });
    expect((await ask('GET', `/job/${json.job_id}`)).status).toBe(410);
  });

  it('needs exactly the URL that was given', async () => {
    const { announce, put, api } = await serving();
    const { json } = await announce();
    const url = new URL(json.upload_url);
    const forged = [
      url.href.replace(/.$/, (last) => (last === '0' ? '1' : '0')),
      url.href.replace('/raw/', '/parsed/'),
      url.href.replace(json.document_id, json.job_id),
      `${api.url}${url.pathname}`,
    ];
    for (const one of forged) expect(await put(one, 'x')).toMatchObject({ status: 403 });
    expect((await put(url.href, pdf('abc'))).status).toBe(201);
  });

  it('of a process that has ended is not waited for any more', async () => {
    const first = await serving();
    const { json } = await first.announce();
    await first.api.close();
    const second = await serving({ home: first.home, seed: 2, clock: first.clock });
    const { pathname, search } = new URL(json.upload_url);
    expect((await second.put(`${second.api.url}${pathname}${search}`, pdf('abc'))).status).toBe(410);
  });

  it.each([
    ['no PDF', Buffer.from('GIF89a......'), 415, 'TVDB-E402'],
    ['text', Buffer.from('hello world!'), 415, 'TVDB-E402'],
  ])('that is %s is refused by its first bytes, whatever it claims, for good', async (_what, bytes, status, code) => {
    const { announce, put, ask, home, store } = await serving();
    const { json } = await announce({ bytes: bytes.length, mime: 'application/pdf' });
    expect(await put(json.upload_url, bytes)).toMatchObject({ status, json: { error: { code, category: 'data' } } });
    expect((await ask('GET', `/job/${json.job_id}`)).json).toMatchObject({ status: 'refused', error: { code } });
    expect((await put(json.upload_url, bytes)).status).toBe(409);
    expect(left(home)).toEqual([]);
    expect(await store.db.selectFrom('documents').selectAll().execute()).toEqual([]);
  });

  it('that cannot be read is 422', async () => {
    const place = pipeline();
    const inspector = { inspect: () => Promise.reject(new TvdbError('E405', { message: 'damaged' })) };
    const { upload } = await serving({}, { pipeline: { ...place.deps, inspector } });
    expect((await upload(pdf('broken'))).answer).toMatchObject({ status: 422, json: { error: { code: 'TVDB-E405' } } });
  });

  it.each([
    ['fewer bytes', { bytes: 20 }, 400],
    ['more bytes', { bytes: 5 }, 400],
    ['other bytes', { sha256: 'a'.repeat(64) }, 400],
  ])('that has %s than were announced is refused, and may be sent again', async (_what, fields, status) => {
    const { announce, put, ask, home, jobs } = await serving();
    const bytes = pdf('one');
    const { json } = await announce({ bytes: bytes.length, ...fields });
    expect((await put(json.upload_url, bytes)).status).toBe(status);
    async function* parts() {
      yield bytes;
    }
    expect((await put(json.upload_url, parts())).status).toBe(status);
    expect((await ask('GET', `/job/${json.job_id}`)).json.status).toBe('awaiting_bytes');
    expect([left(home), await jobs()]).toEqual([[], []]);
  });

  it('that is cut off in the middle leaves nothing behind, and may be sent again', async () => {
    const { announce, put, api, home, ask } = await serving();
    const bytes = pdf('one');
    const { json } = await announce({ bytes: bytes.length });
    const { pathname, search, host } = new URL(json.upload_url);
    const socket = await dial(api.port);
    socket.write(`PUT ${pathname}${search} HTTP/1.1\r\nHost: ${host}\r\nContent-Length: ${bytes.length}\r\n\r\n%PDF`);
    await expect.poll(() => left(home).length).toBe(1);
    socket.destroy();
    await ended(socket);
    await expect.poll(() => left(home).length).toBe(0);
    expect((await ask('GET', `/job/${json.job_id}`)).json.status).toBe('awaiting_bytes');
    expect((await put(json.upload_url, bytes)).status).toBe(201);
  });

  it('that is too large is refused when announced, and cut off when it comes all the same', async () => {
    const { announce, put, home } = await serving({ settings: { MAX_FILE_MB: 1 } });
    expect(await announce({ bytes: 1_000_001 })).toMatchObject({ status: 413, json: { error: { code: 'TVDB-E406' } } });
    const { json } = await announce({ bytes: 1_000_000 });
    const head = { 'content-length': '1000001' };
    expect((await put(json.upload_url, Buffer.alloc(1_000_001), head)).status).toBe(413);
    let sent = 0;
    async function* endless() {
      for (; sent < 500_000_000; sent += 65_536) yield Buffer.alloc(65_536);
    }
    const cut = await put(json.upload_url, endless()).catch(() => ({ status: 400 }));
    expect(cut.status).toBe(400);
    expect(sent).toBeLessThan(50_000_000);
    await expect.poll(() => left(home).length).toBe(0);
  });
});

describe('an announcement', () => {
  it.each([
    ['no JSON', '{', 400],
    ['a list', '[]', 400],
    ['nothing', '', 400],
    ['no name', { bytes: 1 }, 400],
    ['an empty name', { filename: ' ', bytes: 1 }, 400],
    ['a very long name', { filename: 'a'.repeat(1_025), bytes: 1 }, 400],
    ['no length', { filename: 'a' }, 400],
    ['a length that is a text', { filename: 'a', bytes: '1' }, 400],
    ['half a byte', { filename: 'a', bytes: 1.5 }, 400],
    ['a negative length', { filename: 'a', bytes: -1 }, 400],
    ['no bytes', { filename: 'a', bytes: 0 }, 422],
    ['a hash that is none', { filename: 'a', bytes: 1, sha256: 'abc' }, 400],
    ['a type that is no text', { filename: 'a', bytes: 1, mime: 7 }, 400],
    ['a field there is not', { filename: 'a', bytes: 1, size: 7 }, 400],
    ['too much', { filename: 'a', bytes: 1, mime: 'a'.repeat(20_000) }, 413],
  ])('with %s is refused with its reason', async (_what, body, status) => {
    const { ask } = await serving();
    const answer = await ask('POST', '/upload', { body });
    expect(answer.status).toBe(status === 400 && body === '' ? answer.status : status);
    expect(answer.status).toBeGreaterThanOrEqual(400);
    expect(Object.keys(answer.json.error)).toEqual(['code', 'category', 'message', 'fix']);
  });

  it('keeps a hostile name away from paths', async () => {
    const { upload, store } = await serving();
    const { answer } = await upload(pdf('x'), { filename: '../../etc/pass\u202ewd\r\nX: y.pdf' });
    expect(answer.status).toBe(201);
    const [document] = await store.db.selectFrom('documents').selectAll().execute();
    expect(document?.filename).not.toMatch(/[/\u202e\r\n]/);
    expect(document?.raw_path).toMatch(/^storage:\/\/raw\/[0-9a-f-]{36}\/[0-9a-f-]{36}\.pdf$/);
  });

  it('in a mode that cannot be used is 503 and names the key', async () => {
    const parser = memoryParser();
    const place = pipeline();
    const router = createRouter({
      keys: { llamaparse: undefined, openai: undefined },
      parse: { mock: async () => parser, real: async () => parser },
      embed: { mock: async () => memoryEmbedder(), real: async () => memoryEmbedder() },
    });
    const { announce } = await serving({}, { mode: 'real', pipeline: { ...place.deps, router } });
    const { status, json } = await announce();
    expect([status, json.error.code]).toEqual([503, 'TVDB-E101']);
    expect(json.error.message).toContain('LLAMAPARSE_API_KEY');
  });
});

describe('the limits of the API', () => {
  it('allow so many unfinished jobs, and say when to come back', async () => {
    const { upload, announce, drain } = await serving({ settings: { ACTIVE_JOBS_LIMIT: 2 } });
    await upload(pdf('one'));
    const late = await announce({ bytes: 12 });
    await upload(pdf('two'));
    const refused = await announce();
    expect(refused).toMatchObject({ status: 429, json: { error: { code: 'TVDB-E604' } } });
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0);
    expect(late.status).toBe(201);
    await drain();
    expect((await announce()).status).toBe(201);
  });

  it('hold for the bytes too, also when they come together; the refused one may come again', async () => {
    const { announce, put, drain, jobs } = await serving({ settings: { ACTIVE_JOBS_LIMIT: 1 } });
    const bytes = [pdf('one'), pdf('two'), pdf('six')];
    const tickets = await Promise.all(bytes.map(() => announce({ bytes: 12 })));
    const send = (index: number) => put(tickets[index]?.json.upload_url, bytes[index]);
    const answers = await Promise.all([send(0), send(1), send(2)]);
    expect(answers.map(({ status }) => status).sort()).toEqual([201, 429, 429]);
    expect(await jobs()).toHaveLength(1);
    await drain();
    const again = answers.findIndex(({ status }) => status === 429);
    expect((await send(again)).status).toBe(201);
  });

  it('allow so many uploads in 24 hours, whatever became of them', async () => {
    const { upload, announce, drain, clock } = await serving({ settings: { UPLOADS_PER_DAY: 2 } });
    await upload(pdf('one'));
    await clock.advance(3_600_000);
    await upload(pdf('two'));
    await drain();
    const refused = await announce();
    expect([refused.status, refused.headers['retry-after']]).toEqual([429, String(23 * 3_600)]);
    await clock.advance(23 * 3_600_000 + 1);
    expect((await announce()).status).toBe(201);
  });

  it('do not count what was uploaded by other commands', async () => {
    const { announce, upload, store, deps } = await serving({ settings: { UPLOADS_PER_DAY: 1, ACTIVE_JOBS_LIMIT: 1 } });
    await upload(pdf('one'));
    await store.db.updateTable('runs').set({ command: 'upload' }).execute();
    expect(deps.settings.UPLOADS_PER_DAY).toBe(1);
    expect((await announce()).status).toBe(201);
  });

  it('bound the announcements that wait for their bytes, until they expire', async () => {
    const { announce, clock } = await serving({ settings: { UPLOADS_PER_DAY: 3 } });
    for (let turn = 0; turn < 3; turn += 1) expect((await announce()).status).toBe(201);
    expect(await announce()).toMatchObject({ status: 429, headers: { 'retry-after': '300' } });
    await clock.advance(300_000);
    expect((await announce()).status).toBe(201);
  });
});

describe('who may use the API', () => {
  const PATHS = ['/upload', '/health', '/job/00000000-0000-4000-8000-000000000000', '/nothing', '/'];

  it('is whoever has the token; without it every path is 401, and nothing happens', async () => {
    const { ask, store } = await serving();
    const wrong: Record<string, string>[] = [
      {},
      { authorization: '' },
      { authorization: TOKEN },
      { authorization: 'Bearer' },
      { authorization: `Bearer ${TOKEN}x` },
      { authorization: `Bearer ${TOKEN.slice(0, -1)}` },
      { authorization: `Bearer ${TOKEN} x` },
      { authorization: `Basic ${TOKEN}` },
    ];
    for (const headers of wrong) {
      for (const path of PATHS) {
        const answer = await ask(path === '/upload' ? 'POST' : 'GET', path, { headers });
        expect([path, headers, answer.status]).toEqual([path, headers, 401]);
        expect(answer.headers['www-authenticate']).toBe('Bearer');
        expect(answer.json.error.code).toBe('TVDB-E603');
      }
    }
    expect(await store.db.selectFrom('upload_jobs').selectAll().execute()).toEqual([]);
    expect((await ask('GET', '/health', { headers: { authorization: `bearer ${TOKEN}` } })).status).toBe(200);
  });

  it('is no page of another origin', async () => {
    const { ask, api, announce, put } = await serving();
    const authorization = `Bearer ${TOKEN}`;
    for (const origin of [
      'https://evil.example',
      'null',
      `http://localhost:${api.port}`,
      `https://127.0.0.1:${api.port}`,
    ])
      expect((await ask('GET', '/health', { headers: { authorization, origin } })).status).toBe(403);
    expect((await ask('GET', '/health', { headers: { authorization, origin: api.url } })).status).toBe(200);
    const { json } = await announce();
    expect((await put(json.upload_url, pdf('abc'), { origin: 'https://evil.example' })).status).toBe(403);
  });

  it('T65 is whoever asks under a name of this machine and our port', async () => {
    const { api } = await serving();
    const ask = async (host: string, token: string) => {
      const socket = await dial(api.port);
      let answer = '';
      socket.on('data', (part) => {
        answer += part.toString('latin1');
      });
      socket.write(`GET /health HTTP/1.1\r\n${host}${token}Connection: close\r\n\r\n`);
      await ended(socket);
      return statusOf(answer);
    };
    const { port } = api;
    const bearer = `Authorization: Bearer ${TOKEN}\r\n`;
    for (const host of [`127.0.0.1:${port}`, `localhost:${port}`, `[::1]:${port}`, `LocalHost:${port}`]) {
      expect([host, await ask(`Host: ${host}\r\n`, bearer)]).toEqual([host, 200]);
      expect([host, await ask(`Host: ${host}\r\n`, '')]).toEqual([host, 401]);
    }
    const wrong = [
      `Host: evil.example:${port}\r\n`,
      `Host: localhost.evil.example:${port}\r\n`,
      `Host: evil.localhost:${port}\r\n`,
      `Host: 127.0.0.1:${port + 1}\r\n`,
      'Host: 127.0.0.1\r\n',
      'Host: \r\n',
      `Host: localhost.:${port}\r\n`,
      `Host: 0.0.0.0:${port}\r\n`,
      `Host: 127.1:${port}\r\n`,
      `Host: 2130706433:${port}\r\n`,
      `Host: 127.0.0.2:${port}\r\n`,
      `Host: 127.0.0.1:${port}\r\nHost: 127.0.0.1:${port}\r\n`,
      `Host: 127.0.0.1:${port}, evil.example\r\n`,
    ];
    for (const host of wrong) {
      expect([host, await ask(host, bearer)]).toEqual([host, 403]);
      expect([host, await ask(host, '')]).toEqual([host, 403]);
    }
    expect(await ask('', bearer)).toBe(400);
  });
});

describe('other requests', () => {
  it('find nothing (404), or the wrong method (405), in the form of every error', async () => {
    const { ask, announce } = await serving();
    const { json: ticket } = await announce();
    const id = '00000000-0000-4000-8000-00000000ffff';
    for (const path of ['/', '/jobs', '/upload/', '//upload', '/job', '/webhooks/llamaparse/x', '/dashboard'])
      expect([path, (await ask('GET', path)).status]).toEqual([path, 404]);
    for (const path of [`/job/${id}`, '/job/', '/job/..', '/job/%00', `/job/${'a'.repeat(8_000)}`])
      expect(await ask('GET', path)).toMatchObject({ status: 404, json: { error: { category: 'usage' } } });
    const { pathname, search } = new URL(ticket.upload_url);
    for (const [method, path, allow] of [
      ['GET', '/upload', 'POST'],
      ['PUT', '/upload', 'POST'],
      ['POST', '/health', 'GET'],
      ['DELETE', `/job/${ticket.job_id}`, 'GET'],
      ['GET', `${pathname}${search}`, 'PUT'],
    ] as const)
      expect(await ask(method, path)).toMatchObject({ status: 405, headers: { allow } });
  });

  it('about a job of another user find nothing', async () => {
    const { upload, ask, store } = await serving();
    const { announced } = await upload(pdf('one'));
    await store.db
      .updateTable('upload_jobs')
      .set({ user_id: USER.replace('a', 'b') })
      .execute();
    const other = await serving({ seed: 2 });
    expect((await other.ask('GET', `/job/${announced.job_id}`)).status).toBe(404);
    expect((await ask('GET', `/job/${announced.job_id}`)).status).toBe(404);
  });

  it('are told of a bug by an id under which the log has more, and of nothing else', async () => {
    const place = pipeline();
    const inspector = { inspect: () => Promise.reject(new Error('secret detail')) };
    const logged: [string, string, unknown][] = [];
    const log: Log = (...entry) => void logged.push(entry as never);
    const { upload } = await serving({}, { pipeline: { ...place.deps, inspector, log } });
    const { answer } = await upload(pdf('one'));
    expect(answer.status).toBe(500);
    expect(answer.json.error).toMatchObject({ code: 'TVDB-E900', correlation_id: expect.any(String) });
    expect(JSON.stringify(answer.json)).not.toContain('secret detail');
    expect(logged).toMatchObject([
      ['error', 'API_FAILED', { correlation_id: answer.json.error.correlation_id, why: 'Error: secret detail' }],
    ]);
  });

  it('learn from /health that the store answers and what is in the queue', async () => {
    const { upload, ask } = await serving();
    await upload(pdf('one'));
    expect(await ask('GET', '/health')).toMatchObject({
      status: 200,
      json: { status: 'ok', mode: 'mock', queue: { active: 0, waiting: 1, parked: 0, failed: 0 } },
    });
  });
});
