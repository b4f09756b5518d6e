/** `status` on a screen and in a pipe. */
import { iso } from '../../base/clock.ts';
import { shortId } from '../../base/ids.ts';
import { isEnded, STEPS, stepOf } from '../../domain/job-state.ts';
import { SERVICES } from '../../domain/service-mode.ts';
import { decisionOf } from '../../pipeline/route.ts';
import type { ListedJob } from '../../store/jobs/find.ts';
import { age, duration, plural } from '../ui/format.ts';
import { accent, type Cell, dim, statusStyle, strong, type Text, warn } from '../ui/text.ts';
import type { Page, Ui } from '../ui/ui.ts';
import { jobCost, jobCostText, jobWord, lastError, parkText, processingMs, restText, stepNumber } from './job-view.ts';
import { routeReason } from './route-text.ts';
import type { QueueState, StatusAnswer } from './status-answer.ts';

/** Failures spelled out under the table; the rest is one `trace` away. */
const REASONS_SHOWN = 5;
const TITLE_COLUMN = 13;
const STATE_COLUMN = 24;

/** The whole page; without services and queue when certain jobs were asked for. */
export function statusPage(
  page: Page,
  answer: StatusAnswer,
  ui: Pick<Ui, 'date' | 'time'>,
  { jobsOnly }: { jobsOnly: boolean },
): void {
  if (!jobsOnly) {
    page.heading('Services');
    for (const { word, title, state, detail } of answer.services) {
      page.status(
        word,
        title.padEnd(TITLE_COLUMN),
        state.length < STATE_COLUMN ? state.padEnd(STATE_COLUMN) : `${state}   `,
        dim(detail),
      );
    }
    page.blank();
    queueLines(page, answer.queue, answer.at, ui);
    page.blank();
  }
  if (answer.jobs.length === 0) {
    page.line(
      jobsOnly ? 'No job matches.' : 'No jobs yet. Upload a document: ',
      jobsOnly ? '' : accent('tvdb upload <file.pdf>'),
    );
    return;
  }
  page.table({
    columns: [
      { head: 'JOB' },
      { head: 'STATUS' },
      { head: 'STEP' },
      { head: 'FILE', flex: true },
      { head: 'AGE', align: 'right' },
      { head: 'TIME', align: 'right' },
      { head: 'COST', align: 'right' },
    ],
    rows: answer.jobs.map((job) => jobCells(job, answer)),
  });
  if (answer.more) page.line(dim('... more jobs; --limit shows more'));
  reasonLines(page, answer, ui);
}

function jobCells(job: ListedJob, { around, at }: StatusAnswer): Cell[] {
  const word = jobWord(job, around);
  const ms = processingMs(job);
  return [
    accent(shortId(job.job_id)),
    { text: word, style: statusStyle(word) },
    job.status === 'duplicate' || job.status === 'cancelled' ? job.status : `${stepNumber(job)}/${STEPS.length}`,
    job.filename ?? dim('(deleted)'),
    age(at - job.created_at),
    ms === null ? null : duration(ms),
    jobCostText(job, around),
  ];
}

function queueLines(page: Page, queue: QueueState, at: number, ui: Pick<Ui, 'date' | 'time'>): void {
  const { waiting, active, parked, failed, oldestMs } = queue;
  const oldest = oldestMs === null ? '' : `   oldest ${duration(oldestMs)}`;
  page.field('Queue', `${waiting} waiting   ${active} active   ${parked} parked   ${failed} failed${oldest}`);
  const busy = queue.steps.filter((step) => step.waiting + step.active + step.parked + step.failed > 0);
  if (busy.length > 0) {
    page.field('', busy.map(({ step, ...counts }) => `${step} ${stepText(counts)}`).join('   '));
  }
  for (const { reason, jobs, until } of queue.parkedGroups) {
    page.field('', `${jobs} parked: ${restText(reason, until)}, ${untilText(until, at, ui)}`);
  }
  if (queue.liveWorkers === 0 && waiting > 0) {
    page.field('', warn(`${waiting} waiting and nothing is consuming the queue: `), accent('tvdb run'));
  }
}

function stepText(counts: { waiting: number; active: number; parked: number; failed: number }): string {
  const words = [
    [counts.waiting, 'waiting'],
    [counts.active, 'active'],
    [counts.parked, 'parked'],
    [counts.failed, 'failed'],
  ] as const;
  return words
    .filter(([count]) => count > 0)
    .map(([count, word]) => `${count} ${word}`)
    .join(', ');
}

/** `until 16:40:02 (in 12s)`; the day is named when it is not soon. */
export function untilText(until: number | null, at: number, ui: Pick<Ui, 'date' | 'time'>): string {
  if (until === null) return 'until you act';
  const left = Math.max(0, until - at);
  return `until ${left < 43_200_000 ? ui.time(until) : ui.date(until)} (in ${age(left)})`;
}

/** Under the table: why jobs failed or rest. */
function reasonLines(page: Page, { jobs, at, around }: StatusAnswer, ui: Pick<Ui, 'date' | 'time'>): void {
  const lines: Text[][] = [];
  for (const job of jobs) {
    const error = lastError(job);
    const rest = isEnded(job.status) ? null : parkText(job);
    if (jobWord(job, around) === 'fail' && error !== null) {
      lines.push([accent(shortId(job.job_id)), '  ', strong(error.code), `  ${error.message}`]);
    } else if (rest !== null) {
      const tries = job.retry_count > 0 ? dim(`  try ${job.retry_count + 1}`) : '';
      lines.push([
        accent(shortId(job.job_id)),
        `  ${rest}, ${untilText(job.run_after, at, ui)}`,
        tries,
        remoteText(job, around),
      ]);
    } else if (job.status === 'complete' && job.fallback_triggered === 1) {
      const { services } = decisionOf(job);
      const fallen = SERVICES.filter((service) => services[service].fallback).map(
        (service) =>
          `${service === 'openai' ? 'embed' : 'parse'} used MOCK: ${routeReason(services[service], service)}`,
      );
      const by = jobs.find((other) => other.upgrades_job === job.job_id);
      const redone = by === undefined ? '' : `; redone by ${shortId(by.job_id)}`;
      lines.push([accent(shortId(job.job_id)), `  ${fallen.join('; ')}${redone}`]);
    }
  }
  if (lines.length === 0) return;
  page.blank();
  for (const line of lines.slice(0, REASONS_SHOWN)) page.line(...line);
  if (lines.length > REASONS_SHOWN) page.line(dim(`... ${plural(lines.length - REASONS_SHOWN, 'more reason')}`));
}

/** The id of a parse that is out, for the support of its service. */
function remoteText(job: ListedJob, { requests }: StatusAnswer['around']): Text {
  const remoteId = requests.get(job.job_id)?.remoteId ?? null;
  return stepOf(job.status) !== 'parse' || remoteId === null || job.parse_origin !== 'real'
    ? ''
    : dim(`  remote ${remoteId}`);
}

/** One job for a pipe: job, document, status, word, step, file, created, time in ms, cost in USD, error code. */
export function jobRow(job: ListedJob, { around }: StatusAnswer): Cell[] {
  const cost = jobCost(job, around);
  return [
    job.job_id,
    job.document_id,
    job.status,
    jobWord(job, around),
    `${stepNumber(job)}/${STEPS.length}`,
    job.filename,
    iso(job.created_at),
    processingMs(job),
    cost === null ? null : cost / 1e9,
    lastError(job)?.code ?? null,
  ];
}
