/**
 * One question to OpenAI and its answer: admitted, made by the official SDK, sent by our transport, judged, reported.
 *
 * The SDK builds the request; nothing else is left to it. Its retries are off (by default one call is three paid POSTs).
 * Its `fetch` is our `Http`, which sends once and limits time and size of the whole answer: the SDK's own time limit ends
 * at the headers, and it reads the bodies of errors without any. The headers are ours, because it takes some from
 * `OPENAI_CUSTOM_HEADERS`, even `Authorization`. Nothing it could read, judge, log or repeat comes back to it.
 */
import type { OpenAI } from 'openai';
import type { Clock } from '../../base/clock.ts';
import { asTvdbError, TvdbError } from '../../base/errors.ts';
import { createScrubber, type Scrub } from '../../base/scrub.ts';
import type { Call, Exchange, Governor } from '../governor.ts';
import { type Http, type HttpAnswer, HttpFailure, type HttpRequest } from '../http/client.ts';
import type { KeyRing } from '../key-ring.ts';
import { failureError, type RequestFacts, statusError } from './openai-failure.ts';

export interface ExchangeOptions {
  /** For example `https://api.openai.com/v1`, without a slash at the end. */
  baseUrl: string;
  http: Http;
  keys: KeyRing;
  governor: Governor;
  clock: Clock;
}

export interface Question<T> extends Omit<Call, 'fingerprint'> {
  /**
   * The attempt, sent as `X-Client-Request-Id`: it stands in OpenAI's logs even where our side saw no answer. Not an
   * idempotency key. A request that the first key was refused keeps it: it is the same attempt.
   */
  id?: string;
  /** Told right before the request leaves, after every wait for a turn; when it throws, nothing is sent. */
  leaving?: (() => Promise<void>) | undefined;
  /** What is asked, in the words of the SDK. */
  request(client: OpenAI): { asResponse(): Promise<unknown> };
  /** Sent as the body instead: the SDK would read a file whole, and probe its `fetch` with a request before. */
  form?: Extract<HttpRequest['body'], { file: unknown }>;
  /** Statuses that are read as an answer, and say nothing of the account or the service. */
  accepts?: readonly number[];
  /** What is wanted of a 2xx. Throws a `TvdbError` when it is not there. */
  read(answer: HttpAnswer, request: RequestFacts): T;
}

/** What may stand in a header; complaints about anything else quote the key. */
const SENDABLE_KEY = /^[\x21-\x7e]+$/;
/** OpenAI answers 400 to anything longer or not ASCII. */
const SENDABLE_ID = /^[\x21-\x7e]{1,512}$/;

/**
 * Asks once; a second time only when the key was refused and there is another one, under the same admission: the refusal
 * proves that nothing was accepted, and must not pause the account whose other key works. Throws by the table in
 * `openai-failure.ts`, what the governor throws, and the reason of the signal when the caller gave up; a billable request
 * that had left by then is an E307 instead, with that reason as its cause.
 */
export async function ask<T>(options: ExchangeOptions, question: Question<T>, signal: AbortSignal): Promise<T> {
  const { governor, clock, keys } = options;
  const { operation, billable, tokens, id } = question;
  const call = { operation, billable, tokens };
  signal.throwIfAborted();
  await governor.admit({ ...call, fingerprint: keys.fingerprint(keys.current()) }, signal);
  await question.leaving?.();
  const tried: string[] = [];
  const scrub: Scrub = (text) => createScrubber(tried)(text);
  const request: RequestFacts = { operation, billable, scrub, clientRequestId: id };
  const report = (told: Pick<Exchange, 'latencyMs' | 'httpStatus' | 'headers' | 'error'>) =>
    governor.report({ ...call, fingerprint: keys.fingerprint(tried.at(-1) ?? keys.current()), ...told });
  let answer: HttpAnswer;
  try {
    answer = await sendWithAnyKey(options, question, tried, signal);
  } catch (thrown) {
    const { error, latencyMs, httpStatus, told } = noAnswer(thrown, request);
    await report({ latencyMs, httpStatus, headers: {}, error: told });
    throw error;
  }
  const { status: httpStatus, headers, latencyMs } = answer;
  const tell = (error: TvdbError | null) => report({ latencyMs, httpStatus, headers, error });
  try {
    const isAnswer = (httpStatus >= 200 && httpStatus <= 299) || question.accepts?.includes(httpStatus) === true;
    if (!isAnswer) throw statusError(answer, request, clock.now());
    const result = question.read(answer, request);
    await tell(null);
    return result;
  } catch (error) {
    if (error instanceof TvdbError) await tell(error);
    throw error;
  }
}

