/** Sums over the requests that left for a service: how many, how much was asked for, by whom and when. */
import { type RawBuilder, sql } from 'kysely';
import type { Origin } from '../domain/service-mode.ts';
import type { Db } from './open.ts';
import type { AttemptRow } from './schema.ts';
import { IS_TWIN } from './twins.ts';

/** What the requests of a period may be told apart by, besides service and origin. */
export const TOTAL_KEYS = ['mode', 'job', 'document', 'run', 'cost-center', 'tag'] as const;
export type TotalKey = (typeof TOTAL_KEYS)[number];

export interface AttemptTotal {
  service: AttemptRow['service'];
  origin: Origin;
  /** Value of the asked key: a mode, an id, a name, `key=value`; `null` when no key was asked for, or it has none. */
  key: string | null;
  /** Name of the document, for the keys `job` and `document`; `null` otherwise or once it was deleted. */
  filename: string | null;
  /**
   * Requests that left, or may have left, this machine or the mock's door. One for several jobs counts for each of them; one
   * that a service took twice counts twice, as it does in budgets and on the bill.
   */
  requests: number;
  /** Pages for `parse`, tokens for `embed`. */
  units: number;
  /** Requests to a paid service that have no hold, so that nobody knows what they cost. */
  unpriced: number;
}

/** Requests of one service that were answered by one origin. */
export interface RequestTotal extends Pick<AttemptTotal, 'service' | 'origin' | 'requests' | 'units'> {
  /** The same, with those that never left: to be compared with the holds made for them. */
  made: number;
  made_units: number;
}

/** The requests of `[from, to)` of each service and origin, the most requests first. */
export async function requestTotals(db: Db, { from, to }: { from: number; to: number }): Promise<RequestTotal[]> {
  const { rows } = await sql<RequestTotal>`
    SELECT service, origin, COUNT(sent) AS requests, SUM(IIF(sent IS NULL, 0, units)) AS units, COUNT(*) AS made,
      SUM(units) AS made_units
    FROM attempts WHERE started_at >= ${from} AND started_at < ${to}
    GROUP BY service, origin ORDER BY requests DESC, service DESC, origin`.execute(db);
  return rows;
}

/** How many requests of `[from, to)` to each paid service have no hold. Looks for each: several times as long as the sums. */
export async function unpricedRequests(
  db: Db,
  { from, to }: { from: number; to: number },
): Promise<Map<AttemptRow['service'], number>> {
  const { rows } = await sql<{ service: AttemptRow['service']; requests: number }>`
    SELECT a.service, COUNT(*) AS requests FROM attempts a
    WHERE a.started_at >= ${from} AND a.started_at < ${to} AND a.sent IS NOT NULL AND ${UNPRICED} GROUP BY a.service`.execute(
    db,
  );
  return new Map(rows.map(({ service, requests }) => [service, requests]));
}

const UNPRICED = sql`a.origin = 'real' AND NOT EXISTS (SELECT 1 FROM holds h WHERE h.attempt_id = a.attempt_id)`;

/** The key of a row of money or requests: columns of its job `j`, of its tag `t`, of the row `p` itself. */
export const KEY_SQL: Readonly<Record<TotalKey, RawBuilder<unknown>>> = {
  mode: sql`j.service_mode`,
  job: sql`p.job_id`,
  document: sql`j.document_id`,
  run: sql`p.run_id`,
  'cost-center': sql`p.cost_center`,
  tag: sql`t.key || '=' || t.value`,
};

/** The joins that `KEY_SQL` needs. A job of several tags counts for each of them. */
export function keyJoins(key: TotalKey): RawBuilder<unknown> {
  const tags = key === 'tag' ? sql`LEFT JOIN json_each(j.tags) AS t` : sql``;
  return key === 'run' || key === 'cost-center'
    ? sql``
    : sql`LEFT JOIN upload_jobs AS j ON j.job_id = p.job_id ${tags}`;
}

/** Whether a key is one of jobs, so that a request for several jobs is shared out to them. */
export function isOfJobs(key: TotalKey): boolean {
  return key !== 'run' && key !== 'cost-center';
}

