/** The HTTP side: reads a request, lets it run into its fault, has it answered and logged. Loopback only. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Clock } from '../base/clock.ts';
import type { Ids } from '../base/ids.ts';
import { type Answer, Refused, type Service, type SimRequest } from './exchange.ts';
import { replacement, worksFirst } from './fault-plan.ts';
import { parseDuration } from './fault-syntax.ts';
import type { Fault, FaultBook } from './faults.ts';
import type { KeyCheck } from './key-check.ts';
import { llamaRefusal } from './llama-errors.ts';
import { attemptOf, loggedBody, loggedHeaders } from './logged-body.ts';
import { openaiRefusal } from './openai-errors.ts';
import type { RateWindows } from './rate-limits.ts';
import type { RequestLog } from './request-log.ts';
import { type Found, findRoute, type Route, serviceOf } from './routes.ts';
import { seenAs, sendAnswer } from './send-answer.ts';

export interface ServerParts {
  readonly clock: Clock;
  readonly ids: Ids;
  readonly faults: FaultBook;
  readonly keys: KeyCheck;
  readonly limits: RateWindows;
  readonly log: RequestLog;
  readonly routes: readonly Route[];
  /** Answers what is below `/_control/`, without key, fault or log. */
  control(method: string, path: string, body: Buffer): Answer;
  readonly closing: AbortSignal;
}

/** 512 MB for a file, and something for the form around it. */
const MOST_BYTES = 520 * 1024 * 1024;

/** A server that does not listen yet. */
export function createSimulatorServer(parts: ServerParts): Server {
  const server = createServer((incoming, response) => {
    response.on('error', () => {});
    void answer(parts, incoming, response).catch((error: unknown) => failed(parts, response, error));
  });
  // A hung request is a fault of ours to play, not Node's to end.
  server.requestTimeout = 0;
  return server;
}

/** A bug of the simulator must not look like a fault that was asked for. */
function failed({ closing }: ServerParts, response: ServerResponse, error: unknown): void {
  if (closing.aborted || response.headersSent || response.destroyed) {
    response.destroy();
    return;
  }
  response.writeHead(500, { 'content-type': 'text/plain' });
  response.end(`the simulator hit a bug: ${error instanceof Error ? error.stack : String(error)}\n`);
}

async function answer(parts: ServerParts, incoming: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(incoming.url ?? '/', 'http://127.0.0.1');
  const method = incoming.method ?? 'GET';
  if (!LOOPBACK.test(incoming.headers.host ?? '')) {
    // A web page that resolves its own name to this machine must not reach the control endpoints.
    return sendAnswer(response, { status: 421 }, undefined, parts);
  }
  const body = await bodyOf(incoming);
  if (url.pathname.startsWith('/_control/')) {
    return sendAnswer(response, parts.control(method, url.pathname, body), undefined, parts);
  }
  const service = serviceOf(url.pathname);
  if (service === undefined)
    return sendAnswer(response, { status: 404, body: { detail: 'Not Found' } }, undefined, parts);

  const found = findRoute(parts.routes, method, url);
  const request: SimRequest = {
    method,
    path: `${url.pathname}${url.search}`,
    query: url.searchParams,
    headers: incoming.headers,
    body,
    requestId: `req_${parts.ids.uuid().replaceAll('-', '')}`,
    params: found?.params ?? [],
    fault: found === undefined ? undefined : parts.faults.take(found.operation, service),
  };
  const made = await worked(parts, found, service, request);
  const { fault } = request;
  await note(parts, found, service, request, made);
  const delay = fault?.action === 'delay' ? (parseDuration(fault.params.value ?? '5s') ?? 5_000) : (made.delay ?? 0);
  if (delay > 0) await parts.clock.sleep(delay, parts.closing);
  const headers = { ...(service === 'openai' && openaiHeaders(request)), ...made.headers };
  await sendAnswer(response, { ...made, headers }, fault, parts);
}

const LOOPBACK = /^(127\.0\.0\.1|localhost|\[::1\])(:\d+)?$/;

/** The endpoint's answer, or the one that a fault, the key or the limits put in its place. */
async function worked(
  parts: ServerParts,
  found: Found | undefined,
  service: Service,
  request: SimRequest,
): Promise<Answer> {
  const { fault } = request;
  const instead = fault === undefined ? undefined : replacement(fault, service, request);
  if (fault !== undefined && !worksFirst(fault)) return instead ?? { status: 200 };
  try {
    parts.keys.check(service, request.headers.authorization);
    if (service === 'llama') parts.limits.llama();
    if (found === undefined) throw unknownPath(service, request);
    const own = await found.route.handle(request);
    return instead === undefined ? own : { ...instead, ...(own.accepted && { accepted: own.accepted }) };
  } catch (thrown) {
    if (thrown instanceof Refused) return thrown.answer;
    throw thrown;
  }
}

async function note(
  { log }: ServerParts,
  found: Found | undefined,
  service: Service,
  request: SimRequest,
  answer: Answer,
): Promise<void> {
  const body = await loggedBody(request);
  const { fault } = request;
  log.request({
    kind: 'request',
    service,
    operation: found?.operation ?? null,
    method: request.method,
    path: request.path,
    headers: loggedHeaders(request),
    requestId: request.requestId,
    attemptId: attemptOf(request, body),
    accepted: answer.accepted !== undefined,
    made: answer.accepted ?? [],
    status: seenAs(fault, answer),
    fault: fault === undefined ? null : named(fault),
    body,
  });
}

function named({ target, action }: Fault): string {
  return `${target}=${action}`;
}

function unknownPath(service: Service, { method, path }: SimRequest): Refused {
  return service === 'llama'
    ? llamaRefusal(404, 'Not Found')
    : openaiRefusal(404, `Invalid URL (${method} ${path})`, { code: 'unknown_url' });
}

function openaiHeaders({ requestId }: SimRequest): Record<string, string> {
  return {
    'x-request-id': requestId,
    'openai-organization': 'org-simulated',
    'openai-version': '2020-10-01',
    'openai-processing-ms': '20',
  };
}

/** Rejects when the client goes away in the middle, or sends more than any endpoint takes. */
async function bodyOf(incoming: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of incoming) {
    length += chunk.length;
    if (length > MOST_BYTES) throw new Error('the body is too large');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
