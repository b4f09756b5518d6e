/** One chunk as a line of an export. */
import { jsonText } from '../../base/json-text.ts';
import { decodeVector } from '../../domain/vector.ts';
import type { ExportedChunk } from '../../store/export-chunks.ts';

/** Decimal digits that name every Float32 and no other. Twice as short as the digits of the nearest double. */
const FLOAT32_DIGITS = 9;

/** One line of JSON with its newline; with the vector unless it is not wanted. Reading it as Float32 gives the stored bits. */
export function exportLine(chunk: ExportedChunk, withVector: boolean): string {
  const record = {
    document_id: chunk.document_id,
    path: chunk.source_path,
    filename: chunk.filename,
    superseded_by: chunk.superseded_by,
    chunk_id: chunk.chunk_id,
    chunk: chunk.chunk_ord,
    page: chunk.page_from,
    page_to: chunk.page_to,
    heading_path: JSON.parse(chunk.heading_path) as string[],
    text: chunk.text,
    token_count: chunk.token_count,
    origin: { parse: chunk.parse_origin, embed: chunk.embed_origin },
    embedding_space: chunk.space,
    dims: chunk.dimensions,
    ...(withVector && {
      vector: Array.from(decodeVector(chunk.vector), (value) => Number(value.toPrecision(FLOAT32_DIGITS))),
    }),
  };
  return `${jsonText(record)}\n`;
}
