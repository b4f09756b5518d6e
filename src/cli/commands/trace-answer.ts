/** Gathers what `trace` answers for one job, and gives it its JSON form. */
import { iso } from '../../base/clock.ts';
import type { Route, ServiceName } from '../../domain/service-mode.ts';
import { progressOf } from '../../pipeline/stage.ts';
import { type Note, type Span, type SpanStatus, type Timeline, timeline } from '../../pipeline/timeline.ts';
import { requestsOfJobs } from '../../store/attempt-totals.ts';
import { attemptsOfJob, sharersOf } from '../../store/attempts.ts';
import { documentById } from '../../store/documents.ts';
import { eventsOfJob } from '../../store/events.ts';
import { costsOfJobs } from '../../store/job-spend.ts';
import { upgradeOf } from '../../store/jobs/fallen-back.ts';
import { type ListedJob, listJobs } from '../../store/jobs/find.ts';
import type { DocumentRow, JobEventRow, JobRow } from '../../store/schema.ts';
import { deadWorkers } from '../../store/workers.ts';
import type { World } from '../../world.ts';
import { type JobSurroundings, jobCost, jobJson, moneyJson } from './job-view.ts';
import { routeJson, routesJson } from './route-text.ts';
import { requestJson, type TracedRequest } from './trace-requests.ts';

/** One line of the story: a try of a step, or a note between tries. */
export type Row = { readonly kind: 'span'; readonly span: Span } | { readonly kind: 'note'; readonly note: Note };

export interface TracedJob {
  readonly job: ListedJob;
  readonly document: DocumentRow | undefined;
  readonly events: readonly JobEventRow[];
  readonly line: Timeline;
  /** In the order of time, after `--stage` and `--limit`. */
  readonly rows: readonly Row[];
  readonly around: JobSurroundings;
  /** Most tries of a step. */
  readonly tries: number;
  /** Every request it has a part in, oldest first. */
  readonly requests: readonly TracedRequest[];
  /** The job that redoes, or redid, what fell back in this one. */
  readonly redoneBy: JobRow | undefined;
}

export interface TraceRequest {
  readonly stage: string | undefined;
  readonly limit: number;
}

/** Everything about one job; `undefined` when there is no such job. */
export async function tracedJob(
  { store, clock, config }: World,
  jobId: string,
  request: TraceRequest,
): Promise<TracedJob | undefined> {
  const { db } = store;
  const [job] = await listJobs(db, { jobIds: [jobId], limit: 1 });
  if (job === undefined) return undefined;
  const now = clock.now();
  const events = await eventsOfJob(db, jobId);
  const attempts = await attemptsOfJob(db, jobId);
  const sharers = await sharersOf(
    db,
    jobId,
    attempts.map(({ attempt_id: id }) => id),
  );
  const line = timeline(job, events, attempts, now);
  return {
    job,
    document: await documentById(db, job.document_id),
    events,
    line,
    rows: rowsOf(line, request),
    around: {
      now,
      deadWorkers: await deadWorkers(db),
      costs: await costsOfJobs(db, [jobId]),
      requests: await requestsOfJobs(db, [jobId]),
    },
    tries: config.settings.MAX_RETRIES + 1,
    redoneBy: await upgradeOf(db, jobId),
    requests: attempts.map((one) => ({ ...one, sharedWith: sharers.get(one.attempt_id) ?? [] })),
  };
}

function rowsOf({ spans, notes }: Timeline, { stage, limit }: TraceRequest): Row[] {
  const rows: Row[] = [
    ...spans.map((span) => ({ kind: 'span' as const, span })),
    ...notes.map((note) => ({ kind: 'note' as const, note })),
  ];
  return rows
    .filter((row) => stage === undefined || stageOf(row) === stage)
    .sort((a, b) => atMs(a) - atMs(b))
    .slice(-limit);
}

/** Offset of a row. */
export function atMs(row: Row): number {
  return row.kind === 'span' ? row.span.startMs : row.note.atMs;
}

/** The step a row is about; `null` for a note about the whole job. */
export function stageOf(row: Row): string | null {
  return row.kind === 'span' ? row.span.stage : row.note.event.stage;
}

/** Whether a row will not change any more; rows of tries that go on or rest may. */
export function isSettled(row: Row): boolean {
  return row.kind === 'note' || !(['run', 'wait'] satisfies SpanStatus[] as SpanStatus[]).includes(row.span.status);
}

/** Steps whose requests may cost something. */
function spanCost(span: Span): number | null {
  return span.attempts.some(({ origin, sent }) => origin === 'real' && sent !== null) ? null : 0;
}

/** The facts an event carries. */
export function factsOf(event: JobEventRow): Record<string, unknown> {
  return JSON.parse(event.data) as Record<string, unknown>;
}

