/** Searchable chunks with their vectors, read a page at a time so that no export holds the store in memory. */
import { sql } from 'kysely';
import type { Origin } from '../domain/service-mode.ts';
import type { Db } from './open.ts';

/** Rows of one page: 200 vectors of 1536 dimensions are 1.2 MB. */
const PAGE = 200;

export interface ExportScope {
  /** Only these documents; absent means all. */
  documentIds?: readonly string[] | undefined;
  /** Name of the only embedding space wanted; absent means all. */
  space?: string | undefined;
}

export interface ExportedChunk {
  document_id: string;
  filename: string;
  source_path: string | null;
  superseded_by: string | null;
  chunk_id: string;
  chunk_ord: number;
  page_from: number;
  page_to: number;
  /** JSON array of heading texts. */
  heading_path: string;
  text: string;
  token_count: number;
  parse_origin: Origin;
  embed_origin: Origin;
  space: string;
  dimensions: number;
  /** Float32, little-endian. */
  vector: Buffer;
}

/**
 * Yields pages of chunks: document by document in the order they were uploaded, each by space and position. Every chunk
 * that is searchable from the first page to the last comes exactly once; documents that change meanwhile may be seen
 * in either state.
 */
export async function* exportPages(db: Db, scope: ExportScope): AsyncGenerator<ExportedChunk[]> {
  for await (const documentId of documents(db, scope.documentIds)) {
    let after = { space: '', ord: -1 };
    for (;;) {
      const rows = await page(db, documentId, after, scope.space);
      if (rows.length > 0) yield rows;
      const last = rows.at(-1);
      if (last === undefined || rows.length < PAGE) break;
      after = { space: last.space, ord: last.chunk_ord };
    }
  }
}

/** Ids of documents, oldest first, read in pages. */
async function* documents(db: Db, wanted: readonly string[] | undefined): AsyncGenerator<string> {
  let after = { at: -1, id: '' };
  for (;;) {
    const { rows } = await sql<{ document_id: string; created_at: number }>`
      SELECT document_id, created_at FROM documents
      WHERE (created_at, document_id) > (${after.at}, ${after.id})
      ${wanted === undefined ? sql`` : sql`AND document_id IN (SELECT value FROM json_each(${JSON.stringify(wanted)}))`}
      ORDER BY created_at, document_id LIMIT ${PAGE}`.execute(db);
    for (const { document_id } of rows) yield document_id;
    const last = rows.at(-1);
    if (last === undefined || rows.length < PAGE) return;
    after = { at: last.created_at, id: last.document_id };
  }
}

async function page(
  db: Db,
  documentId: string,
  after: { space: string; ord: number },
  space: string | undefined,
): Promise<ExportedChunk[]> {
  const { rows } = await sql<ExportedChunk>`
    SELECT d.document_id, d.filename, d.source_path, d.superseded_by, c.chunk_id, c.chunk_ord, c.page_from, c.page_to,
      c.heading_path, c.text, c.token_count, c.origin AS parse_origin, v.origin AS embed_origin, s.name AS space,
      s.dimensions, v.vector
    FROM vectors AS v
    JOIN embedding_spaces AS s ON s.space_id = v.space_id
    JOIN document_chunks AS c ON c.chunk_id = v.chunk_id
    JOIN documents AS d ON d.document_id = v.document_id
    WHERE v.document_id = ${documentId} AND (s.name, c.chunk_ord) > (${after.space}, ${after.ord})
    ${space === undefined ? sql`` : sql`AND s.name = ${space}`}
    ORDER BY s.name, c.chunk_ord LIMIT ${PAGE}`.execute(db);
  return rows;
}
