/** What a client of a paid service asks before every request and tells after it: limits, breaker, health, in one place. */
import type { TvdbError } from '../base/errors.ts';

export interface Call {
  /** `files.create`, `parse.create`, `parse.get`, `embeddings.create`, … */
  operation: string;
  /**
   * Whether the service may bill it. What is not (a poll, a look-up) goes on when the account has no credit, and may be the
   * one that tries after an outage; a refused key stops it like everything else.
   */
  billable: boolean;
  /** Tokens it carries, 0 where the service does not count them. */
  tokens: number;
  /**
   * Fingerprint of the key it goes out with. Without it the one of the last admitted request is meant, which is wrong when
   * several were in flight while the key changed.
   */
  fingerprint?: string;
}

/** One request and what came of it. */
export interface Exchange extends Call {
  latencyMs: number;
  /** `null` when no answer came. */
  httpStatus: number | null;
  /** Headers of the answer, names in lower case; empty when none came. */
  headers: Readonly<Record<string, string>>;
  /** `null` when the answer was usable. */
  error: TvdbError | null;
}

export interface Governor {
  /**
   * Lets a request pass. Waits where the wait is short (a second or two); throws E301 with `retry: after` when the limit
   * of requests or tokens is used up for longer, E304 with `retry: after` when the breaker is open, E112 or E302 when the
   * account was refused. Nothing has left when it throws.
   */
  admit(call: Call, signal: AbortSignal): Promise<void>;
  /** Takes note of what came of a request: health sample, breaker, limits from headers. Never throws. */
  report(exchange: Exchange): Promise<void>;
}

/** How a service stands for somebody who is about to choose it. */
export interface GovernorState {
  /** The breaker would refuse a billable request now. False when it is open and due: the next request is the one that tries. */
  open: boolean;
  why: 'ok' | 'breaker_open' | 'key_refused' | 'no_credit' | 'rate_limited';
  /** Wall clock, milliseconds; `null` when nothing is in the way, or nothing but the user helps. */
  retryAt: number | null;
}

/** What the pipeline and the router ask besides. */
export interface ServiceGovernor extends Governor {
  /**
   * Whether the retry budget of the service, shared by all processes, allows one more retry (then it is spent): a tenth of
   * all calls and ten on top. First tries are not asked for.
   */
  retryAllowed(): Promise<boolean>;
  /** Reads only: takes no token and lets nothing through. */
  state(): Promise<GovernorState>;
}
