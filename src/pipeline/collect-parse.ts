/** `parse_queued`: sends the committed intent once, waits for the result, stores it. */
import { asTvdbError, storedError, TvdbError } from '../base/errors.ts';
import { reach } from '../base/fault.ts';
import { nextLookMs } from '../domain/backoff.ts';
import type { ParsedPage } from '../domain/parsed-page.ts';
import { allows } from '../domain/service-mode.ts';
import type { ReleaseProof } from '../ledger/end.ts';
import type { ParseResult, ParseService } from '../services/parse/port.ts';
import { latestAttempt } from '../store/attempts.ts';
import { documentById } from '../store/documents.ts';
import { wakeSlotWaiter } from '../store/jobs/wake.ts';
import type { Trx } from '../store/open.ts';
import { pagesOf, parseById, putParse } from '../store/parses.ts';
import type { AttemptRow, JobRow } from '../store/schema.ts';
import { endAttempt } from './attempt-money.ts';
import { lookFor } from './look-for-parse.ts';
import { decisionOf, parseOptionsOf, unusable } from './route.ts';
import { sendParse } from './send-parse.ts';
import type { Outcome, Stage, StageContext } from './stage.ts';
import { withProgress } from './stage.ts';
import type { ParseAttemptOptions } from './submit-parse.ts';

/** How long one look at a parse that runs in this process may wait. */
const LOOK_MS = 15_000;

export const collectParse: Stage = async (job, context) => {
  const { store, router, settings, clock } = context;
  const attempt = await latestAttempt(store.db, job.job_id, 'parse');
  // A failed attempt was counted where it failed.
  if (attempt === undefined || attempt.outcome === 'failed') return toStart('the last attempt ended without a result');
  const real = attempt.origin === 'real';
  if (real && !router.usable('llamaparse'))
    return unusable('llamaparse', { use: null, why: 'key_missing', fallback: false }, job, clock.now());
  if (attempt.sent === null && !allows(decisionOf(job).overrides?.llamaparse ?? job.service_mode, attempt.origin))
    return { ...toStart('the mode was changed before anything was sent'), write: failing(attempt, context, {}) };
  const service = await router.parseService(attempt.origin, parseOptionsOf(job, settings));
  if (attempt.remote_id !== null) return collect(job, attempt, attempt.remote_id, service, context);
  if (attempt.sent === null) return sent(job, await sendParse(job, attempt, service, context), service, context);
  const found = await lookFor(job, attempt, service, context);
  if ('remoteId' in found) return collect(job, attempt, found.remoteId, service, context);
  return 'absent' in found ? lost(found.absent, job, attempt, context) : found;
};

/** After the request: a parse that runs in this process is waited for, one that runs elsewhere rests until there is news. */
async function sent(
  job: JobRow,
  answer: { attempt: AttemptRow; remoteId: string } | Outcome,
  service: ParseService,
  context: StageContext,
): Promise<Outcome> {
  if (!('remoteId' in answer)) return answer;
  if (service.runsHere) return collect(job, answer.attempt, answer.remoteId, service, context);
  return awaiting(answer.attempt, context);
}

async function collect(
  job: JobRow,
  attempt: AttemptRow,
  remoteId: string,
  service: ParseService,
  context: StageContext,
): Promise<Outcome> {
  const { clock, abort, settings } = context;
  const age = clock.now() - (attempt.sent ?? attempt.started_at);
  for (;;) {
    const poll = await service.poll(remoteId, LOOK_MS, abort);
    abort.throwIfAborted();
    if (poll.state === 'done') break;
    if (poll.state === 'gone') {
      if (service.runsHere) return lost('the parser does not know the attempt any more', job, attempt, context);
      // A job that was just made may not be seen everywhere yet.
      if (age < settings.UNKNOWN_OUTCOME_WINDOW) return awaiting(attempt, context);
      throw await failed(attempt, expired(remoteId), context);
    }
    if (poll.state === 'failed') throw await failed(attempt, poll.error, context);
    if (service.runsHere) continue;
    if (age < settings.PARSE_DEADLINE) return awaiting(attempt, context);
    await service.cancel(remoteId, abort);
    throw await failed(attempt, tooSlow(remoteId, settings.PARSE_DEADLINE), context);
  }
  const result = await fetched(job, attempt, service, remoteId, context);
  reach('parse.result_fetched');
  return stored(job, attempt, service, result, context);
}

/** The result. A result that the service no longer has ends the attempt: to ask for it again would bring the same answer. */
async function fetched(
  job: JobRow,
  attempt: AttemptRow,
  service: ParseService,
  remoteId: string,
  context: StageContext,
): Promise<ParseResult> {
  try {
    return await service.fetchResult(remoteId, context.abort, await askedPages(job, attempt, context));
  } catch (thrown) {
    if (thrown instanceof TvdbError && thrown.code === 'E311') throw await failed(attempt, thrown, context);
    throw thrown;
  }
}

/** The pages a result must have: those that were asked for by number, or all of the document. */
async function askedPages(job: JobRow, attempt: AttemptRow, { store }: StageContext): Promise<readonly number[]> {
  const { pages } = JSON.parse(attempt.options ?? '{}') as Partial<ParseAttemptOptions>;
  if (pages !== undefined) return pages;
  const count = (await documentById(store.db, job.document_id))?.pages ?? 0;
  return Array.from({ length: count }, (_, index) => index + 1);
}

