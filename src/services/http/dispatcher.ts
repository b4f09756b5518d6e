/** The pool of connections to a paid service: keep-alive, time limits, no redirects, bounded answers. */
import { Agent, type Dispatcher } from 'undici';

/** Limits of one request; times in milliseconds. */
export interface HttpLimits {
  /** To reach the service, TLS included. */
  connectMs: number;
  /** From the end of the request to the beginning of the answer. */
  headersMs: number;
  /** Longest silence in the middle of an answer. */
  bodyMs: number;
  /** One request as a whole, the wait for a connection and the upload included. */
  requestMs: number;
  /** Largest answer, in bytes as they come over the wire. */
  responseBytes: number;
}

/** Connections to one service at a time; further requests queue, and have not left while they do. */
const CONNECTIONS = 32;

/**
 * A connection pool for undici's own `request` and `fetch` (the globals of Node carry another undici and are never mixed
 * with it). No request is pipelined behind another: with one request on a connection at a time, a connection that
 * breaks takes exactly one request with it, and undici never sends anything twice. Idle connections are dropped after
 * 4 s, before a load balancer drops them under a request that is just leaving. The caller closes it.
 */
export function createDispatcher(limits: HttpLimits): Agent {
  return new Agent({
    connections: CONNECTIONS,
    pipelining: 1,
    keepAliveTimeout: 4_000,
    keepAliveMaxTimeout: 60_000,
    connect: { timeout: limits.connectMs },
    headersTimeout: limits.headersMs,
    bodyTimeout: limits.bodyMs,
    maxResponseSize: limits.responseBytes,
  });
}

/** `dispatcher`, calling `onLeave` in the moment a request is given to a connection: before that nothing has left. */
export function watchLeaving(dispatcher: Dispatcher, onLeave: () => void): Dispatcher {
  return dispatcher.compose((dispatch) => (options, handler) => {
    return dispatch(options, {
      onRequestStart(controller, context) {
        onLeave();
        handler.onRequestStart?.(controller, context);
      },
      onRequestUpgrade: (...args) => handler.onRequestUpgrade?.(...args),
      onResponseStart: (...args) => handler.onResponseStart?.(...args),
      onResponseData: (...args) => handler.onResponseData?.(...args),
      onResponseEnd: (...args) => handler.onResponseEnd?.(...args),
      onResponseError: (...args) => handler.onResponseError?.(...args),
    });
  });
}
