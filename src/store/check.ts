/** Questions about the soundness of the store, for `tvdb doctor`. All of them only read. */
import { sql } from 'kysely';
import { ACTIVE_STATUSES } from '../domain/job-state.ts';
import { SCHEMA_VERSION } from './migrate.ts';
import type { Db, Store, Trx } from './open.ts';

/** What every connection must be set to; see `setUp` in `open.ts`. `synchronous` 2 is FULL. */
const PRAGMAS = { journal_mode: 'wal', synchronous: 2, foreign_keys: 1, trusted_schema: 0, mmap_size: 0 } as const;

/** Settings of the connection that are not as they must be, as `name is value, not value`. */
export function wrongPragmas({ sqlite }: Store): string[] {
  return Object.entries(PRAGMAS).flatMap(([name, wanted]) => {
    const value = sqlite.pragma(name, { simple: true });
    return value === wanted ? [] : [`${name} is ${String(value)}, not ${wanted}`];
  });
}

/** Bytes of the file, schema version found and the one this build writes. */
export function storeFacts({ sqlite }: Store): { bytes: number; version: number; wanted: number } {
  const number = (name: string) => sqlite.pragma(name, { simple: true }) as number;
  return { bytes: number('page_count') * number('page_size'), version: number('user_version'), wanted: SCHEMA_VERSION };
}

/** Tables to be checked one by one, so that a check can stop between two of them. */
export function tableNames({ sqlite }: Store): string[] {
  const rows = sqlite
    .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name")
    .all();
  return (rows as { name: string }[]).map(({ name }) => name);
}

/** Damage of one table: of its pages (`quick_check`), or also of its indexes (`integrity_check`). At most 20 findings. */
export function damageOf({ sqlite }: Store, table: string, how: 'quick_check' | 'integrity_check'): string[] {
  // The name is from the schema; a table-valued pragma takes it as a parameter.
  const rows = sqlite.prepare(`SELECT * FROM pragma_${how}(?) LIMIT 20`).raw().all(table) as [string][];
  return rows.map(([text]) => text).filter((text) => text !== 'ok');
}

/** Rows that point to a row that is gone, by table. */
export function brokenReferences({ sqlite }: Store): { table: string; rows: number }[] {
  return sqlite.prepare('SELECT "table", COUNT(*) AS rows FROM pragma_foreign_key_check GROUP BY "table"').all() as {
    table: string;
    rows: number;
  }[];
}

/** A lease and what may be wrong with it. */
export interface LeaseState {
  job_id: string;
  lease_owner: string;
  lease_until: number;
  /** The job has ended: nobody should hold it. */
  ended: 0 | 1;
  /** Its owner is registered. */
  registered: 0 | 1;
}

/** Every lease there is. */
export async function leaseStates(db: Db): Promise<LeaseState[]> {
  const active = sql.join(ACTIVE_STATUSES.map((status) => sql.lit(status)));
  const { rows } = await sql<LeaseState>`
    SELECT job_id, lease_owner, lease_until, status NOT IN (${active}) AS ended,
      lease_owner IN (SELECT worker_id FROM workers) AS registered
    FROM upload_jobs WHERE lease_owner IS NOT NULL ORDER BY job_id`.execute(db);
  return rows;
}

/** Documents with what is stored of them, by id; the page after `after`. */
export async function documentsAfter(db: Db, after: string, limit: number) {
  return db
    .selectFrom('documents')
    .select(['document_id', 'user_id', 'bytes_len', 'raw_path', 'parsed_path', 'parsed_sha256'])
    .where('document_id', '>', after)
    .orderBy('document_id')
    .limit(limit)
    .execute();
}

/** A document whose searchable vectors are not those its newest complete job in that space made. */
export interface VectorMismatch {
  document_id: string;
  space: string;
  chunks: number;
  vectors: number;
}

/**
 * Compares, for each document and space, the searchable vectors with the chunks of the newest complete job. None at all is
 * right where a newer version took the place of this one: in that space, or everywhere (`superseded_by`).
 */
