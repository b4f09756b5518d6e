/** The requests of a job as `trace` shows them: what was asked, what came of it, under which ids. */
import { iso } from '../../base/clock.ts';
import type { StoredError } from '../../base/errors.ts';
import { shortId } from '../../base/ids.ts';
import type { AttemptRow } from '../../store/schema.ts';
import { isTwin } from '../../store/twins.ts';
import { duration, plural } from '../ui/format.ts';
import { bad, dim, type Text, warn } from '../ui/text.ts';
import type { Page, Ui } from '../ui/ui.ts';

/** An attempt with the jobs that have chunks in it besides the traced one. */
export type TracedRequest = AttemptRow & { readonly sharedWith: readonly string[] };

/** One request in `tvdb.trace/v1`. */
export function requestJson(one: TracedRequest, origin: number): Record<string, unknown> {
  return {
    attempt_id: one.attempt_id,
    service: one.service,
    operation: one.operation,
    origin: one.origin,
    outcome: one.outcome,
    at: iso(one.started_at),
    at_ms: Math.max(0, one.started_at - origin),
    sent_at: iso(one.sent),
    ms: one.latency_ms,
    units: one.units,
    billed_units: one.billed_units,
    http_status: one.http_status,
    remote_id: one.remote_id,
    request_id: one.upstream_request_id,
    error_code: errorOf(one)?.code ?? null,
    error: errorOf(one)?.message ?? null,
    options: one.options === null ? null : (JSON.parse(one.options) as unknown),
    shared_with: one.sharedWith,
    run_id: one.run_id,
  };
}

function errorOf({ error }: AttemptRow): StoredError | null {
  return error === null ? null : (JSON.parse(error) as StoredError);
}

/** Every request, for `--full`: ids in full, because they are what a service asks for. */
export function requestLines(page: Page, requests: readonly TracedRequest[], ui: Pick<Ui, 'time'>): void {
  if (requests.length === 0) return;
  page.blank();
  page.heading('Requests');
  for (const one of requests) {
    const unit = one.service === 'parse' ? 'page' : 'token';
    const took = one.latency_ms === null ? '' : `  ${duration(one.latency_ms)}`;
    const status = one.http_status === null ? '' : `  ${one.http_status}`;
    page.line(
      `${ui.time(one.sent ?? one.started_at)}  ${one.operation}  ${one.origin}  `,
      outcomeText(one),
      `${status}  ${plural(one.units, unit)}${billed(one)}${took}`,
    );
    const ids = [
      `attempt ${one.attempt_id}`,
      one.remote_id === null ? '' : `remote ${one.remote_id}`,
      one.upstream_request_id === null ? '' : `request ${one.upstream_request_id}`,
      one.sharedWith.length === 0 ? '' : `shared with ${one.sharedWith.map(shortId).join(', ')}`,
    ];
    for (const id of ids.filter((part) => part !== '')) page.line('    ', dim(id));
    const error = errorOf(one);
    if (error !== null) page.line('    ', dim(`${error.code}  ${error.message}`));
  }
}

function billed({ billed_units: units, service, origin }: AttemptRow): string {
  if (origin === 'mock') return '';
  return units === null ? '' : `, billed ${plural(units, service === 'parse' ? 'credit' : 'token')}`;
}

const OUTCOMES: Record<AttemptRow['outcome'], string> = {
  intent: 'not sent yet',
  sent: 'sent, no answer yet',
  ok: 'ok',
  failed: 'failed',
  unknown: 'unknown whether it arrived',
  adopted: 'adopted',
};

function outcomeText({ outcome, operation }: AttemptRow): Text {
  if (isTwin({ operation })) return warn('done twice by the service, not used');
  const text = OUTCOMES[outcome];
  return outcome === 'failed' ? bad(text) : outcome === 'unknown' ? warn(text) : text;
}
