/**
 * A node:http server with bounds on everything a peer decides: time, sizes, numbers. It binds 127.0.0.1 only; both
 * listeners of tvdb are made of it. Node's own defaults allow a minute for headers and any number of connections.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Clock } from '../base/clock.ts';
import { TvdbError } from '../base/errors.ts';
import type { Scrub } from '../base/scrub.ts';
import { hasHost } from './hosts.ts';
import { reply } from './reply.ts';

export interface HttpLimits {
  headersTimeoutMs: number;
  /** For a whole request, its body included. */
  requestTimeoutMs: number;
  checkIntervalMs: number;
  keepAliveMs: number;
  /** Silence in the middle of an answer; 0 is no limit. */
  idleMs: number;
  maxConnections: number;
  maxHeaders: number;
  maxRequestsPerSocket: number;
  /** Time that answers under way have when the server closes. */
  closeGraceMs: number;
  /**
   * Whether a full house also drops the connection that has sent its body for longest. Right where bodies are small and
   * peers are strangers; a local upload may take its time.
   */
  dropSlowBodies: boolean;
}

/** For the listener that strangers reach through a tunnel. */
export const PUBLIC_LIMITS: HttpLimits = {
  headersTimeoutMs: 5_000,
  requestTimeoutMs: 10_000,
  checkIntervalMs: 1_000,
  keepAliveMs: 5_000,
  idleMs: 30_000,
  maxConnections: 64,
  maxHeaders: 64,
  maxRequestsPerSocket: 100,
  closeGraceMs: 1_000,
  dropSlowBodies: true,
};

/** For the API on this machine: whole documents are sent to it, and its answer waits until they have been looked at. */
export const LOOPBACK_LIMITS: HttpLimits = {
  ...PUBLIC_LIMITS,
  requestTimeoutMs: 300_000,
  idleMs: 0,
  dropSlowBodies: false,
};

const HOST = '127.0.0.1';
const MAX_HEADER_BYTES = 16_384;

/** One request and the way to answer it. */
export interface Exchange {
  request: IncomingMessage;
  response: ServerResponse;
  /** The sender waits for a "100 Continue" before it sends the body. */
  expectsContinue: boolean;
  /** Takes keys out of an answer in words. */
  scrub: Scrub;
}

export interface ListenOptions {
  /** 0 takes a free one. */
  port: number;
  /** What to do about a port that cannot be had; default: the advice of E601. */
  portFix?: string;
  clock: Clock;
  limits: HttpLimits;
  /** Default: there is nothing to hide. */
  scrub?: Scrub | undefined;
  /** Values of `Host` that are answered, lower case; asked with the port once it is known. */
  hosts: (port: number) => ReadonlySet<string>;
  handle: (exchange: Exchange) => Promise<void>;
  /** Answers a request whose `Host` is another. */
  refuseHost: (exchange: Exchange) => void;
  /** Told of what a handler threw; the peer gets a bare 500. */
  onBug: (error: unknown) => void;
}

export interface HttpServer {
  readonly port: number;
  /** Connections that are open now. */
  connections(): number;
  /** Stops listening, lets answers under way end for a second at most, cuts everything else. Safe to call twice. */
  close(): Promise<void>;
}

