/** What the pipeline asks of an embedding service. One contract suite (`test/contract/embed.ts`) runs over every implementation. */
import type { TvdbError } from '../../base/errors.ts';
import type { Origin } from '../../domain/service-mode.ts';
import type { ServiceHealth } from '../parse/port.ts';

/** Vectors of two spaces are never compared. */
export interface EmbeddingSpace {
  /** `provider/model/dimensions`, for example `mock/hash-ngram@1/1536`. */
  name: string;
  model: string;
  version: string;
  dimensions: number;
}

export interface EmbedAttempt {
  attemptId: string;
  jobId: string;
  correlationId: string;
  /** Tokens of all texts together, where they were counted before. */
  tokens?: number;
  /**
   * Called once or more, after every wait for a turn and right before the request leaves: commits that it is about to.
   * When it throws, nothing may be sent.
   */
  leaving?: () => Promise<void>;
}

export interface EmbedResult {
  /** One unit vector per text, in the order of the texts. */
  vectors: Float32Array[];
  tokensBilled: number;
  model: string;
  httpStatus?: number;
  /** The service's own id of the request, if it gives one. */
  requestId?: string;
}

/** A batch that changes no more. A status it never reached is none of these: `failed` was refused whole. */
export interface EndedBatch {
  state: 'ended';
  status: 'completed' | 'expired' | 'cancelled';
  outputFileId: string | null;
  errorFileId: string | null;
  /** As the batch itself says; `null` when it does not. */
  tokensBilled: number | null;
}

/** What a look at a batch found. */
export type BatchLook =
  | { state: 'working'; status: string; done: number; total: number }
  | EndedBatch
  /** Refused whole, for nothing; `queueFull`: only because too many tokens wait at the service already. */
  | { state: 'failed'; error: TvdbError; queueFull: boolean }
  /** The service does not know it. */
  | { state: 'gone' };

/** What became of one row. A row that is in no file was not done. */
export type BatchRow =
  | { id: string; vector: Float32Array; tokens: number }
  /** `forGood`: refused for what it holds, it would be refused again. `tokens` may be billed all the same. */
  | { id: string; vector: null; tokens: number; why: string; forGood: boolean };

/**
 * Embeddings at half the price and within a day: rows go in as a file and come out as files, in any order. No method
 * repeats a request; all but `create` are free. Errors are those of `EmbedService.embed`.
 */
export interface EmbedBatchService {
  /** Limits of one batch: of the service, and of what can be read of its answer at once. */
  readonly mostRows: number;
  readonly mostTokens: number;
  readonly mostBytes: number;
  /** A text as a line of the file, with its line break. `id` is unique in the file. */
  line(id: string, text: string): string;
  /** Sends the file; returns its id. */
  upload(file: { path: string; sha256: string }, signal: AbortSignal): Promise<string>;
  /** Orders the batch: billed for the rows it finishes. E307 when it may exist without our knowing its id. */
  create(
    fileId: string,
    attempt: EmbedAttempt,
    signal: AbortSignal,
  ): Promise<{ batchId: string; httpStatus: number; requestId?: string }>;
  /**
   * Ids of the batches of an attempt, oldest first, out of those made since `from` (wall clock). Throws when the list
   * could not be read that far: an empty answer proves that there is none.
   */
  find(attemptId: string, from: number, signal: AbortSignal): Promise<string[]>;
  look(batchId: string, signal: AbortSignal): Promise<BatchLook>;
  /** The rows of an ended batch, each id once. Throws E311 when its files are gone, E308 when they are not whole. */
  rows(batch: EndedBatch, space: EmbeddingSpace, signal: AbortSignal): Promise<BatchRow[]>;
  /** Deletes a file at the service; one that is not there is deleted already. */
  remove(fileId: string, signal: AbortSignal): Promise<void>;
  /** Stops it; what is done by then is billed. A batch that has ended already is left alone. */
  cancel(batchId: string, signal: AbortSignal): Promise<void>;
}

export interface EmbedService {
  readonly origin: Origin;
  readonly space: EmbeddingSpace;
  /** Absent where there is no cheaper way. */
  readonly batch?: EmbedBatchService;
  /**
   * Embeds a batch; one outbound request. Throws a `TvdbError` when there is no usable answer: E307 when the request may
   * have arrived and been billed, E308 with `facts.tokens_billed` when it was billed for vectors that cannot be used, E309
   * with `facts.too_large: true` when the batch must be halved. Rejects with the reason of `signal` when that aborts
   * before anything billable left, afterwards with an E307 whose cause is the reason.
   */
  embed(texts: readonly string[], attempt: EmbedAttempt, signal: AbortSignal): Promise<EmbedResult>;
  health(signal: AbortSignal): Promise<ServiceHealth>;
}
