/** Receives webhooks for a test, over a socket, keeping the bytes as they came. */
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';

export interface Received {
  headers: IncomingHttpHeaders;
  body: Buffer;
  /** `parse.success` */
  event: string;
}

export interface Receiver {
  url: string;
  received: Received[];
  /** Resolves when so many have come. */
  until(count: number): Promise<Received[]>;
}

/** Answers 200, or the next of `statuses` while there are any. */
export async function receiver(statuses: number[] = []): Promise<Receiver> {
  const received: Received[] = [];
  let arrived = () => {};
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk) => chunks.push(chunk));
    request.on('end', () => {
      const event = String(request.headers['x-webhook-event-type']);
      received.push({ headers: request.headers, body: Buffer.concat(chunks), event });
      response.writeHead(statuses.shift() ?? 200).end();
      arrived();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    return new Promise<void>((resolve) => server.close(() => resolve()));
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`,
    received,
    until: (count) =>
      new Promise((resolve) => {
        arrived = () => {
          if (received.length >= count) resolve(received);
        };
        arrived();
      }),
  };
}
