/** How budgets stand in the periods an instant lies in, and why a sum does not fit one. */
import { TvdbError } from '../base/errors.ts';
import { formatUsd } from '../domain/money.ts';
import { PERIOD_KINDS, periodOf } from '../domain/period.ts';
import { foldWindow, type WindowSpan, windowsOf } from '../store/budget-windows.ts';
import type { SpendSubject } from '../store/budgets.ts';
import type { BudgetRow, BudgetWindowRow } from '../store/money-schema.ts';
import type { Db } from '../store/open.ts';

/** A budget in one of its periods. */
export interface BudgetState extends BudgetWindowRow {
  readonly budget: BudgetRow;
  /** Nano-USD or requests in force. */
  readonly limit: number;
  /** Whether the store has the window already. */
  readonly open: boolean;
}

/** When and where a request counts. */
export interface SpendMoment extends SpendSubject {
  /** IANA time zone of hours, days and months. */
  timeZone: string;
  now: number;
}

/** Names of the periods an instant lies in, that of the run among them. */
export function periodIds({ now, timeZone, runId }: SpendMoment): string[] {
  return [...PERIOD_KINDS.map((kind) => periodOf(kind, now, timeZone).id), runPeriod(runId)];
}

const runPeriod = (runId: string) => `run:${runId}`;

/**
 * How each of some budgets stands: once in its present period, and once in every other window of it that is open now (that
 * of a time zone from before a change). Windows the store has not opened are added up from the ledger.
 */
export async function statesOf(db: Db, budgets: readonly BudgetRow[], moment: SpendMoment): Promise<BudgetState[]> {
  if (budgets.length === 0) return [];
  const windows = await windowsOf(db, moment, moment.now);
  const states: BudgetState[] = [];
  for (const budget of budgets) {
    if (budget.limit_value === null) continue;
    const own = windows.filter((window) => window.budget_id === budget.budget_id);
    const span = spanOf(budget, moment);
    for (const window of own) states.push({ ...window, budget, limit: budget.limit_value, open: true });
    if (own.some((window) => window.period_id === span.period_id)) continue;
    const totals = await foldWindow(db, budget, span);
    const window = { ...span, ...totals, budget_id: budget.budget_id, opened_at: moment.now };
    states.push({ ...window, budget, limit: budget.limit_value, open: false });
  }
  return states;
}

function spanOf({ span }: BudgetRow, { now, timeZone, runId }: SpendMoment): WindowSpan {
  if (span === 'run') return { period_id: runPeriod(runId), run_id: runId, from_at: null, until_at: null };
  const { id, from, until } = periodOf(span, now, timeZone);
  return { period_id: id, run_id: null, from_at: from, until_at: until };
}

/** What is left of a budget: never below 0, also where a cap was lowered below what is spent or a service overran it. */
export function leftOf({ budget, limit, spent, held, requests }: BudgetState): number {
  return Math.max(0, limit - (budget.measure === 'cost' ? spent + held : requests));
}

/** What is asked of a budget. */
export interface Asked {
  amount: number;
  requests: number;
}

/**
 * The error that keeps a sum from being held: E204 for a stopped budget, else E201 for the hard budget that has the least
 * left; `null` when everything fits. Never to be retried by itself: the job waits for `resets_at`, or for the user.
 */
export function refusalOf(states: readonly BudgetState[], askedOf: (budget: BudgetRow) => Asked): TvdbError | null {
  const frozen = states.find(({ budget }) => budget.frozen_by !== null);
  if (frozen !== undefined) return frozenError(frozen);
  const refusing = states
    .filter((state) => state.budget.hard === 1 && needOf(state, askedOf) > leftOf(state))
    // Money before requests, then the least left, then the one that resets last.
    .sort(
      (a, b) => a.budget.measure.localeCompare(b.budget.measure) || leftOf(a) - leftOf(b) || resetOf(b) - resetOf(a),
    );
  const [worst] = refusing;
  // All of them must have reset before the same request fits.
  return worst === undefined ? null : limitError(worst, askedOf(worst.budget), Math.max(...refusing.map(resetOf)));
}

