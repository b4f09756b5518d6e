/** What came through the HTTP API: counted from the runs of `tvdb serve`, so that a restart forgets nothing. */
import { sql } from 'kysely';
import { ACTIVE_STATUSES } from '../domain/job-state.ts';
import type { Db } from './open.ts';

/** The command whose runs are counted. */
export const API_COMMAND = 'serve';

export interface ApiUsage {
  /** Jobs made since `since`. */
  recent: number;
  /** When the oldest of these was made; `null` when there is none. */
  oldest: number | null;
  /** Jobs, however old, that are not ended. */
  unfinished: number;
}

const ACTIVE = sql.join(ACTIVE_STATUSES.map((status) => sql.lit(status)));

/** Counts the jobs that a user made through the API. */
export async function apiUsage(db: Db, userId: string, since: number): Promise<ApiUsage> {
  const { rows } = await sql<ApiUsage>`
    SELECT COALESCE(SUM(j.created_at > ${since}), 0) AS recent,
      MIN(CASE WHEN j.created_at > ${since} THEN j.created_at END) AS oldest,
      COALESCE(SUM(j.status IN (${ACTIVE})), 0) AS unfinished
    FROM runs r JOIN upload_jobs j ON j.run_id = r.run_id
    WHERE r.command = ${API_COMMAND} AND j.user_id = ${userId}
      AND (j.created_at > ${since} OR j.status IN (${ACTIVE}))`.execute(db);
  return rows[0] ?? { recent: 0, oldest: null, unfinished: 0 };
}
