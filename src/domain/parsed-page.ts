/** One page of a parse. */

/** 1-based; a page the service could not read carries its reason instead of text. */
export type ParsedPage = { number: number; markdown: string } | { number: number; error: string };
