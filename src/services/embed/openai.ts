/** Embeddings of OpenAI, or of a service that speaks its contract. */
import { TvdbError } from '../../base/errors.ts';
import { loadTokenizer } from '../../domain/tokens.ts';
import { readEmbeddings } from './openai-answer.ts';
import { createOpenAiBatch } from './openai-batch.ts';
import { ask, type ExchangeOptions } from './openai-exchange.ts';
import { contentError, requestIdOf } from './openai-failure.ts';
import type { EmbedAttempt, EmbedService } from './port.ts';

const DIMENSIONS = { 'text-embedding-3-small': 1536, 'text-embedding-3-large': 3072 } as const;

/** Limits of one request, from the API reference of 2026-08. */
const MOST_TEXTS = 2048;
const MOST_TOKENS = 300_000;
/** It says 8,192 in one place and 8,191 in another. */
const MOST_TOKENS_EACH = 8191;

export interface OpenAiOptions extends ExchangeOptions {
  model: keyof typeof DIMENSIONS;
  /** Largest answer that is read; bounds the rows of a batch. Default 64 MB. */
  answerBytes?: number;
}

/**
 * The client: one POST for a batch, never repeated. Throws by the table in `openai-failure.ts`. Before anything leaves:
 * E416 for a text that is empty or over 8,191 tokens (never cut in silence), E309 with `too_large` for a batch over the
 * limits of a request, and whatever the governor throws. `health` asks for the model, which is free.
 */
export function createOpenAiEmbed(options: OpenAiOptions): EmbedService {
  const { baseUrl, model, keys, clock } = options;
  const dimensions = DIMENSIONS[model];
  const encoding = encodingFor(baseUrl);

  return {
    origin: 'real',
    space: { name: `openai/${model}/${dimensions}`, model, version: '1', dimensions },
    batch: createOpenAiBatch(options, { model, dimensions, encoding, answerBytes: options.answerBytes ?? 64_000_000 }),

    async embed(texts, attempt, signal) {
      signal.throwIfAborted();
      if (texts.length === 0) return { vectors: [], tokensBilled: 0, model };
      const question = { operation: 'embeddings.create', billable: true, tokens: await weigh(texts, attempt) };
      return ask(
        options,
        {
          ...question,
          id: attempt.attemptId,
          leaving: attempt.leaving,
          request: (client) => client.embeddings.create({ model, input: [...texts], encoding_format: encoding }),
          read(answer, request) {
            const reading = readEmbeddings(answer.text, { texts: texts.length, dimensions, model });
            if (reading.kind !== 'usable') throw contentError(reading, answer, request);
            const requestId = requestIdOf(answer.headers, request.scrub);
            return {
              vectors: reading.vectors,
              tokensBilled: reading.tokens,
              model: reading.model,
              httpStatus: answer.status,
              ...(requestId !== undefined && { requestId }),
            };
          },
        },
        signal,
      );
    },

    async health(signal) {
      const start = clock.monotonic();
      const since = () => Math.round(clock.monotonic() - start);
      try {
        await ask(
          options,
          {
            operation: 'models.get',
            billable: false,
            tokens: 0,
            request: (client) => client.models.retrieve(model),
            read(answer, request) {
              if (isModel(answer.text)) return;
              throw contentError({ kind: 'unreadable', why: 'this describes no model' }, answer, request);
            },
          },
          signal,
        );
        const detail = `${model} can be used, with key ${keys.fingerprint(keys.current())}`;
        return { ok: true, latencyMs: since(), detail };
      } catch (error) {
        if (!(error instanceof TvdbError)) throw error;
        const detail = error.why === undefined ? error.message : `${error.message} (${error.why})`;
        return { ok: false, latencyMs: since(), detail };
      }
    },
  };
}

/**
 * `base64` is exact and less than half as long; elsewhere it is often ignored or garbled, so numbers are asked for.
 * Answers are read for what they are, whatever was asked.
 */
function encodingFor(baseUrl: string): 'base64' | 'float' {
  const { hostname } = new URL(baseUrl);
  return hostname === 'api.openai.com' || hostname.endsWith('.api.openai.com') ? 'base64' : 'float';
}

function isModel(text: string): boolean {
  try {
    return typeof (JSON.parse(text) as { id?: unknown } | null)?.id === 'string';
  } catch {
    return false;
  }
}

/**
 * Tokens of a batch, for the limits of the minute. A token has at least one byte: only a text of more bytes than it may
 * have tokens is counted, and a batch as small as that is taken for its bytes, so that a search need not load the
 * tokenizer. Throws E416 and E309 for what may not be sent.
 */
async function weigh(texts: readonly string[], { attemptId, tokens }: EmbedAttempt): Promise<number> {
  const sizes = texts.map((text) => Buffer.byteLength(text));
  const bytes = sizes.reduce((sum, size) => sum + size, 0);
  const isSmall = bytes <= MOST_TOKENS_EACH;
  const isPlain = isSmall || (tokens !== undefined && Math.max(...sizes) <= MOST_TOKENS_EACH);
  const tokenizer = isPlain ? null : await loadTokenizer();
  let counted = 0;
  const refused = (code: 'E309' | 'E416', message: string, why: string, facts = {}) =>
    new TvdbError(code, {
      message,
      why: `${why}; nothing was sent`,
      chargedNanoUsd: 0,
      facts: { service: 'openai', sent: false, client_request_id: attemptId, ...facts },
    });
  for (const [at, text] of texts.entries()) {
    const which = `Text ${at + 1} of ${texts.length} cannot be embedded`;
    if (text === '') throw refused('E416', which, 'it is empty');
    const count = tokenizer === null ? (sizes[at] ?? 0) : tokenizer.count(text);
    if (count > MOST_TOKENS_EACH)
      throw refused('E416', which, `it has ${count} tokens, ${MOST_TOKENS_EACH} are the most`);
    counted += count;
  }
  const total = tokens ?? counted;
  if (texts.length <= MOST_TEXTS && total <= MOST_TOKENS) return total;
  throw refused(
    'E309',
    `A batch of ${texts.length} texts with ${total} tokens is too large for OpenAI`,
    `${MOST_TEXTS} texts and ${MOST_TOKENS} tokens are the most in one request`,
    { too_large: true },
  );
}
