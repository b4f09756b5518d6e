/** What an `upload` is about to do: a block on a terminal, one line elsewhere. */
import type { Route, ServiceName } from '../../domain/service-mode.ts';
import type { RouterDecision } from '../../services/router.ts';
import { bytes, plural, usd } from '../ui/format.ts';
import { dim, strong, type Text, warn } from '../ui/text.ts';
import type { Page, Ui } from '../ui/ui.ts';
import { routeReason } from './route-text.ts';
import { estimate } from './upload-json.ts';

export interface PlanFigures {
  readonly documents: number;
  readonly pages: number;
  readonly bytes: number;
  readonly decision: RouterDecision;
  /** Of LlamaParse, where it is used. */
  readonly tier: string;
  /** As people read it: `default`, `--mode`, a file. */
  readonly modeSource: string;
}

/** What is about to happen: a block on a terminal, one line elsewhere. */
export function planNote(page: Page, plan: PlanFigures, ui: Pick<Ui, 'err' | 'time'>, now: number): void {
  const { mode, services } = plan.decision;
  const nano = estimate(plan);
  if (!ui.err.tty) {
    const est = nano === null ? 'unknown' : (nano / 1e9).toFixed(4);
    page.line(
      `${ui.time(now)} plan   docs=${plan.documents} pages=${plan.pages} bytes=${plan.bytes} mode=${mode} est_usd=${est}`,
    );
    // A line of its own: with the figures it would be wider than 80 columns, and a log line that wraps cannot be searched.
    const tier = services.llamaparse.use === 'real' ? ` tier=${plan.tier}` : '';
    page.line(
      `${ui.time(now)} route  parse=${routeWord(services.llamaparse)}${tier} embed=${routeWord(services.openai)}`,
    );
    return;
  }
  const size = `${plural(plan.documents, 'document')}, ${plural(plan.pages, 'page')}, ${bytes(plan.bytes)}`;
  page.field('Plan', strong(size), `   mode ${mode} `, dim(`(${plan.modeSource})`));
  const tier = services.llamaparse.use === 'real' ? `LlamaParse ${plan.tier}   ` : '';
  page.line('  parse   ', routeText(services.llamaparse, 'llamaparse'), `   ${tier}est ${usd(nano)}`);
  page.line('  embed   ', routeText(services.openai, 'openai'), `   est ${usd(nano)}`);
}

/** `real`, `mock`, or `MOCK(key_missing)` for a stand-in. */
function routeWord({ use, why, fallback }: Route): string {
  return fallback ? `${(use ?? 'none').toUpperCase()}(${why})` : (use ?? 'none');
}

function routeText(route: Route, service: ServiceName): Text {
  if (!route.fallback) return (route.use ?? 'none').padEnd(6);
  return warn(`${(route.use ?? 'none').toUpperCase()} (fallback: ${routeReason(route, service)})`);
}
