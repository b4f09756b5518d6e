/** T90: services that repeat the key in every answer, in every form, do not get it into any byte that the tool makes. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { request } from 'undici';
import { describe, expect, it, vi } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { startSimulator } from '../../src/simulator/simulator.ts';
import { type SeenRequest, serve } from '../services/local-server.ts';
import { filesIn, KEYS, leaks } from './canary.ts';
import { type Json, letter, workplace } from './workplace.ts';

/** What a service does to one kind of request; the others are answered by the simulator. */
interface Scene {
  on: RegExp;
  status: number;
  /** The error it leads to. */
  code: string;
  /** Answers as a FAILED parse does, with the key in its message. */
  failed?: boolean;
}

const SCENES: Record<string, Scene> = {
  'every key refused': { on: /./, status: 401, code: 'E112' },
  'upload refused': { on: /POST .*\/files/, status: 400, code: 'E309' },
  'parse refused': { on: /POST .*\/parse/, status: 400, code: 'E309' },
  'parse in doubt': { on: /POST .*\/parse/, status: 500, code: 'E307' },
  'parse without credit': { on: /POST .*\/parse/, status: 402, code: 'E302' },
  'parse failed': { on: /GET .*\/parse\/pjb/, status: 200, code: 'E310', failed: true },
  'result refused': { on: /GET .*\/parse\/pjb/, status: 403, code: 'E112' },
  'embedding refused': { on: /embeddings/, status: 400, code: 'E309' },
  'embedding in doubt': { on: /embeddings/, status: 500, code: 'E307' },
  'too many embeddings': { on: /embeddings/, status: 429, code: 'E301' },
  'sent elsewhere': { on: /embeddings/, status: 307, code: 'E307' },
};

/** The key as a service could repeat it. */
function spoken(key: string): string[] {
  const encoded = ['', 'x', 'xy'].flatMap((before) => {
    const bytes = Buffer.from(`${before}${key}`);
    return [bytes.toString('base64'), bytes.toString('base64url'), bytes.toString('hex')];
  });
  return [key, encodeURIComponent(key), JSON.stringify(key), ...encoded];
}

/** A service that plays a scene in front of a simulator, and what it saw of webhooks. */
async function service({ on, status, failed = false }: Scene) {
  const simulator = await startSimulator({ clock: systemClock });
  const targets: string[] = [];
  const server = await serve((seen, response) => {
    const key = String(seen.headers.authorization ?? '').replace('Bearer ', '');
    const { webhook_configurations: hooks = [] } = jsonOf(seen.body) as Json;
    for (const { webhook_url, webhook_signing_secret } of hooks) targets.push(webhook_url, webhook_signing_secret);
    // In every form, and once so that it is cut wherever the text is.
    const said = `${spoken(key).join(' ')} ${Array.from({ length: 40 }, () => key).join('')}`;
    if (!on.test(`${seen.method} ${seen.path}`)) return void forward(seen, response, simulator.url);
    const error = { message: `Incorrect API key provided: ${said}`, type: key.slice(0, 30), code: key };
    const job = {
      id: seen.path.split(/[/?]/).find((part) => part.startsWith('pjb-')),
      status: 'FAILED',
      error_message: said,
    };
    const body = failed ? { ...job, job } : { detail: said, error };
    const headers = {
      'content-type': 'application/json',
      // As much of a key as may stand in an id.
      'x-request-id': key.slice(0, 20),
      'www-authenticate': `Bearer realm="${key}"`,
      location: `https://example.com/?key=${encodeURIComponent(key)}`,
      'retry-after': '0',
    };
    // T92: in two pieces, so that the key is split between them.
    const text = JSON.stringify(body);
    const middle = text.indexOf('ZANZIBAR') + 4;
    response.writeHead(status, headers).write(text.slice(0, middle), () => response.end(text.slice(middle)));
  });
  const stop = async () => {
    await server.stop();
    await simulator.close();
  };
  return { url: server.url, targets, stop };
}

function jsonOf(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString());
  } catch {
    return {};
  }
}

async function forward(
  seen: SeenRequest,
  response: Parameters<Parameters<typeof serve>[0]>[1],
  url: string,
): Promise<void> {
  const { 'content-length': _length, 'transfer-encoding': _coding, connection: _connection, ...headers } = seen.headers;
  const {
    statusCode,
    headers: given,
    body,
  } = await request(`${url}${seen.path}`, {
    method: seen.method as 'GET',
    headers: headers as Record<string, string>,
    ...(seen.body.length > 0 && { body: seen.body }),
  });
  response.writeHead(statusCode, given as Record<string, string>);
  response.end(Buffer.from(await body.arrayBuffer()));
}

