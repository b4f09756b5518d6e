/** The real parser: LlamaParse (LlamaCloud API v2). It sends what it is told once, and never tries again by itself. */
import { TvdbError } from '../../base/errors.ts';
import type { ParseTier } from '../../domain/parse-options.ts';
import { parseFailure } from './llamaparse-errors.ts';
import { createExchange, type ExchangeOptions, type Operation, type Reply } from './llamaparse-exchange.ts';
import { readPages } from './llamaparse-pages.ts';
import { findJobs } from './llamaparse-search.ts';
import { createSubmitter, type RemoteFiles } from './llamaparse-submit.ts';
import { detailOf, isId, PATHS, readJob, readVersions, type WireJob } from './llamaparse-wire.ts';
import type { ParsePoll, ParseResult, ParseService, WebhookTarget } from './port.ts';

export interface LlamaParseOptions extends ExchangeOptions {
  tier: ParseTier;
  /** Dated version of the tier. */
  version: string;
  files: RemoteFiles;
  /** Where news of a parse shall be delivered, asked at each submit; `null` for polling alone. */
  webhook: () => WebhookTarget | null;
}

export interface LlamaParse extends ParseService {
  /** Credits billed for a parse, `null` while billing has not recorded them or when the service has forgotten the parse. */
  usage(remoteId: string, signal: AbortSignal): Promise<number | null>;
}

type Expansion = 'markdown' | 'text';

/** A LlamaParse client for one region, tier and version; `http` and its dispatcher stay the caller's to close. */
export function createLlamaParse(options: LlamaParseOptions): LlamaParse {
  const { tier, version, files, webhook, clock } = options;
  const exchange = createExchange(options);
  const submitter = createSubmitter({ exchange, tier, version, files, webhook });
  // A region older than this field of the answer refuses to be asked for it.
  let knowsUsage = true;

  const getJob = <T>(remoteId: string, expand: readonly string[], read: (body: unknown) => T | undefined) =>
    ({
      operation: 'parse.get',
      billable: false,
      method: 'GET',
      path: jobPath(remoteId),
      // The key is repeated for each value: the service does not split lists.
      query: expand.map((one): [string, string] => ['expand', one]),
      read,
      expected: isGone,
    }) satisfies Operation<T>;

  async function poll(remoteId: string, _waitMs: number, signal: AbortSignal): Promise<ParsePoll> {
    const reply = await exchange.ask(getJob(remoteId, [], readJob), signal);
    if (reply.ok) return newsOf(reply.value);
    if (isGone(reply.status, reply.body)) return { state: 'gone' };
    throw reply.error;
  }

  function newsOf({ status, errorMessage }: WireJob): ParsePoll {
    switch (status) {
      case 'PENDING':
        return { state: 'pending' };
      case 'RUNNING':
        return { state: 'running' };
      case 'COMPLETED':
        return { state: 'done' };
      default:
        return { state: 'failed', error: parseFailure(status, errorMessage, exchange.scrub) };
    }
  }

  /** A look with something expanded; where a region does not know `usage`, without it. */
  async function look<T>(
    remoteId: string,
    content: readonly Expansion[],
    read: (body: unknown) => T | undefined,
    signal: AbortSignal,
  ) {
    const ask = () => exchange.ask(getJob(remoteId, [...content, ...(knowsUsage ? ['usage'] : [])], read), signal);
    const reply = await ask();
    if (reply.ok || !knowsUsage || !refuses(reply, 'usage')) return reply;
    knowsUsage = false;
    return ask();
  }

  async function fetchResult(remoteId: string, signal: AbortSignal, asked?: readonly number[]): Promise<ParseResult> {
    const read = (body: unknown) => {
      const job = readJob(body);
      return job && { job, pages: readPages(body, asked) };
    };
    const [first, second]: [Expansion, Expansion] = tier === 'fast' ? ['text', 'markdown'] : ['markdown', 'text'];
    let reply = await look(remoteId, [first], read, signal);
    // Whether the fast tier has markdown, text or both changed between versions; what is refused or left out is asked for by its other name.
    if (reply.ok ? reply.value.job.status === 'COMPLETED' && reply.value.pages === undefined : refuses(reply, first)) {
      reply = await look(remoteId, [second], read, signal);
    }
    if (!reply.ok)
      throw isGone(reply.status, reply.body) ? resultGone() : notReady(reply) ? unfinished(null) : reply.error;
    const { job, pages } = reply.value;
    if (pages === undefined || job.status !== 'COMPLETED') throw unfinished(job);
    return { pages, creditsBilled: job.credits };
  }

  return {
    origin: 'real',
    parserName: 'llamaparse',
    parserVersion: `${tier}@${version}`,
    runsHere: false,
    prepare: submitter.prepare,
    submit: submitter.submit,
    poll,
    fetchResult,
    async usage(remoteId, signal) {
      const reply = await look(remoteId, [], readJob, signal);
      if (reply.ok) return reply.value.credits;
      if (isGone(reply.status, reply.body)) return null;
      throw reply.error;
    },
    findByAttempt: (attemptId, window, signal) => findJobs(exchange, attemptId, window, signal),
    async cancel(remoteId, signal) {
      const over = (status: number) => OVER.has(status);
      const reply = await exchange.ask(
        {
          operation: 'parse.cancel',
          billable: false,
          method: 'POST',
          path: `${jobPath(remoteId)}/cancel`,
          read: readJob,
          expected: over,
        },
        signal,
      );
      if (!reply.ok && !over(reply.status)) throw reply.error;
    },
    async health(signal) {
      const start = clock.monotonic();
      const outcome = await exchange
        .get(
          {
            operation: 'parse.versions',
            billable: false,
            method: 'GET',
            path: PATHS.versions,
            read: (body) => readVersions(body, tier),
          },
          signal,
        )
        .catch((error: unknown) => {
          if (error instanceof TvdbError) return error;
          throw error;
        });
      const latencyMs = Math.round(clock.monotonic() - start);
      if (outcome instanceof TvdbError) {
        const { label, message, why } = outcome;
        return { ok: false, latencyMs, detail: `${label} ${message}${why === undefined ? '' : `: ${why}`}` };
      }
      return outcome.includes(version)
        ? { ok: true, latencyMs, detail: `LlamaParse answers; ${tier} has version ${version}` }
        : { ok: false, latencyMs, detail: `LlamaParse answers, but ${tier} has no version ${version}` };
    },
  };
}

