/**
 * Embeddings of OpenAI, through the official SDK and our own transport.
 *
 * The SDK builds the request; nothing else is left to it. Its retries are off (it repeats paid requests, three POSTs by
 * default). Its fetch is our `Http`, which sends once and limits time and size of the whole answer (the SDK's time limit
 * ends at the headers, and it reads the bodies of errors without any). The headers are ours, because the SDK takes some
 * from `OPENAI_CUSTOM_HEADERS`, `Authorization` included. Answers are read by `openai-answer.ts`, failures by
 * `openai-failure.ts`.
 */
import type { OpenAI } from 'openai';
import type { Clock } from '../../base/clock.ts';
import { TvdbError } from '../../base/errors.ts';
import { createScrubber } from '../../base/scrub.ts';
import { loadTokenizer } from '../../domain/tokens.ts';
import type { Call, Governor } from '../governor.ts';
import { type Http, type HttpAnswer, HttpFailure, type HttpRequest } from '../http/client.ts';
import type { KeyRing } from '../key-ring.ts';
import { readEmbeddings } from './openai-answer.ts';
import { type Asked, noAnswer, noVectors, refusal, requestId } from './openai-failure.ts';
import type { EmbedAttempt, EmbedService } from './port.ts';

const DIMENSIONS = { 'text-embedding-3-small': 1536, 'text-embedding-3-large': 3072 } as const;

/** Limits of one request, by the API reference (2026-08). */
const MOST_TEXTS = 2048;
const MOST_TOKENS = 300_000;
/** Documented as 8,191 and 8,192 in different places. */
const MOST_TOKENS_EACH = 8191;

/** What may be in an Authorization header; undici's own complaint about anything else quotes the key. */
const SENDABLE = /^[\x21-\x7e]+$/;

export interface OpenAiOptions {
  /** For example `https://api.openai.com/v1`, without a slash at the end. */
  baseUrl: string;
  model: keyof typeof DIMENSIONS;
  keys: KeyRing;
  http: Http;
  governor: Governor;
  clock: Clock;
}

/** What is sent, in the words of the SDK. */
type Ask = (client: OpenAI) => { asResponse(): Promise<unknown> };

/**
 * The client. One POST for a batch, and one more only where the first key was refused and there is a second (a 401
 * proves that nothing was accepted). Throws by the table in `openai-failure.ts`; E416 for a text that is empty or over
 * 8,191 tokens and E309 with `too_large` for a batch over the limits, both before anything leaves; whatever the governor
 * throws; the reason of `signal` when that aborts.
 */
export function createOpenAiEmbed(options: OpenAiOptions): EmbedService {
  const { baseUrl, model, keys, governor, clock } = options;
  const dimensions = DIMENSIONS[model];
  // Elsewhere base64 is often ignored or garbled; both are understood, but plain numbers are what everybody can do.
  const { hostname } = new URL(baseUrl);
  const encoding = hostname === 'api.openai.com' || hostname.endsWith('.api.openai.com') ? 'base64' : 'float';

  /** One exchange that is admitted, sent and reported. `read` throws when the answer is of no use. */
  async function exchange<T>(
    call: Call,
    ask: Ask,
    id: string | undefined,
    signal: AbortSignal,
    read: (answer: HttpAnswer, asked: Asked) => T,
    leaving?: () => Promise<void>,
  ): Promise<T> {
    await governor.admit(call, signal);
    signal.throwIfAborted();
    await leaving?.();
    const key = keys.current();
    const asked: Asked = {
      ...call,
      scrub: createScrubber([key]),
      facts: { key: keys.fingerprint(key), ...(id !== undefined && { client_request_id: id }) },
      now: clock.now(),
    };
    const start = clock.monotonic();
    const sent = await send(options, key, ask, id, signal);
    const report = (error: TvdbError | null) =>
      governor.report({
        ...call,
        latencyMs: clock.monotonic() - start,
        httpStatus: sent.status,
        headers: sent instanceof HttpFailure ? {} : sent.headers,
        error,
      });
    if (sent instanceof HttpFailure && sent.kind === 'aborted') throw signal.reason;
    if (sent.status === 401 && keys.refused(key)) {
      // Not reported: one key is refused, not the account, and the other one must not meet a closed door.
      const again = id === undefined ? id : `${id}/${keys.fingerprint(keys.current())}`;
      return exchange(call, ask, again, signal, read, leaving);
    }
    try {
      if (sent instanceof HttpFailure) throw noAnswer(sent, asked);
      if (sent.status < 200 || sent.status > 299) throw refusal(sent, asked);
      const result = read(sent, asked);
      await report(null);
      return result;
    } catch (error) {
      if (error instanceof TvdbError) await report(error);
      throw error;
    }
  }

  return {
    origin: 'real',
    space: { name: `openai/${model}/${dimensions}`, model, version: '1', dimensions },

    async embed(texts, attempt, signal) {
      signal.throwIfAborted();
      if (texts.length === 0) return { vectors: [], tokensBilled: 0, model };
      const call = { operation: 'embeddings.create', billable: true, tokens: await weigh(texts, attempt) };
      const ask: Ask = (client) => client.embeddings.create({ model, input: [...texts], encoding_format: encoding });
      const read = (answer: HttpAnswer, asked: Asked) => {
        const reading = readEmbeddings(answer.text, { texts: texts.length, dimensions, model });
        if (reading.kind !== 'usable') throw noVectors(reading, answer, asked);
        const { request_id: id } = requestId(answer.headers, asked.scrub);
        return {
          vectors: reading.vectors,
          tokensBilled: reading.tokens,
          model: reading.model,
          httpStatus: answer.status,
          ...(id !== undefined && { requestId: id }),
        };
      };
      return exchange(call, ask, attempt.attemptId, signal, read, attempt.leaving);
    },

    async health(signal) {
      signal.throwIfAborted();
      const start = clock.monotonic();
      const call = { operation: 'models.get', billable: false, tokens: 0 };
      const since = () => Math.round(clock.monotonic() - start);
      try {
        await exchange(
          call,
          (client) => client.models.retrieve(model),
          undefined,
          signal,
          () => undefined,
        );
        return {
          ok: true,
          latencyMs: since(),
          detail: `${model} can be used with key ${keys.fingerprint(keys.current())}`,
        };
      } catch (error) {
        if (!(error instanceof TvdbError)) throw error;
        const detail = error.why === undefined ? error.message : `${error.message}: ${error.why}`;
        return { ok: false, latencyMs: since(), detail };
      }
    },
  };
}

