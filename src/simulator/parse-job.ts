/** One parse job: where it stands at a given moment, how it ends, what it costs. */
import type { Biller } from './bill.ts';
import { CREDITS_PER_PAGE } from './bill.ts';
import type { Fault } from './faults.ts';
import { selectPages } from './page-ranges.ts';
import { cutPage, PAGE_BYTES } from './page-text.ts';
import type { ParseBody } from './parse-request.ts';

export type JobStatus = 'PENDING' | 'RUNNING' | 'COMPLETED' | 'FAILED' | 'CANCELLED';

/** A page of a result; `error` marks one that failed. */
export interface ResultPage {
  readonly number: number;
  readonly markdown: string;
  readonly error?: string;
}

/** What became of reading the document. */
export type Reading = { readonly pages: readonly string[] } | { readonly reason: string };

export interface ParseJob {
  readonly id: string;
  readonly seq: number;
  readonly name: string;
  readonly body: ParseBody;
  /** Dated, never `latest`. */
  readonly version: string;
  readonly attemptId: string | null;
  /** Of the file's content and the options that change the result. */
  readonly cacheKey: string;
  readonly cacheHit: boolean;
  readonly faults: ReadonlyMap<string, Fault>;
  /** Wall clock, for people and filters. */
  readonly createdAt: number;
  updatedAt: number;
  /** Monotonic: when it starts to run, and when it would end if it had no pages. */
  readonly runsAt: number;
  readonly earliestEnd: number;
  /** Milliseconds for each page. */
  readonly perPage: number;
  /** Absent while the document is still being read. */
  reading?: Reading;
  status: JobStatus;
  result: readonly ResultPage[];
  errorMessage: string | null;
  /** `null` until it ended. */
  credits: number | null;
  /** Looks at `usage` since it ended. */
  usageLooks: number;
}

/** Whether nothing changes any more. */
export function ended(job: ParseJob): boolean {
  return job.status !== 'PENDING' && job.status !== 'RUNNING';
}

/** When it ends on the monotonic clock; `undefined` while that is not known, or never. */
export function endOf(job: ParseJob): number | undefined {
  if (job.reading === undefined || job.faults.has('stuck') || job.faults.has('stuck-running')) return undefined;
  return job.earliestEnd + ('pages' in job.reading ? job.perPage * selected(job, job.reading.pages).length : 0);
}

/** Brings a job up to date: every look at it goes through here, so no state depends on a timer having fired. */
export function settle(job: ParseJob, now: { monotonic: number; wall: number }, biller: Biller): void {
  if (ended(job)) return;
  if (job.status === 'PENDING' && now.monotonic >= job.runsAt && !job.faults.has('stuck')) {
    job.status = 'RUNNING';
    job.updatedAt = now.wall;
  }
  const end = endOf(job);
  if (end === undefined || now.monotonic < end || job.reading === undefined) return;
  job.updatedAt = now.wall;
  finish(job, job.reading, biller);
}

/** Cancels a job that has not ended; free unless it was told otherwise. */
export function cancel(job: ParseJob, wall: number, biller: Biller): void {
  job.status = 'CANCELLED';
  job.updatedAt = wall;
  const pages = job.reading !== undefined && 'pages' in job.reading ? selected(job, job.reading.pages).length : 0;
  charge(job, pages, job.faults.has('cancel-billed'), biller);
}

function finish(job: ParseJob, reading: Reading, biller: Biller): void {
  const failed = job.faults.get('failed');
  const pages = 'pages' in reading ? selected(job, reading.pages) : [];
  if (failed !== undefined || 'reason' in reading || pages.length === 0) {
    job.status = 'FAILED';
    job.errorMessage = reasonText(
      failed?.params.value ??
        ('reason' in reading ? reading.reason : failed === undefined ? 'NO_DATA_FOUND_IN_FILE' : 'TIMEOUT'),
    );
    charge(job, pages.length, failed?.params.billed !== undefined, biller);
    return;
  }
  const result = resultOf(job, pages, reading.pages);
  const bad = result.filter(({ error }) => error !== undefined).length;
  const allowed = job.body.processing_control?.job_failure_conditions?.allowed_page_failure_ratio ?? 0.05;
  // Whether a job that fails over this is billed is not known; its pages were processed, so here it is.
  charge(job, pages.length, true, biller);
  if (bad / pages.length > allowed) {
    job.status = 'FAILED';
    job.errorMessage = `${bad} of ${pages.length} pages failed, more than allowed_page_failure_ratio ${allowed}`;
    return;
  }
  job.status = 'COMPLETED';
  job.result = result;
}

function charge(job: ParseJob, pages: number, billed: boolean, biller: Biller): void {
  const perPage =
    (CREDITS_PER_PAGE[job.body.tier] ?? 0) + (job.body.processing_options?.confidence_score_effort ? 5 : 0);
  const told = job.faults.get('credits')?.params.value;
  job.credits = !billed || job.cacheHit ? 0 : told === undefined ? perPage * pages : Number(told);
  biller.job({ jobId: job.id, attemptId: job.attemptId, pages, credits: job.credits, cacheHit: job.cacheHit });
}

function selected(job: ParseJob, pages: readonly string[]): number[] {
  return selectPages(job.body.page_ranges, pages.length);
}

function resultOf(job: ParseJob, numbers: readonly number[], texts: readonly string[]): ResultPage[] {
  const hit = (action: string) => pageTest(job.faults.get(action));
  const [failed, missing, empty, long] = [
    hit('failed-pages'),
    hit('missing-pages'),
    hit('empty-pages'),
    hit('long-pages'),
  ];
  return numbers
    .filter((number) => !missing(number))
    .map((number) => {
      if (failed(number)) return { number, markdown: '', error: 'Page could not be processed' };
      const text = texts[number - 1] ?? '';
      const markdown = empty(number) ? '' : long(number) ? text.padEnd(PAGE_BYTES + 1_000, ' and so on') : text;
      return { number, markdown: cutPage(markdown) };
    });
}

/** `:2+5` names pages; without it all are meant. */
function pageTest(fault: Fault | undefined): (page: number) => boolean {
  if (fault === undefined) return () => false;
  const pages = fault.params.value?.split('+').map(Number);
  return (page) => pages === undefined || pages.includes(page);
}

const REASONS: Readonly<Record<string, string>> = {
  UNSUPPORTED_FILE_TYPE: 'The file type is not supported',
  PDF_IS_PROTECTED: 'The PDF is protected by a password',
  PDF_IS_BROKEN: 'The PDF is broken and cannot be opened',
  NO_DATA_FOUND_IN_FILE: 'No data was found in the file',
  DOCUMENT_TOO_LARGE: 'The document is too large',
  TOO_MANY_PAGES: 'The document has too many pages',
  TIMEOUT: 'The job timed out',
};

/** `TIMEOUT: The job timed out`; v2 has no error code, only this text. */
function reasonText(reason: string): string {
  const text = REASONS[reason];
  return text === undefined ? reason : `${reason}: ${text}`;
}
