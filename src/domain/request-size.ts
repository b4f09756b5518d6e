/**
 * How large embedding requests are made: at most as configured, smaller where the service found one too large (it counts
 * tokens a little differently than we do), and slowly larger again, because one refusal may have been about its texts.
 */
import { halve, type WaitingChunk } from './batch-plan.ts';

export interface RequestSize {
  /** Most texts in a request. */
  readonly maxTexts: number;
  /** Most tokens of all of them together. */
  readonly maxTokens: number;
}

export interface LearnedSize extends RequestSize {
  /** Full requests that were answered since the size last changed. */
  readonly answered: number;
  /** So many are waited for before the size grows; doubled when what had grown is refused. */
  readonly patience: number;
  /** It grew since the last refusal. */
  readonly grown: boolean;
}

/** A size grows by this part of what is configured. */
const STEP = 1 / 8;
const FIRST_PATIENCE = 8;
/** A refusal costs one request and no money: where every growth is refused, this many good ones stand against it. */
const MOST_PATIENCE = 512;

/** Nothing is learned yet: requests are as large as configured. */
export function asConfigured({ maxTexts, maxTokens }: RequestSize): LearnedSize {
  return { maxTexts, maxTokens, answered: 0, patience: FIRST_PATIENCE, grown: false };
}

/** After a request was refused as too large: one that it would have exceeded by half, though never below `leastTokens`. */
export function afterTooLarge(size: LearnedSize, refused: readonly WaitingChunk[], leastTokens: number): LearnedSize {
  const [smaller] = halve(refused) ?? [[]];
  const tokens = smaller.reduce((sum, chunk) => sum + chunk.tokens, 0);
  return {
    maxTexts: Math.max(1, Math.min(size.maxTexts, smaller.length)),
    maxTokens: Math.max(leastTokens, Math.min(size.maxTokens, tokens)),
    answered: 0,
    patience: size.grown ? Math.min(MOST_PATIENCE, size.patience * 2) : size.patience,
    grown: false,
  };
}

/** After a request that was as full as the size allows was answered: one step larger when enough of them were. */
export function afterFull(size: LearnedSize, configured: RequestSize): LearnedSize {
  const { maxTexts, maxTokens, answered, patience } = size;
  if (maxTexts === configured.maxTexts && maxTokens === configured.maxTokens) return size;
  if (answered + 1 < patience) return { ...size, answered: answered + 1 };
  const larger = (value: number, most: number) => Math.min(most, value + Math.max(1, Math.floor(most * STEP)));
  return {
    maxTexts: larger(maxTexts, configured.maxTexts),
    maxTokens: larger(maxTokens, configured.maxTokens),
    answered: 0,
    patience,
    grown: true,
  };
}
