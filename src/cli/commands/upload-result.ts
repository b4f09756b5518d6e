/** What became of every document of an upload, the sums, and the exit code they add up to. */
import { ERROR_CODES, type ErrorCode, EXIT } from '../../base/error-codes.ts';
import type { StoredError, TvdbError } from '../../base/errors.ts';
import { shortId } from '../../base/ids.ts';
import { isFailed } from '../../domain/job-state.ts';
import type { JobOutcome } from '../../pipeline/job-outcome.ts';
import type { RouterDecision } from '../../services/router.ts';
import type { JobRow } from '../../store/schema.ts';
import type { ExitCode } from '../command.ts';
import { commandLine } from '../command-line.ts';
import type { SkippedInput } from '../input-walk.ts';
import type { SpendMoney } from './foreseen-money.ts';
import { lastError } from './job-view.ts';
import { waitsForMoneyOnly } from './upload-waits.ts';

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
  readonly money?: SpendMoney;
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
export function badOnes(documents: readonly DocumentResult[]) {
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

/** Exit codes of single documents that say more than how many failed, in their order. */
const FIRST = [EXIT.internal, EXIT.credentials, EXIT.budget, EXIT.upstream] as const;

/**
 * Precedence: what ended the upload, a bug, a refused key, an empty account, a service that stays down, partly done, all failed, a gate, still going.
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
    for (const exit of FIRST) if (failedWith(exit)) return exit;
    return bad + totals.not_accepted < answer.documents.length ? EXIT.partial : EXIT.failed;
  }
  if (refuseFallback && isDegraded(answer)) return EXIT.gate;
  if (!pendingCounts || totals.parked + totals.accepted === 0) return EXIT.ok;
  return waitsForMoneyOnly(answer) ? EXIT.budget : EXIT.pending;
}

/** What a job's row says went wrong; `null` unless it failed. */
export function failureOfJob(job: JobRow): StoredError | null {
  return isFailed(job.status) ? lastError(job) : null;
}

/** How to go on with what is left of a run. */
export function resumeCommand(runId: string): string {
  return commandLine(['upload', '--resume', shortId(runId)]);
}

/** Complete documents in which a mock stood in for a real service. */
export function degradedOnes(documents: readonly DocumentResult[]): (DocumentResult & { outcome: JobOutcome })[] {
  return documents.flatMap((one) => {
    const { outcome, status } = one;
    return status === 'complete' && outcome?.maker.fallback_triggered === 1 ? [{ ...one, outcome }] : [];
  });
}

/** How to redo for real what fell back in a job or a run. */
export function redoCommand(id: string): string {
  return commandLine(['retry', '--fallbacks', shortId(id)]);
}

/** The code of a stored error without its prefix; `null` for one of another version of tvdb. */
export function codeOf({ code }: StoredError): ErrorCode | null {
  const bare = code.replace(/^TVDB-/, '');
  return bare in ERROR_CODES ? (bare as ErrorCode) : null;
}

function exitOfError(error: StoredError): number | null {
  const code = codeOf(error);
  return code === null ? null : ERROR_CODES[code].exit;
}
