/** Attempts: one row per outbound request, committed before the request leaves. */
import { sql } from 'kysely';
import type { Origin } from '../domain/service-mode.ts';
import type { Db, Trx } from './open.ts';
import type { AttemptRow } from './schema.ts';

export interface Intent {
  attemptId: string;
  jobId: string;
  service: AttemptRow['service'];
  operation: string;
  requestHash: string;
  /** Pages or tokens asked for. */
  units: number;
  origin: Origin;
  now: number;
}

/** Commits the intent to send a request. As long as `sent` is empty the request provably never left. */
export async function insertIntent(trx: Trx, intent: Intent): Promise<void> {
  await trx
    .insertInto('attempts')
    .values({
      attempt_id: intent.attemptId,
      job_id: intent.jobId,
      service: intent.service,
      operation: intent.operation,
      request_hash: intent.requestHash,
      units: intent.units,
      started_at: intent.now,
      origin: intent.origin,
      outcome: 'intent',
    })
    .execute();
}

/** Records that the request is about to leave. From here on only the service knows whether it arrived. */
export async function markSent(trx: Trx, attemptId: string, now: number): Promise<void> {
  await trx.updateTable('attempts').set({ outcome: 'sent', sent: now }).where('attempt_id', '=', attemptId).execute();
}

/** Records how an attempt ended, or what is known of it so far (`remote_id`). */
export async function updateAttempt(
  trx: Trx,
  attemptId: string,
  set: Partial<
    Pick<AttemptRow, 'outcome' | 'remote_id' | 'http_status' | 'upstream_request_id' | 'latency_ms' | 'error'>
  >,
): Promise<void> {
  await trx.updateTable('attempts').set(set).where('attempt_id', '=', attemptId).execute();
}

/** The newest attempt of a job at a service, whatever became of it. */
export async function latestAttempt(
  db: Db,
  jobId: string,
  service: AttemptRow['service'],
): Promise<AttemptRow | undefined> {
  return (
    db
      .selectFrom('attempts')
      .selectAll()
      .where('job_id', '=', jobId)
      .where('service', '=', service)
      // In the order they were made: the wall clock may have been set back between two of them.
      .orderBy(sql`rowid`, 'desc')
      .executeTakeFirst()
  );
}

/** Every attempt of a job, oldest first. */
export async function attemptsOfJob(db: Db, jobId: string): Promise<AttemptRow[]> {
  return db.selectFrom('attempts').selectAll().where('job_id', '=', jobId).orderBy('started_at').execute();
}

/** Clocks of two machines differ; what was made this long before we think we asked may be ours. */
const CLOCK_SKEW_MS = 120_000;

/** When a remote job of an attempt may have been made, as wide as the clocks may differ. */
export function searchWindow(
  { sent, started_at }: Pick<AttemptRow, 'sent' | 'started_at'>,
  now: number,
): { from: number; to: number } {
  return { from: (sent ?? started_at) - CLOCK_SKEW_MS, to: now + CLOCK_SKEW_MS };
}
