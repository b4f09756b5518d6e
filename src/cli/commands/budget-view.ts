/** A budget as it stands: one line with a bar and its sums, and its JSON form. */
import { iso } from '../../base/clock.ts';
import type { BudgetStanding } from '../../ledger/headroom.ts';
import type { BudgetRow } from '../../store/money-schema.ts';
import { count, usd } from '../ui/format.ts';
import { bad, dim, type Text, warn } from '../ui/text.ts';
import type { Page } from '../ui/ui.ts';

/** From here on a budget is shown as a warning; at 100 it takes nothing more. */
const WARN_PERCENT = 80;

/** `everything today`, `OpenAI this month`, `cost center claims this hour`, `each run`. */
export function budgetName({
  scope,
  scope_value: value,
  span,
}: Pick<BudgetRow, 'scope' | 'scope_value' | 'span'>): string {
  const who = { all: 'everything', service: serviceTitle(value), cost_center: `cost center ${value}`, run: '' }[scope];
  if (scope === 'run') return value === '' ? 'each run' : `run ${value.slice(0, 8)}`;
  return `${who} ${{ run: 'in each run', hour: 'this hour', day: 'today', month: 'this month' }[span]}`;
}

/** How people write the name of a service. */
export function serviceTitle(id: string): string {
  return id === 'openai' ? 'OpenAI' : 'LlamaParse';
}

/** The part of a limit that is spent or reserved, in percent with one decimal; `null` for a limit of 0. */
function usedPercent({ budget, limit, spent, held, requests }: BudgetStanding): number | null {
  return limit === 0 ? null : Math.round(((budget.measure === 'cost' ? spent + held : requests) / limit) * 1000) / 10;
}

/** Name, bar, percentage, sums and what is left. */
export function budgetLine(page: Page, standing: BudgetStanding, date: (at: number) => string): void {
  const { budget, limit, spent, held, requests, left } = standing;
  const percent = usedPercent(standing);
  const money = budget.measure === 'cost';
  const used = money ? `${usd(spent + held)} of ${usd(limit)}` : `${count(requests)} of ${count(limit)} requests`;
  const share = percent === null ? 'nothing allowed' : `${Math.floor(percent)}%`;
  const mark = budget.frozen_by !== null || left === 0 ? bad : (percent ?? 100) >= WARN_PERCENT ? warn : null;
  const parts: Text[] = [
    `${budgetName(budget).padEnd(22)} `,
    ...(page.accessible ? [] : [bar(money ? spent : requests, money ? held : 0, limit), ' ']),
    mark === null ? share.padStart(4) : mark(share.padStart(4)),
    `  ${used}  left ${money ? usd(left) : count(left)}`,
  ];
  if (budget.hard === 0) parts.push(dim('  alerts only'));
  if (budget.frozen_by !== null)
    parts.push(bad(`  stopped by an overrun: tvdb costs acknowledge ${budget.frozen_by.slice(0, 8)}`));
  else if (left === 0 && standing.until_at !== null) parts.push(dim(`  anew ${date(standing.until_at)}`));
  page.line(...parts);
}

const BAR = 10;

/** `[####=.....]`: spent, reserved, left. Anything spent shows, and a bar that looks full is full. */
function bar(spent: number, held: number, limit: number): string {
  const cells = (sum: number) => {
    if (sum <= 0) return 0;
    if (limit === 0 || sum >= limit) return BAR;
    return Math.min(BAR - 1, Math.max(1, Math.round((sum / limit) * BAR)));
  };
  const all = cells(spent + held);
  const solid = Math.min(all, cells(spent));
  return `[${'#'.repeat(solid)}${'='.repeat(all - solid)}${'.'.repeat(BAR - all)}]`;
}

/** What tells one budget from another, in JSON. */
export function budgetKeyJson({
  scope,
  scope_value: value,
  span,
  measure,
}: Pick<BudgetRow, 'scope' | 'scope_value' | 'span' | 'measure'>) {
  return { scope, scope_value: value === '' ? null : value, window: span, measure };
}

/** One row of `caps` and of `budgets`. */
export function budgetJson(standing: BudgetStanding) {
  const { budget, limit, spent, held, requests, left } = standing;
  const money = budget.measure === 'cost';
  return {
    ...budgetKeyJson(budget),
    hard: budget.hard === 1,
    source: budget.source,
    cap_nano_usd: money ? limit : null,
    spent_nano_usd: money ? spent : null,
    held_nano_usd: money ? held : null,
    left_nano_usd: money ? left : null,
    max_requests: money ? null : limit,
    requests,
    left_requests: money ? null : left,
    used_percent: usedPercent(standing),
    resets_at: iso(standing.until_at),
    stopped_by: budget.frozen_by,
  };
}
