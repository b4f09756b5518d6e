/** Turns the events of jobs into progress for people and into the event stream for programs. */
import type { Clock } from '../../base/clock.ts';
import type { StoredError } from '../../base/errors.ts';
import { isEnded, isFailed, type Step, stepOf } from '../../domain/job-state.ts';
import { progressOf } from '../../pipeline/stage.ts';
import type { OnEvent } from '../../pipeline/step.ts';
import type { JobEventRow, JobRow } from '../../store/schema.ts';
import { duration, plural } from '../ui/format.ts';
import { dim, type StatusWord, statusColumn, warn } from '../ui/text.ts';
import type { ProgressState, ProgressView, Ui } from '../ui/ui.ts';
import { lastError, parkText } from './job-view.ts';
import { noteOf } from './trace-notes.ts';

/** `progress` events of the stream: at most two a second. */
const PROGRESS_EVERY_MS = 500;

export interface FollowOptions {
  readonly ui: Ui;
  readonly clock: Clock;
  readonly view: ProgressView;
  /** Told to stop: the tally says so. */
  readonly stopping: AbortSignal;
  /** What people call a job. */
  labelOf(job: JobRow): string;
  /** Jobs that are followed to their end; the tally counts them. */
  readonly jobIds: readonly string[];
  /** Each finished step stays on the screen: for a single job on a terminal. */
  readonly keepSteps: boolean;
}

export interface JobFollower {
  readonly onEvent: OnEvent;
  /** Shows jobs as they stand: for those that another process works on, whose events do not come here. */
  show(jobs: readonly JobRow[]): void;
}

interface Followed {
  word: StatusWord;
  step: Step;
  /** Time of the present step so far, from the durations of its events. */
  ms: number;
}

/** A follower that draws jobs on `view` and writes their steps, progress, fallbacks and errors to the event stream. */
export function followJobs(options: FollowOptions): JobFollower {
  const { ui, clock, view, stopping, jobIds } = options;
  const followed = new Map<string, Followed>();
  let lastProgress = Number.NEGATIVE_INFINITY;

  const tally = () => {
    const count = (...words: StatusWord[]) => [...followed.values()].filter(({ word }) => words.includes(word)).length;
    const ended = count('ok', 'skip');
    const parts = [
      [count('fail'), 'failed'],
      [count('run'), 'active'],
      [jobIds.length - ended - count('fail', 'run'), 'waiting'],
    ] as const;
    const rest = parts.filter(([number]) => number > 0).map(([number, noun]) => `  ${number} ${noun}`);
    view.tally(`[ ${ended}/${jobIds.length} done${rest.join('')} ]${stopping.aborted ? '  stopping' : ''}`);
  };
  const put = (job: JobRow) => {
    const state = stateOf(job, options.labelOf(job));
    view.item(job.job_id, state);
    const before = followed.get(job.job_id);
    const step = stepOf(job.status);
    followed.set(job.job_id, { word: state.status, step, ms: before?.step === step ? before.ms : 0 });
    if (jobIds.length > 1) tally();
  };

  const onEvent: OnEvent = (event, job) => {
    const before = followed.get(job.job_id);
    const step = (event.stage as Step | null) ?? stepOf(job.status);
    const ms = (before?.step === step ? before.ms : 0) + (event.duration_ms ?? 0);
    followed.set(job.job_id, { word: before?.word ?? 'wait', step, ms });
    const ending = stageEnd(event, job, step);
    const common = { job_id: job.job_id, document_id: job.document_id, correlation_id: job.correlation_id };
    if (ending !== null) {
      ui.event('stage', { ...common, stage: step, status: ending, ms: Math.round(ms) });
      if (options.keepSteps && ending === 'ok') view.log(keptStep(step, job, ms, ui.ascii));
    }
    // The one of the acceptance was told before the work began.
    if (MID_WORK.has(event.code) && step !== 'upload') view.log(warn(`${options.labelOf(job)}: ${noteOf(event)}`));
    if (event.code === 'FALLBACK') ui.event('fallback', { ...common, ...(JSON.parse(event.data) as object) });
    if (event.code === 'FAILED')
      ui.event('error', { ...common, stage: step, error: lastError(job) ?? failureIn(event) });
    if (event.code === 'EMBED_BUFFERED' && clock.monotonic() - lastProgress >= PROGRESS_EVERY_MS) {
      lastProgress = clock.monotonic();
      const { embeds_done: done, embeds_total: total } = progressOf(job);
      ui.event('progress', { ...common, stage: step, done, total });
    }
    // One that waits to be claimed has nothing to show yet.
    if (job.lease_owner !== null || job.park_reason !== null || isEnded(job.status)) put(job);
    const began = stageStart(event, job, step);
    if (began !== null) ui.event('stage', { ...common, stage: began, status: 'start', ms: null });
  };
  stopping.addEventListener('abort', () => jobIds.length > 1 && tally(), { once: true });
  return {
    onEvent,
    show: (jobs) => {
      for (const job of jobs) {
        const now = stateOf(job, options.labelOf(job)).status;
        const before = followed.get(job.job_id)?.word;
        if (job.lease_owner !== null || (before !== undefined && before !== now)) put(job);
      }
    },
  };
}

