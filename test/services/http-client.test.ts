import { createHash } from 'node:crypto';
import { appendFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { MockAgent } from 'undici';
import { describe, expect, it, onTestFinished } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { createHttp, HttpFailure, type HttpRequest } from '../../src/services/http/client.ts';
import { createDispatcher, type HttpLimits } from '../../src/services/http/dispatcher.ts';
import { lockTransport } from '../../src/services/transport-lock.ts';
import { tempDirectory } from '../setup/temp.ts';
import { virtualClock } from '../setup/virtual-clock.ts';
import { serve } from './local-server.ts';

const LIMITS: HttpLimits = {
  connectMs: 2_000,
  headersMs: 10_000,
  bodyMs: 10_000,
  requestMs: 60_000,
  responseBytes: 100_000,
};
const never = new AbortController().signal;

function httpOf(limits: Partial<HttpLimits> = {}, clock = systemClock) {
  const all = { ...LIMITS, ...limits };
  const dispatcher = createDispatcher(all);
  onTestFinished(() => dispatcher.destroy());
  let forms = 0;
  return createHttp({ dispatcher, limits: all, clock, boundary: () => `boundary${++forms}` });
}

const get = (url: string): HttpRequest => ({ method: 'GET', url, headers: { authorization: 'Bearer key' } });
const post = (url: string): HttpRequest => ({ method: 'POST', url, headers: {}, body: { json: { a: 'ü' } } });

async function failureOf(promise: Promise<unknown>): Promise<HttpFailure> {
  const thrown: unknown = await promise.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (thrown instanceof HttpFailure) return thrown;
  throw new Error('no failure of HTTP', { cause: thrown });
}

describe('an HTTP exchange', () => {
  it('sends JSON and reads the answer, headers in lower case', async () => {
    const server = await serve((_seen, response) => {
      response.writeHead(201, { 'X-Request-Id': 'r1', 'Set-Cookie': ['a=1', 'b=2'] }).end('{"ok":true}');
    });
    const answer = await httpOf().send(post(server.url), never);
    expect(answer).toMatchObject({
      status: 201,
      text: '{"ok":true}',
      headers: { 'x-request-id': 'r1', 'set-cookie': 'a=1, b=2' },
    });
    expect(answer.latencyMs).toBeGreaterThanOrEqual(0);
    const [seen] = server.seen;
    expect(seen?.body.toString()).toBe('{"a":"ü"}');
    expect(seen?.headers['content-type']).toBe('application/json');
  });

  it('keeps connections for the next requests', async () => {
    const server = await serve((_seen, response) => response.end('x'));
    const http = httpOf();
    for (let turn = 0; turn < 10; turn += 1) await http.send(get(server.url), never);
    expect(server.seen).toHaveLength(10);
    // The end of an answer is heard a moment before its connection is free.
    expect(server.connections).toBeLessThan(5);
  });

  it('says that nothing left when the connection is refused', async () => {
    const server = await serve(() => undefined);
    await server.stop();
    expect(await failureOf(httpOf().send(post(server.url), never))).toMatchObject({ kind: 'unreachable', left: false });
  });

  it('says that nothing left when TLS fails', async () => {
    const server = await serve(() => undefined);
    const failure = await failureOf(httpOf().send(post(server.url.replace('http:', 'https:')), never));
    expect(failure).toMatchObject({ kind: 'unreachable', left: false });
    expect(server.seen).toEqual([]);
  });

  it('says that it left when the connection is cut after the request', async () => {
    const server = await serve((_seen, _response, socket) => socket.destroy());
    expect(await failureOf(httpOf().send(post(server.url), never))).toMatchObject({ kind: 'cut', left: true });
    expect(server.seen).toHaveLength(1);
  });

  it('says that it left when the answer is no HTTP', async () => {
    const server = await serve((_seen, _response, socket) => socket.end('garbage\r\n\r\n'));
    expect(await failureOf(httpOf().send(post(server.url), never))).toMatchObject({ kind: 'cut', left: true });
  });

  it('says that it left when no answer begins in time', async () => {
    const server = await serve(() => undefined);
    const failure = await failureOf(httpOf({ headersMs: 100 }).send(post(server.url), never));
    expect(failure).toMatchObject({ kind: 'headers_timeout', left: true, status: null });
    expect(server.seen).toHaveLength(1);
  });

  it('ends a body that stalls, and names the status that had come', async () => {
    const server = await serve((_seen, response) => response.writeHead(200).write('half'));
    const failure = await failureOf(httpOf({ bodyMs: 100 }).send(post(server.url), never));
    expect(failure).toMatchObject({ kind: 'body_timeout', left: true, status: 200 });
  });

  it('ends a body that is cut short', async () => {
    const server = await serve((_seen, response, socket) => {
      response.writeHead(200, { 'content-length': '100' });
      response.write('half', () => socket.destroy());
    });
    expect(await failureOf(httpOf().send(get(server.url), never))).toMatchObject({ kind: 'cut', status: 200 });
  });

  it('ends a request that takes too long as a whole, however lively it is', async () => {
    const clock = virtualClock();
    const server = await serve((_seen, response) => response.writeHead(200).write('drip'));
    const sent = failureOf(httpOf({ requestMs: 5_000 }, clock).send(get(server.url), never));
    await expect.poll(() => server.seen.length).toBe(1);
    await clock.advance(5_000);
    expect(await sent).toMatchObject({ kind: 'request_timeout', left: true });
    expect(clock.sleepers).toBe(0);
  });

  it('stops reading an answer that is too large and closes the connection (T74)', async () => {
    let written = 0;
    const server = await serve((_seen, response) => {
      response.writeHead(200);
      const more = () => {
        while (!response.destroyed && written < 1e9) {
          written += 65_536;
          if (!response.write(Buffer.alloc(65_536))) return response.once('drain', more);
        }
        return response;
      };
      more();
    });
    expect(await failureOf(httpOf().send(get(server.url), never))).toMatchObject({ kind: 'too_large', left: true });
    expect(written).toBeLessThan(50_000_000);
  });

  it('bounds what other transports deliver as well', async () => {
    const agent = new MockAgent();
    agent.disableNetConnect();
    agent
      .get('http://service.example')
      .intercept({ path: '/' })
      .reply(200, 'x'.repeat(LIMITS.responseBytes + 1));
    const http = createHttp({ dispatcher: agent, limits: LIMITS, clock: systemClock, boundary: () => 'b' });
    expect(await failureOf(http.send(get('http://service.example/'), never))).toMatchObject({ kind: 'too_large' });
  });

  it('does not follow a redirect, so that the key goes nowhere else (T74)', async () => {
    const other = await serve((_seen, response) => response.end('mine now'));
    const server = await serve((_seen, response) => response.writeHead(307, { location: other.url }).end());
    expect(await httpOf().send(get(server.url), never)).toMatchObject({ status: 307 });
    expect(other.seen).toEqual([]);
  });

  it('tells with which reason the caller gave up, and whether the request had left', async () => {
    const server = await serve(() => undefined);
    const reason = new Error('interrupted');
    const early = await failureOf(httpOf().send(post(server.url), AbortSignal.abort(reason)));
    expect(early).toMatchObject({ kind: 'aborted', left: false, cause: reason });
    expect(server.connections).toBe(0);
    const stop = new AbortController();
    const sent = failureOf(httpOf().send(post(server.url), stop.signal));
    await expect.poll(() => server.seen.length).toBe(1);
    stop.abort(reason);
    expect(await sent).toMatchObject({ kind: 'aborted', left: true, cause: reason });
  });

  it('is refused by the locked transport like any other', async () => {
    const unlock = lockTransport();
    onTestFinished(unlock);
    await expect(httpOf().send(get('http://192.0.2.1/'), never)).rejects.toMatchObject({ code: 'E901' });
  });
});

describe('an upload', () => {
  const BYTES = Buffer.alloc(3_000_000, 'stored bytes ');

  function fileOf(bytes: Uint8Array, sha256 = createHash('sha256').update(bytes).digest('hex')) {
    const path = join(tempDirectory(), 'document.pdf');
    writeFileSync(path, bytes);
    return { field: 'file', name: 'id".pdf', mime: 'application/pdf', path, sha256 };
  }
  const form = (url: string, file: ReturnType<typeof fileOf>): HttpRequest => ({
    method: 'POST',
    url,
    headers: {},
    body: { fields: { purpose: 'parse' }, file },
  });

  it('streams a form whose length is known before', async () => {
    const server = await serve((_seen, response) => response.end('{}'));
    const file = fileOf(BYTES);
    await httpOf().send(form(server.url, file), never);
    const [seen] = server.seen;
    if (seen === undefined) throw new Error('nothing came');
    expect(seen.headers['transfer-encoding']).toBeUndefined();
    expect(Number(seen.headers['content-length'])).toBe(seen.body.length);
    const read = await new Response(new Uint8Array(seen.body), {
      headers: { 'content-type': String(seen.headers['content-type']) },
    }).formData();
    expect(read.get('purpose')).toBe('parse');
    const sent = read.get('file');
    if (!(sent instanceof File)) throw new Error('no file came');
    expect([sent.name, sent.type]).toEqual(['id_.pdf', 'application/pdf']);
    expect(Buffer.from(await sent.arrayBuffer()).equals(BYTES)).toBe(true);
  });

  it('T83 never completes a form whose bytes are not the expected ones', async () => {
    const server = await serve((_seen, response) => response.end('{}'));
    const file = fileOf(BYTES, '0'.repeat(64));
    await expect(httpOf().send(form(server.url, file), never)).rejects.toMatchObject({ code: 'E417' });
    expect(server.seen.filter(({ complete }) => complete)).toEqual([]);
  });

  it.each<[string, (path: string) => void]>([
    ['grows', (path) => appendFileSync(path, 'more')],
    ['shrinks', (path) => truncateSync(path, 10)],
  ])('never completes a form whose file %s meanwhile', async (_how, change) => {
    const server = await serve((_seen, response) => response.end('{}'));
    const file = fileOf(BYTES);
    const { openUpload } = await import('../../src/services/http/upload.ts');
    const upload = await openUpload({}, file, 'b');
    change(file.path);
    const drain = async () => {
      for await (const chunk of upload.chunks()) if (chunk.length === 0) break;
    };
    await expect(drain()).rejects.toMatchObject({ code: 'E417' });
    expect(server.seen).toEqual([]);
  });

  it('fails with E417 before anything leaves when the file is gone', async () => {
    const server = await serve((_seen, response) => response.end('{}'));
    const file = { ...fileOf(BYTES), path: '/nonexistent/document.pdf' };
    await expect(httpOf().send(form(server.url, file), never)).rejects.toMatchObject({ code: 'E417' });
    expect(server.connections).toBe(0);
  });

  it('hears a refusal that comes before the upload is complete', async () => {
    const { createServer } = await import('node:http');
    const server = createServer((_request, response) => response.writeHead(413).end('{"detail":"too large"}'));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void server.close());
    const { port } = server.address() as { port: number };
    const answer = await httpOf().send(form(`http://127.0.0.1:${port}`, fileOf(Buffer.alloc(20_000_000))), never);
    expect(answer).toMatchObject({ status: 413, text: '{"detail":"too large"}' });
  });
});
