/** Which budgets are in force: from variables, from what the user stored, from a flag of one run. */
import type { Config } from '../config/load.ts';
import type { VariableName } from '../config/variables.ts';
import { wholeSum } from '../domain/money.ts';
import { allBudgets, type BudgetKey, insertBudget, updateBudget } from '../store/budgets.ts';
import type { BudgetRow } from '../store/money-schema.ts';
import type { Db, Trx } from '../store/open.ts';

/** A limit that a variable sets. */
export interface BudgetSetting extends BudgetKey {
  limit: number;
  /** `default`: nobody set it; what the user stored comes before it. */
  source: 'default' | 'variable';
}

const key = (
  scope: BudgetKey['scope'],
  value: string,
  span: BudgetKey['span'],
  measure: BudgetKey['measure'] = 'cost',
) => ({ scope, scope_value: value, span, measure }) satisfies BudgetKey;

const BY_VARIABLE = {
  DAILY_COST_LIMIT_USD: key('all', '', 'day'),
  HOURLY_COST_LIMIT_USD: key('all', '', 'hour'),
  MONTHLY_COST_LIMIT_USD: key('all', '', 'month'),
  RUN_COST_LIMIT_USD: key('run', '', 'run'),
  LLAMAPARSE_DAILY_COST_LIMIT_USD: key('service', 'llamaparse', 'day'),
  OPENAI_DAILY_COST_LIMIT_USD: key('service', 'openai', 'day'),
  HOURLY_REQUEST_LIMIT: key('all', '', 'hour', 'requests'),
} as const satisfies Partial<Record<VariableName, BudgetKey>>;

/** The limits that variables set, their defaults included. */
export function budgetSettings({ settings, sources }: Pick<Config, 'settings' | 'sources'>): BudgetSetting[] {
  return (Object.keys(BY_VARIABLE) as (keyof typeof BY_VARIABLE)[]).flatMap((name) => {
    const limit = settings[name];
    if (limit === undefined) return [];
    const isDefault = sources[name].source.kind === 'default';
    return [{ ...BY_VARIABLE[name], limit, source: isDefault ? ('default' as const) : ('variable' as const) }];
  });
}

/** The variable that sets a budget; `undefined` where none does. */
export function budgetVariable(budget: BudgetKey): VariableName | undefined {
  const names = Object.keys(BY_VARIABLE) as (keyof typeof BY_VARIABLE)[];
  return names.find((name) => textOf(BY_VARIABLE[name]) === textOf(budget));
}

/** What was in force and what is now; `null` for none. */
export interface BudgetChange extends BudgetKey {
  from: Pick<BudgetRow, 'limit_value' | 'source'> | null;
  to: Pick<BudgetRow, 'limit_value' | 'source'> | null;
}

const textOf = ({ scope, scope_value: value, span, measure }: BudgetKey) => [scope, value, span, measure].join(' ');

/**
 * Brings the budgets of the store in line with the variables: a variable that is set comes before what the user stored,
 * and that before a default. Caps of single runs are left alone. Writes nothing where nothing changes; returns changes.
 */
export async function ensureBudgets(
  trx: Trx,
  settings: readonly BudgetSetting[],
  now: number,
): Promise<BudgetChange[]> {
  const changes: BudgetChange[] = [];
  const rows = (await allBudgets(trx)).filter(({ source }) => source !== 'flag');
  const known = new Map(rows.map((row) => [textOf(row), row]));
  for (const setting of settings) {
    if (known.has(textOf(setting))) continue;
    const { limit, ...rest } = setting;
    const budget = { ...rest, limit_value: wholeLimit(limit), hard: 1, user_limit: null, user_hard: null };
    await insertBudget(trx, { ...budget, created_at: now });
    changes.push({ ...keyOf(setting), from: null, to: { limit_value: limit, source: setting.source } });
  }
  for (const row of rows) {
    const wanted = inForce(
      row,
      settings.find((setting) => textOf(setting) === textOf(row)),
    );
    if (wanted.limit_value === row.limit_value && wanted.hard === row.hard && wanted.source === row.source) continue;
    await updateBudget(trx, row.budget_id, wanted, now);
    if (wanted.limit_value === null && row.limit_value === null) continue;
    const side = (one: typeof wanted) =>
      one.limit_value === null ? null : { limit_value: one.limit_value, source: one.source };
    changes.push({ ...keyOf(row), from: side(row), to: side(wanted) });
  }
  return changes;
}

