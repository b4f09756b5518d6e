/** Documents by the tags of their jobs. */
import { sql } from 'kysely';
import type { Db } from './open.ts';

/** Ids of the documents that were uploaded with every one of `tags`, in one upload or in several. */
export async function documentsWithTags(db: Db, tags: readonly { key: string; value: string }[]): Promise<string[]> {
  const { rows } = await sql<{ document_id: string }>`
    SELECT d.document_id FROM documents AS d
    WHERE NOT EXISTS (
      SELECT 1 FROM json_each(${JSON.stringify(tags)}) AS wanted
      WHERE NOT EXISTS (
        SELECT 1 FROM upload_jobs AS j, json_each(j.tags) AS tag
        WHERE j.document_id = d.document_id AND tag.key = wanted.value ->> 'key' AND tag.value = wanted.value ->> 'value'
      )
    )`.execute(db);
  return rows.map((row) => row.document_id);
}
