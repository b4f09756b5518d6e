/** Attempts: one row per outbound request, committed before the request leaves. */
import { sql } from 'kysely';
import type { Origin } from '../domain/service-mode.ts';
import type { Db, Trx } from './open.ts';
import type { AttemptRow } from './schema.ts';
import { IS_TWIN, TWIN_OPERATIONS } from './twins.ts';

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
  /** The invocation that sends it. */
  runId?: string | null;
  /** JSON: what is asked for besides the bytes. */
  options?: string | undefined;
  /** What other jobs have in a request that carries chunks of several; `units` is the sum of all. */
  shares?: readonly { jobId: string; units: number }[];
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
      run_id: intent.runId ?? null,
      options: intent.options ?? null,
    })
    .execute();
  for (const { jobId, units } of intent.shares ?? []) {
    await trx.insertInto('attempt_shares').values({ attempt_id: intent.attemptId, job_id: jobId, units }).execute();
  }
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
    Pick<
      AttemptRow,
      'outcome' | 'remote_id' | 'http_status' | 'upstream_request_id' | 'latency_ms' | 'error' | 'billed_units'
    >
  >,
): Promise<void> {
  await trx.updateTable('attempts').set(set).where('attempt_id', '=', attemptId).execute();
}

/** One attempt by its id. */
export async function attemptById(db: Db, attemptId: string): Promise<AttemptRow | undefined> {
  return db.selectFrom('attempts').selectAll().where('attempt_id', '=', attemptId).executeTakeFirst();
}

/** The newest attempt of a job at a service, whatever became of it. Twins are none: nobody made them. */
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
      .where('operation', 'not in', TWIN_OPERATIONS)
      // In the order they were made: the wall clock may have been set back between two of them.
      .orderBy(sql`rowid`, 'desc')
      .executeTakeFirst()
  );
}

/** Every attempt a job has a part in, oldest first, with its own units. */
export async function attemptsOfJob(db: Db, jobId: string): Promise<AttemptRow[]> {
  const { rows } = await sql<AttemptRow & { own: number }>`
    SELECT a.*, COALESCE(s.units, a.units - (SELECT COALESCE(SUM(o.units), 0) FROM attempt_shares o WHERE o.attempt_id = a.attempt_id)) AS own
    FROM attempts a LEFT JOIN attempt_shares s ON s.attempt_id = a.attempt_id AND s.job_id = ${jobId}
    WHERE a.job_id = ${jobId} OR s.job_id = ${jobId}
    ORDER BY a.started_at, a.rowid`.execute(db);
  return rows.map(({ own, ...attempt }) => ({ ...attempt, units: own }));
}

/** The other jobs that have chunks in requests of `jobId`, by attempt; requests of one job alone are missing. */
export async function sharersOf(db: Db, jobId: string, attemptIds: readonly string[]): Promise<Map<string, string[]>> {
  const { rows } = await sql<{ attempt_id: string; job_id: string }>`
    SELECT attempt_id, job_id FROM (
      SELECT attempt_id, job_id FROM attempt_shares
      UNION SELECT a.attempt_id, a.job_id FROM attempts a JOIN attempt_shares s ON s.attempt_id = a.attempt_id)
    WHERE attempt_id IN (SELECT value FROM json_each(${JSON.stringify(attemptIds)})) AND job_id <> ${jobId}
    ORDER BY attempt_id, job_id`.execute(db);
  const sharers = new Map<string, string[]>();
  for (const { attempt_id: id, job_id: other } of rows) sharers.set(id, [...(sharers.get(id) ?? []), other]);
  return sharers;
}

/**
 * Embedding requests of a job whose outcome is not known, newest first, back to the last one that brought something or to
 * the moment the user woke the job; batches can be looked for and are not among them. What is `sent` belongs to a process that is gone, when the caller holds the job.
 */
export async function embeddingsInDoubt(db: Db, jobId: string): Promise<AttemptRow[]> {
  const { rows } = await sql<AttemptRow>`
    SELECT a.* FROM attempts a
    WHERE a.service = 'embed' AND a.origin = 'real' AND a.operation <> 'embed_batch' AND NOT ${IS_TWIN}
      AND (a.job_id = ${jobId} OR a.attempt_id IN (SELECT attempt_id FROM attempt_shares WHERE job_id = ${jobId}))
      AND a.started_at > COALESCE((
        SELECT MAX(at) FROM job_events
        WHERE job_id = ${jobId} AND code = 'RESUMED' AND json_extract(data, '$.by') = 'user'), -1)
    ORDER BY a.rowid DESC`.execute(db);
  const last = rows.findIndex(({ outcome }) => outcome === 'ok');
  const since = last < 0 ? rows : rows.slice(0, last);
  return since.filter(({ outcome }) => outcome === 'unknown' || outcome === 'sent');
}

/** Parses that a paid service works on, or may work on, or is about to be asked for; all processes together. */
export async function parsesInFlight(db: Db): Promise<number> {
  const { rows } = await sql<{ parses: number }>`
    SELECT COUNT(*) AS parses FROM attempts a JOIN upload_jobs j ON j.job_id = a.job_id
    WHERE a.service = 'parse' AND a.origin = 'real' AND a.outcome IN ('intent', 'sent', 'unknown', 'adopted')
      AND j.status = 'parse_queued'`.execute(db);
  return rows[0]?.parses ?? 0;
}

/** Whether a remote parse of a document failed before: its service may have kept the failure for a result. */
export async function failedRemotely(db: Db, documentId: string): Promise<boolean> {
  const row = await db
    .selectFrom('attempts as a')
    .innerJoin('upload_jobs as j', 'j.job_id', 'a.job_id')
    .select('a.attempt_id')
    .where('j.document_id', '=', documentId)
    .where('a.service', '=', 'parse')
    .where('a.origin', '=', 'real')
    .where('a.outcome', '=', 'failed')
    .where('a.remote_id', 'is not', null)
    .executeTakeFirst();
  return row !== undefined;
}

/** Clocks of two machines differ; what was made this long before we think we asked may be ours. */
const CLOCK_SKEW_MS = 120_000;
/** A clock that was set wrong, or to the time of another zone: zones are up to 26 hours apart. */
const WRONG_CLOCK_MS = 26 * 3_600_000;

/**
 * When a remote job of an attempt may have been made. `near` costs few pages of a list and finds it while the clocks are
 * about right; that it is nowhere is proven by `wide` alone, which covers a clock that is wrong by hours.
 */
export function searchWindow(
  { sent, started_at }: Pick<AttemptRow, 'sent' | 'started_at'>,
  now: number,
  width: 'near' | 'wide' = 'near',
): { from: number; to: number } {
  const skew = width === 'wide' ? WRONG_CLOCK_MS : CLOCK_SKEW_MS;
  return { from: (sent ?? started_at) - skew, to: now + skew };
}
