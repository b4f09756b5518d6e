/** How a document is parsed: what changes the result and its price. */

export const PARSE_TIERS = ['fast', 'cost_effective', 'agentic', 'agentic_plus'] as const;
export type ParseTier = (typeof PARSE_TIERS)[number];

/** What to do with a parse that has failed, missing, empty or cut pages. */
export const INCOMPLETE_POLICIES = ['retry-failed-pages', 'fail', 'accept'] as const;

/** Fixed for a job at its upload; stored as JSON in `parse_options`. */
export interface ParseOptions {
  tier: ParseTier;
  /** Dated version of the tier: `latest` would change under us (44 versions of one tier in nine months). */
  version: string;
}

/** The versions this build was made for, as the service named them in 2026-09. */
export const TIER_VERSIONS: Readonly<Record<ParseTier, string>> = {
  fast: '2026-06-15',
  cost_effective: '2026-08-19',
  agentic: '2026-09-07',
  agentic_plus: '2026-08-19',
};
