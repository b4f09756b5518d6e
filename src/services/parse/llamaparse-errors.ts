/** What an answer of LlamaParse, or none, means: the one place where it becomes an error of tvdb. */
import type { ErrorCode } from '../../base/error-codes.ts';
import { type Retry, TvdbError } from '../../base/errors.ts';
import type { Scrub } from '../../base/scrub.ts';
import { cleanText } from '../../domain/clean-text.ts';
import type { HttpAnswer, HttpFailure } from '../http/client.ts';
import { whyNoAnswer } from '../http/no-answer.ts';
import { retryAfterMs } from '../retry-after.ts';
import { detailOf } from './llamaparse-wire.ts';

/** A request in words: completes "… to LlamaParse". */
const REQUESTS: Readonly<Record<string, string>> = {
  'files.create': 'The upload of the document',
  'parse.create': 'The request to parse',
  'parse.get': 'A question about a parse',
  'parse.list': 'The search for a parse',
  'parse.cancel': 'The request to stop a parse',
  'parse.versions': 'The question for its versions',
};

/** Which request an error is about, and how to keep its secrets out. */
export interface RequestFacts {
  operation: string;
  billable: boolean;
  scrub: Scrub;
}

const LATER: Retry = { kind: 'later' };
const NEVER: Retry = { kind: 'never' };
const WHY_LENGTH = 300;

/** Limits of a plan come with the status of a rate limit, but waiting never clears them. */
const PLAN_LIMIT = /already reached the maximum|number of credits|quota/i;
/** Statuses of gateways that gave up waiting: the service behind may have gone on. The first stands in RFC 9110. */
const GAVE_UP = new Set([408, 499]);

/** The error of a request that got no answer. A caller who gave up is not handled here. */
export function failureError(failure: HttpFailure, request: RequestFacts): TvdbError {
  const why = whyNoAnswer(failure);
  const facts = { http_status: failure.status, sent: failure.left };
  if (failure.left && request.billable) return make('E307', 'may have arrived, or not', why, LATER, request, facts);
  if (failure.kind === 'too_large') return make('E308', 'brought an answer too large', why, LATER, request, facts);
  return make('E303', 'got no answer', why, LATER, request, facts);
}

/**
 * The error of an answer with another status than 2xx. `now` is the wall clock, for dates in `Retry-After`. Anything but
 * a known refusal leaves a billable request in doubt: a redirect, a gateway's timeout and every 5xx.
 */
export function statusError(answer: HttpAnswer, body: unknown, request: RequestFacts, now: number): TvdbError {
  const { status } = answer;
  const said = words(detailOf(body), request.scrub);
  const why = said === '' ? `status ${status}` : `status ${status}: ${said}`;
  const facts = answerFacts(answer);
  const made = (code: ErrorCode, happened: string, retry: Retry) => make(code, happened, why, retry, request, facts);
  const asked = retryAfterMs(answer.headers, now);
  const wait: Retry = asked === null ? LATER : { kind: 'after', ms: asked };

  if (status === 401 || status === 403) return made('E112', 'was refused: the key is not accepted', NEVER);
  if (status === 402) return made('E302', 'was refused: the plan has no credits left', NEVER);
  if (status === 429) {
    return PLAN_LIMIT.test(said)
      ? made('E302', 'was refused: a limit of the plan is reached', NEVER)
      : made('E301', 'was refused: too many requests', wait);
  }
  // A free question that leads nowhere: a wrong base URL or a gateway. It must not end a job that is already paid for.
  if (status === 404 && !request.billable) return made('E308', 'was not understood there', LATER);
  if (status >= 400 && status < 500 && !GAVE_UP.has(status)) return made('E309', 'was refused', NEVER);
  if (request.billable) return made('E307', 'may have been accepted, or not', LATER);
  if (status < 400) return made('E308', 'was sent elsewhere, which is never followed', LATER);
  return made('E303', 'failed', wait);
}

/** The error of a 2xx whose body is not what was asked for. */
export function shapeError(answer: HttpAnswer, request: RequestFacts): TvdbError {
  const type = words(answer.headers['content-type'] ?? 'no type', request.scrub).slice(0, 60);
  const why = `status ${answer.status} with ${Buffer.byteLength(answer.text)} bytes of ${type}`;
  const facts = answerFacts(answer);
  return request.billable
    ? make('E307', 'may have been accepted: the answer does not say', why, LATER, request, facts)
    : make('E308', 'brought an answer that is not understood', why, LATER, request, facts);
}

function answerFacts({ status, headers }: HttpAnswer): Record<string, unknown> {
  return { http_status: status, request_id: requestIdOf(headers) ?? null, sent: true };
}

/** The service's id of a request, where it gives one. */
export function requestIdOf(headers: Readonly<Record<string, string>>): string | undefined {
  const id = headers['x-request-id'] ?? headers['x-correlation-id'];
  return id !== undefined && /^[\w.:/-]{1,128}$/.test(id) ? id : undefined;
}

function make(
  code: ErrorCode,
  happened: string,
  why: string,
  retry: Retry,
  { operation, billable }: RequestFacts,
  facts: Record<string, unknown>,
): TvdbError {
  return new TvdbError(code, {
    message: `${REQUESTS[operation] ?? 'A request'} to LlamaParse ${happened}`,
    why,
    retry,
    // Only where nothing was accepted is it known that nothing is charged.
    ...(billable && { chargedNanoUsd: code === 'E307' ? null : 0 }),
    facts: { service: 'llamaparse', operation, ...facts },
  });
}

/** Words of the service for `why`: one short line without secrets or control characters. */
function words(text: string, scrub: Scrub): string {
  // Scrubbed first and in full: a secret that is cut, or has a character taken out of it, is not found any more.
  return cleanText(scrub(text.slice(0, 20_000)))
    .replace(/\s+/g, ' ')
    .trim()
    .slice(0, WHY_LENGTH);
}

/** Reasons the service documents for a failed parse; version 2 of its API gives them in the error text alone. */
const REASONS: readonly (readonly [RegExp, ErrorCode])[] = [
  [/UNSUPPORTED_FILE_TYPE/, 'E402'],
  [/PDF_IS_PROTECTED/, 'E404'],
  [/PDF_IS_BROKEN/, 'E405'],
  [/DOCUMENT_TOO_LARGE/, 'E406'],
  [/TOO_MANY_PAGES/, 'E407'],
  [/NO_DATA_FOUND_IN_FILE/, 'E408'],
];

/** The error of a parse that ended as FAILED or CANCELLED. Whether it was billed is not known. */
export function parseFailure(status: 'FAILED' | 'CANCELLED', said: string | null, scrub: Scrub): TvdbError {
  const code = REASONS.find(([reason]) => said !== null && reason.test(said))?.[1] ?? 'E310';
  const text = words(said ?? '', scrub);
  return new TvdbError(code, {
    message:
      status === 'CANCELLED' ? 'The parse was cancelled at LlamaParse' : 'LlamaParse could not parse the document',
    ...(text !== '' && { why: text }),
    chargedNanoUsd: null,
    facts: { service: 'llamaparse', remote_status: status },
  });
}
