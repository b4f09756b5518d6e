/** Puts an answer on the wire, whole or broken in the way that a fault asks for. */
import type { ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Clock } from '../base/clock.ts';
import type { Answer } from './exchange.ts';
import { parseDuration } from './fault-syntax.ts';
import type { Fault } from './faults.ts';

/** What the client gets to see of a request with this fault: a status, or the way the connection ends. */
export function seenAs(fault: Fault | undefined, answer: Answer): number | 'cut' | 'hung' {
  if (fault?.action === 'cut' || fault?.action === 'cut-before') return 'cut';
  if (fault?.action === 'hang' || fault?.action === 'hang-before') return 'hung';
  return answer.status;
}

/** Resolves when everything that will ever leave has left. `closing` ends the waiting. */
export async function sendAnswer(
  response: ServerResponse,
  answer: Answer,
  fault: Fault | undefined,
  { clock, closing }: { clock: Clock; closing: AbortSignal },
): Promise<void> {
  const action = fault?.action;
  if (action === 'hang' || action === 'hang-before') return;
  if (action === 'cut' || action === 'cut-before') {
    response.destroy();
    return;
  }
  const whole = bytesOf(answer.body);
  const body = broken(whole, action);
  response.writeHead(answer.status, headersOf(answer, action === 'huge' ? undefined : body.length));
  if (action === 'stall') {
    response.write(body.subarray(0, Math.ceil(body.length / 2)));
  } else if (action === 'drip') {
    const pause = parseDuration(fault?.params.value ?? '1s') ?? 1_000;
    for (let at = 0; at < body.length && !response.destroyed; at++) {
      if (at > 0) await clock.sleep(pause, closing);
      response.write(body.subarray(at, at + 1));
    }
    response.end();
  } else if (action === 'huge') {
    const megabytes = Number(fault?.params.mb ?? fault?.params.value ?? 64);
    await pipeline(Readable.from(spaces(megabytes), { objectMode: false }), response, { end: false });
    response.end(body);
  } else {
    response.end(body);
  }
}

function bytesOf(body: unknown): Buffer {
  if (body === undefined) return Buffer.alloc(0);
  return Buffer.isBuffer(body) ? body : Buffer.from(JSON.stringify(body));
}

function broken(body: Buffer, action: string | undefined): Buffer {
  if (action === 'truncated') return body.subarray(0, Math.floor(body.length / 2));
  if (action === 'malformed')
    return Buffer.concat([body.subarray(0, body.length - 1), Buffer.from(', "more": undefined}')]);
  return body;
}

function headersOf(
  { status, body, headers = {} }: Answer,
  length: number | undefined,
): Record<string, string | number> {
  return {
    ...(body !== undefined && { 'content-type': 'application/json' }),
    ...(length !== undefined && status !== 204 && { 'content-length': length }),
    ...headers,
  };
}

/** Spaces before a JSON value are part of valid JSON, so only the size of this body is wrong. */
function* spaces(megabytes: number): Generator<Buffer> {
  const block = Buffer.alloc(64 * 1024, ' ');
  for (let at = 0; at < megabytes * 16; at++) yield block;
}
