/** What became of every document of an upload, the sums, and the exit code they add up to. */
import { basename } from 'node:path';
import { ERROR_CODES, type ErrorCode, EXIT } from '../../base/error-codes.ts';
import { type StoredError, TvdbError } from '../../base/errors.ts';
import { shortId } from '../../base/ids.ts';
import { isFailed } from '../../domain/job-state.ts';
import type { JobOutcome } from '../../pipeline/job-outcome.ts';
import type { RouterDecision } from '../../services/router.ts';
import type { JobRow } from '../../store/schema.ts';
import type { ExitCode } from '../command.ts';
import { commandLine } from '../command-line.ts';
import type { SkippedInput } from '../input-walk.ts';
import { plural } from '../ui/format.ts';
import type { Annotation } from '../ui/github.ts';
import { lastError } from './job-view.ts';
import type { UploadMoney } from './upload-money.ts';
import { waitsForMoney, waitsForMoneyOnly } from './upload-waits.ts';

/**
 * In the order of the closing line. `accepted`: in the queue; `not_accepted`: nothing is wrong with it, but the upload
 * ended before it had a job; `planned`: would be accepted (a dry run).
 */
export const DOCUMENT_STATUSES = [
  'complete',
  'duplicate',
  'rejected',
  'failed',
  'parked',
  'cancelled',
  'accepted',
  'not_accepted',
  'planned',
] as const;
export type DocumentStatus = (typeof DOCUMENT_STATUSES)[number];

export interface DocumentResult {
  /** The name the user knows it by. */
  readonly shown: string;
  readonly status: DocumentStatus;
  readonly sha256: string | null;
  readonly bytes: number | null;
  readonly pages: number | null;
  readonly error: StoredError | null;
  /** `null` for a document that has no job. */
  readonly outcome: JobOutcome | null;
  /** Its work was in flight already: this upload followed that job. */
  readonly attached: boolean;
  /** Another input of this upload with the same content; the job is that one's. */
  readonly sameAs: string | null;
}

export interface UploadAnswer {
  /** `null` when nothing was accepted. */
  readonly runId: string | null;
  readonly decision: RouterDecision;
  /** Where the mode came from: `flag`, `environment`, `file`, `preferences`, `default`; `run` for a resumed one. */
  readonly modeSource: string;
  readonly documents: readonly DocumentResult[];
  readonly skipped: readonly SkippedInput[];
  readonly ms: number;
  /** Absent where nothing was foreseen: a resumed run. */
  readonly money?: UploadMoney;
  /** Jobs that rest because money was refused. */
  readonly refusedMoney?: ReadonlySet<string>;
  /** What ended the upload before its time; the documents are as they stood then. */
  readonly failure?: TvdbError;
}

export type Totals = Readonly<Record<DocumentStatus, number>>;

/** Where a job stands, in the words of the closing line. */
export function documentStatus(job: JobRow): DocumentStatus {
  if (job.status === 'complete' || job.status === 'duplicate' || job.status === 'cancelled') return job.status;
  if (isFailed(job.status)) return 'failed';
  return job.park_reason === null ? 'accepted' : 'parked';
}

/** How many documents ended in each status; they add up to all of them. */
export function totalsOf(documents: readonly DocumentResult[]): Totals {
  const totals = Object.fromEntries(DOCUMENT_STATUSES.map((status) => [status, 0])) as Record<DocumentStatus, number>;
  for (const { status } of documents) totals[status] += 1;
  return totals;
}

/** Documents that something went wrong with, or that somebody stopped. */
function badOnes(documents: readonly DocumentResult[]) {
  const has = (...statuses: DocumentStatus[]) => documents.filter(({ status }) => statuses.includes(status));
  return { failed: has('rejected', 'failed'), cancelled: has('cancelled') };
}

/** Whether a stand-in took the place of a service that was asked for, anywhere. */
export function isDegraded({ decision, documents }: Pick<UploadAnswer, 'decision' | 'documents'>): boolean {
  const decided = Object.values(decision.services).some((route) => route.fallback);
  return decided || documents.some(({ outcome }) => outcome?.maker.fallback_triggered === 1);
}

