/** The money of `smoke`: one page and one query, foreseen, refused where it does not fit, and agreed to. */
import { add, costOf, formatUsd } from '../../domain/money.ts';
import { tokenPrice } from '../../domain/price-book.ts';
import { mayBePaid, planSpend } from '../../pipeline/plan-spend.ts';
import type { StagedDocument } from '../../pipeline/staging.ts';
import type { JobMoney } from '../../pipeline/upload.ts';
import { commandLine } from '../command-line.ts';
import { dim } from '../ui/text.ts';
import { type BudgetView, budgetText, budgetView, type Consent, obtainConsent } from './consent.ts';
import { overCap } from './foreseen-money.ts';
import type { Work } from './smoke-work.ts';

/** The query is the text of the page, at most 2,000 characters: some 400 tokens, and never near this many. */
const QUERY_TOKENS = 1_000;

export interface SmokeMoney {
  readonly likelyNanoUsd: number;
  readonly mostNanoUsd: number;
  readonly budget: BudgetView | null;
  readonly consent: Consent;
  readonly job: JobMoney;
}

/** Foresees and shows the cost. Throws E201 for a limit, E202 for a missing consent, E203 for a price that is not known. */
export async function smokeConsent(
  staged: StagedDocument,
  { world, runId, decision, request, ctx }: Work,
): Promise<SmokeMoney> {
  const { ui, clock } = ctx;
  const { pipeline } = world;
  if (!mayBePaid(decision)) {
    const job = { consentNanoUsd: 0, estimate: { likely: 0, max: 0, priceVersion: null } };
    const consent = { by: 'not_needed', limitNanoUsd: 0 } as const;
    ui.note((page) => page.field('Plan', '1 page fixture   est $0.0000', dim('   nothing is paid')));
    return { likelyNanoUsd: 0, mostNanoUsd: 0, budget: null, consent, job };
  }
  const wish = { decision, runId, costCenter: null, force: true, noCache: true };
  const plan = await planSpend(pipeline, [staged], wish);
  const query =
    decision.services.openai.use === 'real'
      ? costOf(QUERY_TOKENS, tokenPrice(pipeline.prices, pipeline.settings.OPENAI_EMBED_MODEL, clock.now()).nanoUsd)
      : 0;
  const { maxCost, yes } = request;
  const budget = await budgetView(world, { runId, maxCost, now: clock.now() });
  const { likelyNanoUsd, ceilingNanoUsd, perDocument } = plan.estimate;
  const asked = add(ceilingNanoUsd, query);
  const refusal = maxCost !== undefined && asked > maxCost ? overCap(asked, maxCost, runId) : plan.fit.refusal;
  const all = add(plan.mostNanoUsd, query);
  const mostNanoUsd = refusal === null && maxCost !== undefined ? Math.min(all, maxCost) : all;
  ui.note((page) => {
    const most = formatUsd(mostNanoUsd, 'up');
    page.field('Plan', `1 page fixture   est ${formatUsd(likelyNanoUsd, 'up')}, at most ${most}`);
    page.field('Budget', budgetText(budget, refusal === null));
    if (ui.ci) page.line(dim('  ledger: this machine only'));
  });
  if (refusal !== null) throw refusal;
  const again = commandLine(['smoke', '--mode', decision.mode]);
  const consent = await obtainConsent({ mostNanoUsd: all, maxCost, yes, again }, ctx);
  ui.event('consent', { by: consent.by, limit_nano_usd: consent.limitNanoUsd });
  const [cost] = perDocument;
  const priceVersion = cost?.parse?.priceVersion ?? cost?.embed?.priceVersion ?? null;
  const job = {
    consentNanoUsd: maxCost ?? plan.mostNanoUsd,
    estimate: { likely: likelyNanoUsd, max: ceilingNanoUsd, priceVersion },
  };
  return { likelyNanoUsd, mostNanoUsd, budget, consent, job };
}
