/** What the pipeline asks of an embedding service. One contract suite (`test/contract/embed.ts`) runs over every implementation. */
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

export interface EmbedService {
  readonly origin: Origin;
  readonly space: EmbeddingSpace;
  /**
   * Embeds a batch; one outbound request. Throws a `TvdbError` when there is no usable answer: E307 when the request may
   * have arrived and been billed, E308 with `facts.tokens_billed` when it was billed for vectors that cannot be used, E309
   * with `facts.too_large: true` when the batch must be halved. Rejects with the reason of `signal` when that aborts
   * before anything billable left, afterwards with an E307 whose cause is the reason.
   */
  embed(texts: readonly string[], attempt: EmbedAttempt, signal: AbortSignal): Promise<EmbedResult>;
  health(signal: AbortSignal): Promise<ServiceHealth>;
}
