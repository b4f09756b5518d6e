/** Documents: the bytes a user uploaded, one row per user and content. */
import type { Db, Trx } from './open.ts';
import type { DocumentRow } from './schema.ts';

/** The document of a user with exactly these bytes. */
export async function documentBySha(db: Db, userId: string, sha256: string): Promise<DocumentRow | undefined> {
  return db
    .selectFrom('documents')
    .selectAll()
    .where('user_id', '=', userId)
    .where('file_sha256', '=', sha256)
    .executeTakeFirst();
}

/** A document, or `undefined` when there is none (any more). */
export async function documentById(db: Db, documentId: string): Promise<DocumentRow | undefined> {
  return db.selectFrom('documents').selectAll().where('document_id', '=', documentId).executeTakeFirst();
}

/** Makes the row of a document; its bytes must be stored already. */
export async function insertDocument(trx: Trx, row: DocumentRow): Promise<void> {
  await trx.insertInto('documents').values(row).execute();
}

/** Remembers where known bytes were uploaded from this time, so that the next version at that path supersedes them. */
export async function updateSource(
  trx: Trx,
  documentId: string,
  filename: string,
  sourcePath: string | null,
): Promise<void> {
  await trx
    .updateTable('documents')
    .set({ filename, ...(sourcePath === null ? {} : { source_path: sourcePath }) })
    .where('document_id', '=', documentId)
    .execute();
}

/** Records the markdown that is now searchable, and that no newer version has taken this document's place. */
export async function setParsed(trx: Trx, documentId: string, parsed: { path: string; sha256: string }): Promise<void> {
  await trx
    .updateTable('documents')
    .set({ parsed_path: parsed.path, parsed_sha256: parsed.sha256, superseded_by: null })
    .where('document_id', '=', documentId)
    .execute();
}

/** Earlier documents of the same user and path, not superseded yet: what a new version replaces. */
export async function earlierVersions(db: Db, document: DocumentRow): Promise<string[]> {
  if (document.source_path === null) return [];
  const rows = await db
    .selectFrom('documents')
    .select('document_id')
    .where('user_id', '=', document.user_id)
    .where('source_path', '=', document.source_path)
    .where('document_id', '!=', document.document_id)
    .where('superseded_by', 'is', null)
    .execute();
  return rows.map((row) => row.document_id);
}

/** Says that a newer version has taken the place of these documents. */
export async function markSuperseded(trx: Trx, documentIds: readonly string[], by: string): Promise<void> {
  await trx.updateTable('documents').set({ superseded_by: by }).where('document_id', 'in', documentIds).execute();
}

/** Whether a document has searchable vectors, in `space` or in any. */
export async function isSearchable(db: Db, documentId: string, space?: string): Promise<boolean> {
  let query = db
    .selectFrom('vectors as v')
    .innerJoin('embedding_spaces as s', 's.space_id', 'v.space_id')
    .select('v.vector_id')
    .where('v.document_id', '=', documentId)
    .limit(1);
  if (space !== undefined) query = query.where('s.name', '=', space);
  return (await query.executeTakeFirst()) !== undefined;
}

/** Removes everything derived from a document and the document itself; its jobs and events stay as a record. */
export async function eraseDocument(
  trx: Trx,
  documentId: string,
): Promise<{ chunks: number; vectors: number; parses: number }> {
  const jobs = trx.selectFrom('upload_jobs').select('job_id').where('document_id', '=', documentId);
  await trx.deleteFrom('chunk_buffer').where('job_id', 'in', jobs).execute();
  await trx.deleteFrom('vector_buffer').where('job_id', 'in', jobs).execute();
  const vectors = await trx.deleteFrom('vectors').where('document_id', '=', documentId).executeTakeFirstOrThrow();
  const chunks = await trx
    .deleteFrom('document_chunks')
    .where('document_id', '=', documentId)
    .executeTakeFirstOrThrow();
  const parses = await trx.deleteFrom('parses').where('document_id', '=', documentId).executeTakeFirstOrThrow();
  await trx.deleteFrom('documents').where('document_id', '=', documentId).execute();
  return {
    chunks: Number(chunks.numDeletedRows),
    vectors: Number(vectors.numDeletedRows),
    parses: Number(parses.numDeletedRows),
  };
}
