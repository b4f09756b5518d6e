/** What a simulator can be told when it starts, and the figures it uses when it is told nothing. */
import type { Clock } from '../base/clock.ts';
import type { Ids } from '../base/ids.ts';

/** How long the simulated work takes, in milliseconds. */
export interface Latency {
  /** A parse job, whatever its size. A quarter of it is spent PENDING. */
  parse: number;
  /** Each page of a parse job, on top. */
  page: number;
  /** The answer to an embeddings request. */
  embed: number;
  /** A batch, from validation to its output. */
  batch: number;
}

/** Requests and tokens a minute; `null` is no limit. Figures: OpenAI tier 1, LlamaCloud free tier (20 a minute). */
export interface RateLimits {
  llamaRequests: number | null;
  openaiRequests: number;
  openaiTokens: number;
  /** Tokens that may wait in batches at one time. */
  batchTokens: number;
}

/** Which API keys are let in. */
export interface KeyRules {
  /** Only these; absent means any `llx-…` for LlamaCloud and any `sk-…` for OpenAI of 8 or more characters. */
  accepted?: readonly string[] | undefined;
  /** Never these, whatever `accepted` says. */
  refused?: readonly string[] | undefined;
}

export interface SimulatorOptions {
  clock: Clock;
  ids?: Ids;
  /** 0 or absent: any free port. */
  port?: number;
  /** For faults that happen at a rate. */
  seed?: number;
  /** In the compact syntax of `fault-syntax.ts`. */
  faults?: string;
  latency?: Partial<Latency>;
  keys?: KeyRules;
  limits?: Partial<RateLimits>;
  /** Behaves like a region that does not know `webhook_signing_secret` and `user_metadata` yet: 422 for both. */
  lagging?: boolean;
  /** Looks at `usage` of a finished job that find `credits: null` before the figure is there. */
  creditsNullPolls?: number;
  /** Milliseconds before a new job or file shows up in lists. */
  listDelay?: number;
  /** Whether fast jobs of version 2026-06-15 and later have markdown; the sources disagree, and refusing is the stricter. */
  fastMarkdown?: boolean;
  /** Reads the pages of a document as markdown. Throws an error whose message is a failure reason such as `PDF_IS_BROKEN`. */
  pagesOf?: (bytes: Uint8Array) => Promise<string[]>;
  /** Every logged line is also appended here, synchronously. */
  logFile?: string;
}

export const NO_LATENCY: Latency = { parse: 0, page: 0, embed: 0, batch: 0 };

export const DEFAULT_LIMITS: RateLimits = {
  llamaRequests: null,
  openaiRequests: 3_000,
  openaiTokens: 1_000_000,
  batchTokens: 3_000_000,
};