export async function vectorMismatches(db: Db): Promise<VectorMismatch[]> {
  const { rows } = await sql<VectorMismatch>`
    WITH made AS (
      SELECT j.document_id, j.embedding_space AS space, json_extract(j.progress, '$.chunks_total') AS chunks,
        ROW_NUMBER() OVER (PARTITION BY j.document_id, j.embedding_space ORDER BY j.processing_completed_at DESC, j.created_at DESC) AS age
      FROM upload_jobs j WHERE j.status = 'complete'
    ), found AS (
      SELECT v.document_id, s.name AS space, COUNT(*) AS vectors
      FROM vectors v JOIN embedding_spaces s USING (space_id) GROUP BY v.document_id, s.space_id
    )
    SELECT made.document_id, made.space, made.chunks, COALESCE(found.vectors, 0) AS vectors
    FROM made JOIN documents d USING (document_id)
    LEFT JOIN found ON found.document_id = made.document_id AND found.space = made.space
    WHERE made.age = 1 AND COALESCE(found.vectors, 0) != made.chunks
      AND NOT (found.vectors IS NULL AND (d.superseded_by IS NOT NULL OR EXISTS (
        SELECT 1 FROM documents newer WHERE newer.user_id = d.user_id AND newer.source_path = d.source_path
          AND newer.document_id != d.document_id)))
    ORDER BY made.document_id LIMIT 100`.execute(db);
  return rows;
}

/** Chunks that no search can find, vectors without their sign bits, and how many vectors there are. */
export async function indexGaps(db: Db): Promise<{ chunks: number; bits: number; vectors: number }> {
  const { rows } = await sql<{ chunks: number; bits: number; vectors: number }>`
    SELECT
      (SELECT COUNT(*) FROM document_chunks WHERE chunk_id NOT IN (SELECT chunk_id FROM vectors)) AS chunks,
      (SELECT COUNT(*) FROM vectors v LEFT JOIN vector_bits b USING (space_id, vector_id) WHERE b.vector_id IS NULL) AS bits,
      (SELECT COUNT(*) FROM vectors) AS vectors`.execute(db);
  return rows[0] ?? { chunks: 0, bits: 0, vectors: 0 };
}

/** Vectors drawn at random with the hashes they and their chunks were stored under. */
export async function sampleVectors(db: Db, limit: number) {
  return db
    .selectFrom('vectors as v')
    .innerJoin('document_chunks as c', 'c.chunk_id', 'v.chunk_id')
    .innerJoin('embedding_spaces as s', 's.space_id', 'v.space_id')
    .select(['v.document_id', 'v.vector', 'v.vector_sha', 'c.text', 'c.chunk_sha', 's.dimensions'])
    .where('v.vector_id', 'in', (from) =>
      from.selectFrom('vectors').select('vector_id').orderBy(sql`random()`).limit(limit),
    )
    .execute();
}

/** Jobs that have buffers but no further use for them. A failed job keeps its own: `retry` goes on from there. */
export async function staleBuffers(db: Db): Promise<string[]> {
  const { rows } = await sql<{ job_id: string }>`
    SELECT DISTINCT b.job_id FROM (SELECT job_id FROM chunk_buffer UNION SELECT job_id FROM vector_buffer) b
    LEFT JOIN upload_jobs j USING (job_id)
    WHERE j.job_id IS NULL OR j.status IN ('complete', 'duplicate', 'cancelled') ORDER BY b.job_id`.execute(db);
  return rows.map(({ job_id: id }) => id);
}

/** Of some document ids, those that exist and those of which only jobs are left. */
export async function knownDocuments(
  db: Db | Trx,
  ids: readonly string[],
): Promise<{ present: Set<string>; deleted: Set<string> }> {
  const among = sql`(SELECT value FROM json_each(${JSON.stringify(ids)}))`;
  const present = await sql<{
    id: string;
  }>`SELECT document_id AS id FROM documents WHERE document_id IN ${among}`.execute(db);
  const worked = await sql<{
    id: string;
  }>`SELECT DISTINCT document_id AS id FROM upload_jobs WHERE document_id IN ${among}`.execute(db);
  const found = new Set(present.rows.map(({ id }) => id));
  return { present: found, deleted: new Set(worked.rows.map(({ id }) => id).filter((id) => !found.has(id))) };
}
