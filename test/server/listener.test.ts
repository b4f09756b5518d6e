import { once } from 'node:events';
import { createServer } from 'node:net';
import { describe, expect, it } from 'vitest';
import { listen, PUBLIC_LIMITS } from '../../src/server/http-server.ts';
import { signUrl } from '../../src/storage/signed-url.ts';
import { insertDocument } from '../../src/store/documents.ts';
import { documentRow, USER } from '../setup/jobs.ts';
import { countingIds } from '../setup/seeded.ts';
import { virtualClock } from '../setup/virtual-clock.ts';
import { dial, ended, KEY, listening, statusOf } from './listener-place.ts';

describe('the public-facing listener', () => {
  it('gives services its public address and this machine the local one, both with a path of the run', async () => {
    const { listener, path } = await listening({ publicUrl: 'https://tunnel.example/base' });
    expect(path).toMatch(/^\/webhooks\/llamaparse\/[0-9a-f]{32}$/);
    expect(listener.target().url).toBe(`https://tunnel.example/base${path}`);
    expect(listener.localTarget().url).toBe(`http://127.0.0.1:${listener.port}${path}`);
    expect(listener.url).toBe('https://tunnel.example/base');
    expect((await listening()).listener.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
  });

  it('takes a delivery with and without the path of the public address', async () => {
    const { send, post, path, envelope, rows } = await listening({ publicUrl: 'https://tunnel.example/base' });
    for (const to of [path, `/base${path}`])
      expect(statusOf(await send(post(envelope(), { at: 'tunnel.example', to })))).toBe(200);
    expect(await rows()).toHaveLength(2);
  });

  it.each(['GET', 'PUT', 'DELETE', 'OPTIONS', 'TRACE', 'PATCH', 'HEAD'])(
    'T63 answers %s on its path with 405',
    async (method) => {
      const { send, path, host, rows } = await listening();
      const answer = await send(`${method} ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
      expect(statusOf(answer)).toBe(405);
      expect(answer).toContain('allow: POST');
      expect(await rows()).toEqual([]);
    },
  );

  it('T63 answers other forms of its path with 404', async () => {
    const { send, post, path, host, envelope, rows } = await listening();
    const others = [
      '/',
      `/${path}`,
      `${path}/`,
      path.slice(0, -1),
      path.toUpperCase(),
      path.replace('webhooks', '%77ebhooks'),
      `/x/..${path}`,
      `http://${host}${path}`,
      `//evil.example${path}`,
      '/webhooks/llamaparse/',
      '/job/1',
      '/upload',
      '/health',
      '/dashboard',
      '*',
    ];
    for (const to of others) expect([to, statusOf(await send(post(envelope(), { to })))]).toEqual([to, 404]);
    expect(await rows()).toEqual([]);
    expect(statusOf(await send(post(envelope(), { to: `${path}?from=tunnel` })))).toBe(200);
  });

  it('T63 answers a path of 100 kB with 431, and CONNECT with nothing', async () => {
    const { send, post, host, envelope, rows } = await listening();
    expect(statusOf(await send(post(envelope(), { to: `/${'a'.repeat(100_000)}` })))).toBe(431);
    expect(statusOf(await send(`CONNECT ${host} HTTP/1.1\r\nHost: ${host}\r\n\r\n`))).toBe(0);
    expect(statusOf(await send('this is no HTTP\r\n\r\n'))).toBe(400);
    expect(await rows()).toEqual([]);
  });

  it('answers under its own names only', async () => {
    const { send, post, envelope, listener, rows } = await listening();
    const { port } = listener;
    const right = [`127.0.0.1:${port}`, `localhost:${port}`, `LOCALHOST:${port}`, `[::1]:${port}`];
    const wrong = [
      `evil.example:${port}`,
      `localhost.evil.example:${port}`,
      `127.0.0.1:${port + 1}`,
      '127.0.0.1',
      'localhost',
      `localhost.:${port}`,
      `0.0.0.0:${port}`,
      `127.1:${port}`,
      `2130706433:${port}`,
      `127.0.0.1:${port}@evil.example`,
      `127.0.0.1:${port}\r\nHost: evil.example`,
      '',
    ];
    for (const at of right) expect([at, statusOf(await send(post(envelope(), { at })))]).toEqual([at, 200]);
    for (const at of wrong) expect([at, statusOf(await send(post(envelope(), { at })))]).toEqual([at, 403]);
    expect(await rows()).toHaveLength(right.length);
    expect(statusOf(await send('POST / HTTP/1.0\r\nContent-Length: 0\r\n\r\n'))).toBe(403);
    expect(statusOf(await send('POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n'))).toBe(400);
  });

  it('answers behind a tunnel under exactly its public name, and to this machine', async () => {
    const { send, post, envelope, listener } = await listening({ publicUrl: 'https://tunnel.example' });
    const status = async (at: string) => statusOf(await send(post(envelope(), { at })));
    for (const at of ['tunnel.example', 'tunnel.example:443', `127.0.0.1:${listener.port}`])
      expect([at, await status(at)]).toEqual([at, 200]);
    for (const at of ['a.tunnel.example', 'tunnel.example:80', 'tunnel.example.', `localhost:${listener.port}`])
      expect([at, await status(at)]).toEqual([at, 403]);
  });
});

describe('signed reading', () => {
  async function stored() {
    const place = await listening();
    const { store, storage } = place;
    const document = documentRow(countingIds());
    await storage.write(document.raw_path, '%PDF-1.7 bytes', 'temp');
    await store.write((trx) => insertDocument(trx, document));
    const target = { method: 'GET', bucket: 'raw', userId: USER, documentId: document.document_id } as const;
    const base = `http://${place.host}`;
    const url = (changes: object = {}, ttl = 60_000) =>
      new URL(signUrl(base, { ...target, ...changes }, place.clock.now() + ttl, KEY));
    const get = (to: string, method = 'GET') =>
      place.send(`${method} ${to} HTTP/1.1\r\nHost: ${place.host}\r\nConnection: close\r\n\r\n`);
    return { ...place, url, get };
  }

  it('sends the stored bytes to whoever holds the URL, and lets nobody guess what they are', async () => {
    const { url, get } = await stored();
    const { pathname, search } = url();
    const answer = await get(`${pathname}${search}`);
    expect(statusOf(answer)).toBe(200);
    expect(answer.endsWith('\r\n\r\n%PDF-1.7 bytes')).toBe(true);
    for (const header of ['content-disposition: attachment', 'x-content-type-options: nosniff', 'application/pdf'])
      expect(answer).toContain(header);
  });

  it('refuses alike what is forged, expired, for writing, or for another file', async () => {
    const { url, get, clock } = await stored();
    const { pathname, search } = url();
    const short = url({}, 1_000);
    await clock.advance(2_000);
    const other = pathname.replace(/.$/, '9');
    const asked = [
      pathname,
      `${pathname}${search.replace(/.$/, (last) => (last === '0' ? '1' : '0'))}`,
      `${short.pathname}${short.search}`,
      `${pathname}${url({ method: 'PUT' }).search}`,
      `${other}${search}`,
      `${pathname}/${search}`,
      `/storage/../storage/raw${search}`,
      `/storage/raw/..%2f..%2fetc%2fpasswd${search}`,
    ];
    const bare = (answer: string) => answer.replace(/date: [^\r]+/i, '');
    const answers = [];
    for (const to of asked) answers.push(bare(await get(to)));
    expect(new Set(answers).size).toBe(1);
    expect(statusOf(answers[0] ?? '')).toBe(403);
  });

  it('answers 404 for a file that is gone or was never made, and 405 for writing', async () => {
    const { url, get } = await stored();
    const parsed = url({ bucket: 'parsed' });
    const stranger = url({ userId: USER.replace('a', 'b') });
    for (const { pathname, search } of [parsed, stranger])
      expect(statusOf(await get(`${pathname}${search}`))).toBe(404);
    const put = url({ method: 'PUT' });
    for (const method of ['PUT', 'HEAD', 'DELETE', 'POST'])
      expect(statusOf(await get(`${put.pathname}${put.search}`, method))).toBe(405);
  });
});

describe('under attack', () => {
  /** Node closes slow peers at these times; real ones, so they are short. */
  const SHORT = { headersTimeoutMs: 150, requestTimeoutMs: 300, checkIntervalMs: 50 };

  it('T60 closes 200 slow and 50 silent connections in time, and a genuine delivery gets through meanwhile', async () => {
    const { listener, path, host, send, post, envelope, rows } = await listening({}, SHORT);
    const began = performance.now();
    const attack = async (index: number) => {
      const socket = await dial(listener.port);
      if (index % 5 < 2) socket.write(`POST ${path} HTTP/1.1\r\nHost: ${host}\r\nX-Slow: `);
      else if (index % 5 < 4) socket.write(`POST ${path} HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 1000\r\n\r\n{`);
      return socket;
    };
    const sockets = await Promise.all(Array.from({ length: 250 }, (_none, index) => attack(index)));
    expect(listener.connections()).toBeLessThanOrEqual(PUBLIC_LIMITS.maxConnections);
    const asked = performance.now();
    expect(statusOf(await send(post(envelope())))).toBe(200);
    expect(performance.now() - asked).toBeLessThan(1_000);
    await Promise.all(sockets.map(ended));
    expect(performance.now() - began).toBeLessThan(10_000);
    expect(await rows()).toHaveLength(1);
    await expect.poll(() => listener.connections()).toBe(0);
  });

  it('T60 would keep a genuine delivery out if it turned newcomers away', async () => {
    // What node:http offers for it: the house is full, and stays so.
    const { createServer: createHttp } = await import('node:http');
    const server = createHttp((_request, response) => void response.end('ok'));
    server.maxConnections = 2;
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    const silent = await Promise.all([dial(port), dial(port)]);
    const genuine = await dial(port);
    genuine.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    let answer = '';
    genuine.on('data', (part) => {
      answer += part.toString();
    });
    await ended(genuine);
    expect(answer).toBe('');
    for (const socket of silent) socket.destroy();
    server.close();
  });

  it('T62 closes within 2 s with 50 stuck connections, and twice', async () => {
    const { listener, path, host } = await listening();
    const sockets = await Promise.all(Array.from({ length: 50 }, () => dial(listener.port)));
    for (const [index, socket] of sockets.entries())
      if (index % 2 === 0) socket.write(`POST ${path} HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 1000\r\n\r\n{`);
    const began = performance.now();
    // The clock of the listener stands still: it waits for nobody who has not asked anything.
    await Promise.all([listener.close(), listener.close()]);
    expect(performance.now() - began).toBeLessThan(2_000);
    await Promise.all(sockets.map(ended));
    const late = await dial(listener.port);
    expect(late.destroyed).toBe(true);
  });

  it('T64 lets a delivery in hand be answered when it closes', async () => {
    const base = await listening();
    let go = () => {};
    const held = new Promise<void>((resolve) => {
      go = resolve;
    });
    let began = () => {};
    const writing = new Promise<void>((resolve) => {
      began = resolve;
    });
    const slow = {
      db: base.store.db,
      write: async (work: never) => {
        began();
        await held;
        return base.store.write(work);
      },
    };
    const { listener, send, post, envelope } = await listening({ store: slow as never });
    const answer = send(post(envelope()));
    await writing;
    const closed = listener.close();
    go();
    expect(statusOf(await answer)).toBe(200);
    await closed;
    expect(await base.rows()).toHaveLength(1);
  });

  it('T64 cuts an answer that never comes after a second', async () => {
    const clock = virtualClock();
    const base = await listening();
    let began = () => {};
    const writing = new Promise<void>((resolve) => {
      began = resolve;
    });
    const never = {
      db: base.store.db,
      write: () => {
        began();
        return new Promise(() => {});
      },
    };
    const { listener, send, post, options } = await listening({ store: never as never, clock });
    const body = JSON.stringify({
      event_id: 'e',
      event_type: 'parse.success',
      timestamp: options.clock.now() / 1000,
      data: { id: 'p' },
    });
    const answer = send(post(body));
    await writing;
    const closed = listener.close();
    await clock.advance(PUBLIC_LIMITS.closeGraceMs);
    await closed;
    expect(statusOf(await answer)).toBe(0);
  });
});

describe('a port', () => {
  const options = {
    clock: virtualClock(),
    limits: PUBLIC_LIMITS,
    hosts: () => new Set<string>(),
    handle: async () => {},
    refuseHost: () => {},
    onBug: () => {},
  };

  it('T64 that is taken is E601, and nothing is left listening', async () => {
    const { listener } = await listening();
    await expect(listening({ port: listener.port })).rejects.toMatchObject({ code: 'E601', exit: 1 });
    await listener.close();
    const again = await listen({ ...options, port: listener.port });
    expect(again.port).toBe(listener.port);
    await again.close();
  });

  it('is free again for anybody after closing', async () => {
    const server = await listen({ ...options, port: 0 });
    await server.close();
    const other = createServer();
    other.listen(server.port, '127.0.0.1');
    await once(other, 'listening');
    other.close();
  });
});
