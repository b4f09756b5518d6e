/** What the tests of the LlamaParse client share: a client over a scripted transport or a server on this machine. */
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Dispatcher, MockAgent } from 'undici';
import { onTestFinished } from 'vitest';
import { type Clock, systemClock } from '../../src/base/clock.ts';
import { TvdbError } from '../../src/base/errors.ts';
import type { ParseTier } from '../../src/domain/parse-options.ts';
import type { Call, Exchange, Governor } from '../../src/services/governor.ts';
import { createHttp } from '../../src/services/http/client.ts';
import { createDispatcher, type HttpLimits } from '../../src/services/http/dispatcher.ts';
import { createKeyRing } from '../../src/services/key-ring.ts';
import { createLlamaParse } from '../../src/services/parse/llamaparse.ts';
import type { RemoteFiles } from '../../src/services/parse/llamaparse-submit.ts';
import type { ParseRequest, WebhookTarget } from '../../src/services/parse/port.ts';
import { tempDirectory } from '../setup/temp.ts';

export const never = new AbortController().signal;
export const ORIGIN = 'http://llama.example';
export const KEY = 'llx-key-number-one-0001';
export const SECOND_KEY = 'llx-key-number-two-0002';
export const WEBHOOK: WebhookTarget = {
  url: 'https://tunnel.example/webhooks/llamaparse/token-1234',
  secret: 's'.repeat(40),
};
export const attempt = { attemptId: 'attempt-1', jobId: 'job-1', correlationId: 'correlation-1' };

export const LIMITS: HttpLimits = {
  connectMs: 2_000,
  headersMs: 10_000,
  bodyMs: 10_000,
  requestMs: 60_000,
  responseBytes: 1_000_000,
};

const BYTES = Buffer.from('%PDF-1.7 the stored bytes');
export const SHA = createHash('sha256').update(BYTES).digest('hex');

/** A stored document of `pages` pages. */
export function document(pages = 3, changes: Partial<ParseRequest> = {}): ParseRequest {
  const path = join(tempDirectory(), '0001.pdf');
  writeFileSync(path, BYTES);
  return { documentId: '0001', path, fileSha256: SHA, mime: 'application/pdf', pages, ...changes };
}

export interface ClientOptions {
  baseUrl?: string;
  dispatcher?: Dispatcher;
  limits?: Partial<HttpLimits>;
  keys?: string[];
  tier?: ParseTier;
  version?: string;
  webhook?: WebhookTarget | null;
  clock?: Clock;
  /** What is remembered of uploads, by `account sha`; default the test document, so that only the parse is asked for. */
  files?: Map<string, string>;
  refuse?: (call: Call) => TvdbError | null;
  /** Real milliseconds before each request, for a service that counts them. */
  spacingMs?: number;
}

/** A client, and what its governor, its keys and its memory of uploads were told. */
export function clientOf(options: ClientOptions = {}) {
  const {
    baseUrl = ORIGIN,
    clock = systemClock,
    keys = [KEY],
    tier = 'cost_effective',
    version = '2026-08-19',
  } = options;
  const limits = { ...LIMITS, ...options.limits };
  const dispatcher = options.dispatcher ?? createDispatcher(limits);
  if (options.dispatcher === undefined) onTestFinished(() => dispatcher.destroy());
  const calls: Call[] = [];
  const reports: Exchange[] = [];
  const audit: string[] = [];
  const governor: Governor = {
    async admit(call) {
      calls.push(call);
      const refusal = options.refuse?.(call);
      if (refusal) throw refusal;
      if (options.spacingMs !== undefined) await systemClock.sleep(options.spacingMs);
    },
    async report(exchange) {
      reports.push(exchange);
    },
  };
  const ring = createKeyRing({ service: 'LlamaParse', keys, audit: (event) => audit.push(event) });
  const host = new URL(baseUrl).host;
  const remembered = options.files ?? new Map(keys.map((key) => [`${ring.fingerprint(key)}@${host} ${SHA}`, 'file-1']));
  const files: RemoteFiles = {
    get: async (account, sha) => remembered.get(`${account} ${sha}`) ?? null,
    put: async (account, sha, id) => void remembered.set(`${account} ${sha}`, id),
    forget: async (account, sha) => void remembered.delete(`${account} ${sha}`),
  };
  let forms = 0;
  const service = createLlamaParse({
    baseUrl,
    http: createHttp({ dispatcher, limits, clock, boundary: () => `form${++forms}` }),
    keys: ring,
    governor,
    clock,
    tier,
    version,
    files,
    webhook: () => options.webhook ?? null,
  });
  return { service, calls, reports, audit, remembered };
}

export interface SentRequest {
  method: string;
  path: string;
  query: URLSearchParams;
  authorization: string | undefined;
  json: unknown;
}

export interface ScriptedAnswer {
  status?: number;
  headers?: Record<string, string>;
  /** A value is sent as JSON, a text as it is. */
  body?: unknown;
}

/** A transport that answers by a function and keeps what it was asked; nothing else can be reached through it. */
export function scripted(answer: (request: SentRequest, count: number) => ScriptedAnswer, origin = ORIGIN) {
  const agent = new MockAgent();
  agent.disableNetConnect();
  const sent: SentRequest[] = [];
  for (const method of ['GET', 'POST']) {
    agent
      .get(origin)
      .intercept({ method, path: () => true })
      .reply((options) => {
        const url = new URL(options.path, origin);
        const headers = options.headers as Record<string, string>;
        const json = typeof options.body === 'string' ? JSON.parse(options.body) : undefined;
        const request = {
          method,
          path: url.pathname,
          query: url.searchParams,
          authorization: headers.authorization,
          json,
        };
        sent.push(request);
        const { status = 200, headers: given = {}, body = '' } = answer(request, sent.length);
        return {
          statusCode: status,
          data: typeof body === 'string' ? body : JSON.stringify(body),
          responseOptions: { headers: { 'content-type': 'application/json', ...given } },
        };
      })
      .persist();
  }
  return { dispatcher: agent, sent };
}

/** A job as the service shows it. */
export function job(changes: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    id: 'pjb-1',
    project_id: 'prj-1',
    status: 'PENDING',
    created_at: '2026-11-23T12:00:00Z',
    updated_at: '2026-11-23T12:00:00Z',
    error_message: null,
    name: null,
    tier: 'cost_effective',
    usage: null,
    user_metadata: null,
    ...changes,
  };
}

/** What a promise rejects with, when that is an error of tvdb. */
export async function errorOf(promise: Promise<unknown>): Promise<TvdbError> {
  const thrown: unknown = await promise.then(
    (value) => new Error(`resolved with ${JSON.stringify(value)}`),
    (error: unknown) => error,
  );
  if (thrown instanceof TvdbError) return thrown;
  throw thrown;
}
