/**
 * The HTTP API of `tvdb serve`: `POST /upload`, the signed `PUT`, `GET /job/{id}`, `GET /health`. On this machine only,
 * and guarded against the pages a browser of this machine shows: by `Host`, by `Origin`, and by a token.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { asTvdbError, TvdbError } from '../base/errors.ts';
import type { Scrub } from '../base/scrub.ts';
import { countQueue } from '../store/queue.ts';
import { deadWorkers } from '../store/workers.ts';
import { HttpRefusal, refusal, replyError } from './api-errors.ts';
import { sendJob } from './api-job.ts';
import { type ApiUploadOptions, announceUpload, receiveUpload } from './api-upload.ts';
import { loopbackHosts } from './hosts.ts';
import { type Exchange, type HttpLimits, LOOPBACK_LIMITS, listen } from './http-server.ts';
import { createRejections } from './rejections.ts';
import { replyJson } from './reply.ts';
import { createTickets } from './tickets.ts';
import { createUploadLimits } from './upload-limits.ts';

export interface ApiOptions extends Omit<ApiUploadOptions, 'tickets' | 'uploadLimits'> {
  /** What callers send as `Authorization: Bearer`. */
  token: string;
  /** 0 takes a free one. */
  port: number;
  limits?: Partial<HttpLimits>;
  /** Takes keys out of the answers. */
  scrub?: Scrub;
}

export interface Api {
  readonly port: number;
  /** `http://127.0.0.1:<port>` */
  readonly url: string;
  close(): Promise<void>;
}

/** Starts it on 127.0.0.1. Throws E601 for a port that cannot be had. */
export async function startApi(options: ApiOptions): Promise<Api> {
  const { pipeline, token, limits } = options;
  const { clock, log } = pipeline;
  const tickets = createTickets(() => clock.now());
  const parts = { ...options, tickets, uploadLimits: createUploadLimits(pipeline) };
  const rejections = createRejections('API_REJECTED', { log, clock });
  const isCaller = bearerCheck(token);

  const serve = async (exchange: Exchange): Promise<void> => {
    const { request } = exchange;
    const [path = ''] = (request.url ?? '').split('?', 1);
    const { host, origin } = request.headers;
    if (origin !== undefined && origin !== `http://${host}`) {
      rejections.note('origin');
      throw refusal(403, 'Pages of other origins may not use this API');
    }
    if (path.startsWith('/storage/') && request.method === 'PUT') return receiveUpload(exchange, parts);
    if (!isCaller(request.headers.authorization)) {
      rejections.note('token');
      throw refusal(401, 'The token is missing or wrong', {
        fix: 'Send `Authorization: Bearer <token>`, the token `tvdb serve` printed at its start.',
        headers: { 'www-authenticate': 'Bearer' },
      });
    }
    const [method, answer] = routeOf(path);
    if (request.method !== method) throw refusal(405, `This path takes ${method} only`, { headers: { allow: method } });
    return answer(exchange);
  };

  const routeOf = (path: string): [method: string, answer: (exchange: Exchange) => Promise<void>] => {
    if (path === '/upload') return ['POST', (exchange) => announceUpload(exchange, url, parts)];
    if (path === '/health') return ['GET', (exchange) => sendHealth(exchange, parts)];
    if (path.startsWith('/job/')) return ['GET', (exchange) => sendJob(exchange, path.slice('/job/'.length), parts)];
    if (path.startsWith('/storage/')) return ['PUT', (exchange) => receiveUpload(exchange, parts)];
    throw refusal(404, 'There is nothing here', { fix: 'See docs/HTTP_API.md for the paths.' });
  };

  const server = await listen({
    port: options.port,
    clock,
    limits: { ...LOOPBACK_LIMITS, ...limits },
    scrub: options.scrub,
    hosts: loopbackHosts,
    handle: (exchange) => serve(exchange).catch((thrown: unknown) => answerFailure(exchange, thrown, pipeline)),
    refuseHost: (exchange) => {
      rejections.note('host');
      replyError(exchange, refusal(403, 'This API answers to 127.0.0.1 and localhost with its own port only'));
    },
    onBug: (error) => log('error', 'API_FAILED', { why: String(error) }),
  });
  const url = `http://127.0.0.1:${server.port}`;
  return {
    port: server.port,
    url,
    async close() {
      await server.close();
      rejections.flush();
    },
  };
}

/** Compares hashes: of equal length whatever was sent, and in constant time. */
function bearerCheck(token: string): (header: string | undefined) => boolean {
  const hash = (text: string) => createHash('sha256').update(text).digest();
  const expected = hash(token);
  return (header) => timingSafeEqual(expected, hash(/^Bearer ([\x21-\x7e]+)$/i.exec(header ?? '')?.[1] ?? ''));
}

/** Turns whatever was thrown into an answer. What nobody foresaw gets an id under which the log has the rest. */
function answerFailure(
  exchange: Exchange,
  thrown: unknown,
  { log, ids }: Pick<ApiUploadOptions['pipeline'], 'log' | 'ids'>,
): void {
  const { request } = exchange;
  // The peer left in the middle of its request: there is nobody to answer.
  if (request.destroyed && !request.complete) return;
  if (thrown instanceof HttpRefusal || (thrown instanceof TvdbError && thrown.code !== 'E900')) {
    replyError(exchange, thrown);
    return;
  }
  const correlationId = ids.uuid();
  log('error', 'API_FAILED', { correlation_id: correlationId, why: String(thrown) });
  const { fix } = asTvdbError(thrown);
  replyError(exchange, new TvdbError('E900', { message: 'tvdb hit a bug', fix }), correlationId);
}

/** Whether the store answers, and what is in the queue. Asks no service. */
async function sendHealth(exchange: Exchange, { pipeline, mode }: ApiUploadOptions): Promise<void> {
  const { store, clock } = pipeline;
  const counts = await countQueue(store.db, clock.now(), await deadWorkers(store.db));
  const queue = { active: 0, waiting: 0, parked: 0, failed: 0 };
  for (const { status, active, waiting, parked } of counts) {
    if (status.startsWith('failed_')) queue.failed += active + waiting + parked;
    else {
      queue.active += active;
      queue.waiting += waiting;
      queue.parked += parked;
    }
  }
  replyJson(exchange, 200, { status: 'ok', mode, queue });
}
