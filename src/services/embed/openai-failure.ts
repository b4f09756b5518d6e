/**
 * What a failed request to OpenAI means, decided once.
 *
 * | what came | error | again | billed |
 * |---|---|---|---|
 * | no byte left: refused, no such name, TLS, no free connection | E303, `sent: false` | later | no |
 * | cut, a time limit, an answer over the size limit, given up by the caller | E307 | later | perhaps |
 * | 408, 499, 5xx, a redirect (never followed: the key stays here) | E307 | later | perhaps |
 * | 2xx without a readable charge: HTML, cut JSON, empty, no `usage` | E307 | later | perhaps |
 * | 2xx with a charge, and vectors that may not be stored | E308, `tokens_billed` | later; never for another model | yes |
 * | 402, or a 429 whose type or code speaks of money | E302 | never | no |
 * | any other 429 | E301 | after `Retry-After`, else later | no |
 * | 401, 403 | E112 | never | no |
 * | 400 for its size, 413 | E309, `too_large: true` | never as it is | no |
 * | any other 4xx | E309 | never | no |
 *
 * E307 is for requests that may be billed; for a free one it is E303, and E308 for an answer that is not understood.
 * Where the body of an answer broke off, a status of 4xx still counts: what was refused was not billed.
 */
import type { ErrorCode } from '../../base/error-codes.ts';
import { type Retry, TvdbError } from '../../base/errors.ts';
import type { Scrub } from '../../base/scrub.ts';
import { cleanText } from '../../domain/clean-text.ts';
import type { HttpAnswer, HttpFailure } from '../http/client.ts';
import { whyNoAnswer } from '../http/no-answer.ts';
import { retryAfterMs } from '../retry-after.ts';
import type { Reading } from './openai-answer.ts';

/** Which request an error is about. */
export interface RequestFacts {
  /** `embeddings.create`, `models.get`, `batches.create`, … */
  operation: string;
  billable: boolean;
  /** Takes the key out of a text: a server may echo it. */
  scrub: Scrub;
  /** What we called the request. */
  clientRequestId: string | undefined;
}

/** What was asked, by operation, as the beginning of a sentence. */
const ASKED: Readonly<Record<string, string>> = {
  'embeddings.create': 'The request for vectors to OpenAI',
  'models.get': 'The question for the model to OpenAI',
  'batch-files.create': 'The upload of a batch to OpenAI',
  'batch-files.content': 'The download of a batch from OpenAI',
  'batches.create': 'The order of a batch at OpenAI',
  'batches.get': 'The look at a batch of OpenAI',
  'batches.list': 'The look at the batches of OpenAI',
  'batch-files.delete': 'The deletion of a file at OpenAI',
  'batches.cancel': 'The cancelling of a batch at OpenAI',
};

const LATER: Retry = { kind: 'later' };
const NEVER: Retry = { kind: 'never' };
const WHY_LENGTH = 300;

/** Codes and types of a 429 that no waiting cures; `insufficient_quota` is also the type of codes yet to come. */
const MONEY = new Set([
  'insufficient_quota',
  'credit_balance_exhausted',
  'organization_spend_limit_exceeded',
  'project_spend_limit_exceeded',
  'organization_usage_limit_exceeded',
  'billing_not_active',
  'billing_hard_limit_reached',
]);

/** Statuses of gateways that gave up waiting: the service behind may have gone on. */
const GAVE_UP = new Set([408, 499]);

/** The error of a request without a whole answer, given up by the caller or failed. */
export function failureError(failure: HttpFailure, request: RequestFacts): TvdbError {
  const { kind, left, status, cause } = failure;
  if (status !== null && status >= 400 && status < 500) {
    return statusError({ status, headers: {}, text: '' }, request, 0);
  }
  const why = whyNoAnswer(failure);
  const facts = { http_status: status, sent: left };
  // Causes of the network stay out: they may quote headers.
  const ours = kind === 'aborted' ? { cause } : {};
  if (left && request.billable)
    return make('E307', 'may have been done and billed, or not', why, LATER, request, facts, ours);
  if (kind === 'too_large') return make('E308', 'brought an answer too large', why, LATER, request, facts);
  return make('E303', 'got no answer', why, LATER, request, facts);
}

