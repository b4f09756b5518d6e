/** `health` on a screen and in a pipe. */
import { iso } from '../../base/clock.ts';
import type { BreakerState, BreakerView } from '../../domain/breaker.ts';
import { age, count, duration } from '../ui/format.ts';
import { accent, bad, type Cell, dim, good, strong, type Text, warn } from '../ui/text.ts';
import type { Page, Ui } from '../ui/ui.ts';
import type { HealthAnswer, ServiceAnswer } from './health-answer.ts';

const NAME_COLUMN = 12;
const STATES: Record<BreakerState, string> = { closed: 'closed', open: 'open', half_open: 'half open' };

/** One table of services, what is wrong with them, their operations and their limits. */
export function healthPage(page: Page, answer: HealthAnswer, ui: Pick<Ui, 'date' | 'time'>): void {
  const { at, since, services } = answer;
  page.line(strong('Health'), `    requests since ${ui.date(since)}`, dim('   from the store of this machine'));
  page.blank();
  page.table({
    columns: [
      { head: 'SERVICE' },
      { head: 'IN USE' },
      { head: 'BREAKER' },
      { head: 'LAST OK' },
      { head: 'FAILED', align: 'right' },
      { head: 'P50', align: 'right' },
      { head: 'P95', align: 'right' },
    ],
    rows: services.map(({ title, route, breaker, view, summary }) => [
      title,
      route.fallback ? warn('MOCK') : (route.use ?? warn('none')),
      breakerCell(STATES[breaker.state], view),
      summary.lastOkAt === null ? 'never' : `${age(at - summary.lastOkAt)} ago`,
      `${count(summary.failures)} of ${count(summary.calls)}`,
      latency(summary.p50Ms),
      latency(summary.p95Ms),
    ]),
  });
  if (answer.idleReset) page.line('Nothing was paused.');
  for (const service of services) notes(page, service, answer, ui);
  operations(page, services);
  limits(page, answer, ui);
}

function breakerCell(state: string, { open, why }: BreakerView): Text {
  if (why === 'ok') return good(state);
  return open ? bad(state) : warn(state);
}

function latency(ms: number | null): string | null {
  return ms === null ? null : duration(ms);
}

function notes(page: Page, service: ServiceAnswer, { at }: HealthAnswer, ui: Pick<Ui, 'date' | 'time'>): void {
  const { title, name, breaker, view, summary, check, wasReset } = service;
  const lines: Text[][] = [];
  if (wasReset) lines.push([good('closed'), ' by this command: the next request goes out']);
  if (view.why !== 'ok') {
    const since = breaker.openedAt === null ? '' : ` ${age(at - breaker.openedAt)} ago`;
    lines.push([`${OPENED[view.why]}${since}${breaker.reason === null ? '' : ` (TVDB-${breaker.reason})`}`]);
    if (view.retryAt === null) lines.push(['closed by another key, or by ', accent(`tvdb health ${name} --reset`)]);
    else if (view.retryAt <= at) lines.push(['the next request tries it']);
    else if (breaker.state === 'half_open') lines.push(['one request is being tried']);
    else lines.push([`next try ${when(view.retryAt, at, ui)}`]);
  }
  const { lastError } = summary;
  if (lastError !== null) {
    const status = lastError.httpStatus === null ? 'no answer' : `HTTP ${lastError.httpStatus}`;
    const code = lastError.code ?? 'an error';
    lines.push([`last error ${age(at - lastError.at)} ago: ${lastError.operation}, ${code}, ${status}`]);
  }
  if (check !== null)
    lines.push([check.ok ? good('answers') : bad('does not answer'), ` ${duration(check.latencyMs)}: ${check.detail}`]);
  if (lines.length === 0) return;
  page.blank();
  for (const [index, line] of lines.entries())
    page.line(strong((index === 0 ? title : '').padEnd(NAME_COLUMN)), ...line);
}

const OPENED: Record<Exclude<BreakerView['why'], 'ok'>, string> = {
  breaker_open: 'paused after repeated failures',
  rate_limited: 'paused because it refused the rate again and again',
  key_refused: 'stopped: the key was refused',
  no_credit: 'nothing that costs is sent: no credit or quota left,',
};

function when(until: number, at: number, ui: Pick<Ui, 'date' | 'time'>): string {
  return `at ${ui.time(until)} (in ${age(until - at)})`;
}

function operations(page: Page, services: readonly ServiceAnswer[]): void {
  const rows = services.flatMap(({ title, summary }) => summary.operations.map((row) => ({ title, ...row })));
  if (rows.length === 0) return;
  page.blank();
  page.table({
    columns: [
      { head: 'SERVICE' },
      { head: 'REQUEST', flex: true },
      { head: 'CALLS', align: 'right' },
      { head: 'FAILED', align: 'right' },
      { head: 'P50', align: 'right' },
      { head: 'P95', align: 'right' },
    ],
    rows: rows.map((row) => [
      row.title,
      row.operation,
      count(row.calls),
      count(row.failures),
      latency(row.p50Ms),
      latency(row.p95Ms),
    ]),
  });
}

function limits(page: Page, { services, at }: HealthAnswer, ui: Pick<Ui, 'date' | 'time'>): void {
  page.blank();
  page.table({
    columns: [
      { head: 'LIMIT' },
      { head: 'A MINUTE', align: 'right' },
      { head: 'LEFT NOW', align: 'right' },
      { head: 'BLOCKED', flex: true },
    ],
    rows: services.flatMap(({ title, limits: { requests, tokens, retriesLeft } }): Cell[][] => [
      ...[{ kind: 'requests', limit: requests } as const, { kind: 'tokens', limit: tokens } as const].flatMap(
        ({ kind, limit }) =>
          limit === null
            ? []
            : [
                [
                  `${title} ${kind}`,
                  count(limit.perMinute),
                  `${count(limit.available)} of ${count(limit.burst)}`,
                  limit.blockedUntil === null
                    ? 'no'
                    : warn(`until ${ui.time(limit.blockedUntil)} (${age(limit.blockedUntil - at)})`),
                ],
              ],
      ),
      [`${title} retries`, null, count(retriesLeft), null],
    ]),
  });
}

/**
 * One service for a pipe: name, what is in use, breaker, why, next try, last success, calls, failures, p50 and p95 in ms,
 * code of the last error, requests and tokens left.
 */
export function healthRows({ services }: HealthAnswer): Cell[][] {
  return services.map(({ name, route, breaker, view, summary, limits: { requests, tokens } }) => [
    name,
    route.use,
    breaker.state,
    view.why,
    iso(view.retryAt),
    iso(summary.lastOkAt),
    summary.calls,
    summary.failures,
    summary.p50Ms,
    summary.p95Ms,
    summary.lastError?.code ?? null,
    requests.available,
    tokens?.available ?? null,
  ]);
}
