/** `embeddings_stored`: makes the document searchable, in one transaction; until then its previous version is. */
import { TvdbError } from '../base/errors.ts';
import { reach } from '../base/fault.ts';
import { addVectors, removeDocumentVectors } from '../search/vector-index.ts';
import { storageUri } from '../storage/local.ts';
import { bufferedVectors, clearBuffers, dropOrphanChunks, promoteChunks } from '../store/chunks.ts';
import { documentById, isSearchable, markSuperseded, setParsed, versionsOf } from '../store/documents.ts';
import { jobById, newestCompleteJob } from '../store/jobs/find.ts';
import type { Trx } from '../store/open.ts';
import { parseById } from '../store/parses.ts';
import type { DocumentRow, JobRow } from '../store/schema.ts';
import type { Stage } from './stage.ts';
import { progressOf } from './stage.ts';
import { validatedText } from './validate-parse.ts';

export const finalize: Stage = async (job, { store, storage, ids }) => {
  const document = await documentById(store.db, job.document_id);
  const parse = job.parse_id === null ? undefined : await parseById(store.db, job.parse_id);
  const space = job.embedding_space;
  if (document === undefined || parse === undefined || space === null) {
    throw new TvdbError('E417', { message: 'The document or its parse is gone' });
  }
  const vectors = await bufferedVectors(store.db, job.job_id, space);
  const { chunks_total: chunks } = progressOf(job);
  const dimensions = (vectors[0]?.vector.length ?? 0) / Float32Array.BYTES_PER_ELEMENT;
  if (vectors.length !== chunks || dimensions === 0) {
    throw new TvdbError('E418', { message: `The document has ${chunks} chunks but ${vectors.length} vectors` });
  }
  const parsedUri = storageUri({ bucket: 'parsed', userId: job.user_id, documentId: document.document_id, ext: 'md' });
  const { markdown, sha256 } = validatedText(parse);
  await storage.write(parsedUri, markdown, ids.uuid());
  reach('finalize.markdown_written');
  let superseded: string[] = [];
  let newer: string | undefined;
  return {
    kind: 'move',
    to: 'complete',
    event: { code: 'FINALIZED', data: { chunks, vectors: vectors.length, space } },
    set: { parsed_path: parsedUri, parsed_sha256: sha256, last_error: null },
    // The user may have deleted the document while its text was being written.
    takeBack: async () => {
      if ((await documentById(store.db, document.document_id)) === undefined) await storage.remove(parsedUri);
    },
    found: () => ({ superseded, superseded_by: newer ?? null }),
    write: async (trx) => {
      reach('finalize.before_promote');
      await removeDocumentVectors(trx, document.document_id, space);
      newer = await newerVersion(trx, document, space);
      if (newer === undefined) {
        await promoteChunks(trx, {
          jobId: job.job_id,
          documentId: document.document_id,
          parseId: parse.parse_id,
          origin: parse.origin,
        });
        await addVectors(trx, {
          spaceName: space,
          dimensions,
          documentId: document.document_id,
          rows: vectors.map(({ chunk_id, vector, vector_sha, origin }) => ({
            chunkId: chunk_id,
            vector,
            vectorSha: vector_sha,
            origin,
          })),
        });
        await retireStandIn(trx, job, document, space);
        superseded = await retireOlder(trx, job, document, space);
      }
      await dropOrphanChunks(trx, document.document_id);
      await clearBuffers(trx, job.job_id);
      await setParsed(trx, document.document_id, { path: parsedUri, sha256, supersededBy: newer ?? null });
      reach('finalize.after_promote');
    },
  };
};

/** A newer version of the path that is searchable in this space already, and was not uploaded to stand beside this one. */
async function newerVersion(trx: Trx, document: DocumentRow, space: string): Promise<string | undefined> {
  for (const documentId of (await versionsOf(trx, document)).newer) {
    const keptOld = (await newestCompleteJob(trx, documentId))?.keep_old === 1;
    if (!keptOld && (await isSearchable(trx, documentId, { space }))) return documentId;
  }
  return undefined;
}

/** Takes the vectors of a stand-in out, once this job has made the real ones in their place. */
async function retireStandIn(trx: Trx, job: JobRow, document: DocumentRow, space: string): Promise<void> {
  if (job.upgrades_job === null) return;
  const replaced = await jobById(trx, job.upgrades_job);
  const standIn = replaced?.embedding_space ?? null;
  if (standIn !== null && standIn !== space) await removeDocumentVectors(trx, document.document_id, standIn);
}

/** Takes older versions of the path out of this space; one that is in no space any more is superseded. Returns them all. */
async function retireOlder(trx: Trx, job: JobRow, document: DocumentRow, space: string): Promise<string[]> {
  if (job.keep_old === 1) return [];
  const { older } = await versionsOf(trx, document);
  for (const documentId of older) {
    await removeDocumentVectors(trx, documentId, space);
    await dropOrphanChunks(trx, documentId);
    if (!(await isSearchable(trx, documentId))) await markSuperseded(trx, [documentId], document.document_id);
  }
  return older;
}
