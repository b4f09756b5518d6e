/** A request as the endpoints see it, and what they answer; no sockets here. */
import type { IncomingHttpHeaders } from 'node:http';
import type { Fault } from './faults.ts';

export type Service = 'llama' | 'openai';

export interface SimRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  readonly requestId: string;
  /** Parts of the path that the route leaves open, decoded. */
  readonly params: readonly string[];
  /** The fault this request runs into, for endpoints whose answer it changes. */
  readonly fault: Fault | undefined;
}

export interface Answer {
  readonly status: number;
  /** Sent as JSON; `undefined` sends no body, a Buffer goes out as it is. */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  /** Ids of what was made or computed for this request: it may have been billed. Absent when nothing was. */
  readonly accepted?: readonly string[];
  /** Milliseconds the work takes before the answer leaves. */
  readonly delay?: number;
}

/** Thrown by an endpoint that turns a request down; nothing was made for it. */
export class Refused extends Error {
  readonly answer: Answer;

  constructor(answer: Answer) {
    super(`refused with ${answer.status}`);
    this.answer = answer;
  }
}

/** The body as JSON; throws `Refused` with the service's own words for a body that is none. */
export function jsonBody(request: SimRequest, refuse: (problem: string) => Refused): unknown {
  try {
    return JSON.parse(request.body.toString('utf8'));
  } catch (error) {
    throw refuse(error instanceof Error ? error.message : 'the body is not JSON');
  }
}

/** Whether a value is a JSON object. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