export interface ExitRules {
  /** `--on-fallback fail`. */
  readonly refuseFallback: boolean;
  /** Documents still in the queue count as not done; without waiting for them they are what was asked for. */
  readonly pendingCounts: boolean;
}

/**
 * Precedence: what ended the upload, a bug, a service that stays down, partly done, all failed, a gate, still going.
 * Documents that were not accepted count as not done beside others that failed; alone they are no failure.
 */
export function exitOf(answer: UploadAnswer, { refuseFallback, pendingCounts }: ExitRules): ExitCode {
  const totals = totalsOf(answer.documents);
  const { failed, cancelled } = badOnes(answer.documents);
  const bad = failed.length + cancelled.length;
  if (answer.failure !== undefined) return answer.failure.exit as ExitCode;
  const failedWith = (exit: ExitCode) =>
    answer.documents.some(({ error }) => error !== null && exitOfError(error) === exit);
  if (bad > 0) {
    if (failedWith(EXIT.internal)) return EXIT.internal;
    if (failedWith(EXIT.upstream)) return EXIT.upstream;
    return bad + totals.not_accepted < answer.documents.length ? EXIT.partial : EXIT.failed;
  }
  if (refuseFallback && isDegraded(answer)) return EXIT.gate;
  if (!pendingCounts || totals.parked + totals.accepted === 0) return EXIT.ok;
  return waitsForMoneyOnly(answer) ? EXIT.budget : EXIT.pending;
}

/** The error an exit code is explained with; `undefined` when nothing went wrong. */
export function errorOf(answer: UploadAnswer, exit: ExitCode): TvdbError | undefined {
  if (answer.failure !== undefined) return answer.failure;
  if (exit === EXIT.gate) return fallbackRefused(answer.decision, answer.documents.length);
  if (exit === EXIT.budget) return waitsForMoney(answer);
  const { failed, cancelled } = badOnes(answer.documents);
  const [first] = [...failed, ...cancelled];
  if (first === undefined) return undefined;
  const resume = answer.runId === null ? undefined : resumeCommand(answer.runId);
  return answer.documents.length === 1 ? singleError(first, resume) : groupedError(answer, resume);
}

/** `--on-fallback fail` and a stand-in is, or was, in place of a service. */
export function fallbackRefused({ mode, services }: RouterDecision, documents = 0): TvdbError {
  const names = Object.entries(services).flatMap(([service, route]) => (route.fallback ? [service] : []));
  return new TvdbError('E305', {
    message: `Mode ${mode} fell back to mock${names.length === 0 ? '' : ` for ${names.join(' and ')}`}, and --on-fallback fail was given`,
    why: documents === 0 ? 'nothing was accepted' : 'the documents are processed and marked as fallen back',
    fix: 'Set the missing keys, or leave --on-fallback out.',
    chargedNanoUsd: 0,
    facts: { services: names },
  });
}

function singleError({ shown, error, outcome }: DocumentResult, resume: string | undefined): TvdbError {
  const code = error === null ? null : codeOf(error);
  if (error === null) {
    const message = `${shown} was ${outcome?.document === undefined ? 'deleted' : 'cancelled'} meanwhile`;
    return new TvdbError('E401', { message, fix: UPLOAD_AGAIN, facts: { path: shown } });
  }
  if (code === null) {
    // Written by another version of tvdb.
    return new TvdbError('E401', { message: `${shown}: ${error.message}`, fix: error.fix, facts: { path: shown } });
  }
  const job = outcome?.job;
  return new TvdbError(code, {
    message: error.message.includes(basename(shown)) ? error.message : `${shown}: ${error.message}`,
    ...(error.why !== null && { why: error.why }),
    fix: job === undefined ? error.fix : error.fix.replaceAll('<id>', shortId(job.job_id)),
    commands: error.retryable && job !== undefined && resume !== undefined ? [resume] : [],
    retry: { kind: error.retryable ? 'later' : 'never' },
    facts: { path: shown, ...(job !== undefined && { job_id: job.job_id, correlation_id: job.correlation_id }) },
  });
}

