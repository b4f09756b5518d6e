import { EventEmitter } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { request } from 'undici';
import { describe, expect, it } from 'vitest';
import { dial, ended, listening } from '../server/listener-place.ts';
import type { Run, RunOptions } from '../setup/run-tvdb.ts';
import { type Json, letter, workplace } from './workplace.ts';

/** `tvdb serve` while it runs: what it answered at its start, and the way to end it. */
async function served(argv: readonly string[], options: RunOptions = {}, place = workplace({ 'a.pdf': letter })) {
  const signals = new EventEmitter();
  let tell = (_text: string) => {};
  const told = new Promise<string>((resolve) => {
    tell = resolve;
  });
  let text = '';
  const run: Promise<Run> = place.tvdb(['serve', '--json', ...argv], {
    signals,
    onOutput: (stream, part) => {
      if (stream === 'stdout') text += part;
      if (text.endsWith('}\n')) tell(text);
    },
    ...options,
  });
  const answer: Json = JSON.parse(await Promise.race([told, run.then(({ stdout }) => stdout)]));
  const ask = async (
    method: 'GET' | 'POST' | 'PUT',
    url: string,
    body?: string | Buffer,
    token = answer.data.token,
  ) => {
    const { statusCode, body: said } = await request(url.startsWith('/') ? `${answer.data.url}${url}` : url, {
      method,
      headers: { authorization: `Bearer ${token}` },
      ...(body !== undefined && { body }),
      reset: true,
    });
    return { status: statusCode, json: JSON.parse(await said.text()) as Json };
  };
  return {
    ...place,
    answer,
    ask,
    run,
    stop: () => {
      signals.emit('SIGINT');
      return run;
    },
  };
}

const isOpen = async (port: number) => {
  const socket = await dial(port);
  const open = !socket.destroyed;
  socket.destroy();
  return open;
};

describe('tvdb serve', () => {
  it('says where it listens, takes a document to its end, and Ctrl-C is a success that leaves nothing open', async () => {
    const { answer, ask, stop, cwd, home } = await served([]);
    expect(answer).toMatchObject({ schema: 'tvdb.serve/v1', ok: true, exit_code: 0, error: null });
    const { url, port, token, webhook } = answer.data;
    expect(answer.data).toEqual({
      url: `http://127.0.0.1:${port}`,
      port: expect.any(Number),
      token: expect.stringMatching(/^[\w-]{43}$/),
      webhook: { url: `http://127.0.0.1:${webhook.port}`, port: expect.any(Number), public_url: null },
      mode: 'mock',
    });
    expect(url).not.toBe(webhook.url);
    const bytes = readFileSync(join(cwd, 'a.pdf'));
    const announced = await ask('POST', '/upload', JSON.stringify({ filename: 'a.pdf', bytes: bytes.length }));
    expect(announced.status).toBe(201);
    expect((await ask('PUT', announced.json.upload_url, bytes)).status).toBe(201);
    const status = async () => (await ask('GET', `/job/${announced.json.job_id}`)).json.status;
    await expect.poll(status, { timeout: 20_000 }).toBe('complete');
    expect(await Promise.all([port, webhook.port].map(isOpen))).toEqual([true, true]);
    const { code, stderr, stdout } = await stop();
    expect([code, JSON.parse(stdout)]).toEqual([0, answer]);
    expect(stderr).toContain('searchable');
    expect(stderr).not.toContain(token);
    expect(await Promise.all([port, webhook.port].map(isOpen))).toEqual([false, false]);
    const logs = join(home, 'data/tvdb/logs');
    const log = readdirSync(logs).map((name) => readFileSync(join(logs, name), 'utf8'));
    expect(log.join('')).not.toContain(token);
  });

  it('keeps a token of the user to itself', async () => {
    const token = 'a-token-of-my-own';
    const { answer, ask, stop } = await served([], { env: { TVDB_API_TOKEN: token } });
    expect(answer.data.token).toBeNull();
    expect((await ask('GET', '/health', undefined, token)).status).toBe(200);
    expect((await ask('GET', '/health', undefined, `${token}x`)).status).toBe(401);
    const { code, stdout, stderr } = await stop();
    expect(code).toBe(0);
    expect(stdout + stderr).not.toContain(token);
  });

  it('shows people the addresses and lines to try', async () => {
    const signals = new EventEmitter();
    const run = await workplace().tvdb(['serve', '-m', 'mock'], {
      signals,
      tty: true,
      cols: 200,
      env: { NO_COLOR: '1' },
      onOutput: (stream, text) => {
        if (stream === 'stdout' && text.includes('/job/')) signals.emit('SIGINT');
      },
    });
    expect(run.code).toBe(0);
    expect(run.stdout).toMatch(/Serving +.*http:\/\/127\.0\.0\.1:\d+/);
    expect(run.stdout).toContain('curl -T a.pdf');
  });

  it('T64 ends with 1 when a port is taken, and leaves the other one free', async () => {
    const { listener } = await listening();
    for (const flag of ['--port', '--webhook-port']) {
      const { code, json } = await workplace().tvdb(['serve', '--json', flag, String(listener.port)]);
      expect(code).toBe(1);
      expect(json).toMatchObject({ ok: false, error: { code: 'TVDB-E601' } });
      expect(JSON.stringify(json.error)).toContain(flag);
    }
  });

  it('T64 ends in the middle of a request, and nothing of it stays', async () => {
    const { answer, ask, stop, home, rows } = await served([]);
    const { json } = await ask('POST', '/upload', JSON.stringify({ filename: 'a.pdf', bytes: 1_000 }));
    const { pathname, search, host } = new URL(json.upload_url);
    const socket = await dial(answer.data.port);
    socket.write(`PUT ${pathname}${search} HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 1000\r\n\r\n%PDF-1.7`);
    const incoming = join(home, 'data/tvdb/storage/incoming');
    const staged = () => (existsSync(incoming) ? readdirSync(incoming).length : 0);
    await expect.poll(staged).toBe(1);
    const { code } = await stop();
    await ended(socket);
    expect(code).toBe(0);
    await expect.poll(staged).toBe(0);
    expect(await rows('upload_jobs')).toEqual([]);
    expect(await rows('runs')).toMatchObject([{ command: 'serve', exit_code: 0 }]);
  });

  it('starts in a mode that cannot be used, warns, and refuses uploads with the reason', async () => {
    const { answer, ask, stop } = await served(['--mode', 'real']);
    expect(answer.warnings).toHaveLength(1);
    const { status, json } = await ask('POST', '/upload', JSON.stringify({ filename: 'a.pdf', bytes: 10 }));
    expect([status, json.error.code]).toEqual([503, answer.warnings[0].code]);
    expect((await stop()).code).toBe(0);
  });
});
