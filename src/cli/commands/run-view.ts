/** `run` on a screen and in a pipe: a line for each thing that goes out and comes back, a summary at the end. */
import { iso } from '../../base/clock.ts';
import type { StoredError } from '../../base/errors.ts';
import { shortId } from '../../base/ids.ts';
import { isEnded, type Step, stepOf } from '../../domain/job-state.ts';
import { progressOf } from '../../pipeline/stage.ts';
import type { EventCode } from '../../store/events.ts';
import type { JobEventRow, JobRow } from '../../store/schema.ts';
import { duration, plural } from '../ui/format.ts';
import { accent, bad, type Cell, dim, good, strong, type Text, warn } from '../ui/text.ts';
import type { Page, Ui, Warning } from '../ui/ui.ts';
import { lastError } from './job-view.ts';
import type { RunAnswer } from './run-answer.ts';
import { untilText } from './status-view.ts';
import { noteOf } from './trace-notes.ts';

/** What an activity can be; closed list of `tvdb.events/v1`. */
const ACTIVITY_STATUSES = [
  'start',
  'sent',
  'ok',
  'cached',
  'retry',
  'wait',
  'unknown',
  'adopted',
  'overrun',
  'webhook',
  'fallback',
  'mode',
  'fail',
  'done',
  'resumed',
  'taken back',
  'cancelled',
] as const;

/** What a line of activity says. `out`: handed to a service or a step; `back`: its result; `mark`: anything else. */
export interface Activity {
  readonly at: number;
  readonly kind: 'out' | 'back' | 'mark';
  readonly stage: Step;
  readonly jobId: string;
  readonly status: (typeof ACTIVITY_STATUSES)[number];
  readonly detail: string;
  readonly ms: number | null;
}

/** Events that are worth a line; each step begins with one and ends with one. */
const LINES: Partial<Record<EventCode, Pick<Activity, 'kind' | 'status'>>> = {
  PARSE_INTENT: { kind: 'out', status: 'start' },
  PARSE_REQUESTED: { kind: 'out', status: 'sent' },
  PARSE_UNKNOWN: { kind: 'mark', status: 'unknown' },
  PARSE_ADOPTED: { kind: 'mark', status: 'adopted' },
  PARSE_OVERRUN: { kind: 'mark', status: 'overrun' },
  PARSE_CACHE_HIT: { kind: 'back', status: 'cached' },
  PARSE_STORED: { kind: 'back', status: 'ok' },
  EMBED_CACHE_HIT: { kind: 'back', status: 'cached' },
  EMBED_UNKNOWN: { kind: 'mark', status: 'unknown' },
  EMBED_BATCH_OVERRUN: { kind: 'mark', status: 'overrun' },
  WEBHOOK_RECEIVED: { kind: 'back', status: 'webhook' },
  FALLBACK: { kind: 'mark', status: 'fallback' },
  MODE_CHANGED: { kind: 'mark', status: 'mode' },
  CHUNK_COMMITTED: { kind: 'back', status: 'ok' },
  EMBED_PLANNED: { kind: 'out', status: 'start' },
  EMBED_COMMITTED: { kind: 'back', status: 'ok' },
  FINALIZED: { kind: 'back', status: 'done' },
  RETRY_SCHEDULED: { kind: 'back', status: 'retry' },
  PARKED: { kind: 'mark', status: 'wait' },
  FAILED: { kind: 'back', status: 'fail' },
  RESUMED: { kind: 'mark', status: 'resumed' },
  LEASE_RECLAIMED: { kind: 'mark', status: 'taken back' },
  CANCELLED: { kind: 'mark', status: 'cancelled' },
};

/** The line of an event, `null` for one that has none. */
export function activityOf(event: JobEventRow, job: JobRow): Activity | null {
  const line = LINES[event.code as EventCode];
  // A parse that runs here has no id to be told; looks at one that runs elsewhere are no news.
  if (line === undefined || (event.code === 'PARSE_REQUESTED' && job.parse_origin !== 'real')) return null;
  if (event.code === 'PARKED' && job.park_reason === 'awaiting_result') return null;
  const stage = (event.stage as Step | null) ?? stepOf(job.status);
  return { ...line, at: event.at, stage, jobId: job.job_id, detail: detailOf(event, job), ms: event.duration_ms };
}

function detailOf(event: JobEventRow, job: JobRow): string {
  const data = JSON.parse(event.data) as {
    note?: string;
    why?: string;
    batches?: number;
    error?: StoredError;
    until?: number | null;
    remote_id?: string;
  };
  const { pages, chunks_total: chunks, embeds_total: vectors } = progressOf(job);
  if (event.code === 'PARSE_INTENT' || event.code === 'PARSE_STORED') return plural(pages, 'page');
  if (event.code === 'CHUNK_COMMITTED') return plural(chunks, 'chunk');
  if (event.code === 'EMBED_PLANNED')
    return `${plural(chunks, 'chunk')}, ${data.batches === 1 ? '1 batch' : `${data.batches ?? 0} batches`}`;
  if (event.code === 'EMBED_COMMITTED') return plural(vectors, 'vector');
  if (event.code === 'PARSE_REQUESTED') return `remote ${data.remote_id ?? '-'}`;
  if (TOLD.has(event.code)) return noteOf(event);
  if (event.code === 'FINALIZED') return `searchable${job.fallback_triggered === 1 ? ', DEGRADED' : ''}`;
  const error = data.error ?? (event.code === 'FAILED' ? lastError(job) : null);
  if (error !== null) return `${error.message}  ${error.code}`;
  const told = data.note ?? data.why ?? (isEnded(job.status) ? '' : stepOf(job.status));
  return typeof data.until === 'number' && data.until > event.at
    ? `${told}, next in ${duration(data.until - event.at)}`
    : told;
}

