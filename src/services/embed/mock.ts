/** The offline embedding service: free and deterministic; only latency and failures are simulated, when asked for. */
import type { Clock } from '../../base/clock.ts';
import { TvdbError } from '../../base/errors.ts';
import type { Random } from '../../base/ids.ts';
import { embedNgrams, NGRAM_DIMENSIONS } from '../../domain/ngram-embedding.ts';
import type { EmbedService } from './port.ts';

export interface MockEmbedOptions {
  clock: Clock;
  random: Random;
  /** Simulated milliseconds per batch. */
  latencyMs: number;
  /** Share of batches that are refused with E306, 0 to 1. */
  failureRate: number;
}

const MODEL = 'hash-ngram';
const VERSION = '1';

/** A mock embedder of the space `mock/hash-ngram@1/1536`. Nothing is billed, so `tokensBilled` is 0. */
export function createMockEmbed({ clock, random, latencyMs, failureRate }: MockEmbedOptions): EmbedService {
  return {
    origin: 'mock',
    space: {
      name: `mock/${MODEL}@${VERSION}/${NGRAM_DIMENSIONS}`,
      model: MODEL,
      version: VERSION,
      dimensions: NGRAM_DIMENSIONS,
    },
    async embed(texts, _attempt, signal) {
      signal.throwIfAborted();
      if (latencyMs > 0) await clock.sleep(latencyMs, signal);
      if (random() < failureRate) {
        throw new TvdbError('E306', { message: 'The mock embedder refused the batch, as MOCK_EMBED_FAILURE_RATE asks', retry: { kind: 'later' } });
      }
      const vectors: Float32Array[] = [];
      for (const text of texts) {
        vectors.push(embedNgrams(text));
        // About 1 ms of work each: heartbeats must not wait for a whole batch.
        await new Promise((resolve) => setImmediate(resolve));
        signal.throwIfAborted();
      }
      return { vectors, tokensBilled: 0, model: `${MODEL}@${VERSION}` };
    },
    async health() {
      return { ok: true, latencyMs: 0, detail: 'answers from this process' };
    },
  };
}
