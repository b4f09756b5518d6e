/** How large chunks are. */
import { TvdbError } from '../base/errors.ts';

/** Sizes in tokens. Part of the chunker's version: other sizes make other chunks with other ids. */
export interface ChunkOptions {
  /** Blocks are packed up to this. */
  targetTokens: number;
  /** No chunk is ever larger. */
  maxTokens: number;
  /** Repeated from the chunk before, within one section. */
  overlapTokens: number;
}

export const DEFAULT_CHUNK_OPTIONS: ChunkOptions = { targetTokens: 400, maxTokens: 800, overlapTokens: 40 };

/** The sizes as they are; throws E103 when they make no sense together. */
export function checkedChunkOptions(options: ChunkOptions): ChunkOptions {
  const { targetTokens, maxTokens, overlapTokens } = options;
  const whole = [targetTokens, maxTokens, overlapTokens].every(Number.isSafeInteger);
  if (
    whole &&
    targetTokens >= 32 &&
    maxTokens >= targetTokens &&
    overlapTokens >= 0 &&
    overlapTokens * 2 <= targetTokens
  ) {
    return options;
  }
  throw new TvdbError('E103', {
    message: `Chunk sizes target ${targetTokens}, maximum ${maxTokens}, overlap ${overlapTokens} cannot be used`,
    fix: 'Use whole numbers: a target of 32 or more, a maximum not below it, an overlap of at most half of it.',
    facts: { targetTokens, maxTokens, overlapTokens },
  });
}
