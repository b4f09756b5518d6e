/** Whether money may be spent: the one rule that upload, retry, search, smoke and serve ask. Pure: it neither asks nor spends. */

/**
 * Who agreed. `not_needed`: nothing is paid; `earlier`: when the jobs were made or last taken up; `auto`: small enough to go
 * without asking; `answer`: a person at a terminal.
 */
export type ConsentGiver = 'not_needed' | 'earlier' | 'auto' | '--max-cost' | '--yes' | 'answer';

export interface ConsentQuestion {
  /** Nano-USD it may cost at most. */
  readonly mostNanoUsd: number;
  /** Sums up to this go without asking (COST_AUTO_APPROVE_USD). */
  readonly autoNanoUsd: number;
  /** `--max-cost`: a cap of the run, and consent up to it. */
  readonly maxCost: number | undefined;
  readonly yes: boolean;
  /** In CI every runner has a ledger of its own, so that a daily limit means nothing: only a cap of the run does. */
  readonly ci: boolean;
  /** Whether a person can be asked. */
  readonly interactive: boolean;
}

export type ConsentVerdict =
  | { readonly state: 'given'; readonly by: Exclude<ConsentGiver, 'answer' | 'earlier'> }
  | { readonly state: 'ask' }
  /** `ci`: only `--max-cost` counts there; `cannot_ask`: nobody is there to ask. */
  | { readonly state: 'missing'; readonly why: 'ci' | 'cannot_ask' };

/**
 * The consent matrix. It knows nothing of limits: what does not fit one is refused before, and no consent lifts it. Who
 * cannot be asked has not agreed, whatever stands on standard input.
 */
export function consentFor(question: ConsentQuestion): ConsentVerdict {
  const { mostNanoUsd, autoNanoUsd, maxCost, yes, ci, interactive } = question;
  if (mostNanoUsd === 0) return { state: 'given', by: 'not_needed' };
  if (maxCost !== undefined) return { state: 'given', by: '--max-cost' };
  if (ci) return { state: 'missing', why: 'ci' };
  if (mostNanoUsd <= autoNanoUsd) return { state: 'given', by: 'auto' };
  if (yes) return { state: 'given', by: '--yes' };
  return interactive ? { state: 'ask' } : { state: 'missing', why: 'cannot_ask' };
}

/**
 * What each of several jobs may spend under what was agreed for all of them: its own part, and with a cap a share of what
 * the cap leaves over, so that the parts never exceed the cap while they fit it. One job alone has the whole cap. Parts
 * that do not fit (deferred work) are kept, each at most the cap; the cap of the run then stops them.
 */
export function partsOfConsent(parts: readonly number[], cap: number | undefined): number[] {
  if (cap === undefined) return [...parts];
  const total = parts.reduce((sum, part) => sum + part, 0);
  if (total === 0 || total > cap) return parts.map((part) => Math.min(part, cap));
  return parts.map((part) => part + Math.floor((cap - total) * (part / total)));
}

/** One page in ten, at least one: so many a service may be asked for once more when they came back empty or failed. */
export function pagesAgain(pages: number): number {
  return Math.max(1, Math.ceil(pages / 10));
}
