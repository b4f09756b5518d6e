/** `parse_validated` and `chunking`: cuts the markdown into chunks and fills the job's buffer. */

import { chunkId } from '../base/derived-ids.ts';
import { TvdbError } from '../base/errors.ts';
import { reach } from '../base/fault.ts';
import { sha256 } from '../base/hash.ts';
import type { Settings } from '../config/variables.ts';
import { CHUNKER_NAME, type Chunk, type ChunkOptions, chunkerVersion, chunks as chunksOf } from '../domain/chunker.ts';
import { loadTokenizer } from '../domain/tokens.ts';
import { putChunkBuffer } from '../store/chunks.ts';
import { parseById } from '../store/parses.ts';
import type { Stage } from './stage.ts';
import { withProgress } from './stage.ts';
import { validatedText } from './validate-parse.ts';

/** The chunk options in force. */
export function chunkOptions(settings: Settings): ChunkOptions {
  return {
    targetTokens: settings.CHUNK_TARGET_TOKENS,
    maxTokens: settings.CHUNK_MAX_TOKENS,
    overlapTokens: settings.CHUNK_OVERLAP_TOKENS,
  };
}

/** `markdown-simple@1`: the key under which chunks made with these options are stored. */
export function chunkerKey(options: ChunkOptions): string {
  return `${CHUNKER_NAME}@${chunkerVersion(options)}`;
}

/** Chunks cut between two turns of the event loop: about 10 ms of work. */
const CHUNKS_BETWEEN_BREATHS = 20;

export const startChunking: Stage = async () => ({ kind: 'move', to: 'chunking', event: { code: 'CHUNKING_STARTED' } });

export const chunkMarkdown: Stage = async (job, { store, settings }) => {
  const parse = job.parse_id === null ? undefined : await parseById(store.db, job.parse_id);
  if (parse === undefined) throw new TvdbError('E416', { message: 'The validated markdown of this document is gone' });
  const options = chunkOptions(settings);
  const version = chunkerVersion(options);
  const tokenizer = await loadTokenizer();
  const cut: Chunk[] = [];
  const { markdown, pageStarts } = validatedText(parse);
  for await (const one of chunksOf(markdown, pageStarts, options, tokenizer)) {
    cut.push(one);
    // Heartbeats and the answers of services must not wait for a long document.
    if (cut.length % CHUNKS_BETWEEN_BREATHS === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  const chunks = cut.map((one) => ({
    ...one,
    chunkId: chunkId(parse.parse_id, CHUNKER_NAME, version, one.ord),
    chunkSha: sha256(one.text),
  }));
  if (chunks.length === 0) throw new TvdbError('E416', { message: 'The document gave no chunks' });
  const tokens = chunks.reduce((sum, one) => sum + one.tokenCount, 0);
  const key = chunkerKey(options);
  return {
    kind: 'move',
    to: 'chunks_stored',
    event: { code: 'CHUNK_COMMITTED', data: { chunks: chunks.length, tokens, chunker: key } },
    set: {
      chunks_version: key,
      progress: withProgress(job, { chunks_total: chunks.length, chunks_done: chunks.length }),
    },
    write: async (trx) => {
      await putChunkBuffer(trx, job.job_id, key, chunks);
      reach('chunk.buffering');
    },
  };
};
