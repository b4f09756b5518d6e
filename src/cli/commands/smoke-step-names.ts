/** The names of the steps of `smoke`, apart from the work, which start-up need not load. */

/** In the order they are shown; each needs those before it. */
export const SMOKE_STEPS = [
  'config',
  'upload',
  'parse',
  'chunk',
  'embed',
  'store',
  'search',
  'budget',
  'cleanup',
] as const;
