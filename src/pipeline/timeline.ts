/** The story of one job, told from its events and attempts: one span for each try of each step. */
import { isEnded, type Step, stepOf } from '../domain/job-state.ts';
import type { EventCode } from '../store/events.ts';
import type { AttemptRow, JobEventRow, JobRow } from '../store/schema.ts';
import { isTwin } from '../store/twins.ts';

/** How a try of a step ended, or `run` while it goes on; `wait`: it rests; `lost`: its worker died. */
export type SpanStatus = 'ok' | 'retry' | 'wait' | 'fail' | 'lost' | 'skip' | 'run';

export interface Span {
  readonly stage: Step;
  /** Status of the job when the try began. */
  readonly state: string | null;
  /** 1 for the first try of the step. */
  readonly attempt: number;
  /** Milliseconds since the job was made. */
  readonly startMs: number;
  /** `null` where only the end is known. */
  readonly ms: number | null;
  readonly status: SpanStatus;
  /** Events of the try, oldest first. */
  readonly events: readonly JobEventRow[];
  /** Requests sent in the try. */
  readonly attempts: readonly AttemptRow[];
}

/** Something that belongs to no try: a fallback, a takeover, a cancellation. */
export interface Note {
  readonly atMs: number;
  readonly event: JobEventRow;
}

export interface Timeline {
  readonly spans: readonly Span[];
  readonly notes: readonly Note[];
  /** Milliseconds from the first to the last moment known. */
  readonly totalMs: number;
}

/** Events that end a try without the step being done, and how. */
const ENDINGS: Partial<Record<EventCode, SpanStatus>> = {
  RETRY_SCHEDULED: 'retry',
  PARKED: 'wait',
  FAILED: 'fail',
  LEASE_RECLAIMED: 'lost',
  CANCELLED: 'skip',
};
/** Reasons to rest within a try: the request is out, and the next look belongs to it. */
const LOOKING: readonly unknown[] = ['awaiting_result', 'unknown_outcome'];

const NOTES: readonly string[] = [
  'FALLBACK',
  'MODE_CHANGED',
  'PARSE_CACHE_HIT',
  'PARSE_ADOPTED',
  'PARSE_UNKNOWN',
  'PARSE_ABSENT',
  'PARSE_OVERRUN',
  'PARSE_INCOMPLETE',
  'EMBED_CACHE_HIT',
  'EMBED_UNKNOWN',
  'EMBED_BATCH_OVERRUN',
  'WEBHOOK_RECEIVED',
  'LEASE_RECLAIMED',
  'RESUMED',
  'CANCELLED',
  'UPLOAD_ATTACHED',
  'DOCUMENT_DELETED',
  'BUDGET_REFUSED',
] satisfies EventCode[];

interface OpenSpan {
  stage: Step;
  state: string | null;
  start: number;
  timed: boolean;
  end: number;
  status: SpanStatus | null;
  /** It rests until the next look at a request that is out. */
  looking: boolean;
  events: JobEventRow[];
}

/** Builds the timeline of `job` as of `now`. Events and attempts in any order; a job without events has no spans. */
export function timeline(
  job: JobRow,
  events: readonly JobEventRow[],
  attempts: readonly AttemptRow[],
  now: number,
): Timeline {
  const ordered = [...events].sort((a, b) => a.seq - b.seq);
  const origin = Math.min(job.created_at, ...ordered.map(startOf));
  const spans: OpenSpan[] = [];
  const notes: Note[] = [];
  for (const event of ordered) {
    if (NOTES.includes(event.code)) notes.push({ atMs: event.at - origin, event });
    place(event, spans);
  }
  const last = spans.at(-1);
  if (last !== undefined) finishLast(last, job, now);
  const ends = [...spans.map((span) => span.end), ...ordered.map((event) => event.at)];
  return { spans: numbered(spans, attempts, origin), notes, totalMs: Math.max(0, ...ends.map((at) => at - origin)) };
}

