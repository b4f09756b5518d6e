/** Cuts normalised markdown into chunks for embedding and search: `markdown-simple@1`. */
import { type ChunkOptions, checkedChunkOptions, DEFAULT_CHUNK_OPTIONS } from './chunk-options.ts';
import { packChunks } from './chunk-packer.ts';
import { UnitCutter } from './chunk-units.ts';
import type { PageStart } from './markdown.ts';
import { blocksOf } from './markdown-blocks.ts';
import type { Tokenizer } from './tokens.ts';

export interface Chunk {
  /** Position in the document, from 0. */
  ord: number;
  text: string;
  /** Pages of the text without the overlap. */
  pageFrom: number;
  pageTo: number;
  /** Titles of the headings above all of the text, outermost first. */
  headingPath: string[];
  /** Exact tokens of `text`, `cl100k_base`. */
  tokenCount: number;
}

export type { ChunkOptions };
export { DEFAULT_CHUNK_OPTIONS };

/** The name under which chunks and their ids are stored; `markdown-simple@1` with the version. */
export const CHUNKER_NAME = 'markdown-simple';

/** Bump it whenever any input makes other chunks than before: chunk ids and caches hang on it. */
const VERSION = '1';

/** The version of the chunker with these sizes: `1` for the defaults, else for example `1+t300m600o20`. */
export function chunkerVersion(options: ChunkOptions): string {
  const [sizes, usual] = [checkedChunkOptions(options), DEFAULT_CHUNK_OPTIONS].map(
    ({ targetTokens, maxTokens, overlapTokens }) => `t${targetTokens}m${maxTokens}o${overlapTokens}`,
  );
  return sizes === usual ? VERSION : `${VERSION}+${sizes}`;
}

/**
 * Cuts markdown into chunks. Same input, same chunks; every character that is not white space is in at least one; no
 * chunk is over `maxTokens`; nothing but white space gives no chunks. The packing rules are those of `packChunks`.
 *
 * A generator, because a large document takes longer than an event loop should stand still: reading the block structure
 * is one step (about 0.4 s per MB), then each chunk is made when it is asked for, in about a millisecond. The caller
 * lets other work in between. Throws E103 when the sizes make no sense.
 */
export async function* chunks(
  markdown: string,
  pageStarts: readonly PageStart[],
  options: ChunkOptions,
  tokens: Tokenizer,
): AsyncGenerator<Chunk, void> {
  const sizes = checkedChunkOptions(options);
  const count = (text: string) => tokens.count(text);
  const limits = { maxTokens: sizes.maxTokens, pieceTokens: sizes.targetTokens - sizes.overlapTokens };
  const cutter = new UnitCutter(markdown, pageStarts, limits, count);
  const blocks = await blocksOf(markdown);
  let ord = 0;
  for (const { text, tokenCount, start, end, headingPath } of packChunks(markdown, blocks, cutter, sizes, count)) {
    const pageFrom = cutter.pageAt(start);
    yield { ord, text, pageFrom, pageTo: cutter.pageAt(end - 1), headingPath, tokenCount };
    ord += 1;
  }
}

/** All chunks at once; see `chunks`. */
export async function chunk(
  markdown: string,
  pageStarts: readonly PageStart[],
  options: ChunkOptions,
  tokens: Tokenizer,
): Promise<Chunk[]> {
  const all: Chunk[] = [];
  for await (const one of chunks(markdown, pageStarts, options, tokens)) all.push(one);
  return all;
}
