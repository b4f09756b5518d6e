/** What the jobs of a deleted document give up: labels the user wrote, which may name what was in it. */
import type { Db, Trx } from '../open.ts';

/** Empties the tags of all jobs of a document. */
export async function forgetTags(trx: Trx, documentId: string): Promise<void> {
  await trx
    .updateTable('upload_jobs')
    .set({ tags: '{}' })
    .where('document_id', '=', documentId)
    .where('tags', '!=', '{}')
    .execute();
}

/** Ids of deleted documents that begin with `prefix`, known from the jobs they left; at most `limit`. */
export async function deletedDocumentIds(db: Db, prefix: string, limit: number): Promise<string[]> {
  const rows = await db
    .selectFrom('upload_jobs')
    .select('document_id')
    .distinct()
    .where('document_id', '>=', prefix.toLowerCase())
    .where('document_id', '<', `${prefix.toLowerCase()}\u{10ffff}`)
    .where('document_id', 'not in', (query) => query.selectFrom('documents').select('document_id'))
    .orderBy('document_id')
    .limit(limit)
    .execute();
  return rows.map((row) => row.document_id);
}