/** Sends what the SDK makes of `ask`, once, and gives back what our transport saw. */
async function send(
  { baseUrl, http }: OpenAiOptions,
  key: string,
  ask: Ask,
  id: string | undefined,
  signal: AbortSignal,
): Promise<HttpAnswer | HttpFailure> {
  if (!SENDABLE.test(key)) {
    throw new TvdbError('E112', {
      message: 'The key of OpenAI has characters that no key has',
      why: 'a space, a line break or a letter beyond ASCII; nothing was sent',
      chargedNanoUsd: 0,
      facts: { service: 'openai', sent: false },
    });
  }
  let seen: HttpAnswer | HttpFailure | undefined;
  let broken: unknown;
  const deliver = async (url: unknown, init: { method?: string | undefined; body?: unknown } = {}) => {
    const { method, body } = init;
    const request: HttpRequest = {
      method: method?.toUpperCase() === 'POST' ? 'POST' : 'GET',
      url: String(url),
      headers: {
        accept: 'application/json',
        'user-agent': 'tvdb',
        authorization: `Bearer ${key}`,
        ...(id !== undefined && { 'x-client-request-id': id }),
      },
      ...(typeof body === 'string' && { body: { json: JSON.parse(body) as unknown } }),
    };
    try {
      seen = await http.send(request, signal);
    } catch (error) {
      if (error instanceof HttpFailure) seen = error;
      else broken = error;
    }
    // The SDK has nothing to read, judge or repeat.
    return new Response(null, { status: 204 });
  };
  const { OpenAI } = await import('openai');
  const client = new OpenAI({
    baseURL: baseUrl,
    apiKey: key,
    adminAPIKey: null,
    organization: null,
    project: null,
    webhookSecret: null,
    maxRetries: 0,
    // Real time, and to the headers only: `http` has the limits that count.
    timeout: 2 ** 31 - 1,
    logLevel: 'off',
    fetch: deliver,
  });
  await ask(client).asResponse();
  if (broken !== undefined) throw broken;
  if (seen === undefined) throw new Error('the OpenAI SDK sent nothing');
  return seen;
}

/**
 * Tokens of a batch, for the limits of the minute. Counts only where it must: a token has at least one byte, so a text
 * of 8,191 bytes never has more tokens, and a small batch may be taken for its bytes (a search need not load the
 * tokenizer). Throws E416 or E309 for what may not be sent.
 */
async function weigh(texts: readonly string[], { attemptId, tokens }: EmbedAttempt): Promise<number> {
  const bytes = texts.map((text) => Buffer.byteLength(text));
  const total = bytes.reduce((sum, one) => sum + one, 0);
  const facts = { service: 'openai', sent: false, client_request_id: attemptId };
  const small = total <= MOST_TOKENS_EACH;
  const tokenizer =
    small || (tokens !== undefined && Math.max(...bytes) <= MOST_TOKENS_EACH) ? null : await loadTokenizer();
  const each = texts.map((text, at) => {
    const most = bytes[at] ?? 0;
    return tokenizer === null || (tokens !== undefined && most <= MOST_TOKENS_EACH) ? most : tokenizer.count(text);
  });
  for (const [at, count] of each.entries()) {
    if (count > 0 && count <= MOST_TOKENS_EACH) continue;
    throw new TvdbError('E416', {
      message: `Text ${at + 1} of ${texts.length} cannot be embedded`,
      why:
        count === 0 ? 'it is empty' : `it has ${count} tokens, and ${MOST_TOKENS_EACH} are the most; nothing was sent`,
      chargedNanoUsd: 0,
      facts,
    });
  }
  const sum = tokens ?? each.reduce((before, count) => before + count, 0);
  if (texts.length > MOST_TEXTS || sum > MOST_TOKENS) {
    throw new TvdbError('E309', {
      message: `A batch of ${texts.length} texts and ${sum} tokens is too large for one request to OpenAI`,
      why: `${MOST_TEXTS} texts and ${MOST_TOKENS} tokens are the most; nothing was sent`,
      chargedNanoUsd: 0,
      facts: { ...facts, too_large: true },
    });
  }
  return sum;
}
