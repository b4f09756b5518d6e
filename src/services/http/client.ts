/** One HTTP exchange with a paid service, once: every way it can end is told apart, above all whether it had left. */
import { type Dispatcher, errors, request } from 'undici';
import type { Clock } from '../../base/clock.ts';
import { TvdbError } from '../../base/errors.ts';
import { type HttpLimits, watchLeaving } from './dispatcher.ts';
import { type FormFile, openUpload } from './upload.ts';

export interface HttpRequest {
  method: 'GET' | 'POST' | 'DELETE';
  /** Absolute, with its query. */
  url: string;
  headers: Readonly<Record<string, string>>;
  /** A value sent as JSON, or a form with one file. */
  body?: { json: unknown } | { fields: Readonly<Record<string, string>>; file: FormFile };
}

/** An answer of any status, redirects among them: they are never followed. */
export interface HttpAnswer {
  status: number;
  /** Names in lower case; a repeated header is joined by `, `. */
  headers: Readonly<Record<string, string>>;
  /** The body as UTF-8 text. */
  text: string;
  latencyMs: number;
}

export type HttpFailureKind =
  /** The caller gave up; `cause` is the reason of its signal. */
  | 'aborted'
  /** No connection: refused, no such name, TLS, too slow. */
  | 'unreachable'
  /** The connection broke, or what came over it is no HTTP. */
  | 'cut'
  | 'headers_timeout'
  | 'body_timeout'
  | 'request_timeout'
  | 'too_large';

/** Why there is no answer. */
export class HttpFailure extends Error {
  override readonly name = 'HttpFailure';
  readonly kind: HttpFailureKind;
  /** False only where it is certain that no byte of the request left. */
  readonly left: boolean;
  /** Status of an answer that broke off in its body, else `null`. */
  readonly status: number | null;
  readonly latencyMs: number;

  constructor(kind: HttpFailureKind, facts: Omit<HttpFailure, 'name' | 'message' | 'kind' | 'stack'>) {
    super(kind, { cause: facts.cause });
    this.kind = kind;
    this.left = facts.left;
    this.status = facts.status;
    this.latencyMs = facts.latencyMs;
  }
}

export interface HttpOptions {
  dispatcher: Dispatcher;
  limits: HttpLimits;
  clock: Clock;
  /** Separates the parts of a form; unique for each. */
  boundary: () => string;
}

export interface Http {
  /** Sends a request once. Rejects with an `HttpFailure`, or an E417 when the file of a form is not what it should be. */
  send(request: HttpRequest, signal: AbortSignal): Promise<HttpAnswer>;
}

/** The transport of a client; the dispatcher stays the caller's, who closes it. */
export function createHttp({ dispatcher, limits, clock, boundary }: HttpOptions): Http {
  return {
    async send({ method, url, headers, body }, signal) {
      const start = clock.monotonic();
      let left = false;
      let status: number | null = null;
      const failed = (kind: HttpFailureKind, cause: unknown) =>
        new HttpFailure(kind, { left, status, latencyMs: clock.monotonic() - start, cause });
      if (signal.aborted) throw failed('aborted', signal.reason);

      const form = body !== undefined && 'file' in body ? await openUpload(body.fields, body.file, boundary()) : null;
      const late = new AbortController();
      const done = new AbortController();
      clock.sleep(limits.requestMs, done.signal).then(
        () => late.abort(),
        () => undefined,
      );
      let broken: TvdbError | undefined;
      try {
        const answer = await request(url, {
          method,
          dispatcher: watchLeaving(dispatcher, () => {
            left = true;
          }),
          signal: AbortSignal.any([signal, late.signal]),
          headersTimeout: limits.headersMs,
          bodyTimeout: limits.bodyMs,
          headers: {
            ...headers,
            ...(form !== null && { 'content-type': form.contentType, 'content-length': String(form.contentLength) }),
            ...(body !== undefined && 'json' in body && { 'content-type': 'application/json' }),
          },
          ...(body !== undefined && 'json' in body && { body: JSON.stringify(body.json) }),
          // The types know streams and buffers alone; any async iterable is taken, and its length is checked.
          ...(form !== null && {
            body: noting(form.chunks(), (error) => {
              broken = error;
            }) as unknown as Uint8Array,
          }),
        });
        status = answer.statusCode;
        const text = await bounded(answer.body, limits.responseBytes);
        const latencyMs = clock.monotonic() - start;
        return { status, headers: lowered(answer.headers), text, latencyMs };
      } catch (error) {
        if (broken !== undefined) throw broken;
        // A refusal of the locked transport, not of the network.
        if (error instanceof TvdbError) throw error;
        if (signal.aborted) throw failed('aborted', signal.reason);
        throw failed(late.signal.aborted ? 'request_timeout' : kindOf(error, left), error);
      } finally {
        done.abort();
        await form?.close().catch(() => undefined);
      }
    },
  };
}

class TooLarge extends Error {}

/** Reads a body to its end; past the limit it stops, and the connection is closed with the rest unread. */
async function bounded(body: AsyncIterable<Uint8Array>, limit: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  // Leaving the loop destroys the stream and with it the connection.
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > limit) throw new TooLarge();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, bytes).toString('utf8');
}

/** Passes chunks on and keeps a failure of the file apart from one of the connection, which undici reports alike. */
async function* noting(
  chunks: AsyncGenerator<Uint8Array, void>,
  onError: (error: TvdbError) => void,
): AsyncGenerator<Uint8Array, void> {
  try {
    yield* chunks;
  } catch (error) {
    if (error instanceof TvdbError) onError(error);
    throw error;
  }
}

function kindOf(error: unknown, left: boolean): HttpFailureKind {
  if (error instanceof TooLarge || error instanceof errors.ResponseExceededMaxSizeError) return 'too_large';
  if (error instanceof errors.HeadersTimeoutError) return 'headers_timeout';
  if (error instanceof errors.BodyTimeoutError) return 'body_timeout';
  return left ? 'cut' : 'unreachable';
}

function lowered(headers: Record<string, string | string[] | undefined>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) =>
      value === undefined ? [] : [[name.toLowerCase(), [value].flat().join(', ')]],
    ),
  );
}
