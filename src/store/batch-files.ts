/** Files of embedding batches that lie at the service: each with the attempt of its batch, until they are deleted there. */
import { sql } from 'kysely';
import type { Db, Trx } from './open.ts';

/** Ids of the files of a batch that are still at the service, as an attempt keeps them: in its options. */
export function batchFilesOption(files: readonly string[]): string | null {
  return files.length === 0 ? null : JSON.stringify({ files });
}

/** Notes which files of a batch are still there; none: all are deleted. Other options of the attempt stay. */
export async function setBatchFiles(trx: Trx, attemptId: string, files: readonly string[]): Promise<void> {
  const options =
    files.length === 0
      ? sql<string | null>`NULLIF(json_remove(options, '$.files'), '{}')`
      : sql<string>`json_set(COALESCE(options, '{}'), '$.files', json(${JSON.stringify(files)}))`;
  await trx.updateTable('attempts').set({ options }).where('attempt_id', '=', attemptId).execute();
}

/** The files that were noted for a batch. */
export function batchFilesOf({ options }: { options: string | null }): string[] {
  const { files = [] } = JSON.parse(options ?? '{}') as { files?: string[] };
  return files;
}

export interface LeftFiles {
  attempt_id: string;
  job_id: string;
  options: string;
}

/** Batches that ended since `since` and whose files are still there, oldest first. */
export async function batchFilesLeft(db: Db, { since, limit }: { since: number; limit: number }): Promise<LeftFiles[]> {
  const { rows } = await sql<LeftFiles>`
    SELECT a.attempt_id, b.job_id, a.options FROM embed_batches b JOIN attempts a ON a.attempt_id = b.attempt_id
    WHERE b.ended_at >= ${since} AND json_extract(a.options, '$.files') IS NOT NULL ORDER BY b.ended_at LIMIT ${limit}`.execute(
    db,
  );
  return rows;
}
