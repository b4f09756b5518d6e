/** What the HTTP API answers when something is wrong: one JSON form, and the status that fits the error. */
import { iso } from '../base/clock.ts';
import type { ErrorCode } from '../base/error-codes.ts';
import { TvdbError } from '../base/errors.ts';
import type { Exchange } from './http-server.ts';
import { replyJson } from './reply.ts';

/** A refusal whose status the error alone does not tell. */
export class HttpRefusal extends Error {
  readonly status: number;
  readonly error: TvdbError;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, error: TvdbError, headers: Readonly<Record<string, string>> = {}) {
    super(error.message);
    this.status = status;
    this.error = error;
    this.headers = headers;
  }
}

/** E603 with a status: the request is not one that the API takes. */
export function refusal(
  status: number,
  message: string,
  { fix, headers }: { fix?: string; headers?: Readonly<Record<string, string>> } = {},
): HttpRefusal {
  return new HttpRefusal(status, new TvdbError('E603', { message, ...(fix !== undefined && { fix }) }), headers);
}

/** E604: 429, and when to come back. */
export function limitReached(message: string, retryAfterMs: number): HttpRefusal {
  const seconds = Math.max(1, Math.ceil(retryAfterMs / 1000));
  const error = new TvdbError('E604', { message, retry: { kind: 'after', ms: seconds * 1000 } });
  return new HttpRefusal(429, error, { 'retry-after': String(seconds) });
}

/** Where the category does not tell. */
const STATUS: Partial<Record<ErrorCode, number>> = {
  E006: 404,
  E201: 429,
  E202: 429,
  E204: 429,
  E402: 415,
  E406: 413,
  E900: 500,
};

function statusOf({ code, category }: TvdbError): number {
  const own = STATUS[code];
  if (own !== undefined) return own;
  if (category === 'data') return 422;
  return category === 'usage' ? 400 : category === 'internal' ? 500 : 503;
}

/** The error as the API shows it. */
function errorBody(error: TvdbError, correlationId?: string): object {
  const { label: code, category, message, fix } = error;
  return {
    error: {
      code,
      category,
      message,
      fix,
      ...(correlationId !== undefined && { correlation_id: correlationId }),
      // Which limit it was, what is left of it, when it starts anew: amounts and times, nothing that a service said.
      ...(isMoney(error) && { facts: { ...error.facts, resets_at: resetOf(error) } }),
    },
  };
}

function isMoney({ code }: TvdbError): boolean {
  return code === 'E201' || code === 'E202' || code === 'E204';
}

function resetOf({ facts }: TvdbError): string | null {
  return typeof facts.resets_at === 'number' ? iso(facts.resets_at) : null;
}

/** Sends an error; what is no `TvdbError` must have been made one before. */
export function replyError(exchange: Exchange, thrown: TvdbError | HttpRefusal, correlationId?: string): void {
  const { status, error, headers } =
    thrown instanceof HttpRefusal ? thrown : { status: statusOf(thrown), error: thrown, headers: {} };
  replyJson(exchange, status, errorBody(error, correlationId), headers);
}
