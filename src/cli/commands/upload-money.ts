/** The money of an upload: foreseen before anything is accepted, refused where it does not fit, agreed to, and shared out. */
import { TvdbError } from '../../base/errors.ts';
import { partsOfConsent } from '../../domain/consent.ts';
import { formatUsd } from '../../domain/money.ts';
import type { Taken } from '../../pipeline/intake.ts';
import { cheaperWays, mayBePaid, planSpend, type SpendPlan, type SpendWish } from '../../pipeline/plan-spend.ts';
import type { JobMoney } from '../../pipeline/upload.ts';
import type { World } from '../../world.ts';
import type { CommandContext } from '../command.ts';
import { commandLine } from '../command-line.ts';
import { plural } from '../ui/format.ts';
import { budgetView, enough, obtainConsent } from './consent.ts';
import { foreseenMoney, jobMoney, NO_MONEY, refusalOf, type SpendMoney } from './foreseen-money.ts';

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

/** What an upload is foreseen to cost, and the refusal if it does not fit a limit. */
export interface Forecast {
  readonly money: SpendMoney;
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
  const costs = plan.documents.flatMap(({ cost }) => (cost === null ? [] : [cost]));
  const money = foreseenMoney({ ...plan, costs }, budget, maxCost);
  const refused = refusalOf(plan, maxCost, wish.runId);
  return { money, plan, refusal: refused && (await explained(refused, plan, request, wish, world)) };
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
  // Several may fit one after the other; one that is more than the whole limit would wait for good.
  const isNever = plan.documents.length === 1 && Number(facts.asked_nano_usd) > Number(facts.cap_nano_usd ?? Infinity);
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
      ...(facts.source === 'flag' || isNever ? [] : [again('--mode', mode, '--defer')]),
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
): Promise<SpendMoney> {
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
    jobs.set(index, jobMoney(plan?.documents[next]?.cost ?? null, parts[next] ?? 0));
    next += 1;
  }
  return jobs;
}
