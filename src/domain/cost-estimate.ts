/** What a document will cost before it is known: a likely figure and a ceiling, from its pages. */
import type { ChunkOptions } from './chunk-options.ts';
import { add, costOf } from './money.ts';
import type { UnitPrice } from './price-book.ts';

/**
 * LlamaParse keeps 64 KB of the text of a page and drops the rest. Every token of cl100k_base stands for at least one
 * byte, so a page has at most as many tokens as bytes. Ordinary text has a token for each 4 bytes; no document comes near.
 */
const MOST_TOKENS_A_PAGE = 65_536;
/** A full page of prose has some 3,000 characters; tables and lists have fewer characters, but more tokens for them. */
const LIKELY_TOKENS_A_PAGE = 700;

/** The cost of one kind of work: `units` × `unitPrice` is the ceiling. */
export interface WorkEstimate {
  /** Pages or tokens, at most. */
  readonly units: number;
  readonly unitPrice: number;
  readonly priceVersion: string;
  readonly ceilingNanoUsd: number;
  /** Never more than the ceiling. */
  readonly likelyNanoUsd: number;
}

export interface DocumentEstimate {
  readonly pages: number;
  /** `null` where nothing is paid for: the mock does it, or a cache has it. */
  readonly parse: WorkEstimate | null;
  readonly embed: WorkEstimate | null;
  readonly ceilingNanoUsd: number;
  readonly likelyNanoUsd: number;
}

/** Parsing: every walked page at the price of the tier. The request carries the same number as its most pages. */
export function parseEstimate(pages: number, price: UnitPrice): WorkEstimate {
  const cost = costOf(pages, price.nanoUsd);
  return { ...work(pages, price), ceilingNanoUsd: cost, likelyNanoUsd: cost };
}

/**
 * Embedding of text that is not there yet. The ceiling adds to the most tokens of the pages what chunks repeat of each
 * other: two neighbours together exceed the target (else they would be one), so that overlap is at most
 * 2 × overlap ÷ (target − overlap) of the rest. It serves consent and the first check; the hold is made for counted tokens.
 */
export function embedEstimate(
  pages: number,
  price: UnitPrice,
  { targetTokens, overlapTokens }: Pick<ChunkOptions, 'targetTokens' | 'overlapTokens'>,
): WorkEstimate {
  const most = Math.ceil((MOST_TOKENS_A_PAGE * (targetTokens + overlapTokens)) / (targetTokens - overlapTokens));
  const likely = Math.ceil((LIKELY_TOKENS_A_PAGE * (targetTokens + overlapTokens)) / targetTokens);
  return {
    ...work(pages * most, price),
    ceilingNanoUsd: costOf(pages, costOf(most, price.nanoUsd)),
    likelyNanoUsd: costOf(pages, costOf(likely, price.nanoUsd)),
  };
}

/** Embedding of tokens that were counted: exact. */
export function tokensEstimate(tokens: number, price: UnitPrice): WorkEstimate {
  const cost = costOf(tokens, price.nanoUsd);
  return { ...work(tokens, price), ceilingNanoUsd: cost, likelyNanoUsd: cost };
}

/** Both kinds of work on a document together. */
export function documentEstimate(
  pages: number,
  { parse, embed }: Pick<DocumentEstimate, 'parse' | 'embed'>,
): DocumentEstimate {
  return {
    pages,
    parse,
    embed,
    ceilingNanoUsd: add(parse?.ceilingNanoUsd ?? 0, embed?.ceilingNanoUsd ?? 0),
    likelyNanoUsd: add(parse?.likelyNanoUsd ?? 0, embed?.likelyNanoUsd ?? 0),
  };
}

function work(units: number, price: UnitPrice) {
  return { units, unitPrice: price.nanoUsd, priceVersion: price.version };
}
