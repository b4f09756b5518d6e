/** What `retry` answers: each job with what was done about it and where it stands now, and the exit code this adds up to. */
import { EXIT } from '../../base/error-codes.ts';
import { type StoredError, storedError, TvdbError } from '../../base/errors.ts';
import { shortId } from '../../base/ids.ts';
import { isEnded, isFailed } from '../../domain/job-state.ts';
import type { Retried, RetryOutcome } from '../../pipeline/retry.ts';
import type { JobRow } from '../../store/schema.ts';
import type { CommandResult, ExitCode } from '../command.ts';
import { plural } from '../ui/format.ts';
import { accent, dim, type StatusWord, type Text, warn } from '../ui/text.ts';
import type { Page } from '../ui/ui.ts';
import { budgetJson, budgetText } from './consent.ts';
import { moneyPlanJson, type SpendMoney } from './foreseen-money.ts';
import { lastError, parkText } from './job-view.ts';
import { type FallenPart, type FallenState, fallenParts, partsText } from './retry-fallbacks.ts';
import { reasonText } from './upload-error.ts';
import { moneyWait } from './upload-waits.ts';

/** What `--fallbacks` did about a job. */
export type FallbackOutcome =
  /** The job of the line redoes the fallen-back parts of job `from`. */
  | { readonly state: 'redone'; readonly from: string }
  /** There was nothing to redo. `by` is the job that did or does it. */
  | { readonly state: Exclude<FallenState['state'], 'to_redo'>; readonly by: string | null };

export interface RetryLine {
  /** As it was found when it was taken up; after a wait as it is now. */
  readonly job: JobRow;
  readonly filename: string | null;
  readonly outcome: RetryOutcome | FallbackOutcome;
  /** It goes on because of this command. */
  readonly taken: boolean;
  /** With `--fallbacks`: the steps that are redone for real. */
  readonly parts?: readonly FallenPart[];
}

export interface RetryAnswer {
  /** `null` when there was nothing to retry. */
  readonly runId: string | null;
  readonly lines: readonly RetryLine[];
  /** Whether the jobs were followed to their end. */
  readonly waited: boolean;
  /** It was about what fell back. */
  readonly fallbacks?: boolean;
  /** What was foreseen and agreed to, and the limits. */
  readonly money: SpendMoney;
  /** Money was refused, or not agreed to, before anything was changed. */
  readonly failure?: TvdbError;
  /** Jobs that rest because money was refused. */
  readonly refusedMoney?: ReadonlySet<string>;
}

/** A job that was named itself and has ended well is refused (E010); met through its document or run it is only mentioned. */
export function lineOf({ job, outcome }: Retried, filename: string | null, named: boolean): RetryLine {
  const ended = job.status === 'complete' || job.status === 'duplicate' || job.status === 'cancelled';
  if (!named || !ended)
    return { job, filename, outcome, taken: outcome.state === 'retried' || outcome.state === 'woken' };
  const error = new TvdbError('E010', {
    message: `Job ${shortId(job.job_id)} has not failed: it is ${job.status}`,
    fix: job.status === 'cancelled' ? 'Upload the document again.' : 'To redo it all the same: upload it with --force.',
    facts: { job_id: job.job_id, status: job.status },
  });
  return { job, filename, outcome: { state: 'refused', error }, taken: false };
}

/** How a line ended: `bad` is refused, failed again or cancelled meanwhile; `pending` is what was waited for in vain. */
function endOf(line: RetryLine, waited: boolean): 'ok' | 'bad' | 'pending' {
  const { outcome, taken, job } = line;
  if (outcome.state === 'refused') return 'bad';
  if (!taken || !waited) return 'ok';
  if (isFailed(job.status) || job.status === 'cancelled' || fellAgain(line)) return 'bad';
  return isEnded(job.status) ? 'ok' : 'pending';
}

