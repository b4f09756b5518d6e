/** What the pipeline asks of a parse service. One contract suite (`test/contract/parse.ts`) runs over every implementation. */
import type { TvdbError } from '../../base/errors.ts';
import type { ParsedPage } from '../../domain/parsed-page.ts';
import type { Origin } from '../../domain/service-mode.ts';

/** A stored document to parse. */
export interface ParseRequest {
  documentId: string;
  /** Absolute path of the stored bytes (not the user's file). */
  path: string;
  fileSha256: string;
  mime: string;
  /** Walked pages: the most the service may process and bill. */
  pages: number;
  /** Only these pages, 1-based; absent means all. Results carry the page numbers of the document. */
  targetPages?: readonly number[];
  /** Make it anew even where the service has a result of its own: an earlier one failed. */
  disableCache?: boolean;
}

/** Where a service may deliver the news that a parse ended. */
export interface WebhookTarget {
  url: string;
  /** Key of the signature, at least 32 bytes. */
  secret: string;
}

/** Which attempt a request belongs to; committed in the store before it is sent. */
export interface ParseAttempt {
  attemptId: string;
  jobId: string;
  correlationId: string;
  /**
   * Called once or more, after every wait for a turn and right before the request leaves: commits that it is about to.
   * When it throws, nothing may be sent.
   */
  leaving?: () => Promise<void>;
}

/** What is known of an accepted request besides its id. */
export interface ParseReceipt {
  remoteId: string;
  httpStatus?: number;
  /** The service's own id of the request, if it gives one. */
  requestId?: string;
}

export type ParsePoll =
  | { state: 'pending' | 'running' | 'done' }
  /** The service gave up; the error says why. */
  | { state: 'failed'; error: TvdbError }
  /** The service does not know the id (any more); a new attempt is safe. */
  | { state: 'gone' };

export interface ParseResult {
  /** In page order, every page of the document exactly once. */
  pages: ParsedPage[];
  /** Credits billed; `null` when the service has not said yet (which is not zero). */
  creditsBilled: number | null;
}

export interface ServiceHealth {
  ok: boolean;
  latencyMs: number;
  detail: string;
}

export interface ParseService {
  readonly origin: Origin;
  readonly parserName: string;
  readonly parserVersion: string;
  /** True when the parse runs inside this process and dies with it: a worker then waits for it instead of parking the job. */
  readonly runsHere: boolean;
  /**
   * What must be at the service before a parse can start (the bytes). Free, and may be repeated. Absent where nothing is.
   */
  prepare?(request: ParseRequest, signal: AbortSignal): Promise<void>;
  /**
   * Starts a parse; one outbound request that may be billed. Throws a `TvdbError` when it was provably not accepted, E307
   * when nobody knows: then it must be looked for with `findByAttempt`, never sent again.
   */
  submit(request: ParseRequest, attempt: ParseAttempt, signal: AbortSignal): Promise<ParseReceipt>;
  /** Asks how a parse stands. May wait up to `waitMs` for news where waiting is free; a remote client answers at once. */
  poll(remoteId: string, waitMs: number, signal: AbortSignal): Promise<ParsePoll>;
  /**
   * The result of a parse that is `done`. Fetched once. `asked` are the pages it must have (1-based): one the service left
   * out comes with the error `missing`. Without it a remote client can only see gaps, not pages that are short at the end.
   */
  fetchResult(remoteId: string, signal: AbortSignal, asked?: readonly number[]): Promise<ParseResult>;
  /**
   * Remote ids that were started for an attempt, oldest first; empty when there are none. Looks at what was made in
   * `window` (wall clock, milliseconds).
   */
  findByAttempt(attemptId: string, window: { from: number; to: number }, signal: AbortSignal): Promise<string[]>;
  /** Stops a parse if it can still be stopped; no-op for unknown ids. */
  cancel(remoteId: string, signal: AbortSignal): Promise<void>;
  /**
   * Credits billed for a parse, also for one that failed; `null` while the service has none on record or no longer knows
   * the parse. Absent where nothing is billed.
   */
  usage?(remoteId: string, signal: AbortSignal): Promise<number | null>;
  health(signal: AbortSignal): Promise<ServiceHealth>;
}
