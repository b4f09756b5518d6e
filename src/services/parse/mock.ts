/**
 * The offline parse service: free, and real work all the same. It extracts the text of the stored PDF on this machine,
 * in the killable processes of the PDF pool; only latency and failures are simulated, and only when asked for.
 */
import type { Clock } from '../../base/clock.ts';
import { asTvdbError, TvdbError } from '../../base/errors.ts';
import type { Random } from '../../base/ids.ts';
import type { ParsedPage } from '../../domain/parsed-page.ts';
import type { PdfExtractor } from '../pdf/pool.ts';
import { createMockWebhooks } from './mock-webhook.ts';
import type { ParseAttempt, ParsePoll, ParseRequest, ParseService, WebhookTarget } from './port.ts';

export interface MockParseOptions {
  pool: PdfExtractor;
  clock: Clock;
  random: Random;
  /** Simulated milliseconds per document, and per page on top; extraction runs meanwhile. */
  latencyMs: number;
  perPageLatencyMs: number;
  /** Share of submissions that are refused with E306, 0 to 1. */
  failureRate: number;
  /** Behave like a service elsewhere: nobody waits for a parse, its job is parked and looked at again. */
  remote?: boolean;
  /** Where the end of a parse is announced; asked each time. */
  webhook?: () => WebhookTarget | null;
}

/** The version of the reader and of what is made of its output; a change of either makes other parses. */
const PARSER_VERSION = '2.14@1';

/** Ended jobs kept for a repeated look. Results are the large part, so fewer of those that were fetched are kept. */
const ENDED_KEPT = 256;
const FETCHED_KEPT = 4;

type Outcome = { state: 'running' } | { state: 'done'; pages: ParsedPage[] } | { state: 'failed'; error: TvdbError };

interface Job {
  attemptId: string;
  outcome: Outcome;
  fetched: boolean;
  stop: AbortController;
  /** Resolves when the outcome is known; never rejects. */
  ended: Promise<void>;
}

/** A mock parser. Its jobs live in this process: another one, or the next, does not know them (`gone`). */
export function createMockParse(options: MockParseOptions): ParseService & { close(): Promise<void> } {
  const { pool, clock, random, latencyMs, perPageLatencyMs, failureRate, remote = false } = options;
  const webhooks = createMockWebhooks(options.webhook ?? (() => null), clock);
  const jobs = new Map<string, Job>();

  async function work({ path, pages }: ParseRequest, signal: AbortSignal): Promise<Outcome> {
    try {
      const simulatedMs = latencyMs + perPageLatencyMs * pages;
      const [extracted] = await Promise.all([
        pool.extract(path, pages, signal),
        simulatedMs > 0 ? clock.sleep(simulatedMs, signal) : undefined,
      ]);
      return { state: 'done', pages: extracted };
    } catch (thrown) {
      return { state: 'failed', error: signal.aborted ? cancelled() : asTvdbError(thrown) };
    }
  }

  /** Forgets the oldest jobs that nobody needs again. A job that runs, or waits to be fetched, is never forgotten. */
  function forget(): void {
    const drop = (kept: number, which: (job: Job) => boolean) => {
      const all = [...jobs].filter(([, job]) => which(job));
      for (const [remoteId] of all.slice(0, Math.max(0, all.length - kept))) jobs.delete(remoteId);
    };
    drop(FETCHED_KEPT, (job) => job.fetched);
    drop(ENDED_KEPT, (job) => job.outcome.state === 'failed');
  }

  function start(remoteId: string, request: ParseRequest, { attemptId }: ParseAttempt): Job {
    const stop = new AbortController();
    const job: Job = { attemptId, outcome: { state: 'running' }, fetched: false, stop, ended: Promise.resolve() };
    job.ended = work(request, stop.signal).then((outcome) => {
      job.outcome = outcome;
      forget();
      if (!stop.signal.aborted) webhooks.announce(remoteId, outcome.state === 'done' ? 'parse.success' : 'parse.error');
    });
    return job;
  }

  async function poll(remoteId: string, waitMs: number, signal: AbortSignal): Promise<ParsePoll> {
    signal.throwIfAborted();
    const job = jobs.get(remoteId);
    if (job === undefined) return { state: 'gone' };
    if (job.outcome.state === 'running' && waitMs > 0 && !remote) {
      const waited = new AbortController();
      const either = AbortSignal.any([signal, waited.signal]);
      // The sleep ends by abort when the job is quicker; then its rejection means nothing.
      await Promise.race([job.ended, clock.sleep(waitMs, either).catch(() => undefined)]);
      waited.abort();
      signal.throwIfAborted();
    }
    return job.outcome.state === 'failed'
      ? { state: 'failed', error: job.outcome.error }
      : { state: job.outcome.state };
  }

  return {
    origin: 'mock',
    parserName: 'mock-liteparse',
    parserVersion: PARSER_VERSION,
    runsHere: !remote,
    async submit(request, attempt, signal) {
      signal.throwIfAborted();
      const remoteId = `mock-${attempt.attemptId}`;
      if (jobs.has(remoteId)) return { remoteId };
      await attempt.leaving?.();
      if (random() < failureRate) throw simulated();
      jobs.set(remoteId, start(remoteId, request, attempt));
      return { remoteId };
    },
    poll,
    async fetchResult(remoteId, signal) {
      signal.throwIfAborted();
      const job = jobs.get(remoteId);
      if (job?.outcome.state !== 'done') throw notThere(remoteId);
      const { pages } = job.outcome;
      job.fetched = true;
      forget();
      return { pages, creditsBilled: 0 };
    },
    async findByAttempt(attemptId, _window, signal) {
      signal.throwIfAborted();
      return [...jobs].flatMap(([remoteId, job]) => (job.attemptId === attemptId ? [remoteId] : []));
    },
    async cancel(remoteId) {
      const job = jobs.get(remoteId);
      jobs.delete(remoteId);
      job?.stop.abort();
      await job?.ended;
    },
    async health(signal) {
      signal.throwIfAborted();
      return { ok: true, latencyMs: 0, detail: 'mock: text is extracted on this machine' };
    },
    async close() {
      const all = [...jobs.values()];
      jobs.clear();
      for (const { stop } of all) stop.abort();
      await Promise.all(all.map(({ ended }) => ended));
      await webhooks.close();
    },
  };
}

function simulated(): TvdbError {
  return new TvdbError('E306', {
    message: 'the mock parser refused the document',
    why: 'MOCK_PARSE_FAILURE_RATE asks for failures',
    retry: { kind: 'later' },
  });
}

function cancelled(): TvdbError {
  return new TvdbError('E303', { message: 'the parse was cancelled', retry: { kind: 'later' } });
}

function notThere(remoteId: string): TvdbError {
  return new TvdbError('E303', {
    message: `the mock parser has no result for ${remoteId}`,
    why: 'it keeps results in memory only, and only for a while',
    retry: { kind: 'later' },
  });
}