/**
 * What the caller gets of a request without an answer, and what the governor is told. That we gave up says nothing of
 * the service: it is told so, and not what it means for the bill.
 */
function noAnswer(thrown: unknown, { operation, billable, ...request }: RequestFacts) {
  const unsent = { latencyMs: 0, httpStatus: null };
  // Not of the network: a locked transport, a key that no header takes, a bug.
  if (!(thrown instanceof HttpFailure)) return { ...unsent, error: thrown, told: asTvdbError(thrown) };
  const { kind, left, latencyMs, status: httpStatus, cause } = thrown;
  const error = failureError(thrown, { operation, billable, ...request });
  if (kind !== 'aborted') return { latencyMs, httpStatus, error, told: error };
  const told = new TvdbError('E012', { message: `The request to OpenAI was given up (${operation})` });
  return { latencyMs, httpStatus, error: billable && left ? error : cause, told };
}

/** Sends with the current key, and once more with the next one when the first is refused. `tried` collects both. */
async function sendWithAnyKey(
  options: ExchangeOptions,
  question: Question<unknown>,
  tried: string[],
  signal: AbortSignal,
): Promise<HttpAnswer> {
  const { keys } = options;
  const key = keys.current();
  tried.push(key);
  const answer = await send(options, question, key, signal);
  if (answer.status !== 401 || !keys.refused(key)) return answer;
  const next = keys.current();
  tried.push(next);
  const second = await send(options, question, next, signal);
  // The last key is told as well, so that it is audited.
  if (second.status === 401) keys.refused(next);
  return second;
}

/** Sends what the SDK makes of the question, once, and gives back what our transport saw. Rejects as `Http` does. */
async function send(
  { baseUrl, http }: ExchangeOptions,
  { id, request: build, form }: Question<unknown>,
  key: string,
  signal: AbortSignal,
): Promise<HttpAnswer> {
  if (!SENDABLE_KEY.test(key)) throw unusable('E112', 'The key of OpenAI has characters that no key has');
  if (id !== undefined && !SENDABLE_ID.test(id)) throw new Error('the id of the request cannot be sent in a header');
  let sending: Promise<HttpAnswer> | undefined;
  const deliver = async (url: unknown, { method, body }: { method?: string | undefined; body?: unknown } = {}) => {
    const verb = method?.toUpperCase();
    const request: HttpRequest = {
      method: verb === 'POST' || verb === 'DELETE' ? verb : 'GET',
      url: String(url),
      headers: {
        accept: 'application/json',
        'user-agent': 'tvdb',
        authorization: `Bearer ${key}`,
        ...(id !== undefined && { 'x-client-request-id': id }),
      },
      ...(typeof body === 'string' && { body: { json: JSON.parse(body) as unknown } }),
      ...(form !== undefined && { body: form }),
    };
    if (sending !== undefined) throw new Error('the OpenAI SDK asked twice');
    sending = http.send(request, signal);
    // Awaited below, and not before the SDK is done.
    sending.catch(() => undefined);
    return new Response(null, { status: 204 });
  };
  const { OpenAI } = await import('openai');
  let client: OpenAI;
  try {
    client = new OpenAI({
      baseURL: baseUrl,
      apiKey: key,
      adminAPIKey: null,
      organization: null,
      project: null,
      webhookSecret: null,
      maxRetries: 0,
      logLevel: 'off',
      fetch: deliver,
    });
  } catch {
    // Its complaint quotes the line, which may hold a secret.
    throw unusable('E103', 'OPENAI_CUSTOM_HEADERS cannot be read; tvdb does not use it, but the SDK of OpenAI does');
  }
  await build(client).asResponse();
  if (sending === undefined) throw new Error('the OpenAI SDK sent nothing');
  return await sending;
}

function unusable(code: 'E103' | 'E112', message: string): TvdbError {
  return new TvdbError(code, {
    message,
    why: 'nothing was sent',
    chargedNanoUsd: 0,
    facts: { service: 'openai', sent: false },
  });
}
