/** Checks of what the store says against what is there: stored files, chunks, vectors, buffers. */
import { sha256 } from '../../base/hash.ts';
import { shortId } from '../../base/ids.ts';
import { vectorSha } from '../../domain/vector.ts';
import { storedEntries } from '../../storage/inventory.ts';
import {
  documentsAfter,
  indexGaps,
  knownDocuments,
  sampleVectors,
  staleBuffers,
  vectorMismatches,
} from '../../store/check.ts';
import { clearBuffers } from '../../store/chunks.ts';
import type { Store } from '../../store/open.ts';
import { type Check, type CheckContext, type Finding, ok, onStore } from './check.ts';

const PAGE = 200;
const SAMPLE = 200;
/** An upload places its bytes before it makes the document; younger files may be of one that is under way. */
const SETTLED_MS = 3_600_000;

type DocumentFiles = Awaited<ReturnType<typeof documentsAfter>>[number];

/** Goes through all documents, page by page, and collects those for which `isBad`. */
async function badDocuments({ db }: Store, signal: AbortSignal, isBad: (document: DocumentFiles) => Promise<boolean>) {
  const bad: string[] = [];
  let seen = 0;
  for (
    let page = await documentsAfter(db, '', PAGE);
    page.length > 0;
    page = await documentsAfter(db, page.at(-1)?.document_id ?? '', PAGE)
  ) {
    for (const document of page) {
      signal.throwIfAborted();
      seen += 1;
      if (await isBad(document)) bad.push(document.document_id);
    }
  }
  return { bad, seen };
}

function some(ids: readonly string[]): string {
  return `${ids.slice(0, 3).map(shortId).join(', ')}${ids.length > 3 ? ', ...' : ''}`;
}

export const rawFiles: Check = (context) =>
  onStore(context, async (store) => {
    const { bad, seen } = await badDocuments(
      store,
      context.signal,
      async ({ raw_path, bytes_len }) => !(await context.storage.hasLength(raw_path, bytes_len)),
    );
    if (bad.length === 0) return ok(`${seen} documents`);
    return {
      status: 'fail',
      detail: `the bytes of ${bad.length} of ${seen} documents are missing or cut short: ${some(bad)}`,
      why: 'they can be searched as far as they were processed, but not processed again',
      fix: { text: 'upload these files again', commands: [`tvdb status ${shortId(bad[0] ?? '')}`] },
    };
  });

export const parsedFiles: Check = (context) =>
  onStore(context, async (store) => {
    const { bad, seen } = await badDocuments(
      store,
      context.signal,
      async ({ parsed_path: uri, parsed_sha256: sha }) =>
        uri !== null && sha !== null && !(await context.storage.isWhole(uri, sha)),
    );
    if (bad.length === 0) return ok(`${seen} documents`);
    return {
      status: 'fail',
      detail: `the markdown of ${bad.length} of ${seen} documents is missing or changed: ${some(bad)}`,
      fix: { text: 'upload these files again with --force', commands: [`tvdb status ${shortId(bad[0] ?? '')}`] },
    };
  });

const REDO = 'upload these files again with --force';

export const content: Check = (context) =>
  onStore(context, async ({ db }) => {
    const wrong = await vectorMismatches(db);
    const [first] = wrong;
    if (first !== undefined) {
      const detail = `${wrong.length} documents have the wrong number of vectors: ${some(wrong.map(({ document_id: id }) => id))}`;
      const why = `${shortId(first.document_id)} has ${first.vectors} of ${first.chunks} in ${first.space}`;
      return {
        status: 'fail',
        detail,
        why,
        fix: { text: REDO, commands: [`tvdb status ${shortId(first.document_id)}`] },
      };
    }
    const { chunks, bits, vectors } = await indexGaps(db);
    if (chunks > 0 || bits > 0) {
      const detail = `${chunks} chunks have no vector, ${bits} vectors are not in the coarse index`;
      return { status: 'fail', detail, why: 'a search does not find them', fix: { text: REDO, commands: [] } };
    }
    const sample = await sampleVectors(db, SAMPLE);
    const changed = sample.filter((row) => !isAsWritten(row)).map(({ document_id: id }) => id);
    if (changed.length === 0) return ok(`${vectors} vectors, ${sample.length} of them compared with their hashes`);
    return {
      status: 'fail',
      detail: `${changed.length} of ${sample.length} vectors or chunks have changed: ${some([...new Set(changed)])}`,
      fix: { text: REDO, commands: [] },
    };
  });

