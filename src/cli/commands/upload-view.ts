/** What came of an `upload`, on a screen and in a pipe. */
import { shortId } from '../../base/ids.ts';
import { decimalUsd, formatUsd } from '../../domain/money.ts';
import { SERVICES } from '../../domain/service-mode.ts';
import { decisionOf } from '../../pipeline/route.ts';
import { count, duration, plural, usd } from '../ui/format.ts';
import { accent, type Cell, dim, strong, type Text, warn } from '../ui/text.ts';
import type { Page, Ui, Warning } from '../ui/ui.ts';
import { budgetText } from './consent.ts';
import { NO_MONEY } from './foreseen-money.ts';
import { parkText } from './job-view.ts';
import { routeReason } from './route-text.ts';
import { untilText } from './status-view.ts';
import { documentCost, workedMs } from './upload-json.ts';
import {
  DOCUMENT_STATUSES,
  type DocumentResult,
  type DocumentStatus,
  degradedOnes,
  redoCommand,
  totalsOf,
  type UploadAnswer,
} from './upload-result.ts';

/** Documents listed one by one; finished ones beyond this are counted. */
const LISTED = 20;

/** The answer on a terminal. What was refused or failed is in the error below it. */
export function uploadPage(page: Page, answer: UploadAnswer, ui: Pick<Ui, 'date' | 'time'>, now: number): void {
  const { documents } = answer;
  const [only] = documents;
  if (documents.length === 1 && only !== undefined) singleBlock(page, only, answer, ui, now);
  else manyLines(page, documents, ui, now);
  skippedLines(page, answer);
  if (documents.length > 1 || answer.skipped.length > 0) page.line(closingLine(answer));
  const { budget, likelyNanoUsd: likely } = answer.money ?? NO_MONEY;
  // Nothing was done: the plan above and the error below say it all.
  if (budget === null || answer.runId === null) return;
  if (documents.length > 1) page.line('  cost    ', costText(documents, likely));
  page.line('  budget  ', budgetText(budget, null));
}

const LABELS: Record<DocumentStatus, string> = {
  complete: 'Done',
  duplicate: 'Skipped',
  rejected: 'Rejected',
  failed: 'Failed',
  parked: 'Waiting',
  cancelled: 'Cancelled',
  accepted: 'Queued',
  not_accepted: 'Not taken',
  planned: 'Planned',
};

function singleBlock(
  page: Page,
  document: DocumentResult,
  answer: UploadAnswer,
  ui: Pick<Ui, 'date' | 'time'>,
  now: number,
): void {
  const { outcome, status } = document;
  const degraded = outcome?.maker.fallback_triggered === 1;
  const id = outcome === null ? '' : [' -> ', accent(shortId(outcome.job.document_id))];
  page.field(
    LABELS[status],
    document.shown,
    id,
    degraded ? warn('   DEGRADED') : '',
    remark(document, ui, now),
    dim(timeText(document)),
  );
  if (outcome === null || (status !== 'complete' && status !== 'duplicate')) return;
  page.line('  made    ', madeText(document));
  if (status === 'complete') page.line('  cost    ', costText([document], (answer.money ?? NO_MONEY).likelyNanoUsd));
  if (outcome.superseded.length > 0) {
    page.line(
      '  replaced',
      ` ${plural(outcome.superseded.length, 'earlier version')} of this path `,
      dim('(--keep-old keeps it searchable)'),
    );
  }
  if (degraded) fallbackLines(page, document);
}

/** Actual, estimate and difference on one line; a document that is named twice counts once. */
function costText(documents: readonly DocumentResult[], likely: number): Text {
  const own = documents.filter(({ sameAs }) => sameAs === null);
  const actual = own.reduce<number | null>((sum, document) => {
    const cost = documentCost(document);
    return sum === null || cost === null ? null : sum + cost;
  }, 0);
  const provisional = own.some(({ outcome }) => outcome?.uses.some((use) => use.provisional) === true);
  const difference = actual === null ? 0 : actual - likely;
  return [
    `${usd(actual)} actual, ${formatUsd(likely, 'up')} estimated`,
    difference === 0 ? '' : dim(`   ${difference > 0 ? '+' : '-'}${usd(Math.abs(difference))}`),
    provisional ? dim('   provisional: not billed yet') : '',
  ];
}

