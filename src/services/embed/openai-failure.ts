/**
 * What a failed request to OpenAI means, decided once.
 *
 * | what came | error | again | billed |
 * |---|---|---|---|
 * | no byte left: refused, no such name, TLS, no free connection | E303, `sent: false` | later | no |
 * | cut, a time limit, an answer over the size limit | E307 (a free request: E303) | later | perhaps |
 * | 408, 5xx | E307 (a free request: E303) | later | perhaps |
 * | 2xx without a readable charge: HTML, cut JSON, empty, no `usage` | E307 (a free request: E308) | later | perhaps |
 * | 2xx with a charge and vectors that may not be stored | E308, `tokens_billed` | later; never for another model | yes |
 * | 3xx: never followed, the key stays here | E308 | later | no |
 * | 402, or 429 whose type or code speaks of money | E302 | never | no |
 * | any other 429 | E301 | after `Retry-After`, else later | no |
 * | 401, 403 | E112 | never | no |
 * | 400 for the size, 413 | E309, `too_large: true` | never as it is | no |
 * | any other 4xx | E309 | never | no |
 *
 * An answer whose body broke off is judged by its status where the status alone decides.
 */
import { TvdbError } from '../../base/errors.ts';
import type { Scrub } from '../../base/scrub.ts';
import { cleanText } from '../../domain/clean-text.ts';
import type { Call } from '../governor.ts';
import type { HttpAnswer, HttpFailure } from '../http/client.ts';
import { retryAfterMs } from '../retry-after.ts';
import type { Reading } from './openai-answer.ts';

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

const WORDS_LENGTH = 200;

/** What is known of a request besides its answer. */
export interface Asked extends Call {
  /** Removes the key, which a server may echo. */
  scrub: Scrub;
  /** Facts that every error carries, ids of ours. */
  facts: Readonly<Record<string, unknown>>;
  /** Wall clock, for a `Retry-After` that is a date. */
  now: number;
}

/** The error of an answer that is no success, by the table above. */
export function refusal({ status, headers, text }: Pick<HttpAnswer, 'status' | 'headers' | 'text'>, asked: Asked) {
  const { type, code, message } = errorBody(text);
  const words = [`${status}`, code || type, message && `"${message}"`].filter(Boolean).join(' ');
  const why = `OpenAI answered ${shortened(words, asked.scrub)}`;
  const make = (...[errorCode, sentence, changes]: Parts) =>
    failure(asked, errorCode, sentence, {
      why,
      chargedNanoUsd: 0,
      ...changes,
      facts: { http_status: status, ...requestId(headers, asked.scrub), ...changes?.facts },
    });

  if (status === 402 || (status === 429 && (MONEY.has(type) || MONEY.has(code)))) {
    return make('E302', 'OpenAI takes no more requests: the credit or quota of the account is used up');
  }
  if (status === 429) {
    const ms = retryAfterMs(headers, asked.now);
    return make('E301', 'OpenAI is limiting requests', {
      retry: ms === null ? { kind: 'later' } : { kind: 'after', ms },
    });
  }
  if (status === 401 || status === 403) {
    // Its words quote parts of the key.
    const bare = shortened(`OpenAI answered ${status} ${code || type}`, asked.scrub);
    return make('E112', 'OpenAI refused the key', status === 401 ? { why: bare } : {});
  }
  if (status === 408 || status >= 500) {
    return unanswered(asked, why, { http_status: status, ...requestId(headers, asked.scrub) });
  }
  if (status >= 400) {
    const tooLarge =
      status === 413 || [type, code].includes('max_tokens_per_request') || /maximum input length/i.test(message);
    return tooLarge
      ? make('E309', 'OpenAI found the request too large', { facts: { too_large: true } })
      : make('E309', 'OpenAI refused the request');
  }
  return make('E308', 'OpenAI answered with a redirect, which is not followed', { retry: { kind: 'later' } });
}