function isAsWritten({
  vector,
  vector_sha: sha,
  dimensions,
  text,
  chunk_sha: chunkSha,
}: Awaited<ReturnType<typeof sampleVectors>>[number]): boolean {
  return (
    vector.length === dimensions * Float32Array.BYTES_PER_ELEMENT &&
    vectorSha(vector) === sha &&
    sha256(text) === chunkSha
  );
}

export const buffers: Check = (context) =>
  onStore(context, async ({ db }) => {
    const stale = await staleBuffers(db);
    if (stale.length === 0) return ok('none');
    return {
      status: 'warn',
      detail: `${stale.length} ended jobs have left buffers`,
      fix: { text: 'empty them', commands: ['tvdb doctor --fix'] },
      repair: {
        text: `empty the chunk and vector buffers of ${stale.length} ended jobs`,
        async apply({ openedStore }) {
          const again = await openedStore();
          for (const jobId of again === null ? [] : stale) {
            await again?.write(async (trx) => {
              // Looked up again under the write lock.
              if ((await staleBuffers(trx)).includes(jobId)) await clearBuffers(trx, jobId);
            });
          }
        },
      },
    };
  });

/** Removing a file cannot be undone, so `--fix` leaves these alone; a deletion the user asked for is finished by asking again. */
export const orphanFiles: Check = (context) => onStore(context, (store) => orphans(store, context));

async function orphans({ db }: Store, { storage, clock }: CheckContext): Promise<Finding> {
  const entries = await storedEntries(storage.root);
  const { present, deleted } = await knownDocuments(db, [
    ...new Set(entries.flatMap(({ documentId }) => documentId ?? [])),
  ]);
  const orphaned = entries.filter(({ documentId }) => documentId === null || !present.has(documentId));
  const unfinished = [
    ...new Set(
      orphaned.flatMap(({ documentId }) => (documentId !== null && deleted.has(documentId) ? [documentId] : [])),
    ),
  ];
  if (unfinished.length > 0) {
    return {
      status: 'fail',
      detail: `files of ${unfinished.length} deleted documents are left: ${some(unfinished)}`,
      why: 'the deletion was interrupted, or a worker wrote the markdown at that moment',
      fix: {
        text: 'delete them again',
        commands: [`tvdb delete ${unfinished.slice(0, 3).map(shortId).join(' ')} --yes`],
      },
    };
  }
  const strays = orphaned.filter(
    ({ documentId, modifiedAt }) => documentId === null || modifiedAt < clock.now() - SETTLED_MS,
  );
  const [first] = strays;
  const young = orphaned.length - strays.length;
  if (first === undefined && young > 0) {
    const known = entries.length - young;
    const detail = `${known} of ${entries.length} stored files have their document, ${young} younger than an hour have none`;
    // Beside known ones they are most likely of an upload that is under way.
    if (known > 0) return ok(detail);
    return {
      status: 'warn',
      detail,
      why: 'the store was emptied or replaced, or the first upload is under way',
      fix: { text: 'unless an upload is running, restore a backup of the home directory', commands: ['tvdb status'] },
    };
  }
  if (first === undefined) return ok(`${entries.length} stored files, each with its document`);
  return {
    status: 'warn',
    detail: `${strays.length} stored files belong to no document, ${first.path} for one`,
    why: 'an upload was killed before it was accepted, or the store is older than the files',
    fix: { text: 'remove them by hand if they are not needed', commands: [] },
  };
}