function fallbackLines(page: Page, { outcome }: DocumentResult): void {
  if (outcome === null) return;
  const { services } = decisionOf(outcome.maker);
  const parts = [
    ['parse', services.llamaparse, 'llamaparse', outcome.pages, 'page'],
    ['embed', services.openai, 'openai', outcome.chunks, 'chunk'],
  ] as const;
  for (const [step, route, service, number, noun] of parts) {
    if (!route.fallback) continue;
    page.line(
      warn('  warn    '),
      `${step} used MOCK for ${number === null ? 'everything' : plural(number, noun)}: ${routeReason(route, service)}`,
    );
  }
  if (services.openai.fallback) page.line(warn('  warn    '), 'these vectors are not comparable with real ones');
  page.line('          redo for real: ', accent(redoCommand(outcome.maker.job_id)));
}

function manyLines(page: Page, documents: readonly DocumentResult[], ui: Pick<Ui, 'date' | 'time'>, now: number): void {
  const finished = documents.filter(
    ({ status }) => status === 'complete' || status === 'duplicate' || status === 'planned',
  );
  const listed = finished.slice(0, LISTED);
  const untaken = documents.filter(({ status }) => status === 'not_accepted');
  for (const document of documents) {
    const { status, shown, outcome } = document;
    if (status === 'rejected' || status === 'failed' || status === 'not_accepted') continue;
    if (finished.includes(document) && !listed.includes(document)) continue;
    const degraded = status === 'complete' && outcome?.maker.fallback_triggered === 1;
    const id = outcome === null ? '' : [' -> ', accent(shortId(outcome.job.document_id))];
    const word = degraded
      ? 'warn'
      : status === 'complete' || status === 'planned'
        ? 'ok'
        : status === 'parked' || status === 'accepted'
          ? 'wait'
          : 'skip';
    page.status(
      word,
      shown,
      id,
      degraded ? warn('  DEGRADED') : '',
      remark(document, ui, now),
      status === 'complete' ? dim(`  ${countsText(document)}`) : '',
      dim(timeText(document)),
    );
  }
  if (finished.length > listed.length) page.status('ok', plural(finished.length - listed.length, 'more document'));
  for (const { shown } of untaken.slice(0, LISTED)) page.status('skip', shown, '   not accepted');
  if (untaken.length > LISTED) page.status('skip', `${plural(untaken.length - LISTED, 'more document')} not accepted`);
}

/** What there is to say about a status, with its gap before it. */
function remark(
  { status, sameAs, attached, outcome }: DocumentResult,
  ui: Pick<Ui, 'date' | 'time'>,
  now: number,
): string {
  if (status === 'duplicate')
    return sameAs === null ? '   same content, already complete (--force redoes)' : `   same content as ${sameAs}`;
  if (status === 'parked' && outcome !== null)
    return `   ${parkText(outcome.job)}, ${untilText(outcome.job.run_after, now, ui)}`;
  if (status === 'accepted') return '   in the queue';
  if (status === 'cancelled') return `   ${outcome?.document === undefined ? 'deleted' : 'cancelled'} meanwhile`;
  if (status === 'planned') return '   would be processed';
  return attached ? '   was in flight already' : '';
}

function timeText({ status, outcome }: DocumentResult): string {
  const ms = outcome === null || status === 'duplicate' ? null : workedMs(outcome.job);
  return ms === null ? '' : `   ${duration(ms)}`;
}

