/** What is left: every budget as it stands, and whether some work as a whole still fits. Only reads. */
import type { TvdbError } from '../base/errors.ts';
import type { ServiceName } from '../domain/service-mode.ts';
import { allBudgets } from '../store/budgets.ts';
import type { BudgetRow } from '../store/money-schema.ts';
import type { Db } from '../store/open.ts';
import { cappedRunsUnderWay } from '../store/runs.ts';
import { type BudgetState, leftOf, refusalOf, type SpendMoment, statesOf } from './budget-state.ts';

export interface BudgetStanding extends BudgetState {
  /** Nano-USD or requests; never below 0. */
  readonly left: number;
}

/** When it is asked. Without a run, limits of each run are left out, and the cap of one run is there while it goes on. */
export interface Standpoint {
  now: number;
  timeZone: string;
  runId?: string;
}

/**
 * Every budget in force in its present period, in the order they were made. Where a change of time zone left two windows
 * open, the one in which more is used: that is the one that counts. The cap of a run that has ended limits nothing any more;
 * it is left out unless an overrun has stopped it and waits to be seen.
 */
export async function budgetStates(db: Db, { now, timeZone, runId }: Standpoint): Promise<BudgetStanding[]> {
  const found: BudgetStanding[] = [];
  const underWay = runId === undefined ? await cappedRunsUnderWay(db) : [runId];
  for (const budget of await allBudgets(db)) {
    if (budget.source === 'flag' && budget.frozen_by === null && !underWay.includes(budget.scope_value)) continue;
    const run = budget.scope === 'run' && budget.scope_value !== '' ? budget.scope_value : runId;
    if (budget.span === 'run' && (run === undefined || (runId !== undefined && run !== runId))) continue;
    const states = await statesOf(db, [budget], { ...subjectFor(budget), runId: run ?? '', now, timeZone });
    const [state] = states.map((one) => ({ ...one, left: leftOf(one) })).sort((a, b) => a.left - b.left);
    if (state !== undefined) found.push(state);
  }
  return found;
}

/** A subject that the budget counts. */
function subjectFor({ scope, scope_value: value }: BudgetRow) {
  return {
    service: scope === 'service' ? (value as ServiceName) : ('llamaparse' as const),
    costCenter: scope === 'cost_center' ? value : null,
  };
}

/** Work that is planned: the ceiling of all requests of one kind. */
export interface Ask {
  service: ServiceName;
  costCenter: string | null;
  amount: number;
  requests: number;
}

/** Whether planned work fits, and the budget that has the least left for it. */
export interface Fit {
  /** E201 or E204 where it does not fit; `null` where it does. A later hold can still be refused: others spend too. */
  refusal: TvdbError | null;
  /** Smallest headroom of the hard budgets of money that count any of it; `null` when there is none. */
  leftNanoUsd: number | null;
  /** The budget with that headroom. */
  tightest: BudgetStanding | null;
}

/**
 * Compares planned work as a whole with every budget that counts any of it: a budget of one service with the sum for that
 * service, a budget of everything with the whole sum. An empty list asks what is left for any work at all.
 */
export async function whatFits(
  db: Db,
  asks: readonly Ask[],
  { now, timeZone, runId }: Required<Standpoint>,
): Promise<Fit> {
  const states: BudgetStanding[] = [];
  const sums = new Map<number, { amount: number; requests: number }>();
  for (const budget of (await allBudgets(db)).filter((one) => isOf(one, runId))) {
    const counted = asks.filter((ask) => countsAsk(budget, ask));
    if (counted.length === 0 && (asks.length > 0 || budget.scope === 'service' || budget.scope === 'cost_center'))
      continue;
    sums.set(budget.budget_id, {
      amount: counted.reduce((sum, { amount }) => sum + amount, 0),
      requests: counted.reduce((sum, { requests }) => sum + requests, 0),
    });
    const moment: SpendMoment = { ...subjectFor(budget), runId, now, timeZone };
    for (const state of await statesOf(db, [budget], moment)) states.push({ ...state, left: leftOf(state) });
  }
  const [tightest] = states
    .filter(({ budget }) => budget.hard === 1 && budget.measure === 'cost')
    .sort((a, b) => a.left - b.left);
  return {
    refusal: refusalOf(states, ({ budget_id: id }) => sums.get(id) ?? { amount: 0, requests: 0 }),
    leftNanoUsd: tightest?.left ?? null,
    tightest: tightest ?? null,
  };
}

function isOf({ scope, scope_value: value }: BudgetRow, runId: string): boolean {
  return scope !== 'run' || value === '' || value === runId;
}

function countsAsk({ scope, scope_value: value }: BudgetRow, { service, costCenter }: Ask): boolean {
  if (scope === 'service') return value === service;
  if (scope === 'cost_center') return value === costCenter;
  return true;
}
