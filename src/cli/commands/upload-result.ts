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
import { lastError } from './job-view.ts';

/** In the order of the closing line. `accepted`: in the queue; `planned`: would be accepted (a dry run). */
export const DOCUMENT_STATUSES = [
  'complete',
  'duplicate',
  'rejected',
  'failed',
  'parked',
  'cancelled',
  'accepted',
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

/** Precedence: a bug, a service that stays down, partly done, all failed, a gate, still going. */
export function exitOf(answer: UploadAnswer, { refuseFallback, pendingCounts }: ExitRules): ExitCode {
  const totals = totalsOf(answer.documents);
  const bad = totals.rejected + totals.failed + totals.cancelled;
  const failedWith = (exit: ExitCode) =>
    answer.documents.some(({ error }) => error !== null && exitOfError(error) === exit);
  if (bad > 0) {
    if (failedWith(EXIT.internal)) return EXIT.internal;
    if (failedWith(EXIT.upstream)) return EXIT.upstream;
    return bad < answer.documents.length ? EXIT.partial : EXIT.failed;
  }
  if (refuseFallback && isDegraded(answer)) return EXIT.gate;
  return pendingCounts && totals.parked + totals.accepted > 0 ? EXIT.pending : EXIT.ok;
}

/** The error an exit code is explained with; `undefined` when nothing went wrong. */
export function errorOf(answer: UploadAnswer, exit: ExitCode): TvdbError | undefined {
  if (exit === EXIT.gate) return fallbackRefused(answer.decision, answer.documents.length);
  const bad = answer.documents.filter(
    ({ status }) => status === 'rejected' || status === 'failed' || status === 'cancelled',
  );
  const [first] = bad;
  if (first === undefined) return undefined;
  const resume = answer.runId === null ? undefined : `tvdb upload --resume ${shortId(answer.runId)}`;
  return answer.documents.length === 1
    ? singleError(first, resume)
    : groupedError(bad, answer.documents.length, resume);
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
  if (error === null || code === null) {
    return new TvdbError('E401', { message: `${shown} was cancelled`, fix: 'Upload it again.' });
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

/** Failures listed one by one; the rest is in the JSON answer and in `tvdb status --failed`. */
const LISTED = 20;

function groupedError(bad: readonly DocumentResult[], total: number, resume: string | undefined): TvdbError {
  const byCode = [...bad].sort((a, b) => (a.error?.code ?? '').localeCompare(b.error?.code ?? ''));
  const items = byCode
    .slice(0, LISTED)
    .map(({ shown, status, error }) => ({ name: shown, reason: error === null ? status : reasonText(error) }));
  if (byCode.length > LISTED) items.push({ name: `... ${byCode.length - LISTED} more`, reason: 'all of them: --json' });
  const retryable = bad.some(({ error, outcome }) => outcome !== null && error?.retryable === true);
  return new TvdbError('E401', {
    message: `${bad.length} of ${plural(total, 'document')} could not be ${bad.every(({ outcome }) => outcome === null) ? 'accepted' : 'accepted or processed'}`,
    ...(retryable && resume !== undefined && { fix: '', commands: [resume] }),
    facts: { items },
  });
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

/** What a job's row says went wrong; `null` unless it failed. */
export function failureOfJob(job: JobRow): StoredError | null {
  return isFailed(job.status) ? lastError(job) : null;
}

/** How to go on with what is left of a run. */
export function resumeCommand(runId: string): string {
  return commandLine(['upload', '--resume', shortId(runId)]);
}
