/** The OpenAI client on real sockets: one POST whatever happens, no key to strangers, no answer without an end. */
import type { ServerResponse } from 'node:http';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { Clock } from '../../src/base/clock.ts';
import { systemClock } from '../../src/base/clock.ts';
import { TvdbError } from '../../src/base/errors.ts';
import { createHttp } from '../../src/services/http/client.ts';
import { createDispatcher } from '../../src/services/http/dispatcher.ts';
import { embedContract } from '../contract/embed.ts';
import { virtualClock } from '../setup/virtual-clock.ts';
import { type LocalServer, type SeenRequest, serve } from './local-server.ts';
import { ATTEMPT, clientOver, embeddings, KEYS, working } from './openai-like.ts';

const LIMITS = { connectMs: 2_000, headersMs: 20_000, bodyMs: 20_000, requestMs: 60_000, responseBytes: 4_000_000 };
const never = new AbortController().signal;

function clientOf(baseUrl: string, clock: Clock = systemClock) {
  const dispatcher = createDispatcher(LIMITS);
  onTestFinished(() => dispatcher.destroy());
  const http = createHttp({ dispatcher, limits: LIMITS, clock, boundary: () => 'unused' });
  return clientOver(working, { options: { baseUrl, http, clock } });
}

async function errorFrom(server: LocalServer, clock?: Clock, meanwhile = async () => {}): Promise<TvdbError> {
  const { service } = clientOf(`${server.url}/v1`, clock);
  const running = service.embed(['one', 'two'], ATTEMPT, never).catch((thrown: unknown) => thrown);
  await meanwhile();
  const error = await running;
  if (error instanceof TvdbError) return error;
  throw new Error('no TvdbError', { cause: error });
}

const answerRight = (seen: SeenRequest, response: ServerResponse) => {
  response.setHeader('content-type', 'application/json');
  response.setHeader('x-request-id', 'req_wire');
  response.end(JSON.stringify(seen.method === 'GET' ? { id: 'model' } : embeddings(JSON.parse(seen.body.toString()))));
};

embedContract('OpenAI, over a socket', async () => clientOf(`${(await serve(answerRight)).url}/v1`).service);

describe('the OpenAI client on the wire', () => {
  it('sends one POST of JSON, with our id and no header of the SDK', async () => {
    const server = await serve(answerRight);
    const { service } = clientOf(`${server.url}/v1`);
    expect(await service.embed(['one'], ATTEMPT, never)).toMatchObject({ httpStatus: 200, requestId: 'req_wire' });
    const [seen] = server.seen;
    expect([seen?.method, seen?.path, JSON.parse(seen?.body.toString() ?? '')]).toEqual([
      'POST',
      '/v1/embeddings',
      { model: 'text-embedding-3-small', input: ['one'], encoding_format: 'float' },
    ]);
    const known = ['accept', 'authorization', 'connection', 'content-length', 'content-type', 'host', 'user-agent'];
    expect(Object.keys(seen?.headers ?? {}).sort()).toEqual([...known, 'x-client-request-id'].sort());
    expect(seen?.headers['x-client-request-id']).toBe(ATTEMPT.attemptId);
  });

  it.each<[string, string, (response: ServerResponse) => void]>([
    ['500 with x-should-retry', 'E307', (response) => response.writeHead(500, { 'x-should-retry': 'true' }).end('{}')],
    ['a cut after the request was accepted', 'E307', (response) => response.socket?.destroy()],
    [
      'a cut in the answer',
      'E307',
      (response) => response.writeHead(200, { 'content-length': 99 }).write('{', () => response.destroy()),
    ],
    [
      '429 with a wait of 0',
      'E301',
      (response) => response.writeHead(429, { 'retry-after': '0', 'x-should-retry': 'true' }).end('{}'),
    ],
    ['429 of money', 'E302', (response) => response.writeHead(429).end('{"error":{"type":"insufficient_quota"}}')],
    ['408', 'E307', (response) => response.writeHead(408).end()],
    ['409', 'E309', (response) => response.writeHead(409).end()],
    ['200 with HTML', 'E307', (response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<html>')],
    ['204', 'E307', (response) => response.writeHead(204).end()],
  ])('T03 %s: one POST, %s', async (_name, code, act) => {
    const server = await serve((_seen, response) => act(response));
    expect((await errorFrom(server)).code).toBe(code);
    expect(server.seen.map(({ method }) => method)).toEqual(['POST']);
  });

  it('T03 a hang ends with the time of one request, and was one POST', async () => {
    let tell = () => {};
    const arrived = new Promise<void>((resolve) => {
      tell = resolve;
    });
    const server = await serve(() => tell());
    const clock = virtualClock();
    const error = await errorFrom(server, clock, async () => {
      await arrived;
      await clock.advance(LIMITS.requestMs);
    });
    expect(error).toMatchObject({ code: 'E307', why: expect.stringContaining('too long') });
    expect(server.seen).toHaveLength(1);
  });

  it('T03 no listener: nothing was sent', async () => {
    const server = await serve(() => {});
    await server.stop();
    expect(await errorFrom(server)).toMatchObject({ code: 'E303', facts: { sent: false }, retry: { kind: 'later' } });
  });

  it('T74 a redirect to another host is not followed, and the key stays here', async () => {
    const other = await serve(answerRight);
    for (const status of [301, 302, 303, 307, 308]) {
      const server = await serve((_seen, response) =>
        response.writeHead(status, { location: `${other.url}/v1` }).end(),
      );
      expect(await errorFrom(server)).toMatchObject({ code: 'E307', facts: { http_status: status } });
      expect(server.seen).toHaveLength(1);
    }
    expect(other.seen).toEqual([]);
  });

  it.each([200, 429, 500])('T74 an answer of %i without an end is left behind at the limit', async (status) => {
    let written = 0;
    const server = await serve((_seen, response) => {
      response.writeHead(status, { 'content-type': 'application/json' });
      const block = Buffer.alloc(256 * 1024, ' ');
      const more = () => {
        while (!response.destroyed && written < 1_000_000_000) {
          written += block.length;
          if (!response.write(block)) return void response.once('drain', more);
        }
      };
      more();
    });
    const { code } = await errorFrom(server);
    expect(code).toBe(status === 429 ? 'E301' : 'E307');
    expect(server.seen).toHaveLength(1);
    expect(written).toBeLessThan(100_000_000);
  });

  it('sends once more where the first key is refused, and only there', async () => {
    const server = await serve((seen, response) => {
      if (seen.headers.authorization === `Bearer ${KEYS[0]}`) response.writeHead(401).end('{}');
      else answerRight(seen, response);
    });
    const dispatcher = createDispatcher(LIMITS);
    onTestFinished(() => dispatcher.destroy());
    const http = createHttp({ dispatcher, limits: LIMITS, clock: systemClock, boundary: () => 'unused' });
    const { service } = clientOver(working, { keys: KEYS, options: { baseUrl: `${server.url}/v1`, http } });
    expect((await service.embed(['one'], ATTEMPT, never)).vectors).toHaveLength(1);
    expect(server.seen.map(({ headers }) => headers.authorization)).toEqual(KEYS.map((key) => `Bearer ${key}`));
  });
});