/** The redone parts fell back once more: nothing was gained. */
function fellAgain({ outcome, job }: Pick<RetryLine, 'outcome' | 'job'>): boolean {
  return outcome.state === 'redone' && job.status === 'complete' && job.fallback_triggered === 1;
}

/** Partly done beats still going; if nothing was possible, the exit code of the refusal. */
export function exitOfRetry(answer: RetryAnswer): ExitCode {
  const { lines, waited } = answer;
  const ends = lines.map((line) => endOf(line, waited));
  const bad = ends.filter((end) => end === 'bad').length;
  if (bad > 0 && bad < lines.length) return EXIT.partial;
  if (bad > 0) {
    const all = (code: string) =>
      lines.every((line) =>
        fellAgain(line) ? code === 'E305' : line.outcome.state === 'refused' && line.outcome.error.code === code,
      );
    return all('E010') ? EXIT.usage : all('E305') ? EXIT.gate : EXIT.failed;
  }
  if (!ends.includes('pending')) return EXIT.ok;
  return pendingForMoney(answer).length === ends.filter((end) => end === 'pending').length ? EXIT.budget : EXIT.pending;
}

/** The whole answer of the command. */
export function retryResult(answer: RetryAnswer): CommandResult {
  const { lines, waited, runId } = answer;
  const { failure, money } = answer;
  const error = failure ?? errorOf(answer);
  const queued = !waited && lines.some(({ taken }) => taken);
  return {
    ...(failure === undefined && { exitCode: exitOfRetry(answer) }),
    data: {
      run_id: lines.some(({ taken }) => taken) ? runId : null,
      ...moneyPlanJson(money),
      budget: budgetJson(money.budget),
      jobs: lines.map(lineJson),
      totals: totals(answer),
    },
    render: (page) => retryPage(page, answer),
    plain: () => lines.map(({ job, outcome, filename }) => [job.job_id, outcome.state, job.status, filename]),
    quiet: () => lines.filter(({ taken }) => taken).map(({ job }) => job.job_id),
    ...(error !== undefined && { error }),
    ...(queued && { next: 'tvdb run' }),
  };
}

function totals({ lines, waited }: RetryAnswer) {
  const count = (end: ReturnType<typeof endOf>) => lines.filter((line) => endOf(line, waited) === end).length;
  return {
    jobs: lines.length,
    taken_up: lines.filter(({ taken }) => taken).length,
    failed: count('bad'),
    pending: count('pending'),
  };
}

function lineJson({ job, filename, outcome, parts = [] }: RetryLine): Record<string, unknown> {
  const error = problemOf({ job, outcome });
  return {
    job_id: job.job_id,
    document_id: job.document_id,
    correlation_id: job.correlation_id,
    filename,
    outcome: outcome.state,
    from_status: outcome.state === 'retried' ? outcome.was : null,
    to_status: outcome.state === 'retried' ? outcome.to : null,
    status: job.status,
    upgrades_job: outcome.state === 'redone' ? outcome.from : null,
    redo: parts,
    fallback: job.fallback_triggered === 1,
    parked: job.park_reason === null ? null : { reason: job.park_reason, note: job.park_note },
    error_code: error?.code ?? null,
    error: error?.message ?? null,
  };
}

function problemOf({ job, outcome }: Pick<RetryLine, 'job' | 'outcome'>): StoredError | null {
  if (outcome.state === 'refused') return storedError(outcome.error);
  if (fellAgain({ job, outcome })) return storedError(fellAgainError(job));
  return isFailed(job.status) ? lastError(job) : null;
}

function fellAgainError(job: JobRow): TvdbError {
  return new TvdbError('E305', {
    message: `Job ${shortId(job.job_id)} fell back again`,
    why: `${fallenParts(job).join(' and ')} used MOCK once more`,
    fix: '',
    commands: [`tvdb trace ${shortId(job.job_id)}`],
    facts: { job_id: job.job_id },
  });
}

type Idle = Exclude<RetryLine['outcome']['state'], 'retried' | 'woken' | 'refused' | 'redone'>;

