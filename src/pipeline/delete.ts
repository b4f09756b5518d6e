/**
 * Deletes a document: its bytes, its text, everything made of it. Jobs and events stay as a record without content.
 *
 * The store comes first, the files second. After the one transaction the document cannot be found, searched or worked
 * on any more, and its DOCUMENT_DELETED event says that its files must go; a crash in between is made good by the same
 * command again, which then finds the record and removes the files. The other order was rejected: between the two steps
 * the text would still be searchable while the command had already destroyed its source.
 */

import { TvdbError } from '../base/errors.ts';
import { reach } from '../base/fault.ts';
import { shortId } from '../base/ids.ts';
import { isEnded } from '../domain/job-state.ts';
import { storageUri } from '../storage/local.ts';
import { documentById, eraseDocument } from '../store/documents.ts';
import { appendEvent } from '../store/events.ts';
import { jobsOfDocument } from '../store/jobs/find.ts';
import { forgetTags } from '../store/jobs/forget.ts';
import type { Trx } from '../store/open.ts';
import { overwriteDeleted } from '../store/purge.ts';
import type { JobEventRow, JobRow } from '../store/schema.ts';
import { isSameProcess } from '../store/workers.ts';
import { type Stopped, stopJob, stopParse } from './cancel.ts';
import { stopBatch } from './economy-stop.ts';
import type { PipelineDeps } from './stage.ts';
import type { OnEvent } from './step.ts';

export interface Deleted {
  documentId: string;
  /** `already_deleted`: only files that an interrupted deletion had left were looked for. */
  state: 'deleted' | 'already_deleted';
  chunks: number;
  vectors: number;
  parses: number;
  /** Jobs that were at work on it or waited, and were cancelled. */
  cancelled: JobRow[];
}

/**
 * Deletes one document. `undefined` when there is neither a document nor a record of one under this id. Throws E104 when
 * a file cannot be removed; the store has forgotten the document then, and the same call tries the files again.
 *
 * What was deleted can still be carved out of the database file until `purgeRemains` ran; call it once after all.
 */
export async function deleteDocument(
  deps: PipelineDeps,
  documentId: string,
  onEvent: OnEvent,
  abort: AbortSignal,
): Promise<Deleted | undefined> {
  const { store } = deps;
  overwriteDeleted(store);
  const erased = await store.write((trx) => erase(trx, deps, documentId));
  if (erased === undefined) return undefined;
  reach('delete.before_files');
  const { stopped, event, jobs, deleted } = erased;
  for (const one of stopped) {
    if (one.event !== undefined) onEvent(one.event, one.job);
    if (one.attempt !== undefined) await stopParse(one.attempt, one.job, deps, abort);
    await stopBatch(one.job, deps, abort);
  }
  const [newest] = jobs;
  if (event !== undefined && newest !== undefined) onEvent(event, newest);
  await removeFiles(deps, documentId, erased.rawPath, erased.userId);
  // A killed upload may have left a copy that was never placed.
  await deps.storage.sweepIncoming(isSameProcess);
  return deleted;
}

interface Erased {
  deleted: Deleted;
  stopped: Stopped[];
  event: JobEventRow | undefined;
  jobs: JobRow[];
  rawPath: string;
  userId: string;
}

async function erase(trx: Trx, deps: PipelineDeps, documentId: string): Promise<Erased | undefined> {
  const document = await documentById(trx, documentId);
  const jobs = await jobsOfDocument(trx, documentId);
  const [newest] = jobs;
  const known = document ?? newest;
  if (known === undefined) return undefined;
  const stopped: Stopped[] = [];
  for (const job of jobs.filter(({ status }) => !isEnded(status))) {
    const one = await stopJob(trx, deps, job.job_id);
    if (one !== undefined) stopped.push(one);
  }
  const removed = await eraseDocument(trx, documentId);
  await forgetTags(trx, documentId);
  const event =
    document === undefined || newest === undefined ? undefined : await recordDeletion(trx, deps, newest, removed);
  const state = document === undefined ? 'already_deleted' : 'deleted';
  return {
    deleted: { documentId, state, ...removed, cancelled: stopped.map(({ job }) => job) },
    stopped,
    event,
    jobs,
    rawPath: known.raw_path,
    userId: known.user_id,
  };
}

async function recordDeletion(
  trx: Trx,
  { clock, ids }: PipelineDeps,
  subject: JobRow,
  removed: Record<string, number>,
): Promise<JobEventRow> {
  return appendEvent(trx, { code: 'DOCUMENT_DELETED', eventId: ids.uuid(), at: clock.now(), subject, data: removed });
}

/** The markdown is looked for whether or not a job recorded it: one that was stopped at its last step may have written it. */
async function removeFiles(
  { storage }: PipelineDeps,
  documentId: string,
  rawPath: string,
  userId: string,
): Promise<void> {
  const parsed = storageUri({ bucket: 'parsed', userId, documentId, ext: 'md' });
  try {
    for (const uri of [rawPath, parsed]) await storage.remove(uri);
  } catch (error) {
    throw new TvdbError('E104', {
      message: `The stored files of document ${shortId(documentId)} cannot be removed`,
      why: `${error instanceof Error ? error.message : String(error)}; the store holds nothing of it any more`,
      commands: [`tvdb delete ${documentId} --yes`],
      facts: { document_id: documentId },
      cause: error,
    });
  }
}
