/** Gathers what `costs` answers: money from the ledger, requests and units from what was sent, budgets as they stand. */
import { forecast, reachedAt } from '../../domain/forecast.ts';
import type { PriceBook } from '../../domain/price-book.ts';
import { type Origin, SERVICES, type ServiceName } from '../../domain/service-mode.ts';
import { type BudgetStanding, budgetStates } from '../../ledger/headroom.ts';
import {
  type AttemptTotal,
  attemptSlots,
  attemptTotals,
  firstRequestSlots,
  TOTAL_KEYS,
  type TotalKey,
} from '../../store/attempt-totals.ts';
import { freeWork } from '../../store/cache-savings.ts';
import type { Db } from '../../store/open.ts';
import { edgesOf, type SpendPiece, spendByKey, spendPieces, spentIn, unknownIn } from '../../store/spend-report.ts';
import { type Avoided, avoided } from './costs-avoided.ts';
import { dayOf, type Period, piecesOf, unitOf, unitsOf } from './costs-period.ts';
import { requestsIn } from './costs-requests.ts';

/** What rows stand for; service and origin together when nothing is asked for. */
export type Grouping = 'service' | 'origin' | TotalKey;

export interface Usage {
  requests: number;
  pages: number;
  tokens: number;
  /** Requests to a paid service that have no hold: nobody knows what they cost. */
  unpriced: number;
  /** Nano-USD spent and reserved. */
  spent: number;
  held: number;
}

export interface CostGroup extends Usage {
  readonly service: AttemptTotal['service'] | null;
  readonly origin: Origin | null;
  /** Mode, id, name or tag, for the groupings by one. */
  readonly key: string | null;
  filename: string | null;
}

export interface CostUnit extends Usage {
  /** `2026-11-22` or `2026-11`. */
  readonly name: string;
  /** Documents first worked on in it. */
  docs: number;
  /** The part of `spent` of each service. */
  llamaparse: number;
  openai: number;
}

export interface CostRequest {
  readonly period: Period;
  readonly by: Grouping | undefined;
  readonly unit: 'day' | 'month' | undefined;
  /** Rows of a grouping apart for each service and origin. */
  readonly breakdown: boolean;
  readonly compare: { readonly from: number; readonly to: number } | undefined;
}

export interface Projection {
  readonly until: number;
  readonly forecast: ReturnType<typeof forecast>;
  /** When the budget of everything for the time ahead is used up, at that pace. */
  readonly capReachedAt: number | null;
}

export interface CostAnswer extends CostRequest {
  readonly groups: readonly CostGroup[];
  readonly units: readonly CostUnit[];
  readonly real: Usage;
  readonly unknown: number;
  /** What was held for all that is settled. */
  readonly estimated: number;
  readonly priceVersions: readonly string[];
  readonly avoided: Avoided;
  readonly budgets: readonly BudgetStanding[];
  /** `null` for a period that does not go on. */
  readonly projection: Projection | null;
  /** What was spent in the period to compare with. */
  readonly compared: number | null;
}

const NOTHING: Readonly<Usage> = { requests: 0, pages: 0, tokens: 0, unpriced: 0, spent: 0, held: 0 };

/** Sums of the period, in the grouping that was asked for, and by day or month. */
export async function costAnswer(
  { db, prices, now }: { db: Db; prices: PriceBook; now: number },
  request: CostRequest,
): Promise<CostAnswer> {
  const { period, by, unit, compare } = request;
  const key = TOTAL_KEYS.find((one): one is TotalKey => one === by);
  const edges = await edgesOf(db, period);
  const pieces = edges === null ? [] : await spendPieces(db, piecesOf(period, unit, edges, now));
  const { once, allHeld } = await requestsIn(db, period, pieces);
  // A request for several jobs counts for each of them in rows, and once in all.
  const totals = key === undefined ? once : await attemptTotals(db, period, { key, allHeld });
  const real = { ...NOTHING };
  for (const total of once) if (total.origin === 'real') addRequests(real, total);
  const money = pieces.flatMap((piece) => SERVICES.map((service) => ({ ...piece[service], service, key: null })));
  for (const part of money) addMoney(real, part);
  const groups = grouped(totals, request);
  for (const row of key === undefined ? money : await spendByKey(db, period, key)) {
    if (row.spent === 0 && row.held === 0) continue;
    addMoney(groupOf(groups, { service: requestsOf(row.service), origin: 'real', key: row.key }, request), row);
  }
  const budgets = await budgetStates(db, { now, timeZone: period.timezone });
  return {
    ...request,
    groups: [...groups.values()].sort((a, b) => b.spent + b.held - a.spent - a.held || b.unpriced - a.unpriced),
    units: unit === undefined ? [] : await unitRows(db, period, unit, pieces),
    real,
    unknown: await unknownIn(db, period),
    estimated: money.reduce((sum, { estimated }) => sum + estimated, 0),
    priceVersions: edges?.priceVersions ?? [],
    avoided: avoided(await freeWork(db, period), prices, now),
    budgets,
    projection:
      period.from <= now && now < period.to ? projected(pieces, edges?.first ?? now, budgets, period, now) : null,
    compared: compare === undefined ? null : await spentIn(db, compare),
  };
}

