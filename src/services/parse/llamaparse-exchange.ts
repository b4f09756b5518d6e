/** One question to LlamaParse and its answer: admitted, sent with the current key, judged, reported. */
import type { Clock } from '../../base/clock.ts';
import type { TvdbError } from '../../base/errors.ts';
import { createScrubber, type Scrub } from '../../base/scrub.ts';
import type { Governor } from '../governor.ts';
import { type Http, type HttpAnswer, HttpFailure, type HttpRequest } from '../http/client.ts';
import type { KeyRing } from '../key-ring.ts';
import { failureError, type RequestFacts, shapeError, statusError } from './llamaparse-errors.ts';

export interface Operation<T> {
  /** Name for the governor and for errors. */
  operation: string;
  billable: boolean;
  method: HttpRequest['method'];
  /** From the base URL on. */
  path: string;
  query?: [string, string][];
  body?: HttpRequest['body'];
  /** Values of the body that must not appear in an error. */
  /** Told right before the request leaves, after every wait for a turn; when it throws, nothing is sent. */
  leaving?: (() => Promise<void>) | undefined;
  secrets?: readonly string[];
  /** What is wanted of the JSON of a 2xx; `undefined` when it is not there. */
  read(body: unknown): T | undefined;
  /** True for a refusal that is an answer to the caller, and no sign of trouble at the service. */
  expected?(status: number, body: unknown): boolean;
}

export type Reply<T> =
  | { ok: true; value: T; answer: HttpAnswer }
  /** Refused, or not understood. `body` is the JSON of the answer, if it is any. */
  | { ok: false; error: TvdbError; status: number; body: unknown };

export interface ExchangeOptions {
  baseUrl: string;
  http: Http;
  keys: KeyRing;
  governor: Governor;
  clock: Clock;
}

export interface Exchange {
  /**
   * Asks once; a second time only when the key was refused and there is another one, under the same admission: the
   * refusal proves that nothing was accepted, and must not pause the account whose other key works. Resolves with any
   * answer that came. Throws E303 or E307 (billable) when none came, what the governor throws, and the reason of the
   * signal when the caller gave up; a billable request that had left by then is an E307 instead. What a caller broke off,
   * and what failed on this machine, is not reported to the governor.
   */
  ask<T>(operation: Operation<T>, signal: AbortSignal): Promise<Reply<T>>;
  /** The value of an answer; throws its error when there is none. */
  get<T>(operation: Operation<T>, signal: AbortSignal): Promise<T>;
  /** Which account a request goes to now: uploads are remembered by it. Holds nothing of the key but its fingerprint. */
  account(): string;
  /** Takes the keys, and the given secrets, out of a text. */
  scrub: Scrub;
}

/** The exchange of one client with one region. */
export function createExchange({ baseUrl, http, keys, governor, clock }: ExchangeOptions): Exchange {
  const host = new URL(baseUrl).host;

  /** Sends with the current key, and again with the next one when the first is refused. `tried` collects both. */
  async function send(asked: Operation<unknown>, tried: string[], signal: AbortSignal): Promise<HttpAnswer> {
    const key = keys.current();
    tried.push(key);
    const answer = await http.send(requestOf(asked, key), signal);
    if (answer.status !== 401 || !keys.refused(key)) return answer;
    const next = keys.current();
    tried.push(next);
    const second = await http.send(requestOf(asked, next), signal);
    // The last key is told as well, so that it is audited.
    if (second.status === 401) keys.refused(next);
    return second;
  }

  async function ask<T>(asked: Operation<T>, signal: AbortSignal): Promise<Reply<T>> {
    signal.throwIfAborted();
    const { operation, billable } = asked;
    const call = { operation, billable, tokens: 0 };
    await governor.admit({ ...call, fingerprint: keys.fingerprint(keys.current()) }, signal);
    await asked.leaving?.();
    const tried: string[] = [];
    const scrub: Scrub = (text) => createScrubber([...tried, ...(asked.secrets ?? [])])(text);
    const request = { operation, billable, scrub };
    const sent = () => ({ ...call, fingerprint: keys.fingerprint(tried.at(-1) ?? keys.current()) });
    let answer: HttpAnswer;
    try {
      answer = await send(asked, tried, signal);
    } catch (thrown) {
      // A caller who gave up, a damaged file, a locked transport: none of them says anything about the service.
      if (!(thrown instanceof HttpFailure)) throw thrown;
      const { kind, left, latencyMs, status } = thrown;
      if (kind === 'aborted') throw billable && left ? failureError(thrown, request) : thrown.cause;
      const error = failureError(thrown, request);
      await governor.report({ ...sent(), latencyMs, httpStatus: status, headers: {}, error });
      throw error;
    }
    const { status, headers, latencyMs } = answer;
    const body = jsonOf(answer.text);
    const reply = judge(asked, answer, body, request);
    const fine = reply.ok || asked.expected?.(status, body) === true;
    await governor.report({ ...sent(), latencyMs, httpStatus: status, headers, error: fine ? null : reply.error });
    return reply;
  }

  function judge<T>(asked: Operation<T>, answer: HttpAnswer, body: unknown, request: RequestFacts): Reply<T> {
    const { status } = answer;
    if (status < 200 || status > 299) {
      return { ok: false, error: statusError(answer, body, request, clock.now()), status, body };
    }
    const value = body === undefined ? undefined : asked.read(body);
    if (value !== undefined) return { ok: true, value, answer };
    return { ok: false, error: shapeError(answer, request), status, body };
  }

  const requestOf = ({ method, path, query, body }: Operation<unknown>, key: string): HttpRequest => ({
    method,
    url: `${baseUrl}${path}${query === undefined ? '' : `?${new URLSearchParams(query)}`}`,
    headers: { authorization: `Bearer ${key}`, accept: 'application/json', 'user-agent': 'tvdb' },
    ...(body !== undefined && { body }),
  });

  return {
    ask,
    async get(operation, signal) {
      const reply = await ask(operation, signal);
      if (!reply.ok) throw reply.error;
      return reply.value;
    },
    account: () => `${keys.fingerprint(keys.current())}@${host}`,
    scrub: (text) => createScrubber([keys.current()])(text),
  };
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
