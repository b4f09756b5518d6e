/** Sums over the requests that left for a service: how many, how much was asked for, by whom and when. */
import { sql } from 'kysely';
import type { Origin } from '../domain/service-mode.ts';
import type { Db } from './open.ts';
import type { AttemptRow } from './schema.ts';

/** What the requests of a period may be told apart by, besides service and origin. */
export const TOTAL_KEYS = ['mode', 'job', 'document', 'run'] as const;
export type TotalKey = (typeof TOTAL_KEYS)[number];

export interface AttemptTotal {
  service: AttemptRow['service'];
  origin: Origin;
  /** Value of the asked key: a mode or an id; `null` when no key was asked for. */
  key: string | null;
  /** Name of the document, for the keys `job` and `document`; `null` otherwise or once it was deleted. */
  filename: string | null;
  /** Requests that left, or may have left, this machine or the mock's door. */
  requests: number;
  /** Pages for `parse`, tokens for `embed`. */
  units: number;
}

const KEY_COLUMNS = { mode: 'j.service_mode', job: 'a.job_id', document: 'j.document_id', run: 'j.run_id' } as const;

/** Totals of the requests sent in `[from, to)`, the most requests first. A request that provably never left is not counted. */
export async function attemptTotals(
  db: Db,
  period: { from: number; to: number },
  key?: TotalKey,
): Promise<AttemptTotal[]> {
  const column = key === undefined ? sql`NULL` : sql.ref(KEY_COLUMNS[key]);
  const filename = key === 'job' || key === 'document' ? sql`MAX(d.filename)` : sql`NULL`;
  const { rows } = await sql<AttemptTotal>`
    SELECT a.service, a.origin, ${column} AS key, ${filename} AS filename, COUNT(*) AS requests, SUM(a.units) AS units
    FROM attempts AS a
    LEFT JOIN upload_jobs AS j ON j.job_id = a.job_id
    LEFT JOIN documents AS d ON d.document_id = j.document_id
    WHERE a.started_at >= ${period.from} AND a.started_at < ${period.to} AND a.sent IS NOT NULL
    GROUP BY a.service, a.origin, 3
    ORDER BY requests DESC, a.service DESC, a.origin, key`.execute(db);
  return rows;
}

/** Requests of a quarter of an hour. */
export interface AttemptSlot extends Pick<AttemptTotal, 'service' | 'origin' | 'requests' | 'units'> {
  /** Its first moment. */
  at: number;
}

/** Offsets of all time zones are multiples of this, so slots add up to days and months of any of them. */
const SLOT_MS = 900_000;

/** Requests of `[from, to)` in slots of a quarter of an hour, oldest first; the caller makes days or months of them. */
export async function attemptSlots(db: Db, { from, to }: { from: number; to: number }): Promise<AttemptSlot[]> {
  const { rows } = await sql<AttemptSlot>`
    SELECT started_at / ${SLOT_MS} * ${SLOT_MS} AS at, service, origin, COUNT(*) AS requests, SUM(units) AS units
    FROM attempts WHERE started_at >= ${from} AND started_at < ${to} AND sent IS NOT NULL
    GROUP BY 1, service, origin ORDER BY 1`.execute(db);
  return rows;
}

/** Jobs by the slot of their first request, oldest first: for counts of documents by day. */
export async function firstRequestSlots(
  db: Db,
  { from, to }: { from: number; to: number },
): Promise<{ at: number; jobs: number }[]> {
  const { rows } = await sql<{ at: number; jobs: number }>`
    SELECT first / ${SLOT_MS} * ${SLOT_MS} AS at, COUNT(*) AS jobs
    FROM (SELECT MIN(started_at) AS first FROM attempts WHERE sent IS NOT NULL GROUP BY job_id)
    WHERE first >= ${from} AND first < ${to} GROUP BY 1 ORDER BY 1`.execute(db);
  return rows;
}

/** What a job asked of services so far. */
export interface JobRequests {
  /** Requests that left. */
  requests: number;
  /** Of its newest parse. */
  remoteId: string | null;
  /** Of its newest embedding request, as the service calls it. */
  requestId: string | null;
}

/** The requests of some jobs; jobs without any are missing. */
export async function requestsOfJobs(db: Db, jobIds: readonly string[]): Promise<Map<string, JobRequests>> {
  const { rows } = await sql<{ job_id: string } & JobRequests>`
    WITH mine AS (
      SELECT a.rowid AS n, a.job_id, a.attempt_id, a.service, a.sent, a.remote_id, a.upstream_request_id FROM attempts a
      UNION ALL
      SELECT a.rowid, s.job_id, a.attempt_id, a.service, a.sent, a.remote_id, a.upstream_request_id
      FROM attempt_shares s JOIN attempts a ON a.attempt_id = s.attempt_id)
    SELECT m.job_id, COUNT(m.sent) AS requests,
      (SELECT p.remote_id FROM mine p WHERE p.job_id = m.job_id AND p.service = 'parse' ORDER BY p.n DESC LIMIT 1) AS remoteId,
      (SELECT e.upstream_request_id FROM mine e WHERE e.job_id = m.job_id AND e.service = 'embed' ORDER BY e.n DESC LIMIT 1)
        AS requestId
    FROM mine m WHERE m.job_id IN (SELECT value FROM json_each(${JSON.stringify(jobIds)}))
    GROUP BY m.job_id`.execute(db);
  return new Map(rows.map(({ job_id: id, ...one }) => [id, one]));
}

/** Which of some jobs sent a request to a paid service. */
export async function jobsWithRealRequests(db: Db, jobIds: readonly string[]): Promise<Set<string>> {
  const { rows } = await sql<{ job_id: string }>`
    SELECT DISTINCT job_id FROM attempts
    WHERE job_id IN (SELECT value FROM json_each(${JSON.stringify(jobIds)})) AND origin = 'real' AND sent IS NOT NULL`.execute(
    db,
  );
  return new Set(rows.map(({ job_id }) => job_id));
}