/** A number among the facts of a span's newest event that has it. */
export function factOf(span: Span, key: string): number | null {
  for (const event of [...span.events].reverse()) {
    const value = factsOf(event)[key];
    if (typeof value === 'number') return value;
  }
  return null;
}

/** One try of a step, as a span of `tvdb.trace/v1`. */
export function spanJson(span: Span, tries: number): Record<string, unknown> {
  const last = span.attempts.at(-1);
  const until = span.status === 'retry' || span.status === 'wait' ? factOf(span, 'until') : null;
  return {
    stage: span.stage,
    state: span.state,
    attempt: span.attempt,
    max_attempts: span.stage === 'upload' ? 1 : tries,
    start_ms: span.startMs,
    ms: span.ms,
    status: span.status,
    http_status: last?.http_status ?? null,
    upstream_id: last?.upstream_request_id ?? last?.remote_id ?? null,
    retry_after_ms: until === null ? null : Math.max(0, until - (span.events.at(-1)?.at ?? until)),
    mode: last?.origin ?? null,
    requests: span.attempts.filter(({ sent }) => sent !== null).length,
    remote_id: last?.remote_id ?? null,
    request_id: last?.upstream_request_id ?? null,
    outcome: last?.outcome ?? null,
    cached: span.events.some(({ code }) => code === 'PARSE_CACHE_HIT' || code === 'EMBED_CACHE_HIT'),
    until: until === null ? null : iso(until),
    ...moneyJson(spanCost(span)),
  };
}

function eventJson(event: JobEventRow, origin: number): Record<string, unknown> {
  const { until, services, llamaparse, openai, resets_at: resets, ...facts } = factsOf(event);
  const route = (value: unknown) => routeJson(value as Route);
  return {
    ...facts,
    ...(services !== undefined && { services: routesJson(services as Record<ServiceName, Route>) }),
    ...(llamaparse !== undefined && { llamaparse: route(llamaparse) }),
    ...(openai !== undefined && { openai: route(openai) }),
    ...(resets !== undefined && { resets_at: typeof resets === 'number' ? iso(resets) : null }),
    ...(until !== undefined && { until: typeof until === 'number' ? iso(until) : null }),
    event_id: event.event_id,
    at: iso(event.at),
    at_ms: Math.max(0, event.at - origin),
    type: event.type,
    code: event.code,
    severity: event.severity,
    stage: event.stage,
    from_status: event.from_status,
    to_status: event.to_status,
    duration_ms: event.duration_ms,
    attempt_id: event.attempt_id,
  };
}

/** `data` of `tvdb.trace/v1` for one job. */
export function traceJson(traced: TracedJob) {
  const { job, document, events, line, rows, around, tries, requests } = traced;
  const progress = progressOf(job);
  const stages = new Set(rows.map(stageOf));
  return {
    ...jobJson(job, around),
    total_ms: line.totalMs,
    sha256: document?.file_sha256 ?? null,
    bytes: document?.bytes_len ?? null,
    pages: document?.pages ?? null,
    chunks: progress.chunks_total === 0 ? null : progress.chunks_total,
    parser:
      job.parser_name === null
        ? null
        : { name: job.parser_name, version: job.parser_version, origin: job.parse_origin },
    chunker: job.chunks_version,
    embedding_space: job.embedding_space,
    embedding_origin: job.embed_origin,
    cost: { total_nano_usd: jobCost(job, around), total_usd: moneyJson(jobCost(job, around)).usd },
    spans: rows.flatMap((row) => (row.kind === 'span' ? [spanJson(row.span, tries)] : [])),
    attempts: requests.filter(({ service }) => stages.has(service)).map((one) => requestJson(one, job.created_at)),
    upgrades_job: job.upgrades_job,
    events: events
      .filter(({ stage }) => stage === null || stages.has(stage))
      .map((event) => eventJson(event, job.created_at)),
  };
}

type TraceJson = ReturnType<typeof traceJson>;

/** The same keys for a document or run that no job belongs to: nothing known. */
export const EMPTY_TRACE: { readonly [K in keyof TraceJson]: TraceJson[K] extends readonly unknown[] ? [] : null } = {
  job_id: null,
  document_id: null,
  correlation_id: null,
  run_id: null,
  status: null,
  state: null,
  stage: null,
  stage_index: null,
  stages: null,
  filename: null,
  path: null,
  service_mode: null,
  fallback: null,
  created_at: null,
  started_at: null,
  ended_at: null,
  ms: null,
  nano_usd: null,
  usd: null,
  services: null,
  retries: null,
  requests: null,
  remote_id: null,
  request_id: null,
  parked: null,
  duplicate_of: null,
  error_code: null,
  error: null,
  total_ms: null,
  sha256: null,
  bytes: null,
  pages: null,
  chunks: null,
  parser: null,
  chunker: null,
  embedding_space: null,
  embedding_origin: null,
  cost: null,
  spans: [],
  attempts: [],
  upgrades_job: null,
  events: [],
};