const QUICK = {
  MAX_RETRIES: '0',
  DRAIN_WAIT: '1s',
  POLL_FIRST: '1ms',
  EMBED_LINGER: '0ms',
  UNKNOWN_OUTCOME_WINDOW: '100ms',
  COST_AUTO_APPROVE_USD: '100',
};

/** Runs what meets the services in a place of its own, with every debug switch there is, and returns what got out. */
async function told(url: string): Promise<{ found: string[]; text: string }> {
  for (const name of ['OPENAI_LOG', 'LLAMA_CLOUD_LOG', 'LLAMACLOUD_LOG']) vi.stubEnv(name, 'debug');
  const printed: string[] = [];
  for (const way of ['log', 'debug', 'info', 'warn', 'error'] as const)
    vi.spyOn(console, way).mockImplementation((...args) => void printed.push(args.map(String).join(' ')));
  try {
    const { tvdb, home } = workplace({ 'letter.pdf': letter });
    const env = { ...KEYS, ...QUICK, LOG_LEVEL: 'debug', LLAMA_CLOUD_BASE_URL: url, OPENAI_BASE_URL: `${url}/v1` };
    const found: string[] = [];
    let text = '';
    const run = async (...argv: string[]) => {
      const { stdout, stderr } = await tvdb(argv, { env });
      const name = argv.join(' ');
      text += stdout + stderr;
      found.push(...leaks(`stdout of ${name}`, stdout), ...leaks(`stderr of ${name}`, stderr));
      return stdout;
    };
    const uploaded = JSON.parse(
      await run('upload', 'letter.pdf', '--mode', 'real', '--results', 'webhook', '--json', '-vv'),
    );
    const jobId: string = uploaded.data?.documents?.[0]?.job_id ?? '';
    await run('upload', 'letter.pdf', '--force', '--mode', 'hybrid', '-vv');
    await run('trace', jobId, '--full', '-vv');
    await run('trace', jobId, '--json');
    await run('health', '--check', '-vv');
    await run('search', 'letter', '--mode', 'real', '-vv');
    await run('retry', '--failed', '--yes', '--json');
    for (const [path, bytes] of filesIn(home)) found.push(...leaks(path, bytes));
    found.push(...leaks('the console', printed.join('\n')));
    return { found, text };
  } finally {
    vi.unstubAllEnvs();
    vi.restoreAllMocks();
  }
}

describe('T90 T92 a key that services repeat', { timeout: 120_000 }, () => {
  for (const [name, scene] of Object.entries(SCENES)) {
    it(`is in nothing that is written: ${name}`, async () => {
      const { url, stop } = await service(scene);
      try {
        const { found, text } = await told(url);
        expect(found).toEqual([]);
        expect(text).toContain(`TVDB-${scene.code}`);
      } finally {
        await stop();
      }
    });
  }
});

describe('T90 a secret made at run time', { timeout: 120_000 }, () => {
  it('reaches the service, and no log, store, answer or error', async () => {
    const { url, targets, stop } = await service({ on: /embeddings/, status: 400, code: 'E309' });
    try {
      const { tvdb, home, cwd } = workplace({ 'letter.pdf': letter });
      const env = { ...QUICK, LOG_LEVEL: 'debug', LLAMA_CLOUD_BASE_URL: url, OPENAI_BASE_URL: `${url}/v1` };
      const keys = { LLAMAPARSE_API_KEY: 'llx-simulated', OPENAI_API_KEY: 'sk-simulated' };
      const argv = ['upload', join(cwd, 'letter.pdf'), '--mode', 'real', '--results', 'webhook', '-vv'];
      const { stdout, stderr } = await tvdb(argv, { env: { ...env, ...keys } });
      const [target = '', secret = ''] = targets;
      const token = target.split('/').at(-1) ?? '';
      expect([secret.length, token.length]).toEqual([43, 32]);
      const places: [string, string][] = [['stdout', stdout], ['stderr', stderr], ...filesIn(home)];
      expect(places.flatMap(([where, bytes]) => leaks(where, bytes, [secret, token]))).toEqual([]);
      expect(readFileSync(places.find(([path]) => path.endsWith('.jsonl'))?.[0] ?? '', 'utf8')).toContain(
        'key.first_use',
      );
    } finally {
      await stop();
    }
  });
});
