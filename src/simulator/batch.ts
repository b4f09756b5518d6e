/** One batch: where it stands at a given moment, what it wrote, what it costs. */

import type { BatchFiles } from './batch-files.ts';
import {
  answeredLine,
  type BatchProblem,
  type BatchRow,
  expiredLine,
  failedLine,
  refusedLine,
  shuffled,
} from './batch-rows.ts';
import type { Biller } from './bill.ts';
import type { EmbeddingRequest } from './embedding-request.ts';
import type { Fault } from './faults.ts';

export type BatchStatus =
  | 'validating'
  | 'failed'
  | 'in_progress'
  | 'finalizing'
  | 'completed'
  | 'expired'
  | 'cancelling'
  | 'cancelled';

export interface Batch {
  readonly id: string;
  readonly inputFileId: string;
  readonly attemptId: string | null;
  readonly metadata: Record<string, string> | null;
  readonly rows: readonly BatchRow[];
  readonly problems: readonly BatchProblem[];
  readonly faults: ReadonlyMap<string, Fault>;
  /** Wall clock. */
  readonly createdAt: number;
  /** Monotonic: when it was made, and how long it takes. */
  readonly start: number;
  readonly duration: number;
  status: BatchStatus;
  /** Wall clock of each status it reached. */
  readonly reached: Map<BatchStatus, number>;
  /** Rows that are done: answered, or refused for good. */
  done: readonly BatchRow[];
  outputFileId: string | null;
  errorFileId: string | null;
  tokens: number;
}

type Answered = BatchRow & { readonly asked: EmbeddingRequest };

/** Whether nothing changes any more. */
export function batchEnded({ status }: Batch): boolean {
  return ['failed', 'completed', 'expired', 'cancelled'].includes(status);
}

/** The tokens it holds of the queue of waiting tokens. */
export function enqueuedTokens(batch: Batch): number {
  if (batchEnded(batch)) return 0;
  return batch.rows.reduce((sum, row) => sum + ('asked' in row ? row.asked.tokens : 0), 0);
}

/** Brings a batch up to date: a tenth of the time is validation, the last tenth is writing the files. */
export function settleBatch(
  batch: Batch,
  now: { monotonic: number; wall: number },
  { biller, files }: { biller: Biller; files: BatchFiles },
): void {
  if (batchEnded(batch)) return;
  const share = batch.duration === 0 ? 1 : (now.monotonic - batch.start) / batch.duration;
  const reach = (status: BatchStatus) => {
    batch.status = status;
    if (!batch.reached.has(status)) batch.reached.set(status, now.wall);
  };
  if (batch.status === 'cancelling') {
    finish(batch, { biller, files });
    reach('cancelled');
    return;
  }
  if (share < 0.1) return;
  if (batch.problems.length > 0 || batch.faults.has('invalid')) {
    reach('failed');
    return;
  }
  reach('in_progress');
  const most = Math.floor(
    batch.rows.length * Number(batch.faults.get('expired')?.params.value ?? (batch.faults.has('expired') ? 0.5 : 1)),
  );
  const progress = Math.min(1, (share - 0.1) / 0.8);
  batch.done = shuffled(batch.rows, batch.id).slice(0, Math.min(most, Math.floor(batch.rows.length * progress)));
  if (batch.faults.has('frozen') || share < 0.9) return;
  reach('finalizing');
  if (share < 1) return;
  finish(batch, { biller, files });
  reach(batch.faults.has('expired') ? 'expired' : 'completed');
}

/** Writes the files and the bill for the rows that are done. */
function finish(batch: Batch, { biller, files }: { biller: Biller; files: BatchFiles }): void {
  const { id, faults, done } = batch;
  const count = (action: string) => (faults.has(action) ? Number(faults.get(action)?.params.value ?? 1) : 0);
  const failing = count('row-errors');
  const failed = done.slice(0, failing);
  const kept = done.slice(failing + count('unanswered'));
  const answered = kept.filter((row): row is Answered => 'asked' in row);
  const refused = kept.flatMap((row) => ('refused' in row ? [row] : []));
  // What a cancelled batch did not reach is in neither file.
  const late = faults.has('expired') ? batch.rows.filter((row) => !done.includes(row)) : [];
  batch.tokens = answered.reduce((sum, row) => sum + row.asked.tokens, 0);
  if (answered.length > 0) {
    const write = () => answered.map((row) => answeredLine(row, id)).join('');
    batch.outputFileId = files.keep(`${id}_output.jsonl`, 'batch_output', write).id;
    biller.request({
      requestId: id,
      attemptId: batch.attemptId,
      model: answered[0]?.asked.model ?? '',
      tokens: batch.tokens,
      batchId: id,
    });
  }
  if (failed.length + refused.length + late.length > 0) {
    const write = () =>
      [
        ...failed.map((row) => failedLine(row, id)),
        ...refused.map((row) => refusedLine(row, id)),
        ...late.map((row) => expiredLine(row, id)),
      ].join('');
    batch.errorFileId = files.keep(`${id}_error.jsonl`, 'batch_output', write).id;
  }
}
