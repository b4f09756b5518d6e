/** The embeddings of OpenAI from memory: an `Http` that answers as told and keeps what was sent. */

import { embedNgrams } from '../../src/domain/ngram-embedding.ts';
import { encodeVector } from '../../src/domain/vector.ts';
import { createOpenAiEmbed, type OpenAiOptions } from '../../src/services/embed/openai.ts';
import type { Call, Exchange, Governor } from '../../src/services/governor.ts';
import {
  type Http,
  type HttpAnswer,
  HttpFailure,
  type HttpFailureKind,
  type HttpRequest,
} from '../../src/services/http/client.ts';
import { createKeyRing } from '../../src/services/key-ring.ts';
import { virtualClock } from '../setup/virtual-clock.ts';

export const KEYS = ['sk-proj-FIRST0123456789abcdef', 'sk-proj-SECOND0123456789abcdef'] as const;
export const ATTEMPT = {
  attemptId: '00000000-0000-4000-8000-00000000000a',
  jobId: '00000000-0000-4000-8000-00000000000b',
  correlationId: '00000000-0000-4000-8000-00000000000c',
};
export const BASE = 'https://api.openai.com/v1';

type Answer = HttpAnswer | HttpFailure;
/** What comes back for a request. */
export type Answering = (request: HttpRequest, signal: AbortSignal) => Answer | Promise<Answer>;

export function answer(status: number, body: unknown, headers: Record<string, string> = {}): HttpAnswer {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  return { status, headers: { 'content-type': 'application/json', ...headers }, text, latencyMs: 7 };
}

export function refused(status: number, error: object, headers: Record<string, string> = {}): HttpAnswer {
  return answer(status, { error: { message: '', type: null, param: null, code: null, ...error } }, headers);
}

export function failed(kind: HttpFailureKind, left: boolean, status: number | null = null, cause?: unknown) {
  return new HttpFailure(kind, { left, status, latencyMs: 7, cause });
}

export interface Sent {
  model: string;
  input: string[];
  encoding_format: string;
}

/** The JSON of a request. */
export function jsonOf({ body }: HttpRequest): Sent {
  if (body === undefined || !('json' in body)) throw new Error('no JSON was sent');
  return body.json as Sent;
}

export interface Body {
  object: string;
  data: { object: string; index: number; embedding: unknown }[];
  model: string;
  usage: { prompt_tokens: number; total_tokens: number };
}

/** A right answer: vectors by word parts, a token for every 4 bytes begun. */
export function embeddings({ input, model, encoding_format }: Sent): Body {
  const tokens = input.reduce((sum, text) => sum + Math.ceil(Buffer.byteLength(text) / 4), 0);
  const data = input.map((text, index) => {
    const vector = embedNgrams(text);
    const embedding = encoding_format === 'base64' ? encodeVector(vector).toString('base64') : [...vector];
    return { object: 'embedding', index, embedding };
  });
  return { object: 'list', data, model, usage: { prompt_tokens: tokens, total_tokens: tokens } };
}

/** The service as it should be. */
export const working: Answering = (request) =>
  request.method === 'GET'
    ? answer(200, { id: 'text-embedding-3-small', object: 'model' })
    : answer(200, embeddings(jsonOf(request)), { 'x-request-id': 'req_1', 'x-ratelimit-remaining-tokens': '999' });

export interface Setting {
  keys?: readonly string[];
  options?: Partial<OpenAiOptions>;
  admit?: (call: Call) => void;
}

/** A client over `answering`, and everything it did. */
export function clientOver(answering: Answering, { keys = KEYS.slice(0, 1), options = {}, admit }: Setting = {}) {
  const sent: HttpRequest[] = [];
  const admitted: Call[] = [];
  const reported: Exchange[] = [];
  const audited: string[][] = [];
  const http: Http = {
    async send(request, signal) {
      if (signal.aborted) throw failed('aborted', false, null, signal.reason);
      sent.push(request);
      const reply = await answering(request, signal);
      if (reply instanceof HttpFailure) throw reply;
      return reply;
    },
  };
  const governor: Governor = {
    async admit(call) {
      admit?.(call);
      admitted.push(call);
    },
    async report(exchange) {
      reported.push(exchange);
    },
  };
  const ring = createKeyRing({ service: 'openai', keys, audit: (...line) => audited.push(line) });
  const clock = virtualClock();
  const service = createOpenAiEmbed({
    baseUrl: BASE,
    model: 'text-embedding-3-small',
    http,
    keys: ring,
    governor,
    clock,
    ...options,
  });
  return { service, sent, admitted, reported, audited, clock };
}