/** The pages into the store, and the attempt ended, in one step with the move. */
async function stored(
  job: JobRow,
  attempt: AttemptRow,
  service: ParseService,
  result: ParseResult,
  context: StageContext,
): Promise<Outcome> {
  const { clock, store } = context;
  const parseId = job.parse_id;
  if (parseId === null) throw new Error('a parse attempt without a parse id');
  const earlier = attempt.operation === 'parse_pages' ? await parseById(store.db, parseId) : undefined;
  const pages = earlier === undefined ? result.pages : merged(pagesOf(earlier), result.pages);
  return {
    kind: 'move',
    to: 'parsed',
    event: {
      code: 'PARSE_STORED',
      attemptId: attempt.attempt_id,
      data: { pages: result.pages.length, origin: service.origin, credits: result.creditsBilled },
    },
    set: { progress: withProgress(job, { pages: pages.length }), retry_count: 0 },
    write: async (trx) => {
      await putParse(trx, {
        parse_id: parseId,
        document_id: job.document_id,
        parser_name: service.parserName,
        parser_version: service.parserVersion,
        origin: service.origin,
        pages,
        created_at: clock.now(),
      });
      const latency = Math.max(0, clock.now() - (attempt.sent ?? attempt.started_at));
      const ending = { outcome: 'ok', billed_units: result.creditsBilled, latency_ms: latency } as const;
      await endAttempt(trx, attempt.attempt_id, ending, context);
      if (service.origin === 'real') await wakeSlotWaiter(trx, clock.now());
    },
  };
}

/** Pages that were asked for again take the place of the earlier ones. */
function merged(earlier: readonly ParsedPage[], again: readonly ParsedPage[]): ParsedPage[] {
  const pages = new Map([...earlier, ...again].map((page) => [page.number, page]));
  return [...pages.values()].sort((a, b) => a.number - b.number);
}

/** Rests until the next look: soon after the start, then at growing distances; a webhook wakes it before. */
function awaiting(attempt: AttemptRow, { clock, settings }: StageContext): Outcome {
  const age = Math.max(0, clock.now() - (attempt.sent ?? attempt.started_at));
  const wait = nextLookMs(age, {
    first: settings.POLL_FIRST,
    cap: settings.POLL_CAP,
    parallel: settings.LLAMAPARSE_PARALLEL,
    requestsPerMinute: settings.LLAMAPARSE_REQUESTS_PER_MINUTE,
  });
  return { kind: 'park', reason: 'awaiting_result', until: clock.now() + wait, note: 'the parser is at work' };
}

/**
 * A lost parse is tried again like a failed one: as often as MAX_RETRIES allows. Throws then; nothing is at the service,
 * so the job may still fall back.
 */
async function lost(why: string, job: JobRow, attempt: AttemptRow, context: StageContext): Promise<Outcome> {
  const { settings, record } = context;
  const tries = job.retry_count + 1;
  const ending = { because: 'absent' } as const;
  if (tries <= settings.MAX_RETRIES)
    return { ...toStart(why), set: { retry_count: tries }, write: failing(attempt, context, ending) };
  const error = new TvdbError('E303', { message: `The parse was lost ${tries} times`, why });
  await record(failing(attempt, context, { ...ending, error }));
  throw error;
}

/** Back to `uploaded`, where a new attempt is made. */
function toStart(why: string): Outcome & { kind: 'move' } {
  return { kind: 'move', to: 'uploaded', event: { code: 'RETRY_SCHEDULED', severity: 'warn', data: { why } } };
}

/** The write that ends an attempt without a result, and gives its slot to another job. */
function failing(
  { attempt_id: id }: AttemptRow,
  context: StageContext,
  { error, ...money }: { error?: TvdbError; because?: ReleaseProof; charge?: 'possible' },
) {
  return async (trx: Trx) => {
    const ending = { outcome: 'failed', ...(error && { error: JSON.stringify(storedError(error)) }) } as const;
    await endAttempt(trx, id, ending, context, money);
    await wakeSlotWaiter(trx, context.clock.now());
  };
}

/**
 * Commits that a parse failed at its service, and returns the error to throw. Whether a failed parse is billed is not
 * documented: its hold is kept until the service's own figure is known (`tvdb costs reconcile`).
 */
async function failed(attempt: AttemptRow, error: unknown, context: StageContext): Promise<TvdbError> {
  const known = asTvdbError(error);
  await context.record(failing(attempt, context, { error: known, charge: 'possible' }));
  return known;
}

function expired(remoteId: string): TvdbError {
  return new TvdbError('E311', {
    message: `The parse service does not know the job ${remoteId} any more`,
    why: 'results are kept for a while only',
    chargedNanoUsd: null,
    facts: { remote_id: remoteId },
  });
}

function tooSlow(remoteId: string, deadlineMs: number): TvdbError {
  return new TvdbError('E303', {
    message: `The parse service did not finish within ${Math.round(deadlineMs / 60_000)} minutes; its job was cancelled`,
    fix: 'Run `tvdb retry <id>`, which pays again, or raise PARSE_DEADLINE.',
    chargedNanoUsd: null,
    facts: { remote_id: remoteId },
  });
}
