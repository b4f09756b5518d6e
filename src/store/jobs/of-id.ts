/** From any id that people are shown to the jobs it stands for. */
import { sql } from 'kysely';
import type { Db } from '../open.ts';
import type { IdKind, IdMatch } from './find.ts';

/** Ids of the jobs an id stands for, newest first: itself, those of a document or run, the one a request was sent for. */
export async function jobIdsOf(db: Db, { kind, id }: IdMatch): Promise<string[]> {
  let query = db.selectFrom('upload_jobs').select('job_id').orderBy('created_at', 'desc').orderBy('job_id');
  if (kind === 'job') query = query.where('job_id', '=', id);
  else if (kind === 'document') query = query.where('document_id', '=', id);
  else if (kind === 'correlation') query = query.where('correlation_id', '=', id);
  else if (kind === 'run')
    query = query.where('job_id', 'in', (from) =>
      from.selectFrom('run_jobs').select('job_id').where('run_id', '=', id),
    );
  else
    query = query.where(
      'job_id',
      'in',
      sql<string>`(
        SELECT job_id FROM attempts WHERE remote_id = ${id} OR upstream_request_id = ${id}
        UNION SELECT s.job_id FROM attempt_shares s JOIN attempts a ON a.attempt_id = s.attempt_id
        WHERE a.upstream_request_id = ${id})`,
    );
  return (await query.execute()).map((row) => row.job_id);
}

/** Ids of the documents of some jobs, the oldest job's first. */
export async function documentIdsOf(db: Db, jobIds: readonly string[]): Promise<string[]> {
  const { rows } = await sql<{ document_id: string }>`
    SELECT document_id FROM upload_jobs WHERE job_id IN (SELECT value FROM json_each(${JSON.stringify(jobIds)}))
    GROUP BY document_id ORDER BY MIN(created_at), document_id`.execute(db);
  return rows.map((row) => row.document_id);
}

/** The newest ids of each kind, at most `limit` a kind: what a mistyped id is compared with. */
export async function newestIds(db: Db, kinds: readonly IdKind[], limit: number): Promise<IdMatch[]> {
  const matches: IdMatch[] = [];
  for (const kind of kinds) {
    const { rows } = await sql<{ id: string }>`${NEWEST[kind]} DESC LIMIT ${limit}`.execute(db);
    matches.push(...rows.map(({ id }) => ({ kind, id })));
  }
  return matches;
}

const NEWEST = {
  job: sql`SELECT job_id AS id FROM upload_jobs ORDER BY created_at`,
  document: sql`SELECT document_id AS id FROM documents ORDER BY rowid`,
  correlation: sql`SELECT correlation_id AS id FROM upload_jobs ORDER BY created_at`,
  run: sql`SELECT run_id AS id FROM runs ORDER BY rowid`,
  remote: sql`SELECT remote_id AS id FROM attempts WHERE remote_id IS NOT NULL ORDER BY started_at`,
} as const;
