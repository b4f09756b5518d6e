/** `embeddings_stored`: makes the document searchable, in one transaction; until then its previous version is. */
import { TvdbError } from '../base/errors.ts';
import { reach } from '../base/fault.ts';
import { addVectors, removeDocumentVectors } from '../search/vector-index.ts';
import { storageUri } from '../storage/local.ts';
import { bufferedVectors, clearBuffers, dropOrphanChunks, promoteChunks } from '../store/chunks.ts';
import { documentById, earlierVersions, isSearchable, markSuperseded, setParsed } from '../store/documents.ts';
import type { Trx } from '../store/open.ts';
import { parseById } from '../store/parses.ts';
import type { Stage } from './stage.ts';
import { progressOf } from './stage.ts';

export const finalize: Stage = async (job, { store, storage, ids }) => {
  const document = await documentById(store.db, job.document_id);
  const parse = job.parse_id === null ? undefined : await parseById(store.db, job.parse_id);
  const space = job.embedding_space;
  if (document === undefined || parse?.markdown == null || parse.markdown_sha256 === null || space === null) {
    throw new TvdbError('E417', { message: 'The document or its markdown is gone' });
  }
  const vectors = await bufferedVectors(store.db, job.job_id, space);
  const { chunks_total: chunks } = progressOf(job);
  const dimensions = (vectors[0]?.vector.length ?? 0) / Float32Array.BYTES_PER_ELEMENT;
  if (vectors.length !== chunks || dimensions === 0) {
    throw new TvdbError('E418', { message: `The document has ${chunks} chunks but ${vectors.length} vectors` });
  }
  const parsedUri = storageUri({ bucket: 'parsed', userId: job.user_id, documentId: document.document_id, ext: 'md' });
  await storage.write(parsedUri, parse.markdown, ids.uuid());
  reach('finalize.markdown_written');
  const superseded = job.keep_old === 1 ? [] : await earlierVersions(store.db, document);
  const parsed = { path: parsedUri, sha256: parse.markdown_sha256 };
  return {
    kind: 'move',
    to: 'complete',
    event: { code: 'FINALIZED', data: { chunks, vectors: vectors.length, space, superseded } },
    set: { parsed_path: parsedUri, last_error: null },
    // The user may have deleted the document while its text was being written.
    takeBack: async () => {
      if ((await documentById(store.db, document.document_id)) === undefined) await storage.remove(parsedUri);
    },
    write: async (trx) => {
      reach('finalize.before_promote');
      await removeDocumentVectors(trx, document.document_id, space);
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
      await dropOrphanChunks(trx, document.document_id);
      await retire(trx, superseded, space, document.document_id);
      await clearBuffers(trx, job.job_id);
      await setParsed(trx, document.document_id, parsed);
      reach('finalize.after_promote');
    },
  };
};

/** Takes earlier versions out of this space; one that is in no space any more is superseded. */
async function retire(trx: Trx, documentIds: readonly string[], space: string, by: string): Promise<void> {
  for (const documentId of documentIds) {
    await removeDocumentVectors(trx, documentId, space);
    await dropOrphanChunks(trx, documentId);
    if (!(await isSearchable(trx, documentId))) await markSuperseded(trx, [documentId], by);
  }
}
