/**
 * Deliveries of the parse service: what a genuine one is, and what it says.
 *
 * `LC-Signature: sha256=<64 hex>` is HMAC-SHA256 over the bytes of the body, keyed by the secret of the run. Neither time
 * nor event id is signed apart from the body, so both are read from the body, never from a header, and only after the
 * signature was found to be right.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { TvdbError } from '../base/errors.ts';

/** Lower case only: it is what the service sends, and one spelling is easier to hold than two. */
const SIGNATURE = /^sha256=([0-9a-f]{64})$/;
const LEAST_SECRET_BYTES = 32;
/** Random text of 32 characters, even hexadecimal, has fewer distinct ones once in millions of times. */
const LEAST_DISTINCT_BYTES = 8;
/** How old, or how far ahead, a delivery may be. */
const FRESH_SECONDS = 300;
const ID = /^[\x21-\x7e]{1,200}$/;

/** Events after which there is something to fetch, or nothing more to wait for. */
const ENDED_EVENTS = ['parse.success', 'parse.partial_success', 'parse.error', 'parse.cancelled'] as const;
const EVENTS = ['parse.pending', 'parse.running', ...ENDED_EVENTS] as const;

export type WebhookEvent = (typeof EVENTS)[number];

/** Some senders write `PARSE_SUCCESS`. Dots for underscores make one name of both, also of `partial_success`. */
const oneSpelling = (name: string) => name.toLowerCase().replaceAll('_', '.');
const BY_SPELLING = new Map(EVENTS.map((event) => [oneSpelling(event), event]));

/** What a verified body says. */
export interface Delivery {
  eventId: string;
  event: WebhookEvent;
  /** Id of the parse at the service. */
  remoteJobId: string;
}

/** Whether an event says that a parse ended. */
export function isEndEvent(event: WebhookEvent): boolean {
  return (ENDED_EVENTS as readonly string[]).includes(event);
}

/** The value of `LC-Signature` for a body. */
export function signature(secret: string, body: Uint8Array): string {
  return `sha256=${hmac(secret, body).toString('hex')}`;
}

/**
 * Whether `header` signs these bytes with one of the secrets (several are valid while they are rotated). The work is the
 * same whatever is wrong, so that the time of an answer tells nothing.
 */
export function isGenuine(header: string | undefined, body: Uint8Array, secrets: readonly string[]): boolean {
  // Checked as text first: Buffer.from(…, 'hex') silently drops what it cannot read.
  const hex = SIGNATURE.exec(header ?? '')?.[1];
  const given = hex === undefined ? Buffer.alloc(32) : Buffer.from(hex, 'hex');
  let fits = false;
  for (const secret of secrets) fits = timingSafeEqual(hmac(secret, body), given) || fits;
  return fits && hex !== undefined;
}

/** Throws E602 unless there is a secret and every one is long and random enough; an empty key would sign for anybody. */
export function checkSecrets(secrets: readonly string[]): void {
  const weak = (secret: string | undefined) => {
    const bytes = Buffer.from(secret ?? '', 'utf8');
    return bytes.length < LEAST_SECRET_BYTES || new Set(bytes).size < LEAST_DISTINCT_BYTES;
  };
  if (secrets.length > 0 && !secrets.some(weak)) return;
  throw new TvdbError('E602', {
    message: 'The webhook listener was given no secret, or one that is too weak; it does not start',
    why: `a secret needs at least ${LEAST_SECRET_BYTES} random bytes`,
    fix: 'Use a fresh random secret of 32 bytes or more for each run.',
  });
}

/**
 * Reads a verified body at `now` (milliseconds). The service sends the envelope as JSON, or as a JSON string that holds
 * JSON; both are understood. `stale` is a time more than 5 minutes away, `malformed` everything else that does not fit.
 */
export function readDelivery(body: Uint8Array, now: number): Delivery | { refused: 'malformed' | 'stale' } {
  const envelope = decode(body);
  const { event_id: eventId, event_type: type, timestamp, data } = envelope;
  const { job_id: jobId, id } = isRecord(data) ? data : {};
  const remoteJobId = jobId ?? id;
  const event = typeof type === 'string' ? BY_SPELLING.get(oneSpelling(type)) : undefined;
  if (!isId(eventId) || !isId(remoteJobId) || event === undefined) return { refused: 'malformed' };
  if (typeof timestamp !== 'number' || !Number.isFinite(timestamp)) return { refused: 'malformed' };
  if (Math.abs(now / 1000 - timestamp) > FRESH_SECONDS) return { refused: 'stale' };
  return { eventId, event, remoteJobId };
}

function decode(body: Uint8Array): Record<string, unknown> {
  try {
    let value: unknown = JSON.parse(Buffer.from(body).toString('utf8'));
    if (typeof value === 'string') value = JSON.parse(value);
    return isRecord(value) ? value : {};
  } catch {
    return {};
  }
}

function isId(value: unknown): value is string {
  return typeof value === 'string' && ID.test(value);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}

function hmac(secret: string, body: Uint8Array): Buffer {
  return createHmac('sha256', secret).update(body).digest();
}
