/** `trace` on a screen and in a pipe. */
import { shortId } from '../../base/ids.ts';
import { SERVICES } from '../../domain/service-mode.ts';
import { decisionOf } from '../../pipeline/route.ts';
import { progressOf } from '../../pipeline/stage.ts';
import type { Span, SpanStatus } from '../../pipeline/timeline.ts';
import { bytes, count, duration, plural } from '../ui/format.ts';
import { accent, type Cell, dim, plainText, type Style, statusStyle, strong, warn } from '../ui/text.ts';
import type { Page, Ui } from '../ui/ui.ts';
import { jobCostText, jobWord, lastError, parkText, processingMs } from './job-view.ts';
import { routeReason } from './route-text.ts';
import { untilText } from './status-view.ts';
import { atMs, factOf, factsOf, type Row, stageOf, type TracedJob } from './trace-answer.ts';
import { chart, fullEvents } from './trace-chart.ts';
import { noteOf } from './trace-notes.ts';

const STYLES: Record<SpanStatus, Style> = {
  ok: 'good',
  retry: 'warn',
  wait: 'dim',
  fail: 'bad',
  lost: 'warn',
  skip: 'dim',
  run: 'accent',
};

/** Job, document, where its vectors are, and the one reference that works everywhere. */
export function traceHeader(page: Page, { job, document, around }: TracedJob, ui: Pick<Ui, 'date'>): void {
  const ms = processingMs(job);
  const word = jobWord(job, around);
  const name = job.filename ?? '(deleted document)';
  const degraded = job.fallback_triggered === 1 ? ', fallback' : '';
  page.line(
    accent(shortId(job.job_id)),
    '   ',
    strong(name),
    '   ',
    { text: `${job.status}${degraded}`, style: statusStyle(word) },
    `   ${ms === null ? '-' : duration(ms)}   ${jobCostText(job, around)}   `,
    dim(ui.date(job.created_at)),
  );
  const { chunks_total: chunks } = progressOf(job);
  const size = [
    document === undefined ? '' : plural(document.pages, 'page'),
    chunks === 0 ? '' : plural(chunks, 'chunk'),
  ].filter((part) => part !== '');
  const sha = document === undefined ? '' : `   sha ${shortId(document.file_sha256)}..`;
  page.field('document', `${shortId(job.document_id)}${sha}   ${size.join(', ')}`);
  if (job.embedding_space !== null)
    page.field('space', `${job.embedding_space}   embedding: ${job.embed_origin ?? 'unknown'}`);
  page.field('reference', job.correlation_id);
  if (job.upgrades_job !== null)
    page.field('redoes', accent(shortId(job.upgrades_job)), dim('   what fell back there, for real'));
  if (job.duplicate_of !== null)
    page.field('same as', accent(shortId(job.duplicate_of)), dim('   its text and vectors are used'));
}

/** Header, table, chart, and why it stands where it stands. */
export function tracePage(
  page: Page,
  traced: TracedJob,
  ui: Pick<Ui, 'date' | 'time'>,
  { full }: { full: boolean },
): void {
  traceHeader(page, traced, ui);
  page.blank();
  if (traced.rows.length === 0) page.line('Nothing is recorded for this choice.');
  else {
    page.table({
      columns: [
        { head: 'OFFSET', align: 'right' },
        { head: 'STAGE' },
        { head: 'STATUS' },
        { head: 'TOOK', align: 'right' },
        { head: 'TRY' },
        { head: 'DETAIL', flex: true },
      ],
      rows: traced.rows.map((row) => rowCells(row, traced, true)),
    });
  }
  chart(page, traced);
  if (full) fullEvents(page, traced, ui);
  outcomeLines(page, traced, ui);
}

/** Why the job failed, or what it waits for. */
export function outcomeLines(page: Page, { job, around, redoneBy }: TracedJob, ui: Pick<Ui, 'date' | 'time'>): void {
  const error = lastError(job);
  const rest = parkText(job);
  if (jobWord(job, around) === 'fail' && error !== null) {
    page.blank();
    page.field(error.code, strong(error.message), error.why === null ? '' : `: ${error.why}`);
    page.field('fix', error.fix);
  } else if (jobWord(job, around) === 'warn') {
    page.blank();
    const { services } = decisionOf(job);
    for (const service of SERVICES) {
      if (!services[service].fallback) continue;
      const step = service === 'openai' ? 'embed' : 'parse';
      page.field('fallback', warn(`${step} used MOCK: `), routeReason(services[service], service));
    }
    if (redoneBy !== undefined) page.field('', 'redone by ', accent(shortId(redoneBy.job_id)));
    else page.field('', 'redo for real: ', accent(`tvdb retry --fallbacks ${shortId(job.job_id)}`));
  } else if (rest !== null) {
    page.blank();
    page.field('parked', `${rest}, ${untilText(job.run_after, around.now, ui)}`);
  }
}