/** Events that `trace` has a sentence for. */
const TOLD: ReadonlySet<string> = new Set<EventCode>([
  'PARSE_UNKNOWN',
  'PARSE_ADOPTED',
  'PARSE_OVERRUN',
  'PARSE_CACHE_HIT',
  'EMBED_CACHE_HIT',
  'EMBED_UNKNOWN',
  'EMBED_BATCH_OVERRUN',
  'WEBHOOK_RECEIVED',
  'FALLBACK',
  'MODE_CHANGED',
]);

const ARROWS = { out: '-->', back: '<--', mark: ' ! ' } as const;

/** `11:40:43 <-- parse  3fa85f64  file.pdf  ok  24 pages  41.7s` */
export function activityLine(page: Page, activity: Activity, name: string, ui: Pick<Ui, 'time'>): void {
  const { at, kind, stage, jobId, status, detail, ms } = activity;
  const result = status === 'start' ? '' : [statusText(status), '  '];
  const time = ms === null || kind === 'out' ? '' : dim(`  ${duration(ms)}`);
  page.line(
    dim(ui.time(at)),
    ` ${ARROWS[kind]} `,
    stage.padEnd(7),
    accent(shortId(jobId)),
    `  ${name}  `,
    result,
    detail,
    time,
  );
}

function statusText(status: Activity['status']): Text {
  if (status === 'fail') return bad(status);
  if (['retry', 'wait', 'unknown', 'overrun', 'fallback', 'taken back'].includes(status)) return warn(status);
  return status === 'ok' || status === 'done' ? good(status) : status;
}

/** An activity for a pipe: time, job, stage, status, ms, detail, name. */
export function activityRow({ at, stage, jobId, status, detail, ms }: Activity, name: string): Cell[] {
  return [iso(at), jobId, stage, status, ms, detail, name];
}

/** The lines above the first activity. */
export function readyNote(
  page: Page,
  {
    mode,
    onlyRun,
    waiting,
    parked,
    failed,
  }: { mode: string | undefined; onlyRun: string | undefined; waiting: number; parked: number; failed: number },
): void {
  const scope = `${mode === undefined ? 'all modes' : `mode ${mode}`}${onlyRun === undefined ? '' : `   run ${shortId(onlyRun)}`}`;
  page.field('Ready', scope, dim('   Ctrl-C to stop'));
  page.field('', `queue   ${waiting} waiting, ${parked} parked, ${failed} failed`);
}

/** The summary on a terminal. Jobs that failed are in the error below it. */
export function runPage(page: Page, answer: RunAnswer): void {
  page.line(summaryLine(answer));
}

/** Documents that came through with a stand-in, and how to redo that. */
export function fallbackWarnings({ jobs, fallbacks }: RunAnswer): Warning[] {
  const [first] = jobs.filter((job) => job.status === 'complete' && job.fallback_triggered === 1);
  if (first === undefined) return [];
  const what = fallbacks === 1 ? `job ${shortId(first.job_id)}` : plural(fallbacks, 'job');
  const redo = fallbacks === 1 ? `tvdb retry --fallbacks ${shortId(first.job_id)}` : 'tvdb retry --fallbacks';
  return [
    { code: 'TVDB-W302', message: `${what} DEGRADED: a mock stood in for a real service; redo it for real: ${redo}` },
  ];
}

/** Jobs that rest are no failure, but somebody should know. */
export function parkedWarnings({ parked }: RunAnswer, ui: Pick<Ui, 'date' | 'time'>, now: number): Warning[] {
  return parked.map(({ jobs, text, until }) => ({
    code: 'TVDB-W310',
    message: `${plural(jobs, 'job')} parked: ${text}, ${untilText(until, now, ui)}`,
  }));
}

const ENDS: Record<RunAnswer['stoppedBy'], string> = {
  drained: 'idle',
  limit: 'done',
  idle: 'idle',
  timeout: 'time up',
  cap: 'run cap reached',
  failure: 'stopped',
  stopped: 'stopped',
};

/** `idle   12 done  1 failed  1 fallback   0 left   6m20s` */
export function summaryLine(answer: RunAnswer): Text {
  const { byStatus, fallbacks } = answer;
  const done = byStatus.complete ?? 0;
  const parts = [`${done} done`];
  if (answer.failed.length > 0) parts.push(`${answer.failed.length} failed`);
  if ((byStatus.cancelled ?? 0) > 0) parts.push(`${byStatus.cancelled} cancelled`);
  if (fallbacks > 0) parts.push(plural(fallbacks, 'fallback'));
  return [
    strong(ENDS[answer.stoppedBy].padEnd(10)),
    parts.join('  '),
    `   ${answer.leftInQueue} left in the queue`,
    dim(`   ${duration(answer.ms)}`),
  ];
}
