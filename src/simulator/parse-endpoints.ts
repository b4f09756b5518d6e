/** LlamaCloud's parse v2: `/api/v2/parse`. */
import type { Clock } from '../base/clock.ts';
import { sha256 } from '../base/hash.ts';
import { type Answer, isRecord, jsonBody, type SimRequest } from './exchange.ts';
import { parseDuration } from './fault-syntax.ts';
import type { Files } from './files-endpoints.ts';
import { checkedUpload } from './files-endpoints.ts';
import { invalid, llamaRefusal } from './llama-errors.ts';
import { readForm } from './multipart.ts';
import { pageOf } from './paging.ts';
import { jobJson, jobWithContent, PROJECT_ID } from './parse-answer.ts';
import { ended, type ParseJob } from './parse-job.ts';
import type { ParseJobs, SourceFile } from './parse-jobs.ts';
import { complaintsAbout, type ParseBody } from './parse-request.ts';
import { LATEST, PARSE_VERSIONS } from './parse-versions.ts';

export interface ParseEndpoints {
  create(request: SimRequest): Promise<Answer>;
  upload(request: SimRequest): Promise<Answer>;
  get(request: SimRequest): Answer;
  list(request: SimRequest): Answer;
  cancel(request: SimRequest): Answer;
  remove(request: SimRequest): Answer;
  versions(): Answer;
}

export interface ParseEndpointParts {
  readonly clock: Clock;
  readonly files: Files;
  readonly jobs: ParseJobs;
  readonly lagging: boolean;
  readonly fastMarkdown: boolean;
  readonly creditsNullPolls: number;
  readonly listDelay: number;
}

const STATUSES = ['PENDING', 'RUNNING', 'COMPLETED', 'FAILED', 'CANCELLED'];

/** The endpoints over the files and jobs of one simulator. */
export function createParseEndpoints(parts: ParseEndpointParts): ParseEndpoints {
  const { clock, files, jobs, lagging, fastMarkdown, creditsNullPolls, listDelay } = parts;

  function checked(body: unknown, uploaded: boolean): ParseBody {
    const complaints = complaintsAbout(body, { uploaded, lagging });
    if (complaints.length > 0) throw llamaRefusal(422, complaints);
    return body as ParseBody;
  }

  async function started(body: ParseBody, file: SourceFile, { fault }: SimRequest): Promise<Answer> {
    const attemptId = body.user_metadata?.tvdb_attempt ?? null;
    const job = await jobs.create(body, file, attemptId);
    const twin = fault?.action === 'duplicate' ? await jobs.create(body, file, attemptId) : undefined;
    return { status: 200, body: jobJson(job), accepted: [job.id, ...(twin === undefined ? [] : [twin.id])] };
  }

  function wanted({ params: [id = ''] }: SimRequest): ParseJob {
    const job = jobs.get(id);
    if (job === undefined) throw llamaRefusal(404, 'Parse job not found');
    return job;
  }

  function listed(job: ParseJob): boolean {
    const hidden = job.faults.get('hidden');
    const until = hidden === undefined ? listDelay : parseDuration(hidden.params.value ?? '');
    return until !== undefined && clock.now() - job.createdAt >= until;
  }

  return {
    async create(request) {
      const body = checked(jsonBody(request, notJson), false);
      if (body.source_url) {
        const bytes = Buffer.from(body.source_url);
        return started(body, { name: nameOf(body.source_url), bytes, sha256: sha256(bytes) }, request);
      }
      const file = files.get(body.file_id ?? '');
      if (file === undefined) throw llamaRefusal(404, 'Source file not found in storage');
      return started(body, file, request);
    },
    async upload(request) {
      const form = await readForm(request);
      const file = checkedUpload(form?.files.file);
      const body = checked(configurationOf(form?.fields.configuration), true);
      return started(body, files.keep(file, 'parse', null), request);
    },
    get(request) {
      const job = wanted(request);
      const body = jobWithContent(job, request.query.getAll('expand'), { fastMarkdown, nullLooks: creditsNullPolls });
      return { status: 200, body };
    },
    list(request) {
      const { query } = request;
      const [status, ids] = [query.get('status'), query.getAll('job_ids')];
      if (status !== null && !STATUSES.includes(status)) {
        throw invalid(['query', 'status'], `Input should be one of ${STATUSES.join(', ')}`, status, 'literal_error');
      }
      const from = time(query, 'created_at_on_or_after') ?? Number.NEGATIVE_INFINITY;
      const to = time(query, 'created_at_on_or_before') ?? Number.POSITIVE_INFINITY;
      const found = jobs
        .all()
        .filter(
          (job) =>
            listed(job) &&
            (status === null || job.status === status) &&
            (ids.length === 0 || ids.includes(job.id)) &&
            job.createdAt >= from &&
            job.createdAt <= to,
        );
      return { status: 200, body: pageOf(found, request, jobJson) };
    },
    cancel(request) {
      const job = wanted(request);
      if (ended(job)) throw llamaRefusal(400, `Cannot cancel a job in terminal state ${job.status}`);
      if (job.faults.has('cancel-refused')) throw llamaRefusal(409, 'The job cannot be cancelled');
      jobs.cancel(job);
      return { status: 200, body: jobJson(job) };
    },
    remove(request) {
      const job = wanted(request);
      if (!ended(job)) throw llamaRefusal(400, `Cannot delete a job in state ${job.status}`);
      jobs.delete(job);
      return { status: 200, body: { id: job.id, project_id: PROJECT_ID } };
    },
    versions: () => ({ status: 200, body: { ...PARSE_VERSIONS, latest: LATEST } }),
  };
}

function notJson(problem: string) {
  return invalid(['body', 0], `JSON decode error: ${problem}`, {}, 'json_invalid');
}

function configurationOf(text: string | undefined): unknown {
  if (text === undefined) throw invalid(['body', 'configuration'], 'Field required', null, 'missing');
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    body = undefined;
  }
  if (!isRecord(body)) throw llamaRefusal(400, 'The configuration is not a JSON object');
  return body;
}

/** The last part of a URL's path; a page without a name is HTML. */
function nameOf(url: string): string {
  const name = /\/([^/?#]+\.\w+)(?:[?#]|$)/.exec(url.replace(/^https?:\/\/[^/]*/, ''))?.[1];
  return name ?? 'page.html';
}

function time(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name);
  if (text === null) return undefined;
  const at = Date.parse(text);
  if (Number.isNaN(at)) throw invalid(['query', name], 'Input should be a valid datetime', text, 'datetime_parsing');
  return at;
}
