/** The plan of an upload before anything is accepted: what is to be done, what it is foreseen to cost, and the limits. */
import { formatUsd } from '../../domain/money.ts';
import type { Route, ServiceName } from '../../domain/service-mode.ts';
import type { Taken } from '../../pipeline/intake.ts';
import type { RouterDecision } from '../../services/router.ts';
import type { CommandContext } from '../command.ts';
import { bytes, plural } from '../ui/format.ts';
import { dim, strong, type Text, warn } from '../ui/text.ts';
import type { Page, Ui } from '../ui/ui.ts';
import { budgetText } from './consent.ts';
import { moneyLines, type SpendMoney } from './foreseen-money.ts';
import { routeReason } from './route-text.ts';
import type { Forecast } from './upload-money.ts';

/** Tells people and programs what is about to happen. */
export async function notePlan(
  taken: readonly Taken[],
  { money, refusal }: Forecast,
  decision: RouterDecision,
  { ui, config, clock }: CommandContext,
): Promise<void> {
  const ready = taken.flatMap((one) => (one.state === 'ready' ? [one.document] : []));
  const figures = {
    documents: ready.length,
    pages: ready.reduce((sum, one) => sum + one.pages, 0),
    bytes: ready.reduce((sum, one) => sum + one.staged.bytes, 0),
  };
  const { sourceText } = await import('../../config/load.ts');
  const { likelyNanoUsd: likely, mostNanoUsd: most } = money;
  const { llamaparse, openai } = decision.services;
  const { LLAMAPARSE_TIER: tier, OPENAI_EMBED_MODEL: model } = config.settings;
  const how = { parse: llamaparse.use, embed: openai.use, tier: llamaparse.use === 'real' ? tier : null };
  ui.event('plan', { ...figures, mode: decision.mode, ...how, likely_nano_usd: likely, max_nano_usd: most });
  ui.note((page) =>
    planNote(
      page,
      {
        ...figures,
        decision,
        tier,
        model,
        modeSource: sourceText(config.sources.SERVICE_MODE.source),
        money,
        fits: refusal === null,
      },
      ui,
      clock.now(),
    ),
  );
}

interface PlanFigures {
  readonly documents: number;
  readonly pages: number;
  readonly bytes: number;
  readonly decision: RouterDecision;
  /** Of LlamaParse, where it is used. */
  readonly tier: string;
  /** Of OpenAI, where it is used. */
  readonly model: string;
  /** As people read it: `default`, `--mode`, a file. */
  readonly modeSource: string;
  readonly money: SpendMoney;
  /** The ceiling is within every limit. */
  readonly fits: boolean;
}

/** What is about to happen: a block on a terminal, lines elsewhere. */
function planNote(page: Page, plan: PlanFigures, ui: Pick<Ui, 'err' | 'time'>, now: number): void {
  const { mode, services } = plan.decision;
  const { likelyNanoUsd: likely, mostNanoUsd: most, services: costs, budget } = plan.money;
  if (!ui.err.tty) {
    page.line(`${ui.time(now)} plan   docs=${plan.documents} pages=${plan.pages} bytes=${plan.bytes} mode=${mode}`);
    // Lines of their own: in one they would be wider than 80 columns, and a log line that wraps cannot be searched.
    const tier = services.llamaparse.use === 'real' ? ` tier=${plan.tier}` : '';
    page.line(
      `${ui.time(now)} route  parse=${routeWord(services.llamaparse)}${tier} embed=${routeWord(services.openai)}`,
    );
    moneyLines(page, plan.money, plan.fits, ui.time(now));
    return;
  }
  const size = `${plural(plan.documents, 'document')}, ${plural(plan.pages, 'page')}, ${bytes(plan.bytes)}`;
  page.field('Plan', strong(size), `   mode ${mode} `, dim(`(${plan.modeSource})`));
  const nameOf = ({ use, fallback }: Route, name: string) =>
    budget === null || fallback ? '' : (use === 'real' ? name : '').padEnd(32);
  const names = {
    llamaparse: nameOf(services.llamaparse, `LlamaParse ${plan.tier}`),
    openai: nameOf(services.openai, `OpenAI ${plan.model}`),
  };
  for (const [step, service] of [['parse', 'llamaparse'] as const, ['embed', 'openai'] as const]) {
    const route = [routeText(services[service], service), '   ', names[service]];
    page.line(`  ${step}   `, route, forecastText(costs[service]));
  }
  if (budget === null) return;
  page.line('  total   ', ' '.repeat(41), `est ${formatUsd(likely, 'up')}   at most ${formatUsd(most, 'up')}`);
  page.field('Budget', budgetText(budget, plan.fits));
}

function forecastText({ likely, cached }: SpendMoney['services']['openai']): Text {
  return [`est ${formatUsd(likely, 'up')}`, cached === 0 ? '' : dim(`   ${plural(cached, 'document')} from the cache`)];
}

/** `real`, `mock`, or `MOCK(key_missing)` for a stand-in. */
function routeWord({ use, why, fallback }: Route): string {
  return fallback ? `${(use ?? 'none').toUpperCase()}(${why})` : (use ?? 'none');
}

function routeText(route: Route, service: ServiceName): Text {
  if (!route.fallback) return (route.use ?? 'none').padEnd(6);
  return warn(`${(route.use ?? 'none').toUpperCase()} (fallback: ${routeReason(route, service)})`);
}