const REMARKS: Record<Idle, string> = {
  already_running: 'a worker has it in hand already',
  already_queued: 'in the queue already',
  already_waiting: 'waits for something a retry cannot hurry',
  already_complete: 'complete already',
  already_duplicate: 'a duplicate, nothing to do',
  already_cancelled: 'cancelled',
  already_redone: 'redone for real already',
  already_redoing: 'being redone already',
  not_fallen_back: 'nothing fell back',
  not_complete: 'not complete, so there is nothing to redo yet',
  replaced: 'another version took its place',
};

function retryPage(page: Page, answer: RetryAnswer): void {
  const { lines, waited } = answer;
  // The note above and the error below say it all.
  if (answer.failure !== undefined) return;
  if (!lines.some(({ taken, outcome }) => taken || outcome.state === 'refused'))
    page.line(answer.fallbacks === true ? 'Nothing to redo' : 'Nothing to retry');
  for (const line of lines) {
    const { job, filename } = line;
    page.status(
      wordOf(line, answer),
      accent(shortId(job.job_id)),
      '  ',
      filename ?? dim('deleted'),
      '   ',
      remarkOf(line, answer),
    );
  }
  if (waited && answer.money.budget !== null) page.line('  budget  ', budgetText(answer.money.budget, null));
}

function wordOf(line: RetryLine, { waited }: RetryAnswer): StatusWord {
  const end = endOf(line, waited);
  if (end === 'bad') return line.job.status === 'cancelled' && line.taken ? 'skip' : 'fail';
  if (!line.taken) return 'skip';
  return end === 'pending' || !waited ? 'wait' : 'ok';
}

function remarkOf({ job, outcome, taken, parts = [] }: RetryLine, { waited }: RetryAnswer): Text {
  const problem = problemOf({ job, outcome });
  if (problem !== null && (waited || !taken)) return reasonText(problem);
  if (outcome.state === 'redone') {
    const what = `${partsText(parts)}, in place of ${shortId(outcome.from)}`;
    if (waited && isEnded(job.status)) return `${job.status}: ${what}`;
    return [warn(parkText(job) ?? `in the queue, goes on at ${job.status}`), `: ${what}`];
  }
  if (outcome.state === 'retried' || outcome.state === 'woken') {
    if (waited && isEnded(job.status)) return job.status;
    return parkText(job) ?? `in the queue, goes on at ${job.status}`;
  }
  return outcome.state === 'refused' ? outcome.error.message : REMARKS[outcome.state];
}

/** The error the exit code is explained with: the one there is, or all under one header. */
function pendingForMoney({ lines, waited, refusedMoney }: RetryAnswer) {
  const jobs = lines.filter((line) => endOf(line, waited) === 'pending').map(({ job }) => job);
  return jobs.filter(({ job_id: id }) => refusedMoney?.has(id) === true);
}

function errorOf(answer: RetryAnswer): TvdbError | undefined {
  const { lines, waited } = answer;
  const bad = lines.filter((line) => endOf(line, waited) === 'bad');
  const [first] = bad;
  if (first === undefined)
    return exitOfRetry(answer) === EXIT.budget ? moneyWait(pendingForMoney(answer), lines.length, 'job') : undefined;
  if (bad.length === 1 && first.outcome.state === 'refused') return first.outcome.error;
  const items = bad.map(({ job, filename, outcome }) => {
    const problem = problemOf({ job, outcome });
    return {
      name: `${shortId(job.job_id)} ${filename ?? ''}`.trim(),
      reason: problem === null ? job.status : reasonText(problem),
    };
  });
  return new TvdbError('E401', {
    message: `${bad.length} of ${plural(lines.length, 'job')} could not be completed`,
    fix: '',
    commands: [`tvdb trace ${shortId(first.job.job_id)}`],
    facts: { items, ...(bad.length === 1 && { job_id: first.job.job_id, correlation_id: first.job.correlation_id }) },
  });
}
