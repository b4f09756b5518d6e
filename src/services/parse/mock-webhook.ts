/**
 * Deliveries of the mock parser, signed like those of the real service and just as unreliable: three tries, then the news
 * is lost and polling has to find out. They let the whole path be seen offline; the transport lock keeps them on this machine.
 */
import type { Agent } from 'undici';
import type { Clock } from '../../base/clock.ts';
import { uuidV5 } from '../../base/derived-ids.ts';
import { signature, type WebhookEvent } from '../../domain/webhook.ts';
import type { WebhookTarget } from './port.ts';

/** Pauses of the real service between its three tries. */
const PAUSES_MS = [1_000, 2_000];
const TIMEOUT_MS = 30_000;

export interface MockWebhooks {
  /** Delivers the news that a parse ended, in the background. Never throws. */
  announce(remoteId: string, event: WebhookEvent): void;
  /** Gives up what is under way. */
  close(): Promise<void>;
}

/** Deliveries to wherever `webhook` points when a parse ends; `null` delivers nothing. */
export function createMockWebhooks(webhook: () => WebhookTarget | null, clock: Clock): MockWebhooks {
  const stop = new AbortController();
  const underWay = new Set<Promise<void>>();
  let agent: Agent | undefined;

  async function post({ url, secret }: WebhookTarget, eventId: string, event: WebhookEvent, body: string) {
    const undici = await import('undici');
    agent ??= new undici.Agent();
    const { statusCode, body: answer } = await undici.request(url, {
      method: 'POST',
      dispatcher: agent,
      headersTimeout: TIMEOUT_MS,
      bodyTimeout: TIMEOUT_MS,
      signal: stop.signal,
      headers: {
        'content-type': 'application/json',
        'user-agent': 'tvdb-mock-parser/1.0',
        'x-webhook-event-id': eventId,
        'x-webhook-event-type': event,
        'lc-signature': signature(secret, Buffer.from(body)),
      },
      body,
    });
    await answer.dump();
    return statusCode >= 200 && statusCode < 300;
  }

  async function deliver(target: WebhookTarget, remoteId: string, event: WebhookEvent): Promise<void> {
    // The same news has the same id, however often it is sent.
    const eventId = uuidV5(`webhook:${remoteId}:${event}`);
    const data = { id: remoteId, job_id: remoteId };
    const body = JSON.stringify({ event_id: eventId, event_type: event, timestamp: clock.now() / 1000, data });
    for (const pause of [...PAUSES_MS, null]) {
      if (await post(target, eventId, event, body).catch(() => false)) return;
      if (pause === null || stop.signal.aborted) return;
      await clock.sleep(pause, stop.signal);
    }
  }

  return {
    announce(remoteId, event) {
      const target = webhook();
      if (target === null || stop.signal.aborted) return;
      const running: Promise<void> = deliver(target, remoteId, event)
        .catch(() => {})
        .finally(() => underWay.delete(running));
      underWay.add(running);
    },
    async close() {
      stop.abort();
      await Promise.all(underWay);
      await agent?.destroy();
    },
  };
}