/** What people should hear of while it happens, and not only at the end. */
const MID_WORK: ReadonlySet<string> = new Set([
  'FALLBACK',
  'MODE_CHANGED',
  'PARSE_UNKNOWN',
  'PARSE_ADOPTED',
  'PARSE_OVERRUN',
  'EMBED_UNKNOWN',
  'EMBED_BATCH_OVERRUN',
]);

/** How a step ended with this event; `null` while it goes on. */
function stageEnd(event: JobEventRow, job: JobRow, step: Step): 'ok' | 'fail' | 'wait' | 'skip' | null {
  if (event.code === 'FAILED') return 'fail';
  if (event.code === 'RETRY_SCHEDULED' || event.code === 'PARKED') return 'wait';
  if (event.code === 'CANCELLED' || event.code === 'UPLOAD_DEDUP_HIT') return 'skip';
  if (event.code === 'UPLOAD_ACCEPTED' || event.to_status === 'complete') return 'ok';
  return step !== 'upload' &&
    event.to_status !== null &&
    event.to_status !== event.from_status &&
    stepOf(job.status) !== step
    ? 'ok'
    : null;
}

/** The step that begins with this event. */
function stageStart(event: JobEventRow, job: JobRow, step: Step): Step | null {
  if (isEnded(job.status)) return null;
  if (event.code === 'PARSE_INTENT') return 'parse';
  if (event.code === 'RESUMED') return stepOf(job.status);
  const next = stepOf(job.status);
  return event.to_status !== null && next !== step && step !== 'upload' ? next : null;
}

function failureIn(event: JobEventRow): StoredError | null {
  return (JSON.parse(event.data) as { error?: StoredError }).error ?? null;
}

/** A job as a line of progress. */
function stateOf(job: JobRow, label: string): ProgressState {
  const { pages, chunks_total: chunks, embeds_done: done, embeds_total: total } = progressOf(job);
  const step = stepOf(job.status);
  if (job.status === 'complete') {
    return {
      label,
      status: 'ok',
      step,
      detail: `${plural(chunks, 'chunk')}${job.fallback_triggered === 1 ? ', DEGRADED' : ''}`,
    };
  }
  if (isFailed(job.status)) {
    const error = lastError(job);
    return { label, status: 'fail', step, ...(error !== null && { detail: `${error.message}  ${error.code}` }) };
  }
  if (isEnded(job.status)) return { label, status: 'skip', step, detail: job.status };
  const rest = parkText(job);
  if (rest !== null) return { label, status: 'wait', step, detail: rest };
  if (step === 'parse') return { label, status: 'run', step, detail: plural(pages, 'page') };
  if (step === 'embed' && total > 0) return { label, status: 'run', step, done, total };
  return { label, status: 'run', step };
}

function keptStep(step: Step, job: JobRow, ms: number, ascii: boolean) {
  const { pages, chunks_total: chunks, embeds_total: vectors } = progressOf(job);
  const made: Record<Step, string> = {
    upload: plural(pages, 'page'),
    parse: plural(pages, 'page'),
    chunk: plural(chunks, 'chunk'),
    embed: plural(vectors, 'vector'),
    store: 'searchable',
  };
  return [statusColumn('ok', ascii), step.padEnd(8), made[step].padEnd(16), dim(duration(ms))];
}
