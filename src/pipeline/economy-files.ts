/** The files of batches that have ended: deleted at the service once what they held is stored here. */
import { asTvdbError } from '../base/errors.ts';
import { reach } from '../base/fault.ts';
import type { EmbedBatchService } from '../services/embed/port.ts';
import { batchFilesLeft, batchFilesOf, type LeftFiles, setBatchFiles } from '../store/batch-files.ts';
import type { PipelineDeps } from './stage.ts';

type Deps = Pick<PipelineDeps, 'store' | 'router' | 'clock' | 'log'>;

/** OpenAI deletes files of batches itself after 30 days. */
const KEPT_MS = 30 * 86_400_000;
/** Batches whose files are deleted in one go. */
const MOST = 50;

/**
 * Deletes the files of ended batches. With none it costs one query. What cannot be deleted now is logged and left to the
 * next time: no job waits for it, and none fails for it.
 */
export async function deleteBatchFiles(deps: Deps, signal: AbortSignal): Promise<void> {
  const { store, router, clock } = deps;
  const left = await batchFilesLeft(store.db, { since: clock.now() - KEPT_MS, limit: MOST });
  if (left.length === 0 || !router.usable('openai')) return;
  const { batch } = await router.embedService('real');
  if (batch === undefined) return;
  reach('economy.before_delete');
  for (const one of left) {
    // A service that cannot be asked for one cannot be asked for the others.
    if (signal.aborted || !(await deleteOf(one, batch, deps, signal))) return;
  }
}

/** The files of one batch; false where the service cannot be asked for others now. */
async function deleteOf(
  one: LeftFiles,
  batch: EmbedBatchService,
  { store, log }: Deps,
  signal: AbortSignal,
): Promise<boolean> {
  const { attempt_id: attemptId, job_id: jobId } = one;
  for (let files = batchFilesOf(one); files.length > 0; files = files.slice(1)) {
    const [fileId = '', ...others] = files;
    try {
      await batch.remove(fileId, signal);
    } catch (error) {
      log('warn', 'a file of a batch could not be deleted at its service', {
        job_id: jobId,
        attempt_id: attemptId,
        file_id: fileId,
        error: String(error),
      });
      if (!isRefusedForGood(error)) return false;
    }
    await store.write((trx) => setBatchFiles(trx, attemptId, others));
  }
  return true;
}

/** Whether asking for this one file again is of no use; a key that may not delete would be refused for all of them. */
function isRefusedForGood(error: unknown): boolean {
  const { code, facts } = asTvdbError(error);
  return code === 'E309' && facts.http_status !== 403;
}
