/** A server on this machine for tests of clients: real sockets, so that cuts, stalls and early answers are real. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { onTestFinished } from 'vitest';

export interface SeenRequest {
  method: string;
  path: string;
  headers: IncomingMessage['headers'];
  /** The body as far as it came. */
  body: Buffer;
  /** False when the connection broke before the body was complete. */
  complete: boolean;
}

export interface LocalServer {
  url: string;
  seen: SeenRequest[];
  /** Sockets opened since the start. */
  connections: number;
  /** Stops listening and breaks every connection. */
  stop(): Promise<void>;
}

/** Starts a server; `answer` is called when a request has arrived in full. It is stopped after the test. */
export async function serve(
  answer: (request: SeenRequest, response: ServerResponse, socket: Socket) => void,
): Promise<LocalServer> {
  const sockets = new Set<Socket>();
  const server = createServer(async (request, response) => {
    const { method = '', url: path = '', headers } = request;
    const seen: SeenRequest = { method, path, headers, body: Buffer.alloc(0), complete: false };
    local.seen.push(seen);
    try {
      for await (const chunk of request) seen.body = Buffer.concat([seen.body, chunk]);
    } catch {
      return;
    }
    seen.complete = true;
    answer(seen, response, request.socket);
  });
  server.on('connection', (socket) => {
    sockets.add(socket);
    local.connections += 1;
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const stop = async () => {
    for (const socket of sockets) socket.destroy();
    if (server.listening) await new Promise((resolve) => server.close(resolve));
  };
  const local: LocalServer = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen: [],
    connections: 0,
    stop,
  };
  onTestFinished(stop);
  return local;
}
