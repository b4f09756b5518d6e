/** What a client of a paid service asks before every request and tells after it: limits, breaker, health, in one place. */
import type { TvdbError } from '../base/errors.ts';

export interface Call {
  /** `files.create`, `parse.create`, `parse.get`, `embeddings.create`, … */
  operation: string;
  /** Whether the service may bill it. A request that is not (a poll, a look-up) is never refused by an open breaker's account stop. */
  billable: boolean;
  /** Tokens it carries, 0 where the service does not count them. */
  tokens: number;
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