/** The error of a request without a whole answer. An abort is none: the caller rethrows its reason. */
export function noAnswer(failed: HttpFailure, asked: Asked): TvdbError {
  if (!failed.left) {
    return failure(asked, 'E303', 'OpenAI cannot be reached', {
      why: `nothing was sent: ${phrase(failed)}`,
      retry: { kind: 'later' },
      chargedNanoUsd: 0,
      facts: { sent: false },
    });
  }
  // What it refused it refused, whole sentence or not.
  if (failed.status !== null && failed.status >= 300 && failed.status < 500) {
    return refusal({ status: failed.status, headers: {}, text: '' }, asked);
  }
  return unanswered(asked, phrase(failed), { http_status: failed.status });
}

/** The error of an answered request whose vectors cannot be used. */
export function noVectors(
  reading: Exclude<Reading, { kind: 'usable' }>,
  { status, headers }: HttpAnswer,
  asked: Asked,
): TvdbError {
  const facts = { http_status: status, ...requestId(headers, asked.scrub) };
  const why = shortened(reading.why, asked.scrub);
  if (reading.kind === 'unreadable') return unanswered(asked, why, facts);
  return failure(asked, 'E308', 'OpenAI answered with vectors that cannot be used; it billed them', {
    why,
    retry: { kind: reading.again ? 'later' : 'never' },
    chargedNanoUsd: null,
    facts: { ...facts, tokens_billed: reading.tokens },
  });
}

/** The service's own id of a request, if it is one: short, without spaces, and not our key. */
export function requestId(
  headers: Readonly<Record<string, string>>,
  scrub: Scrub,
): { request_id: string } | Record<string, never> {
  const id = headers['x-request-id'];
  return id !== undefined && /^[\w.:-]{1,128}$/.test(id) && scrub(id) === id ? { request_id: id } : {};
}

type Changes = Partial<Pick<TvdbError, 'retry' | 'facts' | 'why' | 'chargedNanoUsd'>>;
type Parts = [code: TvdbError['code'], message: string, changes?: Changes];

function failure(asked: Asked, code: TvdbError['code'], message: string, changes: Changes): TvdbError {
  const { why, ...rest } = changes;
  return new TvdbError(code, {
    message: `${message} (${asked.operation})`,
    ...rest,
    ...(why !== undefined && { why }),
    facts: { service: 'openai', operation: asked.operation, ...asked.facts, ...changes.facts },
  });
}

/** A request that left and of which nobody knows what became. */
function unanswered(asked: Asked, why: string, facts: Record<string, unknown>): TvdbError {
  return asked.billable
    ? failure(asked, 'E307', 'Whether OpenAI did and billed the request is not known', {
        why,
        retry: { kind: 'later' },
        chargedNanoUsd: null,
        facts,
      })
    : failure(asked, 'E303', 'OpenAI does not answer', { why, retry: { kind: 'later' }, chargedNanoUsd: 0, facts });
}

function phrase({ kind, cause }: HttpFailure): string {
  const code = (cause as { code?: unknown } | undefined)?.code;
  const detail = typeof code === 'string' && /^[A-Z0-9_]{1,60}$/.test(code) ? ` (${code})` : '';
  const phrases = {
    aborted: 'it was stopped',
    unreachable: 'no connection',
    cut: 'the connection broke off',
    headers_timeout: 'no answer began in time',
    body_timeout: 'the answer stopped in the middle',
    request_timeout: 'the request as a whole took too long',
    too_large: 'the answer is larger than RESPONSE_LIMIT_MB allows',
  } as const;
  return `${phrases[kind]}${detail}`;
}

/** `{ error: { message, type, code } }`, or empty texts. */
function errorBody(text: string): { type: string; code: string; message: string } {
  let error: unknown;
  try {
    error = (JSON.parse(text) as { error?: unknown } | null)?.error;
  } catch {
    error = undefined;
  }
  const { type, code, message } = (typeof error === 'object' && error !== null ? error : {}) as Record<string, unknown>;
  const word = (value: unknown) => (typeof value === 'string' ? value : '');
  return { type: word(type), code: word(code), message: word(message) };
}

/** Words of a stranger: without the key or anything like one, without control characters, in one short line. */
function shortened(words: string, scrub: Scrub): string {
  const line = cleanText(scrub(words.slice(0, 10_000))).replace(/\s+/g, ' ');
  return scrub(line)
    .replace(/\bsk-[\w*-]+/g, '[key]')
    .slice(0, WORDS_LENGTH);
}
