/** The tables of the ledger and the budgets. */
import type { Generated, Selectable } from 'kysely';
import type { PeriodKind } from '../domain/period.ts';
import type { Origin, ServiceName } from '../domain/service-mode.ts';

/** What a row of the ledger says. `confirm`: the true figure is the provisional one; it and `acknowledge` move no money. */
export type SpendKind =
  | 'hold'
  | 'settle'
  | 'release'
  | 'unknown'
  | 'overrun'
  | 'correction_up'
  | 'correction_down'
  | 'confirm'
  | 'acknowledge';

/** Append-only; triggers refuse changes. Sums are nano-USD. */
export interface SpendTable {
  seq: number;
  at: number;
  kind: SpendKind;
  attempt_id: string;
  job_id: string | null;
  run_id: string;
  service: ServiceName;
  cost_center: string | null;
  origin: Origin;
  held_at: number;
  hold_amount: number;
  amount: number | null;
  units: number;
  unit_price: number;
  price_version: string;
  detail: string | null;
  prev_hash: string;
  hash: string;
}

/** What triggers on `spend` make of the rows of each hold. */
export interface HoldStatesTable {
  held_at: number;
  attempt_id: string;
  run_id: string;
  service: ServiceName;
  amount: number;
  units: number;
  state: 'open' | 'unknown' | 'settled' | 'released';
  settled_amount: number | null;
  provisional: number;
  ended_at: number | null;
}

/** A view: a hold as it stands, with what its first row says of it. */
export interface HoldsView extends HoldStatesTable {
  job_id: string | null;
  cost_center: string | null;
  unit_price: number;
  price_version: string;
  /** JSON: names of the periods it was made in. */
  periods: string;
}

export type BudgetScope = 'all' | 'service' | 'cost_center' | 'run';
export type BudgetSpan = 'run' | PeriodKind;
export type BudgetMeasure = 'cost' | 'requests';
export type BudgetSource = 'default' | 'variable' | 'user' | 'flag';

export interface BudgetsTable {
  budget_id: Generated<number>;
  scope: BudgetScope;
  /** Empty for `all` and for every run. */
  scope_value: string;
  span: BudgetSpan;
  measure: BudgetMeasure;
  limit_value: number | null;
  hard: number;
  source: BudgetSource;
  user_limit: number | null;
  user_hard: number | null;
  frozen_by: string | null;
  created_at: number;
  updated_at: number;
}

export interface BudgetWindowsTable {
  budget_id: number;
  period_id: string;
  /** Set where the window is a run; the times are set where it is not. */
  run_id: string | null;
  from_at: number | null;
  until_at: number | null;
  opened_at: number;
  spent: number;
  held: number;
  requests: number;
}

export type SpendRow = Selectable<SpendTable>;
export type HoldRow = HoldsView;
export type BudgetRow = Selectable<BudgetsTable>;
export type BudgetWindowRow = Selectable<BudgetWindowsTable>;
