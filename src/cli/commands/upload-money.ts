/** The money of an upload: foreseen before anything is accepted, refused where it does not fit, agreed to, and shared out. */
import { TvdbError } from '../../base/errors.ts';
import { partsOfConsent } from '../../domain/consent.ts';
import { formatUsd } from '../../domain/money.ts';
import type { ServiceName } from '../../domain/service-mode.ts';
import type { Taken } from '../../pipeline/intake.ts';
import { cheaperWays, mayBePaid, planSpend, type SpendPlan, type SpendWish } from '../../pipeline/plan-spend.ts';
import type { JobMoney } from '../../pipeline/upload.ts';
import type { World } from '../../world.ts';
import type { CommandContext } from '../command.ts';
import { commandLine } from '../command-line.ts';
import { plural } from '../ui/format.ts';
import { type BudgetView, budgetView, type Consent, enough, obtainConsent } from './consent.ts';

export interface MoneyRequest {
  readonly maxCost: number | undefined;
  readonly yes: boolean;
  /** Accept what does not fit; each job is checked when its money is reserved. */
  readonly defer: boolean;
  readonly wait: boolean;
  readonly dryRun: boolean;
  /** As typed, to be pasted again. */
  readonly paths: readonly string[];
}

/** Nano-USD one service is foreseen to cost. */
export interface ServiceForecast {
  readonly likely: number;
  readonly ceiling: number;
  /** Documents whose part is remembered from before. */
  readonly cached: number;
}

export interface UploadMoney {
  readonly likelyNanoUsd: number;
  /** What is agreed to at most: some pages asked for once more included, and within `--max-cost` where that fits. */
  readonly mostNanoUsd: number;
  readonly services: Readonly<Record<ServiceName, ServiceForecast>>;
  /** `null` where nothing is paid. */
  readonly budget: BudgetView | null;
  readonly consent: Consent | null;
}

export const NO_MONEY: UploadMoney = {
  likelyNanoUsd: 0,
  mostNanoUsd: 0,
  services: { llamaparse: { likely: 0, ceiling: 0, cached: 0 }, openai: { likely: 0, ceiling: 0, cached: 0 } },
  budget: null,
  consent: { by: 'not_needed', limitNanoUsd: 0 },
};

/** What an upload is foreseen to cost, and the refusal if it does not fit a limit. */
export interface Forecast {
  readonly money: UploadMoney;
  readonly plan: SpendPlan | null;
  readonly refusal: TvdbError | null;
}

/** Foresees the cost of what was taken in. Sends nothing. Throws E203 where something would be paid and has no price. */
export async function forecastUpload(
  taken: readonly Taken[],
  request: MoneyRequest,
  wish: SpendWish,
  world: World,
  { clock }: CommandContext,
): Promise<Forecast> {
  const staged = taken.flatMap((one) => (one.state === 'ready' ? [one.document] : []));
  if (staged.length === 0 || !mayBePaid(wish.decision)) return { money: NO_MONEY, plan: null, refusal: null };
  const plan = await planSpend(world.pipeline, staged, wish);
  const { maxCost } = request;
  const budget = await budgetView(world, { runId: wish.runId, maxCost, now: clock.now() });
  const { likelyNanoUsd, ceilingNanoUsd } = plan.estimate;
  const money: UploadMoney = {
    likelyNanoUsd,
    mostNanoUsd:
      maxCost === undefined || ceilingNanoUsd > maxCost ? plan.mostNanoUsd : Math.min(plan.mostNanoUsd, maxCost),
    services: servicesOf(plan),
    budget,
    consent: null,
  };
  const over = maxCost !== undefined && ceilingNanoUsd > maxCost ? overCap(ceilingNanoUsd, maxCost, wish.runId) : null;
  const refused = over ?? plan.fit.refusal;
  return { money, plan, refusal: refused && (await explained(refused, plan, request, wish, world)) };
}

function servicesOf({ documents }: SpendPlan): UploadMoney['services'] {
  const sum = (of: 'parse' | 'embed'): ServiceForecast => {
    const costs = documents.flatMap(({ cost }) => (cost === null ? [] : [cost]));
    const parts = costs.flatMap((cost) => cost[of] ?? []);
    return {
      likely: parts.reduce((total, part) => total + part.likelyNanoUsd, 0),
      ceiling: parts.reduce((total, part) => total + part.ceilingNanoUsd, 0),
      cached: costs.filter((cost) => cost[`${of}By`] === 'cached').length,
    };
  };
  return { llamaparse: sum('parse'), openai: sum('embed') };
}