function needOf({ budget }: BudgetState, askedOf: (budget: BudgetRow) => Asked): number {
  const { amount, requests } = askedOf(budget);
  return budget.measure === 'cost' ? amount : requests;
}

const resetOf = ({ until_at: until }: BudgetState) => until ?? Number.POSITIVE_INFINITY;

/** What to do where `--max-cost` was too small. */
export const RAISE_CAP = 'Give a higher --max-cost.';

const RAISE_LIMIT = 'Raise the limit with `tvdb costs budget set`, or ask for less at a time.';

function limitError(state: BudgetState, asked: Asked, resets: number): TvdbError {
  const { budget, limit, spent, held, requests } = state;
  const left = leftOf(state);
  const money = budget.measure === 'cost';
  const never = (money ? asked.amount : asked.requests) > limit;
  const [all, most] = money ? [formatUsd(limit), formatUsd(left)] : [String(limit), String(left)];
  const rest = never
    ? `, more than the whole limit of ${all} ${spanText(budget)}`
    : `; only ${most} ${money || left === 1 ? 'is' : 'are'} left ${spanText(budget)}`;
  return new TvdbError('E201', {
    message: `${
      money ? `This could cost up to ${formatUsd(asked.amount, 'up')}` : `This needs ${some(asked.requests, 'paid ')}`
    }${rest}`,
    why: money
      ? `the limit ${formatUsd(limit)} for ${scopeText(budget)} has ${formatUsd(spent)} spent and ${formatUsd(held)} reserved`
      : `the limit for ${scopeText(budget)} is ${some(limit)}, ${requests} ${requests === 1 ? 'was' : 'were'} made`,
    // A cap of one run is in no list, and neither starts anew nor can be set by another command.
    ...(budget.source === 'flag' ? { fix: RAISE_CAP } : { commands: ['tvdb costs budget list'] }),
    ...(never && budget.source !== 'flag' && { fix: RAISE_LIMIT }),
    chargedNanoUsd: 0,
    facts: {
      error: 'CostLimitExceeded',
      budget_id: budget.budget_id,
      scope: budget.scope,
      scope_value: budget.scope_value === '' ? null : budget.scope_value,
      window: budget.span,
      period: state.period_id,
      measure: budget.measure,
      source: budget.source,
      cap_nano_usd: money ? limit : null,
      spent_nano_usd: money ? spent : null,
      held_nano_usd: money ? held : null,
      asked_nano_usd: money ? asked.amount : null,
      left_nano_usd: money ? left : null,
      max_requests: money ? null : limit,
      requests: money ? null : requests,
      resets_at: Number.isFinite(resets) ? resets : null,
    },
  });
}

function some(requests: number, kind = ''): string {
  return `${requests} ${kind}request${requests === 1 ? '' : 's'}`;
}

function frozenError({ budget, period_id: period }: BudgetState): TvdbError {
  return new TvdbError('E204', {
    message: `The budget for ${scopeText(budget)} is stopped: a request was charged more than was reserved for it`,
    why: `attempt ${budget.frozen_by} was charged above what was reserved for it`,
    chargedNanoUsd: 0,
    facts: {
      budget_id: budget.budget_id,
      scope: budget.scope,
      scope_value: budget.scope_value === '' ? null : budget.scope_value,
      window: budget.span,
      period,
      attempt_id: budget.frozen_by,
      resets_at: null,
    },
  });
}

/** `everything`, `OpenAI`, `cost center claims`, `every run`. */
function scopeText({ scope, scope_value: value }: BudgetRow): string {
  if (scope === 'all') return 'everything';
  if (scope === 'service') return value === 'openai' ? 'OpenAI' : 'LlamaParse';
  if (scope === 'run') return value === '' ? 'every run' : 'this run';
  return `cost center ${value}`;
}

function spanText({ span }: BudgetRow): string {
  return { run: 'in this run', hour: 'this hour', day: 'today', month: 'this month' }[span];
}