const UPLOAD_AGAIN = 'Upload again what is still wanted.';

/** Failures listed one by one; the rest is in the JSON answer and in `tvdb status --failed`. */
const LISTED = 20;

/** What was cancelled is counted, but not listed: the answer has it, and it has no code to look up. */
function groupedError({ documents }: UploadAnswer, resume: string | undefined): TvdbError {
  const { failed, cancelled } = badOnes(documents);
  const stopped = cancelledText(cancelled);
  const all = plural(documents.length, 'document');
  if (failed.length === 0) {
    return new TvdbError('E401', { message: `Of ${all}, ${stopped}`, fix: UPLOAD_AGAIN });
  }
  const byCode = [...failed].sort((a, b) => (a.error?.code ?? '').localeCompare(b.error?.code ?? ''));
  const items = byCode
    .slice(0, LISTED)
    .map(({ shown, status, error }) => ({ name: shown, reason: error === null ? status : reasonText(error) }));
  if (byCode.length > LISTED) items.push({ name: `... ${byCode.length - LISTED} more`, reason: 'all of them: --json' });
  const retryable = failed.some(({ error, outcome }) => outcome !== null && error?.retryable === true);
  const verb = failed.every(({ outcome }) => outcome === null) ? 'accepted' : 'accepted or processed';
  return new TvdbError('E401', {
    message: `${failed.length} of ${all} could not be ${verb}${stopped === '' ? '' : `; ${stopped}`}`,
    ...(retryable && resume !== undefined && { fix: '', commands: [resume] }),
    facts: { items },
  });
}

/** `2 were cancelled, 1 was deleted meanwhile`; an empty text for none. */
function cancelledText(cancelled: readonly DocumentResult[]): string {
  const deleted = cancelled.filter(({ outcome }) => outcome?.document === undefined).length;
  const parts = [
    [cancelled.length - deleted, 'cancelled'],
    [deleted, 'deleted'],
  ] as const;
  const texts = parts.flatMap(([number, word]) =>
    number === 0 ? [] : [`${number} ${number === 1 ? 'was' : 'were'} ${word}`],
  );
  return texts.length === 0 ? '' : `${texts.join(', ')} meanwhile`;
}

/** `TVDB-E404 The PDF is encrypted and needs a password`: what a list has room for. */
export function reasonText(error: StoredError): string {
  const code = codeOf(error);
  return `${error.code}  ${code === null ? error.message : ERROR_CODES[code].title}${error.why === null ? '' : `: ${error.why}`}`;
}

function codeOf({ code }: StoredError): ErrorCode | null {
  const bare = code.replace(/^TVDB-/, '');
  return bare in ERROR_CODES ? (bare as ErrorCode) : null;
}

function exitOfError(error: StoredError): number | null {
  const code = codeOf(error);
  return code === null ? null : ERROR_CODES[code].exit;
}

/** One annotation for each document that failed; first what ended the upload, if that is none of them. */
export function annotationsOf({ documents, failure }: UploadAnswer, error: TvdbError): Annotation[] {
  const { failed } = badOnes(documents);
  const each = failed.flatMap(({ shown, error: one }) =>
    one === null ? [] : [{ title: `${one.code} ${one.category}`, message: `${shown}: ${one.message}` }],
  );
  const own = { title: `${error.label} ${error.category}`, message: error.message };
  return failure !== undefined || each.length === 0 ? [own, ...each] : each;
}

/** What a job's row says went wrong; `null` unless it failed. */
export function failureOfJob(job: JobRow): StoredError | null {
  return isFailed(job.status) ? lastError(job) : null;
}

/** How to go on with what is left of a run. */
export function resumeCommand(runId: string): string {
  return commandLine(['upload', '--resume', shortId(runId)]);
}