/** E201 for a `--max-cost` that is too small, with the facts that a hold would name. */
export function overCap(asked: number, cap: number, runId: string, spent = 0): TvdbError {
  return new TvdbError('E201', {
    message: `This could cost up to ${formatUsd(asked, 'up')}; only ${formatUsd(Math.max(0, cap - spent))} is left in this run`,
    why: `the limit ${formatUsd(cap)} for this run is from --max-cost`,
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

/** The refusal with what it is about, and what would fit instead. */
async function explained(
  refusal: TvdbError,
  plan: SpendPlan,
  request: MoneyRequest,
  wish: SpendWish,
  { pipeline }: World,
): Promise<TvdbError> {
  if (refusal.code !== 'E201') return refusal;
  const { facts } = refusal;
  const left = typeof facts.left_nano_usd === 'number' ? facts.left_nano_usd : 0;
  const ways = await cheaperWays(pipeline, plan, wish, left);
  const fresh = plan.documents.filter(({ cost }) => cost !== null);
  const pages = fresh.reduce((sum, { document }) => sum + document.pages, 0);
  const { tier, documents } = ways;
  const again = (...flags: string[]) => commandLine(['upload', ...request.paths, ...flags]);
  const fits =
    tier !== null
      ? `The ${tier.tier} tier would fit: at most ${formatUsd(tier.ceilingNanoUsd, 'up')}.`
      : documents > 0 && documents < plan.documents.length
        ? `The first ${documents} of the ${plural(plan.documents.length, 'document')} would fit.`
        : 'Fewer pages, a higher limit, or the mock, which is free, would fit.';
  const { mode } = wish.decision;
  return new TvdbError('E201', {
    message: `${refusal.message}; nothing was accepted, nothing was sent`,
    why: `${plural(fresh.length, 'document')}, ${plural(pages, 'page')}, ${pipeline.settings.LLAMAPARSE_TIER} tier; ${refusal.why ?? ''}`,
    fix: fits,
    commands: [
      ...(tier === null ? [] : [again('--mode', mode, '--tier', tier.tier)]),
      ...(facts.source === 'flag' ? [again('--mode', mode, '--max-cost', enough(plan.estimate.ceilingNanoUsd))] : []),
      ...(facts.source === 'flag' ? [] : [again('--mode', mode, '--defer')]),
      again('--mode', 'mock'),
    ],
    retry: refusal.retry,
    chargedNanoUsd: 0,
    facts: {
      ...facts,
      documents: fresh.length,
      pages,
      fits: { documents, tier: tier?.tier ?? null, tier_max_nano_usd: tier?.ceilingNanoUsd ?? null },
    },
  });
}

/** Whether a refusal stands for this request: deferred work waits for the next window instead. */
export function stands(refusal: TvdbError | null, { defer, wait }: MoneyRequest): refusal is TvdbError {
  return refusal !== null && !(refusal.code === 'E201' && (defer || !wait));
}

/** Asks for consent to what was foreseen. Throws E202. */
export async function consentToUpload(
  { money, plan }: Forecast,
  { maxCost, yes, paths }: MoneyRequest,
  { decision }: SpendWish,
  ctx: CommandContext,
): Promise<UploadMoney> {
  if (plan === null) return money;
  const again = commandLine(['upload', ...paths, '--mode', decision.mode]);
  const consent = await obtainConsent({ mostNanoUsd: plan.mostNanoUsd, maxCost, yes, again }, ctx);
  return { ...money, consent };
}

/** The money of each job, by index of the input. */
export function moneyOfJobs(taken: readonly Taken[], { plan }: Forecast, maxCost: number | undefined) {
  const jobs = new Map<number, JobMoney>();
  const parts =
    plan === null
      ? []
      : partsOfConsent(
          plan.documents.map((one) => one.mostNanoUsd),
          maxCost,
        );
  let next = 0;
  for (const [index, one] of taken.entries()) {
    if (one.state !== 'ready') continue;
    const cost = plan?.documents[next]?.cost ?? null;
    jobs.set(index, {
      consentNanoUsd: parts[next] ?? 0,
      estimate: {
        likely: cost?.likelyNanoUsd ?? 0,
        max: cost?.ceilingNanoUsd ?? 0,
        priceVersion: cost?.parse?.priceVersion ?? cost?.embed?.priceVersion ?? null,
      },
    });
    next += 1;
  }
  return jobs;
}

/** `estimate` and `consent` of `tvdb.upload/v1`. */
export function moneyPlanJson({ likelyNanoUsd, mostNanoUsd, consent }: UploadMoney): Record<string, unknown> {
  return {
    estimate: { likely_nano_usd: likelyNanoUsd, max_nano_usd: mostNanoUsd },
    consent: consent && { by: consent.by, limit_nano_usd: consent.limitNanoUsd },
  };
}

/** `0.0912`, rounded up, for lines of `key=value`. */
export function plainUsd(nano: number): string {
  return formatUsd(nano, 'up').replaceAll(/[$,]/g, '');
}
