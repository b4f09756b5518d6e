/** The money of `retry`: foreseen for the work that will really be paid again, refused where it does not fit, and agreed to. */
import { TvdbError } from '../../base/errors.ts';
import { partsOfConsent } from '../../domain/consent.ts';
import { formatUsd } from '../../domain/money.ts';
import type { RetryPlan } from '../../pipeline/plan-retry.ts';
import type { JobMoney } from '../../pipeline/upload.ts';
import type { World } from '../../world.ts';
import type { CommandContext } from '../command.ts';
import { commandLine } from '../command-line.ts';
import { dim } from '../ui/text.ts';
import { budgetText, budgetView, type Consent, enough, obtainConsent, verdictOn } from './consent.ts';
import { foreseenMoney, jobMoney, moneyLines, NO_MONEY, refusalOf, type SpendMoney } from './foreseen-money.ts';

export interface RetryRequest {
  /** As typed; without any, everything there is. */
  readonly ids: readonly string[];
  readonly failed: boolean;
  readonly fallbacks: boolean;
  readonly wait: boolean;
  readonly yes: boolean;
  readonly maxCost: number | undefined;
}

/** What taking jobs up is foreseen to cost, and the refusal if that does not fit. */
export interface RetryForecast {
  readonly money: SpendMoney;
  readonly plan: RetryPlan;
  /** Whether all of it fits the limits and `--max-cost` now; what only goes into the queue need not. */
  readonly fits: boolean;
  readonly refusal: TvdbError | null;
}

/** Sets a plan against the limits. Throws what the plan throws (E203). */
export async function forecastRetry(
  plan: RetryPlan,
  request: RetryRequest,
  runId: string,
  world: World,
): Promise<RetryForecast> {
  const { maxCost } = request;
  if (plan.mostNanoUsd === 0) return { money: NO_MONEY, plan, fits: true, refusal: null };
  const budget = await budgetView(world, { runId, maxCost, now: world.clock.now() });
  const costs = plan.jobs.map(({ cost }) => cost);
  const money = foreseenMoney({ ...plan, costs }, budget, maxCost);
  // What was agreed to before is checked job by job, as `run` does it; so is what only goes into the queue.
  const misfit = refusalOf(plan, maxCost, runId);
  const refused = plan.agreed && maxCost === undefined ? null : misfit;
  const stands = refused !== null && !(refused.code === 'E201' && !request.wait);
  return { money, plan, fits: misfit === null, refusal: stands ? explained(refused, plan, request) : null };
}

function explained(refusal: TvdbError, { estimate }: RetryPlan, request: RetryRequest): TvdbError {
  if (refusal.code !== 'E201') return refusal;
  const again = (...flags: string[]) => `${againLine(request)} ${flags.join(' ')}`;
  const { message, why, retry, facts } = refusal;
  return new TvdbError('E201', {
    message: `${message}; nothing was taken up, nothing was sent`,
    ...(why !== undefined && { why }),
    fix: '',
    commands: [
      facts.source === 'flag' ? again('--max-cost', enough(estimate.ceilingNanoUsd)) : again('--no-wait'),
      'tvdb costs budget list',
    ],
    retry,
    chargedNanoUsd: 0,
    facts,
  });
}

/** Tells people what is about to be paid, and what the limits are. */
export function noteMoney({ money, fits }: RetryForecast, { ui, clock }: Pick<CommandContext, 'ui' | 'clock'>): void {
  const { budget, services, mostNanoUsd } = money;
  if (budget === null) return;
  ui.note((page) => {
    if (!ui.err.tty) return moneyLines(page, money, fits, ui.time(clock.now()));
    const parts = [
      ...(services.llamaparse.ceiling > 0 ? [`LlamaParse est ${formatUsd(services.llamaparse.likely, 'up')}`] : []),
      ...(services.openai.ceiling > 0 ? [`OpenAI est ${formatUsd(services.openai.likely, 'up')}`] : []),
      `at most ${formatUsd(mostNanoUsd, 'up')}`,
    ];
    page.field('Cost', parts.join('   '));
    page.field('Budget', budgetText(budget, fits));
    if (ui.ci) page.line(dim('  ledger: this machine only'));
  });
}

/** Whether consent to the money is there without a person being asked for it. */
export function goesUnasked(forecast: RetryForecast, request: RetryRequest, ctx: CommandContext): boolean {
  return verdictOn(askOf(forecast, request), ctx).state === 'given';
}

/** Asks for consent to what was foreseen. Throws E202. */
export async function consentToRetry(
  forecast: RetryForecast,
  request: RetryRequest,
  ctx: CommandContext,
): Promise<SpendMoney> {
  const { money, plan } = forecast;
  const ask = askOf(forecast, request);
  const given = await obtainConsent({ ...ask, again: againLine(request) }, ctx);
  const isEarlier = given.by === 'not_needed' && plan.mostNanoUsd > 0;
  const consent: Consent = isEarlier ? { by: 'earlier', limitNanoUsd: plan.mostNanoUsd } : given;
  return { ...money, consent };
}

function askOf({ plan }: RetryForecast, { maxCost, yes }: RetryRequest) {
  return { mostNanoUsd: plan.agreed && maxCost === undefined ? 0 : plan.mostNanoUsd, maxCost, yes };
}

/** The money agreed to for each job, by its id; none where nothing new was agreed to. */
export function moneyOfRetry({ plan }: RetryForecast, { maxCost }: RetryRequest): ReadonlyMap<string, JobMoney> {
  if (plan.agreed && maxCost === undefined) return new Map();
  const parts = partsOfConsent(
    plan.jobs.map((one) => one.mostNanoUsd),
    maxCost,
  );
  return new Map(plan.jobs.map(({ jobId, cost }, index) => [jobId, jobMoney(cost, parts[index] ?? 0)]));
}

/** The command again, without `--max-cost`, as a script may paste it: without ids it takes everything, which wants a yes. */
function againLine({ ids, failed, fallbacks, yes }: RetryRequest): string {
  const flags = [...(failed ? ['--failed'] : []), ...(fallbacks ? ['--fallbacks'] : [])];
  return commandLine(['retry', ...flags, ...ids, ...(yes || ids.length === 0 ? ['--yes'] : [])]);
}
