/** The free embedding service: hashed n-grams, computed on this machine, with latency and failures on demand. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Clock } from '../../base/clock.ts';
import { TvdbError } from '../../base/errors.ts';
import type { Random } from '../../base/ids.ts';
import { embedNgrams, NGRAM_DIMENSIONS } from '../../domain/ngram-embedding.ts';
import type { EmbeddingSpace, EmbedService } from './port.ts';

const MODEL = 'hash-ngram';
const VERSION = '1';

/** `mock/hash-ngram@1/1536` */
export const MOCK_SPACE: EmbeddingSpace = {
  name: `mock/${MODEL}@${VERSION}/${NGRAM_DIMENSIONS}`,
  model: MODEL,
  version: VERSION,
  dimensions: NGRAM_DIMENSIONS,
};

export interface MockEmbedOptions {
  clock: Clock;
  random: Random;
  /** Wait before each batch, in milliseconds. */
  latencyMs: number;
  /** Share of batches that fail with E306, from 0 to 1. */
  failureRate: number;
}

/**
 * An embedding service without network or cost. Same text, same vector, on every machine. Nothing is billed, so
 * `tokensBilled` is 0 (and a search need not load the tokenizer). Other work of the process runs between two texts (a
 * chunk takes about 1 ms), so leases are kept alive during a large batch. A failed batch may be tried again at any time.
 */
export function createMockEmbed({ clock, random, latencyMs, failureRate }: MockEmbedOptions): EmbedService {
  return {
    origin: 'mock',
    space: MOCK_SPACE,
    async embed(texts, attempt, signal) {
      signal.throwIfAborted();
      await attempt.leaving?.();
      if (latencyMs > 0) await clock.sleep(latencyMs, signal);
      if (random() < failureRate) {
        throw new TvdbError('E306', {
          message: `The mock embedding service failed a batch of ${texts.length} texts, as configured`,
          why: `MOCK_EMBED_FAILURE_RATE is ${failureRate}`,
          retry: { kind: 'later' },
          facts: { service: 'embed', texts: texts.length, failureRate },
        });
      }
      const vectors: Float32Array[] = [];
      for (const text of texts) {
        vectors.push(embedNgrams(text));
        await nextTurn();
        signal.throwIfAborted();
      }
      return { vectors, tokensBilled: 0, model: MODEL };
    },
    async health() {
      return { ok: true, latencyMs: 0, detail: 'runs on this machine' };
    },
  };
}
