/**
 * The inbox of verified deliveries. A delivery is a hint to look at a parse now; it is kept before it is acknowledged, and
 * it changes nothing by itself: a worker takes it up with `wakeDelivered`.
 */
import { sql } from 'kysely';
import { type Delivery, isEndEvent } from '../domain/webhook.ts';
import type { Db, Trx } from './open.ts';
import { IS_TWIN } from './twins.ts';

/** A verified delivery as it is kept. */
export interface NewDelivery extends Delivery {
  receivedAt: number;
  /** SHA-256 of the body; the body itself is not kept. */
  bodySha256: string;
}

/**
 * Keeps a delivery. `known` when the event, or the same news under another event id, is there already: nothing is
 * written then. That a parse waits or runs is no reason to look at it, so such a delivery is kept as handled.
 */
export async function insertDelivery(trx: Trx, delivery: NewDelivery): Promise<'new' | 'known'> {
  const { receivedAt } = delivery;
  const { numInsertedOrUpdatedRows } = await trx
    .insertInto('webhook_inbox')
    .values({
      event_id: delivery.eventId,
      received_at: receivedAt,
      remote_job_id: delivery.remoteJobId,
      event_type: delivery.event,
      body_sha256: delivery.bodySha256,
      handled_at: isEndEvent(delivery.event) ? null : receivedAt,
    })
    // Without a target: event id and (parse, event) are unique, each by itself.
    .onConflict((conflict) => conflict.doNothing())
    .executeTakeFirstOrThrow();
  return numInsertedOrUpdatedRows === 1n ? 'new' : 'known';
}

/** A delivery that a job waits for. */
export interface DeliveryMatch {
  eventId: string;
  jobId: string;
}

/** The newest parse attempt of each job that waits for a result. In the order they were made, as the clock may jump. */
const AWAITED = sql`
  SELECT a.job_id, a.remote_id, MAX(a.rowid) FROM attempts a
  JOIN upload_jobs j ON j.job_id = a.job_id
  WHERE j.park_reason = 'awaiting_result' AND j.lease_owner IS NULL AND j.status = 'parse_queued' AND a.service = 'parse'
    AND NOT ${IS_TWIN}
  GROUP BY a.job_id`;

/** Unhandled deliveries about the parse a parked job waits for. Cheap when the inbox is empty: asked at every look. */
export async function unhandledMatches(db: Db): Promise<DeliveryMatch[]> {
  const { rows: waiting } = await sql`SELECT 1 FROM webhook_inbox WHERE handled_at IS NULL LIMIT 1`.execute(db);
  if (waiting.length === 0) return [];
  const { rows } = await sql<DeliveryMatch>`
    SELECT w.event_id AS eventId, a.job_id AS jobId FROM webhook_inbox w
    JOIN (${AWAITED}) a ON a.remote_id = w.remote_job_id
    WHERE w.handled_at IS NULL ORDER BY w.received_at, w.event_id`.execute(db);
  return rows;
}

/** Notes that a worker has taken these deliveries up. */
export async function markHandled(trx: Trx, eventIds: readonly string[], now: number): Promise<void> {
  await sql`UPDATE webhook_inbox SET handled_at = ${now}
    WHERE handled_at IS NULL AND event_id IN (SELECT value FROM json_each(${JSON.stringify(eventIds)}))`.execute(trx);
}

/**
 * Makes every job that waits for a result of which a delivery tells due at `now`, and marks those deliveries handled.
 * Returns the ids of these jobs. Deliveries about parses that nobody waits for yet stay: the id of a parse may be
 * recorded after its delivery came. Those about parses that are over are marked handled as well.
 */
export async function wakeDelivered(trx: Trx, now: number): Promise<string[]> {
  const matches = await unhandledMatches(trx);
  const jobIds = [...new Set(matches.map(({ jobId }) => jobId))];
  if (jobIds.length > 0) {
    await sql`UPDATE upload_jobs SET run_after = ${now}, updated_at = ${now}
      WHERE park_reason = 'awaiting_result' AND lease_owner IS NULL
        AND job_id IN (SELECT value FROM json_each(${JSON.stringify(jobIds)}))`.execute(trx);
    const eventIds = matches.map(({ eventId }) => eventId);
    await markHandled(trx, eventIds, now);
  }
  await sql`UPDATE webhook_inbox SET handled_at = ${now}
    WHERE handled_at IS NULL
      AND remote_job_id IN (SELECT remote_id FROM attempts WHERE remote_id IS NOT NULL AND outcome IN ('ok', 'failed'))`.execute(
    trx,
  );
  return jobIds;
}
