/** What is known of the text of a document before it is worked on again: its chunks from an earlier time, and their vectors. */
import { sql } from 'kysely';
import type { Db } from './open.ts';

/** Chunks of a file, made from one parse with one chunker. */
export interface KnownText {
  userId: string;
  fileSha256: string;
  parserName: string;
  parserVersion: string;
  /** `markdown-simple@1`, as stored with chunks. */
  chunker: string;
  /** The space its vectors are to be in. */
  space: string;
}

/**
 * Tokens that would have to be embedded, and of how many chunks: those of all chunks without a remembered vector. `null`
 * when no chunks of this text are stored.
 */
export async function tokensToEmbed(db: Db, text: KnownText): Promise<{ chunks: number; tokens: number } | null> {
  const { rows } = await sql<{ all_chunks: number; chunks: number; tokens: number }>`
    SELECT COUNT(*) AS all_chunks, COALESCE(SUM(e.chunk_sha IS NULL), 0) AS chunks,
      COALESCE(SUM(CASE WHEN e.chunk_sha IS NULL THEN c.token_count END), 0) AS tokens
    FROM documents d
    JOIN parses p ON p.document_id = d.document_id AND p.parser_name = ${text.parserName}
      AND p.parser_version = ${text.parserVersion} AND p.origin = 'real'
    JOIN document_chunks c ON c.document_id = d.document_id AND c.parse_id = p.parse_id AND c.chunker = ${text.chunker}
    LEFT JOIN embedding_cache e ON e.embedding_space = ${text.space} AND e.chunk_sha = c.chunk_sha
    WHERE d.user_id = ${text.userId} AND d.file_sha256 = ${text.fileSha256}`.execute(db);
  const [row] = rows;
  return row === undefined || row.all_chunks === 0 ? null : { chunks: row.chunks, tokens: row.tokens };
}

/**
 * Tokens of the buffered chunks of a job that have neither a vector of `space` in its buffer nor one that was remembered
 * since `cachedSince`; a text that stands in several chunks counts for each.
 */
export async function bufferedTokensToEmbed(
  db: Db,
  { jobId, space, cachedSince }: { jobId: string; space: string; cachedSince: number },
): Promise<number> {
  const { rows } = await sql<{ tokens: number }>`
    SELECT COALESCE(SUM(c.token_count), 0) AS tokens FROM chunk_buffer c
    WHERE c.job_id = ${jobId}
      AND NOT EXISTS (SELECT 1 FROM vector_buffer v
        WHERE v.job_id = c.job_id AND v.chunk_id = c.chunk_id AND v.embedding_space = ${space})
      AND NOT EXISTS (SELECT 1 FROM embedding_cache e
        WHERE e.embedding_space = ${space} AND e.chunk_sha = c.chunk_sha AND e.made_at >= ${cachedSince})`.execute(db);
  return rows[0]?.tokens ?? 0;
}