/** One row of the table; `short` where there is room for a code and not for a sentence. */
function rowCells(row: Row, traced: TracedJob, short = false): Cell[] {
  if (row.kind === 'note') {
    const { event } = row.note;
    return [
      offset(atMs(row)),
      stageOf(row),
      event.code === 'FALLBACK' ? { text: 'MOCK', style: 'warn' } : dim('note'),
      null,
      null,
      short && event.code === 'FALLBACK' ? shortFallback(factsOf(event)) : noteOf(event),
    ];
  }
  const { span } = row;
  const of = span.stage === 'upload' ? 1 : traced.tries;
  return [
    offset(span.startMs),
    span.stage,
    { text: span.status, style: STYLES[span.status] },
    span.ms === null ? null : duration(span.ms),
    `${span.attempt}/${Math.max(of, span.attempt)}`,
    spanText(span, traced, short),
  ];
}

/** One row as a line, for `--follow`: columns of fixed width, because later rows are not known yet. */
export function followLine(page: Page, row: Row, traced: TracedJob): void {
  const [at, stage, status, took, attempt, detail] = rowCells(row, traced);
  const cell = (value: Cell | undefined, width: number) => plainText(value ?? null).padEnd(width);
  page.line(
    cell(at, 9),
    cell(stage, 8),
    typeof status === 'object' && status !== null && 'style' in status
      ? { ...status, text: status.text.padEnd(8) }
      : cell(status, 8),
    cell(took, 8),
    cell(attempt, 6),
    detail ?? '',
  );
}

/** One row for a pipe: job, offset in ms, stage, status, took in ms, try, detail. */
export function rowForPipe(row: Row, traced: TracedJob): Cell[] {
  const { job } = traced;
  if (row.kind === 'note')
    return [job.job_id, atMs(row), stageOf(row), row.note.event.code.toLowerCase(), null, null, noteOf(row.note.event)];
  const { span } = row;
  return [job.job_id, span.startMs, span.stage, span.status, span.ms, span.attempt, spanText(span, traced, false)];
}

function shortFallback({ service, reason }: Record<string, unknown>): string {
  return `${String(service)} fell back: ${String(reason).replaceAll('_', ' ')}`;
}

function offset(ms: number): string {
  return `+${duration(ms)}`;
}

function spanText(span: Span, { job, requests }: TracedJob, short: boolean): string {
  const last = span.events.at(-1);
  const facts = last === undefined ? {} : factsOf(last);
  const error = facts.error as { code?: unknown; message?: unknown } | undefined;
  const told = () => {
    if (span.status === 'fail' && error !== undefined) return `${String(error.code)} ${String(error.message)}`;
    if (short && span.status === 'retry' && typeof facts.error_code === 'string')
      return `${facts.error_code}${statusText(span)}${waitText(span)}`;
    if (span.status === 'retry' || span.status === 'lost')
      return `${String(facts.note ?? facts.why ?? 'the worker died')}${waitText(span)}`;
    if (span.status === 'wait' && facts.note !== undefined) return String(facts.note);
    return [figures(span), span.status === 'run' ? progressText(span, job.progress) : ''].filter(Boolean).join('  ');
  };
  return [told(), remote(span), shared(span, requests)].filter((part) => part !== '').join('  ');
}

function statusText({ attempts }: Span): string {
  const status = attempts.at(-1)?.http_status ?? null;
  return status === null ? '' : ` ${status}`;
}

/** How long it was to rest before the next try. */
function waitText(span: Span): string {
  const until = factOf(span, 'until');
  const at = span.events.at(-1)?.at;
  return until === null || at === undefined || until <= at ? '' : `, next in ${duration(until - at)}`;
}

/** That other jobs had chunks in the same request. */
function shared({ attempts }: Span, requests: TracedJob['requests']): string {
  const ids = new Set(attempts.map(({ attempt_id: id }) => id));
  const others = new Set(requests.filter(({ attempt_id: id }) => ids.has(id)).flatMap(({ sharedWith }) => sharedWith));
  return others.size === 0 ? '' : `shared with ${plural(others.size, 'other job')}`;
}

function figures(span: Span): string {
  const fact = (key: string, noun: string) => {
    const value = factOf(span, key);
    return value === null ? '' : plural(value, noun);
  };
  const size = factOf(span, 'bytes');
  const parts: Record<Span['stage'], string[]> = {
    upload: [size === null ? '' : bytes(size), fact('pages', 'page')],
    parse: [fact('pages', 'page')],
    chunk: [fact('chunks', 'chunk'), fact('tokens', 'token')],
    embed: [fact('chunks', 'chunk'), requests(span)],
    store: [fact('vectors', 'vector')],
  };
  return parts[span.stage].filter((part) => part !== '').join(', ');
}

function requests({ attempts }: Span): string {
  const sent = attempts.filter((attempt) => attempt.sent !== null);
  return sent.length === 0 ? '' : plural(sent.length, 'request');
}

function remote({ attempts }: Span): string {
  const last = attempts.at(-1);
  const id = last?.remote_id ?? last?.upstream_request_id ?? null;
  const origin = last === undefined ? '' : last.origin;
  const outcome = last?.outcome === 'unknown' || last?.outcome === 'adopted' ? last.outcome : '';
  return [origin, id === null ? '' : shortId(id), outcome].filter((part) => part !== '').join(' ');
}

function progressText(span: Span, progress: string): string {
  const { embeds_done: done, embeds_total: total } = progressOf({ progress });
  return span.stage === 'embed' && total > 0 ? `${count(done)} of ${count(total)} done` : '';
}