/** Answers to a cancel that mean there is nothing left to stop; which of them the service gives is not documented. */
const OVER = new Set([400, 404, 409, 410, 422]);

function jobPath(remoteId: string): string {
  if (!isId(remoteId)) {
    throw new TvdbError('E308', {
      message: 'LlamaParse gave a parse an id that cannot be asked for',
      facts: { service: 'llamaparse' },
    });
  }
  return `${PATHS.parse}/${encodeURIComponent(remoteId)}`;
}

/**
 * Whether the service says that it does not know a parse. A 404 alone is not enough, since `gone` makes a new attempt
 * that costs again: a wrong base URL has 404 pages too, and the framework of the service says `Not Found` to any path it
 * does not serve. A result that is not there yet is a 404 as well.
 */
function isGone(status: number, body: unknown): boolean {
  const detail = detailOf(body).trim();
  return status === 404 && /not found/i.test(detail) && !/^not found\.?$/i.test(detail) && !NO_RESULT.test(detail);
}

const NO_RESULT = /^result\b/i;

function notReady(reply: { status: number; body: unknown }): boolean {
  return reply.status === 404 && NO_RESULT.test(detailOf(reply.body));
}

/** Whether an expansion is what a request was refused for. */
function refuses(reply: Extract<Reply<unknown>, { ok: false }>, expansion: string): boolean {
  return (
    (reply.status === 400 || reply.status === 422) && new RegExp(`\\b${expansion}\\b`, 'i').test(detailOf(reply.body))
  );
}

function resultGone(): TvdbError {
  return new TvdbError('E311', {
    message: 'LlamaParse no longer has the result of the parse',
    facts: { service: 'llamaparse', http_status: 404 },
  });
}

/** News of a parse may come before its result can be read. */
function unfinished(job: WireJob | null): TvdbError {
  return new TvdbError('E308', {
    message: 'LlamaParse has no result of the parse yet',
    why: job === null ? 'status 404' : `it is ${job.status} there, without the text of any page that could be taken`,
    retry: { kind: 'later' },
    facts: { service: 'llamaparse', ...(job !== null && { remote_status: job.status }) },
  });
}
