/**
 * Takes a delivery in: verify, keep, acknowledge, in this order. What is acknowledged is on the disk; what is not will be
 * delivered again, or found by polling. No job is touched here.
 */
import type { Clock } from '../base/clock.ts';
import { reach } from '../base/fault.ts';
import { sha256 } from '../base/hash.ts';
import { isGenuine, readDelivery } from '../domain/webhook.ts';
import { insertDelivery } from '../store/inbox.ts';
import type { Store } from '../store/open.ts';
import type { Exchange } from './http-server.ts';
import type { Rejections } from './rejections.ts';
import { reply } from './reply.ts';
import { readBody } from './request-body.ts';

/** Events carry ids only; a result does not come this way. */
const MOST_BYTES = 64 * 1024;
const ACCEPTED = '{"ok":true}\n';
/** The same whatever is wrong: a forger learns nothing. */
const REFUSED = '{"ok":false}\n';
const JSON_TYPE = { 'content-type': 'application/json' };

export interface WebhookOptions {
  store: Pick<Store, 'write'>;
  clock: Clock;
  /** All are valid. */
  secrets: readonly string[];
  rejections: Rejections;
  /** Told after a new delivery was kept and acknowledged. */
  onDelivery: () => void;
}

/** Answers one `POST` of the parse service: 200 kept or known, 401 not genuine or not of now, 503 could not be kept. */
export async function takeDelivery(exchange: Exchange, options: WebhookOptions): Promise<void> {
  const { request, response } = exchange;
  const body = await readBody(exchange, MOST_BYTES);
  if ('refused' in body) return reply(response, body.refused, '');
  const { store, clock, secrets, rejections, onDelivery } = options;
  const refuse = (reason: string) => {
    rejections.note(reason);
    reply(response, 401, REFUSED, JSON_TYPE);
  };
  const header = request.headers['lc-signature'];
  if (!isGenuine(typeof header === 'string' ? header : undefined, body, secrets)) return refuse('forged');
  const now = clock.now();
  const delivery = readDelivery(body, now);
  if ('refused' in delivery) return refuse(delivery.refused);
  reach('webhook.before_commit');
  const kept = await store
    .write((trx) => insertDelivery(trx, { ...delivery, receivedAt: now, bodySha256: sha256(body) }))
    // The sender tries again in a second or two.
    .catch(() => 'not kept' as const);
  if (kept === 'not kept') return reply(response, 503, REFUSED, { ...JSON_TYPE, 'retry-after': '1' });
  reply(response, 200, ACCEPTED, JSON_TYPE);
  if (kept === 'new') onDelivery();
}