/** Listens. Throws E601 when the port is taken or may not be used. */
export async function listen(options: ListenOptions): Promise<HttpServer> {
  const { limits, clock, scrub = (text: string) => text } = options;
  const server = createServer({
    headersTimeout: limits.headersTimeoutMs,
    requestTimeout: limits.requestTimeoutMs,
    connectionsCheckingInterval: limits.checkIntervalMs,
    keepAliveTimeout: limits.keepAliveMs,
    maxHeaderSize: MAX_HEADER_BYTES,
    requireHostHeader: true,
    insecureHTTPParser: false,
  });
  server.maxHeadersCount = limits.maxHeaders;
  server.maxRequestsPerSocket = limits.maxRequestsPerSocket;
  server.timeout = limits.idleMs;
  const active = new Map<Duplex, IncomingMessage>();
  const sockets = boundConnections(server, active, limits);
  server.on('clientError', refuseBroken);
  let closing: Promise<void> | undefined;
  let quiet = () => {};

  const serve = (expectsContinue: boolean) => (request: IncomingMessage, response: ServerResponse) => {
    const exchange = { request, response, expectsContinue, scrub };
    const { socket } = request;
    active.set(socket, request);
    const done = () => {
      active.delete(socket);
      quiet();
    };
    response.once('close', done);
    if (closing !== undefined) return reply(response, 503, '', { connection: 'close' });
    if (!hasHost(request, options.hosts(port))) return options.refuseHost(exchange);
    options.handle(exchange).catch((error: unknown) => {
      // A peer that left in the middle of its request is nobody's bug.
      if (request.destroyed && !request.complete) return;
      options.onBug(error);
      if (response.headersSent) response.destroy();
      else reply(response, 500, '', { connection: 'close' });
    });
  };
  server.on('request', serve(false));
  server.on('checkContinue', serve(true));
  const port = await bind(server, options);

  const stop = async () => {
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    const answering = () => [...active.values()].some(({ complete }) => complete);
    if (answering()) {
      const over = new AbortController();
      const settled = new Promise<void>((resolve) => {
        quiet = () => {
          if (!answering()) resolve();
        };
      });
      await Promise.race([settled, clock.sleep(limits.closeGraceMs, over.signal).catch(() => {})]);
      over.abort();
    }
    for (const socket of sockets) socket.destroy();
    server.closeAllConnections();
    await closed;
  };
  return {
    port,
    connections: () => sockets.size,
    close() {
      closing ??= stop();
      return closing;
    },
  };
}

/**
 * Keeps the number of connections bounded. Where one too many comes, the oldest that has no request in hand goes: with
 * `server.maxConnections`, which turns the newcomer away, 64 silent sockets would keep every genuine delivery out.
 */
function boundConnections(
  server: Server,
  active: ReadonlyMap<Duplex, IncomingMessage>,
  { maxConnections, dropSlowBodies }: HttpLimits,
): ReadonlySet<Socket> {
  const sockets = new Set<Socket>();
  const droppable = () => {
    const all = [...sockets];
    const idle = all.find((socket) => !active.has(socket));
    return idle ?? (dropSlowBodies ? all.find((socket) => active.get(socket)?.complete === false) : undefined);
  };
  server.on('connection', (socket) => {
    if (sockets.size >= maxConnections) {
      const dropped = droppable() ?? socket;
      sockets.delete(dropped);
      dropped.destroy();
      if (dropped === socket) return;
    }
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  return sockets;
}

const BROKEN: Record<string, string> = {
  HPE_HEADER_OVERFLOW: '431 Request Header Fields Too Large',
  ERR_HTTP_REQUEST_TIMEOUT: '408 Request Timeout',
};

/** What is no HTTP, or took too long, gets one line and no connection. Sockets here may stay half open: they are destroyed. */
function refuseBroken(error: NodeJS.ErrnoException, socket: Duplex): void {
  const answered = (socket as { _httpMessage?: unknown })._httpMessage;
  if (!socket.writable || error.code === 'ECONNRESET' || (answered !== undefined && answered !== null)) {
    socket.destroy();
    return;
  }
  const status = BROKEN[error.code ?? ''] ?? '400 Bad Request';
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`, () => socket.destroy());
}

function bind(server: Server, { port, portFix }: Pick<ListenOptions, 'port' | 'portFix'>): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(unusable(port, portFix, error)));
    server.listen({ host: HOST, port, exclusive: true }, () => resolve((server.address() as AddressInfo).port));
  });
}

function unusable(port: number, fix: string | undefined, error: NodeJS.ErrnoException): TvdbError {
  const taken = error.code === 'EADDRINUSE';
  return new TvdbError('E601', {
    message: taken ? `Port ${port} of ${HOST} is taken` : `Port ${port} of ${HOST} cannot be listened on`,
    why: taken ? 'another program listens there' : `the system says ${error.code ?? error.message}`,
    ...(fix !== undefined && { fix }),
    facts: { host: HOST, port },
    cause: error,
  });
}
