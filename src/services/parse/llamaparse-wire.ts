/** What goes to LlamaParse (API v2) and what comes from it: bodies as the service documents them, answers checked. */
import type { ParseTier } from '../../domain/parse-options.ts';
import type { ParseAttempt, ParseRequest, WebhookTarget } from './port.ts';

export const PATHS = {
  files: '/api/v1/beta/files',
  parse: '/api/v2/parse',
  versions: '/api/v2/parse/versions',
} as const;

/** Events that end a parse. The others (pending, running) would only cost deliveries. */
const WEBHOOK_EVENTS = ['parse.success', 'parse.error', 'parse.partial_success', 'parse.cancelled'] as const;

/** Body of `POST /api/v2/parse`; the service refuses keys it does not know. */
export interface CreateBody {
  tier: ParseTier;
  version: string;
  file_id: string;
  page_ranges: { max_pages: number } | { target_pages: string };
  processing_control: { job_failure_conditions: { allowed_page_failure_ratio: number } };
  client_name: string;
  user_metadata?: { tvdb_job: string; tvdb_attempt: string; tvdb_correlation: string };
  disable_cache?: true;
  webhook_configurations?: {
    webhook_url: string;
    webhook_events: string[];
    webhook_output_format: 'json';
    webhook_signing_secret: string;
    webhook_headers: { 'x-tvdb-attempt': string };
  }[];
}

/** What a region that lags behind does not take yet. */
export interface Lag {
  userMetadata: boolean;
  webhookSecret: boolean;
}

export interface CreateFacts {
  tier: ParseTier;
  version: string;
  fileId: string;
  request: ParseRequest;
  attempt: ParseAttempt;
  webhook: WebhookTarget | null;
  lag: Lag;
}

/**
 * The request to parse. It always names its attempt: in `user_metadata`, or where a region refuses that, as the name of
 * the client (and of the file, see `correlationName`). Where a region refuses a signing secret there is no webhook at all: an unsigned one could not be believed.
 */
export function createBody({ tier, version, fileId, request, attempt, webhook, lag }: CreateFacts): CreateBody {
  const { pages, targetPages, disableCache } = request;
  return {
    tier,
    version,
    file_id: fileId,
    // Chosen pages take precedence over a number of pages at the service; both together would only confuse the reader.
    page_ranges: targetPages === undefined ? { max_pages: pages } : { target_pages: pageList(targetPages) },
    // By default the service throws a job away, paid, when 5 % of its pages fail: one page of nineteen. What to do about
    // failed pages is decided here, where they can be asked for again without the others.
    processing_control: { job_failure_conditions: { allowed_page_failure_ratio: 1 } },
    client_name: lag.userMetadata ? correlationName(attempt.attemptId) : 'tvdb',
    ...(!lag.userMetadata && {
      user_metadata: {
        tvdb_job: attempt.jobId,
        tvdb_attempt: attempt.attemptId,
        tvdb_correlation: attempt.correlationId,
      },
    }),
    ...(disableCache === true && { disable_cache: true }),
    ...(webhook !== null &&
      !lag.webhookSecret && {
        webhook_configurations: [
          {
            webhook_url: webhook.url,
            webhook_events: [...WEBHOOK_EVENTS],
            // The default format sends the JSON as a JSON string.
            webhook_output_format: 'json',
            webhook_signing_secret: webhook.secret,
            webhook_headers: { 'x-tvdb-attempt': attempt.attemptId },
          },
        ],
      }),
  };
}

/** The mark of an attempt where there is no metadata: name of the client, and of the file without its extension. */
export function correlationName(attemptId: string): string {
  return `tvdb-${attemptId}`;
}

/** What follows the mark, up to an extension: ids of attempts have no dot. */
const MARK = /^tvdb-([^.]+)(\.\w+)?$/;

/** Page numbers (1-based) as the service takes them: `1,3,5-8`, sorted, each once (a repeat is an error there). */
function pageList(pages: readonly number[]): string {
  const ranges: [number, number][] = [];
  for (const page of [...new Set(pages)].sort((a, b) => a - b)) {
    const last = ranges.at(-1);
    if (last !== undefined && page === last[1] + 1) last[1] = page;
    else ranges.push([page, page]);
  }
  return ranges.map(([from, to]) => (from === to ? String(from) : `${from}-${to}`)).join(',');
}

