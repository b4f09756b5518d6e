/** Answers of the listeners: complete, never cached, never guessed at by a browser. */
import type { ServerResponse } from 'node:http';
import type { Scrub } from '../base/scrub.ts';

/** Sends a whole answer. A peer that has not sent its whole body by then is not listened to any more. */
export function reply(
  response: ServerResponse,
  status: number,
  body: string,
  headers: Readonly<Record<string, string>> = {},
): void {
  const { headers: asked, complete } = response.req;
  const unread = !complete && (asked['transfer-encoding'] !== undefined || Number(asked['content-length'] ?? 0) > 0);
  response.writeHead(status, {
    ...(unread && { connection: 'close' }),
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    ...headers,
  });
  response.end(body);
}

/** A JSON answer, without any key that an error or a note may quote. */
export function replyJson(
  { response, scrub }: { response: ServerResponse; scrub: Scrub },
  status: number,
  body: object,
  headers: Readonly<Record<string, string>> = {},
): void {
  reply(response, status, `${scrub(JSON.stringify(body))}\n`, {
    'content-type': 'application/json; charset=utf-8',
    ...headers,
  });
}