/** Nano-USD that some requests have cost: `null` when the price of one is not known, which is not zero. */
export function costOf({ unpriced, spent }: Pick<Usage, 'unpriced' | 'spent'>): number | null {
  return unpriced === 0 ? spent : null;
}

function addRequests(sum: Usage, row: Pick<AttemptTotal, 'service' | 'requests' | 'units' | 'unpriced'>): void {
  sum.requests += row.requests;
  if (row.service === 'parse') sum.pages += row.units;
  else sum.tokens += row.units;
  sum.unpriced += row.unpriced;
}

function addMoney(sum: Usage, { spent, held }: { spent: number; held: number }): void {
  sum.spent += spent;
  sum.held += held;
}

const requestsOf = (service: ServiceName): AttemptTotal['service'] => (service === 'llamaparse' ? 'parse' : 'embed');

type GroupKey = Pick<CostGroup, 'service' | 'origin' | 'key'>;

function grouped(totals: readonly AttemptTotal[], request: CostRequest): Map<string, CostGroup> {
  const groups = new Map<string, CostGroup>();
  for (const total of totals) {
    const group = groupOf(groups, total, request);
    group.filename ??= total.filename;
    addRequests(group, total);
  }
  return groups;
}

/** The row that counts something; made when there is none. */
function groupOf(
  groups: Map<string, CostGroup>,
  { service, origin, key }: GroupKey,
  { by, breakdown }: CostRequest,
): CostGroup {
  const split = by === undefined || breakdown;
  const row = {
    service: split || by === 'service' ? service : null,
    origin: split || by === 'origin' ? origin : null,
    key: by === undefined || by === 'service' || by === 'origin' ? null : key,
  };
  const id = JSON.stringify(row);
  const group = groups.get(id) ?? { ...NOTHING, ...row, filename: null };
  groups.set(id, group);
  return group;
}

async function unitRows(
  db: Db,
  period: Period,
  unit: 'day' | 'month',
  money: readonly SpendPiece[],
): Promise<CostUnit[]> {
  const slots = await attemptSlots(db, period);
  const known = new Map<number, string>();
  const nameOf = (at: number) => {
    const name = known.get(at) ?? unitOf(dayOf(at, period.timezone), unit);
    known.set(at, name);
    return name;
  };
  // Nothing is known from before the first request; rows of zeros would claim otherwise.
  const first = Math.min(slots[0]?.at ?? Number.POSITIVE_INFINITY, money[0]?.from ?? Number.POSITIVE_INFINITY);
  const names = Number.isFinite(first) ? unitsOf(period, unit, first) : [];
  const rows = new Map<string, CostUnit>(
    names.map((name) => [name, { ...NOTHING, name, docs: 0, llamaparse: 0, openai: 0 }]),
  );
  for (const slot of slots) {
    const row = rows.get(nameOf(slot.at));
    if (row !== undefined) addRequests(row, slot);
  }
  for (const piece of money) {
    const row = rows.get(nameOf(piece.from));
    for (const service of row === undefined ? [] : SERVICES) {
      addMoney(row as CostUnit, piece[service]);
      (row as CostUnit)[service] += piece[service].spent;
    }
  }
  for (const { at, jobs } of await firstRequestSlots(db, period)) {
    const row = rows.get(nameOf(at));
    if (row !== undefined) row.docs += jobs;
  }
  return [...rows.values()];
}

/**
 * How the period will end: from what was spent in it since its first hold (`first`; a piece of a month may begin a day before
 * that), against the tightest hard budget of everything that ends with it or before.
 */
function projected(
  pieces: readonly SpendPiece[],
  first: number,
  budgets: readonly BudgetStanding[],
  { to }: Period,
  now: number,
): Projection {
  const span = { now, until: to };
  const found = forecast(
    pieces.map(({ from, llamaparse, openai }) => ({
      at: Math.max(from, first),
      nanoUsd: llamaparse.spent + openai.spent,
    })),
    span,
  );
  const left = budgets
    .filter(({ budget }) => budget.scope === 'all' && budget.measure === 'cost' && budget.span === 'day')
    .map((one) => one.left);
  return {
    until: to,
    forecast: found,
    capReachedAt: left.length === 0 ? null : reachedAt(found, Math.min(...left), span),
  };
}
