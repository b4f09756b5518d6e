/** One page of a parse. */

/**
 * 1-based; a page the service could not read carries its reason instead of text. `cut`: its text is as long as the
 * service keeps of a page, so that the rest is probably lost.
 */
export type ParsedPage = { number: number; markdown: string; cut?: true } | { number: number; error: string };
