/**
 * Fills embedding requests across the documents that one process works on. A document asks for the vectors of its next
 * chunks and rests; a request goes out as soon as it is full, when nothing else is on its way, or after a linger.
 *
 * One request is one attempt, its intent committed before it leaves; what comes back is committed at once, together with
 * the end of the attempt and into the cache of vectors, so that a crash before the documents have stored their parts pays
 * for nothing twice.
 */
import { setMaxListeners } from 'node:events';
import { TvdbError } from '../base/errors.ts';
import { nextBatch, type WaitingChunk } from '../domain/batch-plan.ts';
import { afterFull, afterTooLarge, asConfigured, type LearnedSize, type RequestSize } from '../domain/request-size.ts';
import { LostLeaseError } from '../store/jobs/move.ts';
import type { BufferedChunk } from '../store/schema.ts';
import { type EmbedAsk, type EmbeddedPart, type Share, sendShares } from './embed-request.ts';
import type { PipelineDeps } from './stage.ts';

/** Of the models there are; chunks are cut far below it. */
const MOST_TOKENS_EACH = 8_191;

export interface EmbedBatcher {
  /** Resolves with the vectors of the first chunks of the ask (at least one), once they are durable. */
  embed(ask: EmbedAsk): Promise<EmbeddedPart>;
  /** Nothing else can join for now: what waits goes out. */
  flush(): void;
  /** Asks that wait for company. */
  readonly waiting: number;
  /** From now on nobody waits for company: what waits goes out, and so does whatever is asked for later. */
  close(): void;
}

interface Waiting extends EmbedAsk {
  /** Was refused together with others: goes by itself, so that a text nobody can embed fails its own document alone. */
  alone: boolean;
  resolve: (part: EmbeddedPart) => void;
  reject: (error: unknown) => void;
}

/** How large requests are; learned from refusals, for as long as the worker runs. */
export interface SizeMemory {
  size: LearnedSize;
}

/** A batcher for the jobs of one worker, which works in run `runId`. `memory` begins as configured. */
export function createEmbedBatcher(
  deps: PipelineDeps,
  runId: string | null,
  abort: AbortSignal,
  memory: SizeMemory = { size: asConfigured(configuredSize(deps.settings)) },
): EmbedBatcher {
  const { settings, clock } = deps;
  const configured = configuredSize(settings);
  const groups = new Map<string, Waiting[]>();
  const closing = new AbortController();
  const over = AbortSignal.any([abort, closing.signal]);
  setMaxListeners(0, over);
  let lingering = false;

  const pump = (key: string, all: boolean): void => {
    for (;;) {
      const asks = groups.get(key) ?? [];
      const [first] = asks;
      if (first === undefined) return;
      const { shares, full } = fill(asks, memory.size);
      if (!full && !all && !over.aborted && first.service.origin === 'real') return;
      groups.set(
        key,
        asks.filter((ask) => !shares.some((share) => share.ask === ask)),
      );
      void send(shares, full);
    }
  };

  const flush = () => {
    for (const key of [...groups.keys()]) pump(key, true);
  };

  const linger = () => {
    if (lingering) return;
    lingering = true;
    const end = () => {
      lingering = false;
      flush();
    };
    // Ended early, by an abort or the end of the worker, nobody shall wait for ever: the request itself ends by the abort.
    clock.sleep(settings.EMBED_LINGER, over).then(end, end);
  };

  async function send(shares: readonly Share<Waiting>[], full: boolean): Promise<void> {
    const { parts, lost, failed, error } = await sendShares(shares, { deps, runId, abort });
    for (const { ask, part } of parts) ask.resolve(part);
    for (const ask of lost) ask.reject(new LostLeaseError(ask.job.job_id));
    if (full && parts.length > 0) memory.size = afterFull(memory.size, configured);
    const refused = failed.flatMap(({ ask, chunks }) => chunks.map((chunk) => weighed(ask, chunk)));
    const tooLarge = error instanceof TvdbError && error.facts.too_large === true && refused.length > 1;
    if (tooLarge) memory.size = afterTooLarge(memory.size, refused, MOST_TOKENS_EACH);
    else if (!isRefusal(error) || failed.length < 2) {
      for (const { ask } of failed) ask.reject(error);
      return;
    }
    for (const { ask } of failed) enqueue({ ...ask, alone: ask.alone || !tooLarge });
    flush();
  }

  const enqueue = (ask: Waiting): string => {
    // Requests are not shared between cost centers: one request is one charge.
    const key = JSON.stringify([ask.service.space.name, ask.job.cost_center, ask.alone ? ask.job.job_id : null]);
    groups.set(key, [...(groups.get(key) ?? []), ask]);
    return key;
  };

  return {
    embed: (ask) =>
      new Promise((resolve, reject) => {
        // Before it stands among the others: a count that no request can carry would hold them all up.
        const unfit = ask.chunks.find(({ token_count: tokens }) => !(tokens >= 1 && tokens <= MOST_TOKENS_EACH));
        if (unfit !== undefined) throw unusable(unfit);
        const key = enqueue({ ...ask, alone: false, resolve, reject });
        pump(key, false);
        if (groups.get(key)?.length !== 0) linger();
      }),
    flush,
    get waiting() {
      return [...groups.values()].reduce((sum, asks) => sum + asks.length, 0);
    },
    close() {
      closing.abort();
      flush();
    },
  };
}

function configuredSize({ EMBED_BATCH_SIZE, EMBED_BATCH_TOKENS }: PipelineDeps['settings']): RequestSize {
  return { maxTexts: EMBED_BATCH_SIZE, maxTokens: EMBED_BATCH_TOKENS };
}

/** A chunk as the plan of a request sees it. */
function weighed({ job }: EmbedAsk, { chunk_id: id, token_count: tokens }: BufferedChunk): WaitingChunk {
  return { id, jobId: job.job_id, tokens };
}

/** Whether the service, or our own check, refused what is asked for; nothing was accepted then, so nothing is paid. */
function isRefusal(error: unknown): boolean {
  return error instanceof TvdbError && (error.code === 'E309' || error.code === 'E416');
}

function unusable({ chunk_ord: ord, token_count: tokens }: { chunk_ord: number; token_count: number }): TvdbError {
  return new TvdbError('E416', {
    message: `Chunk ${ord} cannot be embedded`,
    why: `it has ${tokens} tokens; a request takes texts of 1 to ${MOST_TOKENS_EACH}`,
    chargedNanoUsd: 0,
  });
}

/** The shares of the next request, oldest ask first; `full` when another chunk would not have fitted or none may join. */
function fill(asks: readonly Waiting[], limits: RequestSize): { shares: Share<Waiting>[]; full: boolean } {
  // The mock is free and runs here: waiting for company would gain nothing.
  const joined = asks[0]?.service.origin === 'real' ? asks : asks.slice(0, 1);
  const waiting = joined.flatMap((ask) => ask.chunks.map((chunk) => ({ ...weighed(ask, chunk), ask, chunk })));
  const { maxTexts, maxTokens } = limits;
  const { batch } = nextBatch(waiting, { maxTexts, maxTokens, maxTokensEach: MOST_TOKENS_EACH });
  const shares = joined.flatMap((ask) => {
    const chunks = batch.filter((one) => one.ask === ask).map(({ chunk }) => chunk);
    return chunks.length > 0 ? [{ ask, chunks }] : [];
  });
  return { shares, full: batch.length < waiting.length || batch.length >= maxTexts };
}