const JOB_STATES = ['PENDING', 'RUNNING', 'COMPLETED', 'FAILED', 'CANCELLED'] as const;
export type JobStatus = (typeof JOB_STATES)[number];

/** What is read of a job. */
export interface WireJob {
  id: string;
  status: JobStatus;
  errorMessage: string | null;
  /** Credits billed; `null` while billing has not recorded any. Zero is seen on paid jobs too and counts as not yet. */
  credits: number | null;
  createdAt: string;
  correlation: Correlation;
}

/** Whose job it is: an attempt of ours, surely somebody else's, or not said in any field we could have filled. */
type Correlation = { attempt: string } | 'other' | 'unsaid';

/** Ids become part of a path: nothing that could leave it. */
const ID = /^(?!\.+$)[\w.:~-]{1,200}$/;

/** Whether a text can be an id of the service. */
export function isId(value: unknown): value is string {
  return typeof value === 'string' && ID.test(value);
}

const fieldsOf = (value: unknown): Record<string, unknown> =>
  value !== null && typeof value === 'object' && !Array.isArray(value) ? (value as Record<string, unknown>) : {};

/**
 * A job, from an answer that is one (create, cancel, list) or wraps it under `job` (get); `undefined` for any other
 * shape, an unknown status among them.
 */
export function readJob(value: unknown): WireJob | undefined {
  const outer = fieldsOf(value);
  const job = outer.job === undefined ? outer : fieldsOf(outer.job);
  const status = JOB_STATES.find((known) => known === job.status);
  if (!isId(job.id) || status === undefined) return undefined;
  const { credits } = fieldsOf(job.usage);
  return {
    id: job.id,
    status,
    errorMessage: typeof job.error_message === 'string' ? job.error_message : null,
    credits: typeof credits === 'number' && Number.isFinite(credits) && credits > 0 ? credits : null,
    createdAt: typeof job.created_at === 'string' ? job.created_at : '',
    correlation: correlationOf(job),
  };
}

function correlationOf(job: Record<string, unknown>): Correlation {
  const metadata = fieldsOf(job.user_metadata).tvdb_attempt;
  if (typeof metadata === 'string') return { attempt: metadata };
  for (const name of [job.client_name, job.name]) {
    const [, marked] = MARK.exec(typeof name === 'string' ? name : '') ?? [];
    if (marked !== undefined) return { attempt: marked };
  }
  // A field that is there, even as null, would have carried our mark.
  return 'user_metadata' in job || 'client_name' in job ? 'other' : 'unsaid';
}

/** A page of the list of jobs. An item of another shape makes the page unreadable: it might be the one looked for. */
export function readJobList(value: unknown): { jobs: WireJob[]; next: string | null } | undefined {
  const { items, next_page_token: next } = fieldsOf(value);
  if (!Array.isArray(items)) return undefined;
  const jobs = items.map(readJob);
  if (!jobs.every((job) => job !== undefined)) return undefined;
  if (next !== undefined && next !== null && typeof next !== 'string') return undefined;
  return { jobs, next: next === undefined || next === null || next === '' ? null : next };
}

/** The id of an uploaded file. */
export function readFileId(value: unknown): string | undefined {
  const { id } = fieldsOf(value);
  return isId(id) ? id : undefined;
}

/** The dated versions of a tier, newest first; `undefined` when the answer is no list of versions. */
export function readVersions(value: unknown, tier: ParseTier): string[] | undefined {
  const versions = fieldsOf(value)[tier];
  return Array.isArray(versions) ? versions.filter((one) => typeof one === 'string') : undefined;
}

/**
 * The words of a refusal: `{"detail": "…"}`, or of a validation error the places and messages of its parts. The input
 * that was refused is left out: it can hold a secret. Empty when there are none.
 */
export function detailOf(body: unknown): string {
  const { detail } = fieldsOf(body);
  if (typeof detail === 'string') return detail;
  if (!Array.isArray(detail)) return '';
  const parts = detail.map((part) => {
    const { loc, msg } = fieldsOf(part);
    const place = Array.isArray(loc) ? loc.filter((step) => typeof step === 'string').join('.') : '';
    return [place, typeof msg === 'string' ? msg : ''].filter((text) => text !== '').join(': ');
  });
  return parts.filter((text) => text !== '').join('; ');
}
