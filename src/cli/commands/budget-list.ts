/** What `costs budget list` answers. */
import { iso } from '../../base/clock.ts';
import { budgetVariable } from '../../ledger/budget-settings.ts';
import { budgetStates } from '../../ledger/headroom.ts';
import { allBudgets } from '../../store/budgets.ts';
import type { BudgetRow } from '../../store/money-schema.ts';
import type { World } from '../../world.ts';
import { plural, usd } from '../ui/format.ts';
import { dim } from '../ui/text.ts';
import type { CommandResult, Ui } from '../ui/ui.ts';
import { budgetJson, budgetKeyJson, budgetLine, budgetName } from './budget-view.ts';
import { bringBudgetsInLine } from './budgets-in-line.ts';

/** Every budget in force as it stands, limits of each run, and stored limits that a variable hides. */
export async function budgetList(world: World, ui: Ui): Promise<CommandResult> {
  await bringBudgetsInLine(world);
  const { store, clock, config } = world;
  const standing = await budgetStates(store.db, { now: clock.now(), timeZone: config.settings.TVDB_TIMEZONE });
  const all = await allBudgets(store.db);
  const ofRuns = all.filter(
    ({ span, source, limit_value: limit }) => span === 'run' && source !== 'flag' && limit !== null,
  );
  const hidden = all.filter(
    ({ source, user_limit: own, limit_value: limit }) => source === 'variable' && own !== null && own !== limit,
  );
  const rows = [
    ...standing
      .filter(({ budget }) => budget.source !== 'flag')
      .map((one) => ({ budget: one.budget, data: budgetJson(one) })),
    ...ofRuns.map((budget) => ({ budget, data: runLimitJson(budget) })),
  ];
  return {
    data: {
      timezone: config.settings.TVDB_TIMEZONE,
      budgets: rows.map(({ budget, data }) => ({ ...data, ...originJson(budget) })),
    },
    render: (page) => {
      for (const one of standing.filter(({ budget }) => budget.source !== 'flag')) {
        budgetLine(page, one, ui.date);
        page.line(dim(`    ${originText(one.budget)}`));
      }
      for (const budget of ofRuns) {
        page.line(`${budgetName(budget).padEnd(22)} up to ${limitText(budget, budget.limit_value ?? 0)}`);
        page.line(dim(`    ${originText(budget)}`));
      }
      if (rows.length === 0) page.line('There is no limit.');
      for (const budget of hidden)
        page.line(
          `${budgetVariable(budget)} hides the ${limitText(budget, budget.user_limit ?? 0)} that is stored for ${budgetName(budget)}.`,
        );
    },
    plain: () =>
      rows.map(({ budget, data }) => [
        budget.scope,
        budget.scope_value === '' ? null : budget.scope_value,
        budget.span,
        budget.measure,
        budget.measure === 'cost' ? (budget.limit_value ?? 0) / 1e9 : budget.limit_value,
        data.left_nano_usd === null ? data.left_requests : data.left_nano_usd / 1e9,
        budget.source,
      ]),
    quiet: () => rows.map(({ budget }) => budgetName(budget)),
  };
}

/** A limit as people read it: `$5.0000` or `100 requests`. */
export function limitText({ measure }: Pick<BudgetRow, 'measure'>, limit: number): string {
  return measure === 'cost' ? usd(limit) : plural(limit, 'request');
}

function originText(budget: BudgetRow): string {
  if (budget.source === 'variable') return `set by ${budgetVariable(budget) ?? 'a variable'}`;
  if (budget.source === 'user') return 'set by tvdb costs budget set';
  return `the default; change it with tvdb costs budget set`;
}

function originJson(budget: BudgetRow) {
  const variable = budget.source === 'variable' ? (budgetVariable(budget) ?? null) : null;
  const { user_limit: own, measure } = budget;
  return {
    variable,
    stored_nano_usd: measure === 'cost' ? own : null,
    stored_requests: measure === 'requests' ? own : null,
  };
}

/** A limit of each run has no window of its own until there is a run. */
function runLimitJson(budget: BudgetRow): ReturnType<typeof budgetJson> {
  const money = budget.measure === 'cost';
  return {
    ...budgetKeyJson(budget),
    hard: budget.hard === 1,
    source: budget.source,
    cap_nano_usd: money ? budget.limit_value : null,
    spent_nano_usd: null,
    held_nano_usd: null,
    left_nano_usd: null,
    max_requests: money ? null : budget.limit_value,
    requests: 0,
    left_requests: null,
    used_percent: null,
    resets_at: iso(null),
    stopped_by: budget.frozen_by,
  };
}
