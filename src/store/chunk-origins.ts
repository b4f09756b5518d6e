/** Who made what a chunk comes from: the parse of its text, and whether a mock stood in for a real service. */
import { sql } from 'kysely';
import type { Origin } from '../domain/service-mode.ts';
import type { Db } from './open.ts';

export interface ChunkOrigin {
  /** Who parsed its document; `null` when that is not recorded. */
  parseOrigin: Origin | null;
  /** The job that made it searchable in this space fell back. */
  fallback: boolean;
}

/** The origins of some chunks, by chunk id, as of the newest job that made them searchable in `space`. */
export async function chunkOrigins(
  db: Db,
  space: string,
  chunkIds: readonly string[],
): Promise<Map<string, ChunkOrigin>> {
  const { rows } = await sql<{ chunk_id: string; origin: Origin | null; fallback: number | null }>`
    SELECT c.chunk_id, p.origin, (
      SELECT j.fallback_triggered FROM upload_jobs j
      WHERE j.document_id = c.document_id AND j.parse_id = c.parse_id AND j.embedding_space = ${space}
        AND j.status = 'complete'
      ORDER BY j.processing_completed_at DESC LIMIT 1) AS fallback
    FROM document_chunks c LEFT JOIN parses p ON p.parse_id = c.parse_id
    WHERE c.chunk_id IN (SELECT value FROM json_each(${JSON.stringify(chunkIds)}))`.execute(db);
  return new Map(
    rows.map(({ chunk_id, origin, fallback }) => [chunk_id, { parseOrigin: origin, fallback: fallback === 1 }]),
  );
}
