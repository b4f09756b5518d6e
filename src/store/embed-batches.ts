/** The batches of embeddings that jobs have at a service: which is under way, and what became of the earlier ones. */
import { sql } from 'kysely';
import { ENDED_STATUSES } from '../domain/job-state.ts';
import type { Db, Trx } from './open.ts';
import type { AttemptRow } from './schema.ts';
import type { EmbedBatchesTable } from './services-schema.ts';
import { IS_TWIN } from './twins.ts';

/** A batch that may still bring something, with its attempt. */
export interface OpenBatch extends AttemptRow {
  /** JSON: the embedding space of its vectors. */
  space: string;
  rows: number;
  /** As the service said last. */
  status: string;
}

/** Records a batch that is about to be ordered, in the transaction of its attempt. */
export async function insertBatch(
  trx: Trx,
  batch: Pick<EmbedBatchesTable, 'attempt_id' | 'job_id' | 'space' | 'rows'>,
): Promise<void> {
  await trx
    .insertInto('embed_batches')
    .values({ ...batch, status: 'created', ended_at: null })
    .execute();
}

/** Notes what the service said of a batch that is open. */
export async function noteBatch(trx: Trx, attemptId: string, status: string): Promise<void> {
  await trx.updateTable('embed_batches').set({ status }).where('attempt_id', '=', attemptId).execute();
}

/** Closes a batch; returns false, having written nothing, when it was closed before. */
export async function closeBatch(
  trx: Trx,
  attemptId: string,
  set: { status: string; answered?: number; refused?: number; now: number },
): Promise<boolean> {
  const { now, ...facts } = set;
  const { numUpdatedRows } = await trx
    .updateTable('embed_batches')
    .set({ ...facts, ended_at: now })
    .where('attempt_id', '=', attemptId)
    .where('ended_at', 'is', null)
    .executeTakeFirst();
  return numUpdatedRows === 1n;
}

/** The open batch of a job; it has one at most. It does not wait for what the service made of its order besides. */
export async function openBatch(db: Db, jobId: string): Promise<OpenBatch | undefined> {
  const [first] = await open(db, sql`b.job_id = ${jobId} AND NOT ${IS_TWIN}`);
  return first;
}

const ENDED = sql.join(ENDED_STATUSES.map((status) => sql.lit(status)));

/**
 * Open batches nobody waits for: those whose jobs have ended without them (cancelled, failed), and those a service made
 * besides of one order. What they finish is billed all the same.
 */
export async function batchesLeftBehind(db: Db): Promise<OpenBatch[]> {
  return open(db, sql`(${IS_TWIN} OR b.job_id IN (SELECT job_id FROM upload_jobs WHERE status IN (${ENDED})))`);
}

async function open(db: Db, which: ReturnType<typeof sql>): Promise<OpenBatch[]> {
  const { rows } = await sql<OpenBatch>`
    SELECT a.*, b.space, b.rows, b.status FROM embed_batches b JOIN attempts a ON a.attempt_id = b.attempt_id
    WHERE b.ended_at IS NULL AND ${which} ORDER BY a.rowid`.execute(db);
  return rows;
}

/** What became of an earlier batch of a job. */
export interface EarlierBatch {
  status: string;
  answered: number;
  refused: number;
}

/** The batches a job ordered that ended, oldest first, since the user last took the job up. */
export async function endedBatches(db: Db, jobId: string): Promise<EarlierBatch[]> {
  const { rows } = await sql<EarlierBatch>`
    SELECT b.status, b.answered, b.refused
    FROM embed_batches b JOIN attempts a ON a.attempt_id = b.attempt_id
    WHERE b.job_id = ${jobId} AND b.ended_at IS NOT NULL AND NOT ${IS_TWIN}
      AND a.started_at > COALESCE((
        SELECT MAX(at) FROM job_events
        WHERE job_id = ${jobId} AND code = 'RESUMED' AND json_extract(data, '$.by') = 'user'), -1)
    ORDER BY a.rowid`.execute(db);
  return rows;
}
