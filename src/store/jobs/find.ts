/** Finds jobs: by id or prefix, for the status list, and as the answer to "is this a duplicate?". */
import { sql } from 'kysely';
import { FAILED_STATUSES } from '../../domain/job-state.ts';
import { isSearchable } from '../documents.ts';
import type { Db } from '../open.ts';
import type { JobRow } from '../schema.ts';

export type IdKind = 'job' | 'document' | 'run' | 'correlation' | 'remote';

export interface IdMatch {
  kind: IdKind;
  id: string;
}

/** What each kind of id is looked up in. A service's own ids are those of a parse and those of requests. */
const ID_COLUMNS = {
  job: [['upload_jobs', 'job_id']],
  document: [['documents', 'document_id']],
  correlation: [['upload_jobs', 'correlation_id']],
  run: [['runs', 'run_id']],
  remote: [
    ['attempts', 'remote_id'],
    ['attempts', 'upstream_request_id'],
  ],
} as const satisfies Record<IdKind, readonly (readonly [string, string])[]>;

/**
 * Everything an id or a prefix of one fits, at most `limit`; an exact match stands alone. The prefix is compared as a
 * range, never as a pattern, so `%` and `_` in it mean themselves.
 */
export async function matchIds(db: Db, prefix: string, kinds: readonly IdKind[], limit = 6): Promise<IdMatch[]> {
  const low = prefix.toLowerCase();
  const matches: IdMatch[] = [];
  const places = kinds.flatMap((kind) => ID_COLUMNS[kind].map(([table, column]) => ({ kind, table, column })));
  for (const { kind, table, column } of places) {
    const { rows } = await sql<{ id: string }>`
      SELECT DISTINCT ${sql.ref(column)} AS id FROM ${sql.table(table)}
      WHERE ${sql.ref(column)} >= ${low} AND ${sql.ref(column)} < ${`${low}\u{10ffff}`}
      ORDER BY 1 LIMIT ${limit}`.execute(db);
    matches.push(...rows.map(({ id }) => ({ kind, id })));
  }
  const exact = matches.filter(({ id }) => id === low);
  return exact.length > 0 ? exact : matches;
}

/** A job by its full id. */
export async function jobById(db: Db, jobId: string): Promise<JobRow | undefined> {
  return db.selectFrom('upload_jobs').selectAll().where('job_id', '=', jobId).executeTakeFirst();
}

/** The jobs of a document, newest first. */
export async function jobsOfDocument(db: Db, documentId: string): Promise<JobRow[]> {
  return db
    .selectFrom('upload_jobs')
    .selectAll()
    .where('document_id', '=', documentId)
    .orderBy('created_at', 'desc')
    .execute();
}

/**
 * The job that makes an upload a duplicate: the newest complete one of these bytes under this configuration, as long as
 * what it made is what is searchable. A newer version of the path, or other chunk sizes, may have taken its place.
 */
export async function finishedJob(
  db: Db,
  key: { userId: string; documentId: string; configKey: string },
): Promise<JobRow | undefined> {
  const job = await db
    .selectFrom('upload_jobs')
    .selectAll()
    .where('user_id', '=', key.userId)
    .where('document_id', '=', key.documentId)
    .where('config_key', '=', key.configKey)
    .where('status', '=', 'complete')
    .orderBy('created_at', 'desc')
    .executeTakeFirst();
  if (job?.embedding_space == null || job.parse_id === null) return undefined;
  const made = { space: job.embedding_space, parseId: job.parse_id, chunker: job.chunks_version };
  return (await isSearchable(db, key.documentId, made)) ? job : undefined;
}

/** The job that completed a document last. */
export async function newestCompleteJob(db: Db, documentId: string): Promise<JobRow | undefined> {
  return db
    .selectFrom('upload_jobs')
    .selectAll()
    .where('document_id', '=', documentId)
    .where('status', '=', 'complete')
    .orderBy('processing_completed_at', 'desc')
    .executeTakeFirst();
}

/** A job with the display name of its document and where it came from (`null` once that was deleted). */
export type ListedJob = JobRow & { filename: string | null; source_path: string | null };

export interface JobFilter {
  jobIds?: readonly string[] | undefined;
  failedOnly?: boolean | undefined;
  since?: number | undefined;
  limit: number;
}

/** Jobs for a list, newest first. */
export async function listJobs(db: Db, { jobIds, failedOnly, since, limit }: JobFilter): Promise<ListedJob[]> {
  let query = db
    .selectFrom('upload_jobs as j')
    .leftJoin('documents as d', 'd.document_id', 'j.document_id')
    .selectAll('j')
    .select(['d.filename', 'd.source_path'])
    .orderBy('j.created_at', 'desc')
    .orderBy('j.job_id')
    .limit(limit);
  // One parameter for any number of ids: a run may cover more jobs than SQLite takes parameters.
  if (jobIds !== undefined)
    query = query.where('j.job_id', 'in', sql<string>`(SELECT value FROM json_each(${JSON.stringify(jobIds)}))`);
  if (failedOnly === true) query = query.where('j.status', 'in', FAILED_STATUSES);
  if (since !== undefined) query = query.where('j.created_at', '>=', since);
  return query.execute();
}
