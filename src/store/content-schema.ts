/** The tables that hold what was made of documents: parses, chunks, vectors. */
import type { Generated } from 'kysely';
import type { Origin } from '../domain/service-mode.ts';

/** JSON kept as text; written and read through the functions of the store file that owns the table. */
type Json = string;

/** The result of a parse, page by page, before and after validation. */
export interface ParsesTable {
  parse_id: string;
  document_id: string;
  parser_name: string;
  parser_version: string;
  origin: Origin;
  /** JSON array of `{ number, markdown }` or `{ number, error }`. */
  pages: Json;
  /** Normalised markdown of all pages; `null` until validated. */
  markdown: string | null;
  /** JSON array of `{ number, start }`: where each page begins in `markdown`. */
  page_starts: Json | null;
  markdown_sha256: string | null;
  created_at: number;
  /** JSON array of page numbers accepted although they failed, came empty or were cut; `null` when all are whole. */
  incomplete_pages: Json | null;
}

interface ChunkColumns {
  chunk_id: string;
  chunk_ord: number;
  chunker: string;
  text: string;
  chunk_sha: string;
  page_from: number;
  page_to: number;
  /** JSON array of heading texts, outermost first. */
  heading_path: Json;
  token_count: number;
}

/** Chunks of a job that is not complete yet. */
export interface ChunkBufferTable extends ChunkColumns {
  job_id: string;
}

/** Searchable chunks: one active set per document and embedding space. */
export interface DocumentChunksTable extends ChunkColumns {
  /** Row of `chunk_words` with its terms. */
  chunk_no: Generated<number>;
  document_id: string;
  parse_id: string;
  /** Who produced the text. */
  origin: Origin;
}

/** Terms of the searchable chunks, by `chunk_no`: to be matched, counted and deleted, never read back. */
export interface ChunkWordsTable {
  rowid: number;
  terms: string;
}

/** Vectors of a job that is not complete yet. */
export interface VectorBufferTable {
  job_id: string;
  chunk_id: string;
  embedding_space: string;
  origin: Origin;
  /** Float32, little-endian. */
  vector: Buffer;
  vector_sha: string;
}

export interface EmbeddingSpacesTable {
  space_id: Generated<number>;
  /** `provider/model/dimensions` */
  name: string;
  dimensions: number;
}

/** Searchable vectors. */
export interface VectorsTable {
  vector_id: Generated<number>;
  space_id: number;
  chunk_id: string;
  document_id: string;
  origin: Origin;
  /** Float32, little-endian. */
  vector: Buffer;
  vector_sha: string;
}

/** One sign bit per dimension: the coarse index of large spaces. Goes with its row of `vectors`. */
export interface VectorBitsTable {
  space_id: number;
  vector_id: number;
  bits: Buffer;
}