/**
 * Totals of the requests sent in `[from, to)` by a key, the most requests first. A request that provably never left is not
 * counted. `allHeld`: it is known that every paid one has a hold, so that none has to be looked for.
 */
export async function attemptTotals(
  db: Db,
  period: { from: number; to: number },
  { key, allHeld }: { key: TotalKey; allHeld: boolean },
): Promise<AttemptTotal[]> {
  const sent = sql`a.started_at >= ${period.from} AND a.started_at < ${period.to} AND a.sent IS NOT NULL`;
  const unpriced = allHeld ? sql`0` : UNPRICED;
  const whole = sql`
    SELECT a.attempt_id, a.service, a.origin, a.job_id, ${unpriced} AS unpriced, a.units${columnsOf(key)}
    FROM attempts AS a ${joinsOf(key)} WHERE ${sent}`;
  const parts = isOfJobs(key)
    ? sql`
      SELECT w.attempt_id, w.service, w.origin, w.job_id, w.unpriced,
        w.units - COALESCE((SELECT SUM(s.units) FROM attempt_shares s WHERE s.attempt_id = w.attempt_id), 0) AS units
      FROM w UNION ALL
      SELECT w.attempt_id, w.service, w.origin, s.job_id, w.unpriced, s.units
      FROM w JOIN attempt_shares s ON s.attempt_id = w.attempt_id`
    : sql`SELECT * FROM w`;
  const named = key === 'job' || key === 'document';
  const { rows } = await sql<AttemptTotal>`
    WITH w AS (${whole}), p AS (${parts})
    SELECT p.service, p.origin, ${KEY_SQL[key]} AS key,
      ${named ? sql`MAX(d.filename)` : sql`NULL`} AS filename,
      ${isOfJobs(key) ? sql`COUNT(DISTINCT p.attempt_id)` : sql`COUNT(*)`} AS requests, SUM(p.units) AS units, SUM(p.unpriced) AS unpriced
    FROM p ${keyJoins(key)} ${named ? sql`LEFT JOIN documents AS d ON d.document_id = j.document_id` : sql``}
    GROUP BY p.service, p.origin, 3
    ORDER BY requests DESC, p.service DESC, p.origin, key`.execute(db);
  return rows;
}

/** Columns that only some keys need; asked for only then, for each costs a look at another table for every request. */
function columnsOf(key: TotalKey): RawBuilder<unknown> {
  if (key === 'run') return sql`, COALESCE(a.run_id, o.run_id) AS run_id`;
  return key === 'cost-center' ? sql`, o.cost_center` : sql``;
}

function joinsOf(key: TotalKey): RawBuilder<unknown> {
  return key === 'run' || key === 'cost-center' ? sql`LEFT JOIN upload_jobs AS o ON o.job_id = a.job_id` : sql``;
}

/** Requests of a quarter of an hour. */
export interface AttemptSlot extends Pick<AttemptTotal, 'service' | 'origin' | 'requests' | 'units' | 'unpriced'> {
  /** Its first moment. */
  at: number;
}

/** Offsets of all time zones are multiples of this, so slots add up to days and months of any of them. */
const SLOT_MS = 900_000;

/** Requests of `[from, to)` in slots of a quarter of an hour, oldest first; the caller makes days or months of them. */
export async function attemptSlots(db: Db, { from, to }: { from: number; to: number }): Promise<AttemptSlot[]> {
  const { rows } = await sql<AttemptSlot>`
    SELECT a.started_at / ${SLOT_MS} * ${SLOT_MS} AS at, a.service, a.origin, COUNT(*) AS requests, SUM(a.units) AS units,
      SUM(${UNPRICED}) AS unpriced
    FROM attempts a WHERE a.started_at >= ${from} AND a.started_at < ${to} AND a.sent IS NOT NULL
    GROUP BY 1, a.service, a.origin ORDER BY 1`.execute(db);
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
  /** Requests that left; what a service made of one besides is none. */
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
      WHERE NOT ${IS_TWIN}
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
