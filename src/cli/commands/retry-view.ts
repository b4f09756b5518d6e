/** What `retry` answers: each job with what was done about it and where it stands now, and the exit code this adds up to. */
import { EXIT } from '../../base/error-codes.ts';
import { type StoredError, storedError, TvdbError } from '../../base/errors.ts';
import { shortId } from '../../base/ids.ts';
import { isEnded, isFailed } from '../../domain/job-state.ts';
import type { Retried, RetryOutcome } from '../../pipeline/retry.ts';
import type { JobRow } from '../../store/schema.ts';
import type { CommandResult, ExitCode } from '../command.ts';
import { plural } from '../ui/format.ts';
import { accent, dim, type StatusWord } from '../ui/text.ts';
import type { Page } from '../ui/ui.ts';
import { lastError, parkText } from './job-view.ts';
import { reasonText } from './upload-result.ts';

export interface RetryLine {
  /** As it was found when it was taken up; after a wait as it is now. */
  readonly job: JobRow;
  readonly filename: string | null;
  readonly outcome: RetryOutcome;
  /** It goes on because of this command. */
  readonly taken: boolean;
}

export interface RetryAnswer {
  /** `null` when there was nothing to retry. */
  readonly runId: string | null;
  readonly lines: readonly RetryLine[];
  /** Whether the jobs were followed to their end. */
  readonly waited: boolean;
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
function endOf({ outcome, taken, job }: RetryLine, waited: boolean): 'ok' | 'bad' | 'pending' {
  if (outcome.state === 'refused') return 'bad';
  if (!taken || !waited) return 'ok';
  if (isFailed(job.status) || job.status === 'cancelled') return 'bad';
  return isEnded(job.status) ? 'ok' : 'pending';
}

/** Partly done beats still going; if nothing was possible, the exit code of the refusal. */
export function exitOfRetry({ lines, waited }: RetryAnswer): ExitCode {
  const ends = lines.map((line) => endOf(line, waited));
  const bad = ends.filter((end) => end === 'bad').length;
  if (bad > 0 && bad < lines.length) return EXIT.partial;
  if (bad > 0)
    return lines.every(({ outcome }) => outcome.state === 'refused' && outcome.error.code === 'E010')
      ? EXIT.usage
      : EXIT.failed;
  return ends.includes('pending') ? EXIT.pending : EXIT.ok;
}

/** The whole answer of the command. */
export function retryResult(answer: RetryAnswer): CommandResult {
  const { lines, waited, runId } = answer;
  const error = errorOf(answer);
  const queued = !waited && lines.some(({ taken }) => taken);
  return {
    exitCode: exitOfRetry(answer),
    data: {
      run_id: lines.some(({ taken }) => taken) ? runId : null,
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

function lineJson({ job, filename, outcome }: RetryLine): Record<string, unknown> {
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
    parked: job.park_reason === null ? null : { reason: job.park_reason, note: job.park_note },
    error_code: error?.code ?? null,
    error: error?.message ?? null,
  };
}

function problemOf({ job, outcome }: Pick<RetryLine, 'job' | 'outcome'>): StoredError | null {
  if (outcome.state === 'refused') return storedError(outcome.error);
  return isFailed(job.status) ? lastError(job) : null;
}

const REMARKS: Record<Exclude<RetryOutcome['state'], 'retried' | 'woken' | 'refused'>, string> = {
  already_running: 'a worker has it in hand already',
  already_queued: 'in the queue already',
  already_waiting: 'waits for something a retry cannot hurry',
  already_complete: 'complete already',
  already_duplicate: 'a duplicate, nothing to do',
  already_cancelled: 'cancelled',
};

function retryPage(page: Page, answer: RetryAnswer): void {
  const { lines } = answer;
  if (!lines.some(({ taken, outcome }) => taken || outcome.state === 'refused')) page.line('Nothing to retry');
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
}

function wordOf(line: RetryLine, { waited }: RetryAnswer): StatusWord {
  const end = endOf(line, waited);
  if (end === 'bad') return line.job.status === 'cancelled' && line.taken ? 'skip' : 'fail';
  if (!line.taken) return 'skip';
  return end === 'pending' || !waited ? 'wait' : 'ok';
}

function remarkOf({ job, outcome, taken }: RetryLine, { waited }: RetryAnswer): string {
  const problem = problemOf({ job, outcome });
  if (problem !== null && (waited || !taken)) return reasonText(problem);
  if (outcome.state === 'retried' || outcome.state === 'woken') {
    if (waited && isEnded(job.status)) return job.status;
    return parkText(job) ?? `in the queue, goes on at ${job.status}`;
  }
  return outcome.state === 'refused' ? outcome.error.message : REMARKS[outcome.state];
}

/** The error the exit code is explained with: the one there is, or all under one header. */
function errorOf({ lines, waited }: RetryAnswer): TvdbError | undefined {
  const bad = lines.filter((line) => endOf(line, waited) === 'bad');
  const [first] = bad;
  if (first === undefined) return undefined;
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
