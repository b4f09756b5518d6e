/** Documents: the bytes a user uploaded, one row per user and content. */
import { forgetVectorsOf } from './embedding-cache.ts';
import type { Db, Trx } from './open.ts';
import { forgetParsesOf } from './parse-cache.ts';
import { forgetRemoteFiles } from './remote-files.ts';
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

/**
 * Remembers where known bytes were uploaded from this time. The newest upload of a path is its newest version, whatever
 * order the jobs end in and whatever the wall clock did meanwhile.
 */
export async function updateSource(
  trx: Trx,
  document: DocumentRow,
  source: { filename: string; path: string | null; now: number },
): Promise<void> {
  const { filename, path, now } = source;
  const place =
    path === null ? {} : { source_path: path, source_at: await nextSourceTime(trx, document.user_id, path, now) };
  await trx
    .updateTable('documents')
    .set({ filename, ...place })
    .where('document_id', '=', document.document_id)
    .execute();
}

/** A time for an upload of `path` that is later than that of every earlier one. */
async function nextSourceTime(trx: Trx, userId: string, path: string, now: number): Promise<number> {
  const { last } = await trx
    .selectFrom('documents')
    .select((select) => select.fn.max('source_at').as('last'))
    .where('user_id', '=', userId)
    .where('source_path', '=', path)
    .executeTakeFirstOrThrow();
  return Math.max(now, (last ?? 0) + 1);
}

/** Records the stored markdown, and the newer version that is searchable in this document's place, if there is one. */
export async function setParsed(
  trx: Trx,
  documentId: string,
  parsed: { path: string; sha256: string; supersededBy: string | null },
): Promise<void> {
  await trx
    .updateTable('documents')
    .set({ parsed_path: parsed.path, parsed_sha256: parsed.sha256, superseded_by: parsed.supersededBy })
    .where('document_id', '=', documentId)
    .execute();
}

/** Other versions of a document: same user and path. Searchable ones that are older, and those that are newer. */
export async function versionsOf(trx: Trx, document: DocumentRow): Promise<{ older: string[]; newer: string[] }> {
  if (document.source_path === null) return { older: [], newer: [] };
  const rows = await trx
    .selectFrom('documents')
    .select(['document_id', 'source_at', 'superseded_by'])
    .where('user_id', '=', document.user_id)
    .where('source_path', '=', document.source_path)
    .where('document_id', '!=', document.document_id)
    .orderBy('source_at')
    .execute();
  const ids = (wanted: typeof rows) => wanted.map((row) => row.document_id);
  return {
    older: ids(rows.filter((row) => row.source_at < document.source_at && row.superseded_by === null)),
    newer: ids(rows.filter((row) => row.source_at > document.source_at)),
  };
}

/** Says that a newer version has taken the place of these documents. */
export async function markSuperseded(trx: Trx, documentIds: readonly string[], by: string): Promise<void> {
  await trx.updateTable('documents').set({ superseded_by: by }).where('document_id', 'in', documentIds).execute();
}

/** Whether a document has searchable vectors: any, or those of one space, or those of one parse cut by one chunker. */
export async function isSearchable(
  db: Db,
  documentId: string,
  wanted: { space?: string; parseId?: string; chunker?: string } = {},
): Promise<boolean> {
  let query = db
    .selectFrom('vectors as v')
    .innerJoin('embedding_spaces as s', 's.space_id', 'v.space_id')
    .innerJoin('document_chunks as c', 'c.chunk_id', 'v.chunk_id')
    .select('v.vector_id')
    .where('v.document_id', '=', documentId)
    .limit(1);
  if (wanted.space !== undefined) query = query.where('s.name', '=', wanted.space);
  if (wanted.parseId !== undefined) query = query.where('c.parse_id', '=', wanted.parseId);
  if (wanted.chunker !== undefined) query = query.where('c.chunker', '=', wanted.chunker);
  return (await query.executeTakeFirst()) !== undefined;
}

/**
 * Removes everything derived from a document and the document itself; its jobs and events stay as a record. What the
 * caches hold of it goes too, unless another document has the same bytes or texts.
 */
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
  const document = await documentById(trx, documentId);
  await trx.deleteFrom('documents').where('document_id', '=', documentId).execute();
  if (document !== undefined && !(await bytesAreKnown(trx, document.file_sha256))) {
    await forgetParsesOf(trx, document.file_sha256);
    await forgetRemoteFiles(trx, document.file_sha256);
  }
  await forgetVectorsOf(trx, await textsOfNobody(trx));
  return {
    chunks: Number(chunks.numDeletedRows),
    vectors: Number(vectors.numDeletedRows),
    parses: Number(parses.numDeletedRows),
  };
}

async function bytesAreKnown(trx: Trx, fileSha256: string): Promise<boolean> {
  const row = await trx
    .selectFrom('documents')
    .select('document_id')
    .where('file_sha256', '=', fileSha256)
    .executeTakeFirst();
  return row !== undefined;
}

/**
 * Hashes of the remembered texts that stand in no chunk any more. Asking instead for those of the one document was
 * rejected: a cancelled job, or an older version, has left no rows that would say which texts were its own.
 */
async function textsOfNobody(trx: Trx): Promise<string[]> {
  const rows = await trx
    .selectFrom('embedding_cache')
    .select('chunk_sha')
    .distinct()
    .where('chunk_sha', 'not in', (query) => query.selectFrom('document_chunks').select('chunk_sha'))
    .where('chunk_sha', 'not in', (query) => query.selectFrom('chunk_buffer').select('chunk_sha'))
    .execute();
  return rows.map((row) => row.chunk_sha);
}