/** The error of an answer with another status than 2xx. `now` is the wall clock, for dates in `Retry-After`. */
export function statusError(
  answer: Pick<HttpAnswer, 'status' | 'headers' | 'text'>,
  request: RequestFacts,
  now: number,
): TvdbError {
  const { status, headers } = answer;
  const { type, code, message } = errorOf(answer.text);
  const name = code === '' ? type : code;
  const said = [`status ${status}`, name, message].filter((part) => part !== '').join(': ');
  const facts = answerFacts(answer, request);
  const made = (errorCode: ErrorCode, happened: string, retry: Retry, more: Record<string, unknown> = {}) =>
    make(errorCode, happened, words(said, request.scrub), retry, request, { ...facts, ...more });

  if (status === 401) {
    // Its message quotes the ends of the key.
    const why = words([`status ${status}`, name].filter(Boolean).join(': '), request.scrub);
    return make('E112', 'was refused: the key is not accepted', why, NEVER, request, facts);
  }
  if (status === 403) return made('E112', 'was refused: the key may not do this', NEVER);
  if (status === 402 || (status === 429 && (MONEY.has(type) || MONEY.has(code)))) {
    return made('E302', 'was refused: the credit or quota of the account is used up', NEVER);
  }
  if (status === 429) {
    const ms = retryAfterMs(headers, now);
    return made('E301', 'was refused: too many requests or tokens', ms === null ? LATER : { kind: 'after', ms });
  }
  if (status >= 400 && status < 500 && !GAVE_UP.has(status)) {
    return isTooLarge(status, [type, code], message)
      ? made('E309', 'was refused: it is too large', NEVER, { too_large: true })
      : made('E309', 'was refused', NEVER);
  }
  if (request.billable) return made('E307', 'may have been done and billed, or not', LATER);
  if (status < 400) return made('E308', 'was sent elsewhere, which is never followed', LATER);
  return made('E303', 'failed', LATER);
}

function isTooLarge(status: number, names: readonly string[], message: string): boolean {
  if (status === 413) return true;
  return status === 400 && (names.includes('max_tokens_per_request') || /maximum input length/i.test(message));
}

/** The error of a 2xx without vectors that may be stored. */
export function contentError(
  reading: Exclude<Reading, { kind: 'usable' }>,
  answer: HttpAnswer,
  request: RequestFacts,
): TvdbError {
  const why = words(`status ${answer.status}: ${reading.why}`, request.scrub);
  const facts = answerFacts(answer, request);
  if (reading.kind === 'unusable') {
    const more = { ...facts, tokens_billed: reading.tokens };
    const retry = reading.again ? LATER : NEVER;
    return make('E308', 'was billed, and its vectors cannot be used', why, retry, request, more, {
      chargedNanoUsd: null,
    });
  }
  return request.billable
    ? make('E307', 'may have been billed: the answer does not say', why, LATER, request, facts)
    : make('E308', 'brought an answer that is not understood', why, LATER, request, facts);
}

function answerFacts({ status, headers }: Pick<HttpAnswer, 'status' | 'headers'>, { scrub }: RequestFacts) {
  return { http_status: status, request_id: requestIdOf(headers, scrub) ?? null, sent: true };
}

/** The service's id of a request, where it gives one: short, printable, and not our key. */
export function requestIdOf(headers: Readonly<Record<string, string>>, scrub: Scrub): string | undefined {
  const id = headers['x-request-id'];
  return id !== undefined && /^[\w.:/-]{1,128}$/.test(id) && scrub(id) === id ? id : undefined;
}

function make(
  code: ErrorCode,
  happened: string,
  why: string,
  retry: Retry,
  { operation, billable, clientRequestId }: RequestFacts,
  facts: Record<string, unknown>,
  { chargedNanoUsd = code === 'E307' ? null : 0, cause }: { chargedNanoUsd?: number | null; cause?: unknown } = {},
): TvdbError {
  return new TvdbError(code, {
    message: `${ASKED[operation] ?? 'A request to OpenAI'} ${happened}`,
    why,
    retry,
    ...(billable && { chargedNanoUsd }),
    ...(cause !== undefined && { cause }),
    facts: {
      service: 'openai',
      operation,
      ...facts,
      ...(clientRequestId !== undefined && { client_request_id: clientRequestId }),
    },
  });
}

/** `{ error: { message, type, code } }`, as OpenAI and most who speak its contract answer; else empty texts. */
function errorOf(text: string): { type: string; code: string; message: string } {
  let error: unknown;
  try {
    error = (JSON.parse(text) as { error?: unknown } | null)?.error;
  } catch {
    error = undefined;
  }
  const { type, code, message } = (typeof error === 'object' && error !== null ? error : {}) as Record<string, unknown>;
  const word = (value: unknown) => (typeof value === 'string' ? value : '');
  return { type: word(type), code: word(code), message: word(typeof error === 'string' ? error : message) };
}

/** Words of a stranger: no key or anything like one, no control characters, one short line. */
export function words(text: string, scrub: Scrub): string {
  // Scrubbed first, while a key is whole, and again: an invisible character inside of one is gone by then.
  return scrub(cleanText(scrub(text.slice(0, 20_000))).replace(/\s+/g, ' '))
    .replace(/\bsk-[\w*-]+/g, '[key]')
    .trim()
    .slice(0, WHY_LENGTH);
}