/** Adds an event to the try it belongs to, or begins the next one with it. */
function place(event: JobEventRow, spans: OpenSpan[]): void {
  const current = spans.at(-1);
  const { ending, looking } = endingOf(event);
  // An event without a stage (a takeover) is about the step the job stood at; one that ends nothing tells of no step at all.
  const stage =
    (event.stage as Step | null) ??
    (ending === undefined || event.from_status === null ? null : stepOf(event.from_status));
  if (stage === null) return;
  const continues = current !== undefined && current.stage === stage && (current.status === null || current.looking);
  // Taken back or cancelled between two tries: a note, not a try of its own.
  if (!continues && event.duration_ms === null && (event.code === 'LEASE_RECLAIMED' || event.code === 'CANCELLED'))
    return;
  if (current !== undefined && !continues) current.status ??= 'ok';
  const span = continues
    ? current
    : {
        stage,
        state: event.from_status,
        start: startOf(event),
        timed: event.duration_ms !== null,
        end: event.at,
        status: null,
        looking: false,
        events: [],
      };
  if (!continues) spans.push(span);
  if (span.looking) span.status = null;
  span.looking = looking;
  span.events.push(event);
  span.timed ||= span.events.length > 1;
  span.end = event.at;
  if (ending !== undefined) span.status = ending;
}

/** How an event ends a try, if it does. */
function endingOf({ code, data }: JobEventRow): { ending: SpanStatus | undefined; looking: boolean } {
  const facts = JSON.parse(data) as { reason?: unknown; until?: unknown };
  if (code === 'PARSE_UNKNOWN') return { ending: 'wait', looking: true };
  // What may have arrived is sent once more: another try. Without an end it only says what became of an older request.
  if (code === 'EMBED_UNKNOWN') return { ending: facts.until === undefined ? undefined : 'retry', looking: false };
  const ending = ENDINGS[code as EventCode];
  return { ending, looking: ending === 'wait' && LOOKING.includes(facts.reason) };
}

function finishLast(last: OpenSpan, job: JobRow, now: number): void {
  if (last.status !== null) return;
  if (isEnded(job.status) || stepOf(job.status) !== last.stage) {
    last.status = job.status === 'duplicate' ? 'skip' : 'ok';
  } else if (job.lease_owner !== null && (job.lease_until ?? 0) > now) {
    last.status = 'run';
    last.timed = true;
    last.end = Math.max(last.end, now);
  } else {
    last.status = 'wait';
  }
}

function numbered(spans: readonly OpenSpan[], attempts: readonly AttemptRow[], origin: number): Span[] {
  const tries = new Map<Step, number>();
  // What a service made besides of a request is no try of anything.
  const left = attempts.filter((one) => !isTwin(one)).sort((a, b) => a.started_at - b.started_at);
  return spans.map((span, index) => {
    const before = spans.slice(0, index).findLast((earlier) => earlier.stage === span.stage);
    // A wait for one's turn, for money or for a service is no failed try.
    const attempt = (tries.get(span.stage) ?? 0) + (before?.status === 'wait' ? 0 : 1);
    tries.set(span.stage, attempt);
    const nextOfStage =
      spans.slice(index + 1).find((later) => later.stage === span.stage)?.start ?? Number.POSITIVE_INFINITY;
    const own = left.filter(
      (one) => one.service === span.stage && one.started_at < Math.max(nextOfStage, span.start + 1),
    );
    for (const one of own) left.splice(left.indexOf(one), 1);
    return {
      stage: span.stage,
      state: span.state,
      attempt,
      startMs: Math.max(0, span.start - origin),
      ms: span.timed ? Math.max(0, span.end - span.start) : null,
      status: span.status ?? 'ok',
      events: span.events,
      attempts: own,
    };
  });
}

function startOf(event: JobEventRow): number {
  return event.at - (event.duration_ms ?? 0);
}
