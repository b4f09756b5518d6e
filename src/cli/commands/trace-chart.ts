/** The parts of a trace beyond its table: the picture, and every event and request. */
import { STEPS } from '../../domain/job-state.ts';
import { duration } from '../ui/format.ts';
import { dim } from '../ui/text.ts';
import type { Page, Ui } from '../ui/ui.ts';
import type { TracedJob } from './trace-answer.ts';
import { requestLines } from './trace-requests.ts';

const CHART_FROM_COLS = 80;
const CHART_LABEL = 8;
const CHART_WIDTH = 60;

/** The same again as a picture; only where there is room and something to compare. */
export function chart(page: Page, { rows, line }: TracedJob): void {
  const spans = rows.flatMap((row) => (row.kind === 'span' && row.span.ms !== null ? [row.span] : []));
  if (
    page.cols < CHART_FROM_COLS ||
    page.cols === Number.POSITIVE_INFINITY ||
    page.accessible ||
    spans.length < 2 ||
    line.totalMs === 0
  )
    return;
  const cell = line.totalMs / CHART_WIDTH;
  page.blank();
  page.line(dim(`${' '.repeat(CHART_LABEL)}0s${duration(line.totalMs).padStart(CHART_WIDTH - 2)}`));
  for (const step of STEPS) {
    const own = spans.filter((span) => span.stage === step);
    if (own.length === 0) continue;
    const cells = Array.from({ length: CHART_WIDTH }, () => ' ');
    for (const span of own) {
      const from = Math.min(CHART_WIDTH - 1, Math.floor(span.startMs / cell));
      const to = Math.max(from, Math.min(CHART_WIDTH - 1, Math.ceil((span.startMs + (span.ms ?? 0)) / cell) - 1));
      const mark = span.status === 'ok' || span.status === 'run' ? (page.ascii ? '=' : '━') : span.status.slice(0, 1);
      cells.fill(mark, from, to + 1);
    }
    page.line(`${step.padEnd(CHART_LABEL)}${cells.join('').trimEnd()}`);
  }
}

/** Every event and every request, for `--full`. Bodies are kept nowhere and so never shown. */
export function fullEvents(page: Page, { events, job, requests }: TracedJob, ui: Pick<Ui, 'time'>): void {
  page.blank();
  page.heading('Events');
  for (const event of events) {
    const moved = event.from_status === event.to_status || event.to_status === null ? '' : `  -> ${event.to_status}`;
    page.line(
      `${ui.time(event.at)}  +${duration(Math.max(0, event.at - job.created_at))}  ${event.code}${moved}  `,
      dim(event.data === '{}' ? '' : event.data),
    );
  }
  requestLines(page, requests, ui);
}
