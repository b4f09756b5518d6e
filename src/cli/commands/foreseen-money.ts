/** What work is foreseen to cost and what is agreed to, whichever command does it: said on a terminal, in a pipe and in JSON. */
import { TvdbError } from '../../base/errors.ts';
import { formatUsd } from '../../domain/money.ts';
import type { ServiceName } from '../../domain/service-mode.ts';
import { RAISE_CAP } from '../../ledger/budget-state.ts';
import type { Fit } from '../../ledger/headroom.ts';
import type { PlannedCost } from '../../pipeline/estimate-upload.ts';
import type { JobMoney } from '../../pipeline/upload.ts';
import type { Page } from '../ui/ui.ts';
import { type BudgetView, budgetFields, type Consent } from './consent.ts';

/** Nano-USD one service is foreseen to cost. */
export interface ServiceForecast {
  readonly likely: number;
  readonly ceiling: number;
  /** Documents whose part is remembered from before. */
  readonly cached: number;
}

export interface SpendMoney {
  readonly likelyNanoUsd: number;
  /** What is agreed to at most: some pages asked for once more included, and within `--max-cost` where that fits. */
  readonly mostNanoUsd: number;
  readonly services: Readonly<Record<ServiceName, ServiceForecast>>;
  /** `null` where nothing is paid. */
  readonly budget: BudgetView | null;
  readonly consent: Consent | null;
}

export const NO_MONEY: SpendMoney = {
  likelyNanoUsd: 0,
  mostNanoUsd: 0,
  services: { llamaparse: { likely: 0, ceiling: 0, cached: 0 }, openai: { likely: 0, ceiling: 0, cached: 0 } },
  budget: null,
  consent: { by: 'not_needed', limitNanoUsd: 0 },
};

/** What is foreseen, whoever foresaw it. */
export interface Foreseen {
  readonly costs: readonly PlannedCost[];
  readonly estimate: { readonly likelyNanoUsd: number; readonly ceilingNanoUsd: number };
  readonly mostNanoUsd: number;
}

/** The money of foreseen work before anybody is asked. */
export function foreseenMoney(
  { costs, estimate, mostNanoUsd }: Foreseen,
  budget: BudgetView,
  maxCost: number | undefined,
): SpendMoney {
  const { likelyNanoUsd, ceilingNanoUsd } = estimate;
  const isCapped = maxCost !== undefined && ceilingNanoUsd <= maxCost;
  return {
    likelyNanoUsd,
    mostNanoUsd: isCapped ? Math.min(mostNanoUsd, maxCost) : mostNanoUsd,
    services: { llamaparse: sumOf('parse', costs), openai: sumOf('embed', costs) },
    budget,
    consent: null,
  };
}

function sumOf(of: 'parse' | 'embed', costs: readonly PlannedCost[]): ServiceForecast {
  const parts = costs.flatMap((cost) => cost[of] ?? []);
  return {
    likely: parts.reduce((total, part) => total + part.likelyNanoUsd, 0),
    ceiling: parts.reduce((total, part) => total + part.ceilingNanoUsd, 0),
    cached: costs.filter((cost) => cost[`${of}By`] === 'cached').length,
  };
}

/** The money of a job that is about to be made. */
export function jobMoney(cost: PlannedCost | null, consentNanoUsd: number): JobMoney {
  return {
    consentNanoUsd,
    estimate: {
      likely: cost?.likelyNanoUsd ?? 0,
      max: cost?.ceilingNanoUsd ?? 0,
      priceVersion: cost?.parse?.priceVersion ?? cost?.embed?.priceVersion ?? null,
    },
  };
}

/** Why foreseen work may not be begun: `--max-cost` is too small for it, or a limit has too little left. */
export function refusalOf(
  { estimate: { ceilingNanoUsd: ceiling }, fit }: Pick<Foreseen, 'estimate'> & { readonly fit: Fit },
  maxCost: number | undefined,
  runId: string,
): TvdbError | null {
  return maxCost !== undefined && ceiling > maxCost ? overCap(ceiling, maxCost, runId) : fit.refusal;
}

/** E201 for a `--max-cost` that is too small, with the facts that a hold would name. */
export function overCap(asked: number, cap: number, runId: string, spent = 0): TvdbError {
  return new TvdbError('E201', {
    message: `This could cost up to ${formatUsd(asked, 'up')}; only ${formatUsd(Math.max(0, cap - spent))} is left in this run`,
    why: `the limit ${formatUsd(cap)} for this run is from --max-cost`,
    fix: RAISE_CAP,
    chargedNanoUsd: 0,
    facts: {
      error: 'CostLimitExceeded',
      scope: 'run',
      scope_value: runId,
      window: 'run',
      source: 'flag',
      cap_nano_usd: cap,
      spent_nano_usd: spent,
      held_nano_usd: 0,
      asked_nano_usd: asked,
      left_nano_usd: Math.max(0, cap - spent),
      resets_at: null,
    },
  });
}

/** Estimate and limits as lines of a log, none of them wider than 80 columns: a log line that wraps cannot be searched. */
export function moneyLines(
  page: Page,
  { likelyNanoUsd, mostNanoUsd, budget }: SpendMoney,
  fits: boolean,
  time: string,
): void {
  page.line(`${time} cost   est_usd=${plainUsd(likelyNanoUsd)} max_usd=${plainUsd(mostNanoUsd)}`);
  if (budget !== null) page.line(`${time} budget ${budgetFields(budget, fits)}`);
}

/** `estimate` and `consent` of an answer. */
export function moneyPlanJson({ likelyNanoUsd, mostNanoUsd, consent }: SpendMoney): Record<string, unknown> {
  return {
    estimate: { likely_nano_usd: likelyNanoUsd, max_nano_usd: mostNanoUsd },
    consent: consent && { by: consent.by, limit_nano_usd: consent.limitNanoUsd },
  };
}

/** `0.0912`, rounded up, for lines of `key=value`. */
function plainUsd(nano: number): string {
  return formatUsd(nano, 'up').replaceAll(/[$,]/g, '');
}
