/** Work that was not paid for: what mocks did, and what caches knew. */
import { sql } from 'kysely';
import type { AttemptSlot } from './attempt-totals.ts';
import type { Db } from './open.ts';

/** Work of one kind that would have had one price. */
export interface FreeWork {
  by: 'mock' | 'cache';
  service: AttemptSlot['service'];
  /** Options the job is parsed with, as JSON; `null` for embeddings and for jobs older than options. */
  parse_options: string | null;
  /** The model that would have been, or was once, paid; `null` for parses and for mocks. */
  model: string | null;
  /** Credits it was billed when it was made, where the cache knows that; then `units` is none. */
  credits: number;
  /** Pages or tokens. */
  units: number;
}

/** Work in `[from, to)` that ended well and cost nothing. Answers of a cache to a mock saved nothing and are left out. */
export async function freeWork(db: Db, { from, to }: { from: number; to: number }): Promise<FreeWork[]> {
  const { rows } = await sql<FreeWork>`
    SELECT 'mock' AS by, a.service, CASE a.service WHEN 'parse' THEN j.parse_options END AS parse_options, NULL AS model,
      0 AS credits, SUM(a.units) AS units
    FROM attempts a LEFT JOIN upload_jobs j ON j.job_id = a.job_id AND a.service = 'parse'
    WHERE a.started_at >= ${from} AND a.started_at < ${to} AND a.origin = 'mock' AND a.outcome = 'ok'
    GROUP BY a.service, 3
    UNION ALL
    SELECT 'cache', c.service, c.parse_options, c.model, SUM(COALESCE(c.credits, 0)), SUM(IIF(c.credits IS NULL, c.units, 0))
    FROM (
      SELECT IIF(e.code = 'PARSE_CACHE_HIT', 'parse', 'embed') AS service,
        IIF(e.code = 'PARSE_CACHE_HIT', j.parse_options, NULL) AS parse_options,
        IIF(e.code = 'EMBED_CACHE_HIT', j.embed_model, NULL) AS model,
        e.data ->> 'credits' AS credits,
        COALESCE(e.data ->> 'pages', e.data ->> 'tokens', 0) AS units
      FROM job_events e JOIN upload_jobs j ON j.job_id = e.job_id
      WHERE e.code IN ('PARSE_CACHE_HIT', 'EMBED_CACHE_HIT') AND e.at >= ${from} AND e.at < ${to}
        AND e.data ->> 'origin' = 'real'
    ) c GROUP BY 2, 3, 4`.execute(db);
  return rows.filter(({ units, credits }) => units > 0 || credits > 0);
}