function countsText({ outcome, pages }: DocumentResult): string {
  const parts: (readonly [number | null, string])[] = [
    [outcome?.pages ?? pages, 'page'],
    [outcome?.chunks ?? null, 'chunk'],
  ];
  return parts.flatMap(([number, noun]) => (number === null ? [] : [plural(number, noun)])).join(', ');
}

function madeText(document: DocumentResult): string {
  const { outcome } = document;
  const vectors = outcome?.vectors ?? null;
  if (vectors === null) return countsText(document);
  return `${countsText(document)}, ${plural(vectors, 'vector')} (${count(outcome?.dimensions ?? 0)} dims, ${outcome?.maker.embed_origin ?? 'unknown'})`;
}

function skippedLines(page: Page, { skipped }: UploadAnswer): void {
  const groups = new Map<string, string[]>();
  for (const { shown, reason } of skipped) groups.set(reason, [...(groups.get(reason) ?? []), shown]);
  for (const [reason, names] of groups) {
    const shown = names.slice(0, 3).join(', ');
    page.status('skip', `${count(names.length)} ${reason}: `, dim(`${shown}${names.length > 3 ? ', ...' : ''}`));
  }
}

/** `12 found = 7 done + 2 duplicate + 3 rejected   2 skipped   1.2s`: it always adds up. */
export function closingLine({ documents, skipped, ms }: UploadAnswer): Text {
  const totals = totalsOf(documents);
  const words: Partial<Record<DocumentStatus, string>> = {
    complete: 'done',
    accepted: 'queued',
    not_accepted: 'not accepted',
  };
  const sum = DOCUMENT_STATUSES.filter((status) => totals[status] > 0).map(
    (status) => `${totals[status]} ${words[status] ?? status}`,
  );
  const apart = skipped.length === 0 ? '' : `   ${skipped.length} skipped`;
  return [strong(`${documents.length} found`), ` = ${sum.join(' + ')}${apart}`, dim(`   ${duration(ms)}`)];
}

/** A document for a pipe: id, status, chunks, cost in USD, path. */
export function documentRow(document: DocumentResult): Cell[] {
  const cost = documentCost(document);
  return [
    document.outcome?.job.document_id ?? null,
    document.status,
    document.outcome?.chunks ?? null,
    cost === null ? null : decimalUsd(cost),
    document.shown,
  ];
}

/** Where a mock stood in, in a pipe and in a list: which documents, why, and how to redo it. On its own page one says so itself. */
export function degradedWarnings(answer: UploadAnswer, { format }: Pick<Ui, 'format'>): Warning[] {
  const fallen = degradedOnes(answer.documents);
  const [first] = fallen;
  if (first === undefined || (format === 'rich' && answer.documents.length === 1)) return [];
  if (fallen.length > 1 && answer.runId !== null) {
    const message = `${plural(fallen.length, 'document')} DEGRADED: a mock stood in for a real service; redo it for real: ${redoCommand(answer.runId)}`;
    return [{ code: 'TVDB-W302', message }];
  }
  const { services } = decisionOf(first.outcome.maker);
  const parts = SERVICES.filter((service) => services[service].fallback).map(
    (service) => `${service === 'openai' ? 'embed' : 'parse'} used MOCK (${routeReason(services[service], service)})`,
  );
  const message = `${first.shown} DEGRADED: ${parts.join(', ')}; redo it for real: ${redoCommand(first.outcome.maker.job_id)}`;
  return [{ code: 'TVDB-W302', message }];
}

/** Documents that rest are neither done nor failed: each says why and until when. In a pipe nothing else would. */
export function parkedWarnings({ documents }: UploadAnswer, ui: Pick<Ui, 'date' | 'time'>, now: number): Warning[] {
  return documents.flatMap(({ status, outcome, shown }) => {
    const rest = status !== 'parked' || outcome === null ? null : parkText(outcome.job);
    if (rest === null || outcome === null) return [];
    return [{ code: 'TVDB-W310', message: `${shown} waits: ${rest}, ${untilText(outcome.job.run_after, now, ui)}` }];
  });
}
