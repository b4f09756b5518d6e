/** Delivers webhooks the way LlamaCloud does: signed over the raw body, three attempts, no redirects, 30 s each. */
import { createHmac } from 'node:crypto';
import { request as send } from 'undici';
import type { Clock } from '../base/clock.ts';
import type { Ids } from '../base/ids.ts';
import type { Fault } from './faults.ts';
import type { WebhookConfiguration } from './parse-request.ts';
import type { RequestLog } from './request-log.ts';

/** Waits before the second and the third attempt. The sources name 1 s and 2 s; one of them a third wait, of 4 s. */
const WAITS = [1_000, 2_000];
const TIMEOUT = 30_000;

export interface Delivery {
  readonly jobId: string;
  /** `parse.success` */
  readonly event: string;
  readonly target: WebhookConfiguration;
  readonly faults: ReadonlyMap<string, Fault>;
  /** The secret that an earlier job gave, for `old-secret`. */
  readonly oldSecret: string | undefined;
}

export interface Courier {
  /** Resolves when it was accepted or given up, never rejects. */
  deliver(delivery: Delivery): Promise<void>;
}

interface CourierParts {
  readonly clock: Clock;
  readonly ids: Ids;
  readonly log: RequestLog;
  readonly closing: AbortSignal;
}

/** A courier that stops waiting and sending when `closing` aborts. */
export function createCourier({ clock, ids, log, closing }: CourierParts): Courier {
  async function attempt(delivery: Delivery, body: string, headers: Record<string, string>): Promise<number | null> {
    try {
      const answer = await send(delivery.target.webhook_url ?? '', {
        method: 'POST',
        body,
        headers,
        headersTimeout: TIMEOUT,
        bodyTimeout: TIMEOUT,
        signal: closing,
      });
      await answer.body.dump();
      return answer.statusCode;
    } catch {
      return null;
    }
  }

  return {
    async deliver(delivery) {
      const eventId = ids.uuid();
      const body = bodyOf(delivery, eventId, clock.now() / 1000);
      const headers = headersOf(delivery, eventId, body);
      for (let number = 1; number <= WAITS.length + 1 && !closing.aborted; number++) {
        const status = await attempt(delivery, body, headers);
        // What was cut by closing was not lost by the service, and the log may be gone already.
        if (closing.aborted) return;
        const { jobId, event } = delivery;
        log.delivery({ kind: 'webhook', jobId, eventId, event, attempt: number, status });
        if (status !== null && status >= 200 && status < 300) return;
        const wait = WAITS[number - 1];
        if (wait !== undefined) await clock.sleep(wait, closing).catch(() => {});
      }
    },
  };
}

/** The envelope; in the format `string`, the default, it is a JSON string that holds JSON. */
function bodyOf({ jobId, event, target, faults }: Delivery, eventId: string, timestamp: number): string {
  const huge = faults.get('huge');
  const padding = huge === undefined ? {} : { padding: 'x'.repeat(Number(huge.params.mb ?? 2) * 1024 * 1024) };
  const data = { id: jobId, job_id: jobId, ...padding };
  const envelope = JSON.stringify({ event_id: eventId, event_type: event, timestamp, data });
  return target.webhook_output_format === 'json' ? envelope : JSON.stringify(envelope);
}

function headersOf(
  { event, target, faults, oldSecret }: Delivery,
  eventId: string,
  body: string,
): Record<string, string> {
  const custom = Object.entries(target.webhook_headers ?? {}).map(([name, value]) => [name, String(value)]);
  return {
    ...Object.fromEntries(custom),
    'content-type': 'application/json',
    'user-agent': 'llamaindex-webhook-service/1.0',
    'x-webhook-event-id': eventId,
    'x-webhook-event-type': event,
    ...signature(target.webhook_signing_secret ?? undefined, faults, oldSecret, body),
  };
}

function signature(
  secret: string | undefined,
  faults: ReadonlyMap<string, Fault>,
  oldSecret: string | undefined,
  body: string,
): Record<string, string> {
  if (secret === undefined || faults.has('unsigned')) return {};
  const key = faults.has('forged')
    ? 'a secret that nobody gave out to anybody'
    : faults.has('old-secret')
      ? (oldSecret ?? 'the secret of a run that ended long ago')
      : secret;
  const hex = createHmac('sha256', key).update(body).digest('hex');
  return { 'lc-signature': `sha256=${faults.has('uppercase') ? hex.toUpperCase() : hex}` };
}
