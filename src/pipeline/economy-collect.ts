/** The end of a batch: its rows into the buffer of the job and the cache, its money settled with what was billed. */
import { asTvdbError, storedError, type TvdbError } from '../base/errors.ts';
import { reach } from '../base/fault.ts';
import { encodeVector, vectorSha } from '../domain/vector.ts';
import type { BatchRow, EmbedBatchService, EmbeddingSpace, EndedBatch } from '../services/embed/port.ts';
import { batchFilesOf, setBatchFiles } from '../store/batch-files.ts';
import { addBufferedVectors, type NewVector } from '../store/chunks.ts';
import { closeBatch, type OpenBatch } from '../store/embed-batches.ts';
import { rememberVectors } from '../store/embedding-cache.ts';
import type { JobChanges } from '../store/jobs/move.ts';
import type { Trx } from '../store/open.ts';
import type { BufferedChunk } from '../store/schema.ts';
import { endAttempt } from './attempt-money.ts';
import { ageOf } from './economy-look.ts';
import type { PipelineDeps, StageEvent } from './stage.ts';

/** Rows of one transaction. */
const SLICE = 200;
const SHA256 = /^[0-9a-f]{64}$/;

/** Whom the rows are for, and how things are written for them: under the lease of a job, or without one. */
export interface Collector {
  deps: PipelineDeps;
  abort: AbortSignal;
  /** The chunks of the job; `null` where no job waits: the rows go into the cache alone. */
  chunks: readonly BufferedChunk[] | null;
  /** Ids of those of them that have no vector yet. */
  lacking: ReadonlySet<string>;
  commit(write: (trx: Trx) => Promise<void>, more?: { event?: StageEvent; set?: JobChanges }): Promise<void>;
  /** Columns that say how far the job is, after `vectors` more. */
  progress?(vectors: number): JobChanges;
}

/**
 * Fetches the files of an ended batch and commits what they hold, slice by slice, then the end of the attempt: settled
 * with the tokens that were billed, given back when none were. Repeated after a crash it changes nothing twice. Throws
 * what the service throws; then nothing but whole slices is committed, and the batch stays open.
 */
export async function collectBatch(
  open: OpenBatch,
  ended: EndedBatch,
  batch: EmbedBatchService,
  collector: Collector,
): Promise<void> {
  const { deps, abort } = collector;
  const space = JSON.parse(open.space) as EmbeddingSpace;
  let gone: TvdbError | null = null;
  const rows = await batch.rows(ended, space, abort).catch((thrown: unknown): BatchRow[] => {
    const error = asTvdbError(thrown);
    if (error.code !== 'E311') throw thrown;
    gone = error;
    return [];
  });
  reach('economy.results_fetched');
  const chunksOf = byText(collector);
  const isAsked = (id: string) => (collector.chunks === null ? SHA256.test(id) : chunksOf.has(id));
  const asked = rows.filter(({ id }) => isAsked(id)).slice(0, open.rows);
  const vectors = asked.flatMap(({ id, tokens, vector }) =>
    vector === null ? [] : [{ chunkSha: id, tokens, vector: encodeVector(vector) }],
  );
  for (let from = 0; from < vectors.length; from += SLICE) {
    const slice = vectors.slice(from, from + SLICE);
    const buffered = slice.flatMap(({ chunkSha, vector }): NewVector[] =>
      (chunksOf.get(chunkSha) ?? [])
        .filter((chunkId) => collector.lacking.has(chunkId))
        .map((chunkId) => ({ chunkId, vector, vectorSha: vectorSha(vector) })),
    );
    await collector.commit(
      async (trx) => {
        await addBufferedVectors(trx, open.job_id, space.name, 'real', buffered);
        await rememberVectors(trx, space, slice, deps.clock.now());
      },
      { ...(collector.progress && { set: collector.progress(buffered.length) }) },
    );
    reach('economy.rows_committed');
  }
  const refused = asked.filter((row) => row.vector === null && row.forGood).length;
  const [why] = [...(gone === null ? [] : [asTvdbError(gone).message]), ...rows.flatMap((row) => failureOf(row))];
  const billed = billedTokens(ended, rows);
  await endBatch(
    open,
    {
      ...{ status: ended.status, answered: vectors.length, refused, billed },
      files: [ended.outputFileId, ended.errorFileId].flatMap((id) => id ?? []),
      ...(why !== undefined && { why }),
    },
    collector,
  );
}

/** Ids of the chunks of each text. */
function byText({ chunks }: Collector): Map<string, string[]> {
  const ids = new Map<string, string[]>();
  for (const { chunk_id: id, chunk_sha: sha } of chunks ?? []) ids.set(sha, [...(ids.get(sha) ?? []), id]);
  return ids;
}

/** The larger of what the batch and its rows say; `null` when neither says anything although rows were done. */
function billedTokens({ tokensBilled, outputFileId }: EndedBatch, rows: readonly BatchRow[]): number | null {
  const sum = rows.reduce((tokens, row) => tokens + row.tokens, 0);
  const billed = Math.max(tokensBilled ?? 0, sum);
  // Without a file of answers nothing was done.
  return billed > 0 || outputFileId === null ? billed : null;
}

function failureOf(row: BatchRow): string[] {
  return row.vector === null ? [row.why] : [];
}

/** What became of a batch. */
export interface BatchEnd {
  status: string;
  answered?: number;
  refused?: number;
  /** Tokens; 0: nothing, so the hold is given back; `null`: nobody knows, so it is kept. */
  billed: number | null;
  /** It was looked for and is not there. */
  absent?: boolean;
  error?: TvdbError;
  why?: string;
  /** What it left at the service besides what it was made of. */
  files?: readonly string[];
  set?: JobChanges;
}

/** Closes a batch and ends its attempt, once; a batch that was closed meanwhile is left as it is. */
export async function endBatch(open: OpenBatch, end: BatchEnd, { deps, commit }: Collector): Promise<void> {
  const { status, answered = 0, refused = 0, billed, absent, error, why, files = [], set } = end;
  const attemptId = open.attempt_id;
  const now = deps.clock.now();
  const outcome = answered > 0 || (billed ?? 0) > 0 ? 'ok' : 'failed';
  const facts = { billed_units: billed, latency_ms: ageOf(open, now) };
  const ending = {
    outcome,
    ...facts,
    ...(error !== undefined && { error: JSON.stringify(storedError(error)) }),
  } as const;
  const money = { charge: billed === null ? 'possible' : 'none', because: absent ? 'absent' : 'not_charged' } as const;
  const data = {
    ...{ remote_id: open.remote_id, status, rows: open.rows, answered, missing: open.rows - answered, tokens: billed },
    ...(why !== undefined && { why }),
  };
  await commit(
    async (trx) => {
      if (!(await closeBatch(trx, attemptId, { status, answered, refused, now }))) return;
      await endAttempt(trx, attemptId, ending, deps, money);
      await setBatchFiles(trx, attemptId, [...batchFilesOf(open), ...files]);
    },
    {
      event: {
        code: 'EMBED_BATCH_ENDED',
        severity: answered === open.rows ? 'info' : 'warn',
        attemptId,
        data,
      },
      ...(set !== undefined && { set }),
    },
  );
}