/** Whether `ensureBudgets` would change nothing. Takes no lock, for commands that only read. */
export async function budgetsAreInLine(db: Db, settings: readonly BudgetSetting[]): Promise<boolean> {
  const rows = (await allBudgets(db)).filter(({ source }) => source !== 'flag');
  const known = new Set(rows.map(textOf));
  if (settings.some((setting) => !known.has(textOf(setting)))) return false;
  return rows.every((row) => {
    const wanted = inForce(
      row,
      settings.find((setting) => textOf(setting) === textOf(row)),
    );
    return wanted.limit_value === row.limit_value && wanted.hard === row.hard && wanted.source === row.source;
  });
}

function keyOf({ scope, scope_value, span, measure }: BudgetKey): BudgetKey {
  return { scope, scope_value, span, measure };
}

function inForce(
  row: BudgetRow,
  setting: BudgetSetting | undefined,
): Pick<BudgetRow, 'limit_value' | 'hard' | 'source'> {
  if (setting?.source === 'variable') return { limit_value: wholeLimit(setting.limit), hard: 1, source: 'variable' };
  if (row.user_limit !== null) return { limit_value: row.user_limit, hard: row.user_hard ?? 1, source: 'user' };
  if (setting !== undefined) return { limit_value: wholeLimit(setting.limit), hard: 1, source: 'default' };
  return { limit_value: null, hard: row.hard, source: row.source };
}

/** Nano-USD or requests; hostile numbers are no limits. */
function wholeLimit(limit: number): number {
  return wholeSum(limit, 'a limit');
}

/**
 * Stores a limit of the user (`tvdb costs budget set`), or with `limit: null` takes it away. `hard: false` only counts and
 * alerts. Returns what changed in force: empty where a variable hides it. Throws `RangeError` for a limit that is none.
 */
export async function setBudget(
  trx: Trx,
  budget: BudgetKey & { limit: number | null; hard: boolean },
  settings: readonly BudgetSetting[],
  now: number,
): Promise<BudgetChange[]> {
  const limit = budget.limit === null ? null : wholeLimit(budget.limit);
  const user = { user_limit: limit, user_hard: limit === null ? null : Number(budget.hard) };
  const row = (await allBudgets(trx)).find((one) => one.source !== 'flag' && textOf(one) === textOf(budget));
  if (row !== undefined) await updateBudget(trx, row.budget_id, user, now);
  else if (limit !== null) {
    const idle = { limit_value: null, hard: Number(budget.hard), source: 'user' as const, created_at: now };
    await insertBudget(trx, { ...keyOf(budget), ...user, ...idle });
  }
  return ensureBudgets(trx, settings, now);
}

/** Caps what one run may spend (`--max-cost`), beside all other budgets. A second cap of the same run replaces the first. */
export async function capRun(
  trx: Trx,
  { runId, capNanoUsd, now }: { runId: string; capNanoUsd: number; now: number },
): Promise<void> {
  const budget = key('run', runId, 'run');
  const limit = { limit_value: wholeLimit(capNanoUsd), hard: 1, source: 'flag' as const };
  const row = (await allBudgets(trx)).find((one) => textOf(one) === textOf(budget));
  if (row !== undefined) return updateBudget(trx, row.budget_id, limit, now);
  await insertBudget(trx, { ...budget, ...limit, user_limit: null, user_hard: null, created_at: now });
}
