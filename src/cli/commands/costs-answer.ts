/** Gathers what `costs` answers, from the requests that were sent. Mock requests are free; no other price is known here. */
import { iso } from '../../base/clock.ts';
import type { Origin } from '../../domain/service-mode.ts';
import {
  type AttemptTotal,
  attemptSlots,
  attemptTotals,
  firstRequestSlots,
  TOTAL_KEYS,
  type TotalKey,
} from '../../store/attempt-totals.ts';
import type { Db } from '../../store/open.ts';
import { dayOf, type Period, unitOf, unitsOf } from './costs-period.ts';
import { moneyJson } from './job-view.ts';

/** What rows stand for; service and origin together when nothing is asked for. */
export type Grouping = 'service' | 'origin' | TotalKey;

export interface Usage {
  requests: number;
  pages: number;
  tokens: number;
  /** Requests to a paid service, whose price is not known. */
  unpriced: number;
}

export interface CostGroup extends Usage {
  readonly service: AttemptTotal['service'] | null;
  readonly origin: Origin | null;
  /** Mode or id, for the groupings by one. */
  readonly key: string | null;
  readonly filename: string | null;
}

export interface CostUnit extends Usage {
  /** `2026-11-22` or `2026-11`. */
  readonly name: string;
  /** Documents first worked on in it. */
  docs: number;
}

export interface CostAnswer {
  readonly period: Period;
  readonly by: Grouping | undefined;
  readonly unit: 'day' | 'month' | undefined;
  readonly groups: readonly CostGroup[];
  readonly units: readonly CostUnit[];
  readonly real: Usage;
}

const NOTHING: Readonly<Usage> = { requests: 0, pages: 0, tokens: 0, unpriced: 0 };

/** Sums of the period, in the grouping that was asked for, and by day or month. */
export async function costAnswer(
  db: Db,
  period: Period,
  by: Grouping | undefined,
  unit: CostAnswer['unit'],
): Promise<CostAnswer> {
  const totals = await attemptTotals(
    db,
    period,
    TOTAL_KEYS.find((key): key is TotalKey => key === by),
  );
  const real = { ...NOTHING };
  for (const total of totals) if (total.origin === 'real') add(real, total);
  return {
    period,
    by,
    unit,
    groups: grouped(totals, by),
    units: unit === undefined ? [] : await unitRows(db, period, unit),
    real,
  };
}

/** Money of some requests in nano-USD: nothing for mock ones, `null` when one was paid for, because its price is not known. */
export function costOf({ unpriced }: Usage): number | null {
  return unpriced === 0 ? 0 : null;
}

function add(
  sum: Usage,
  { service, origin, requests, units }: Pick<AttemptTotal, 'service' | 'origin' | 'requests' | 'units'>,
): void {
  sum.requests += requests;
  if (service === 'parse') sum.pages += units;
  else sum.tokens += units;
  if (origin === 'real') sum.unpriced += requests;
}

function grouped(totals: readonly AttemptTotal[], by: Grouping | undefined): CostGroup[] {
  const groups = new Map<string, CostGroup>();
  for (const total of totals) {
    const service = by === undefined || by === 'service' ? total.service : null;
    const origin = by === undefined || by === 'origin' ? total.origin : null;
    const id = `${service} ${origin} ${total.key}`;
    const group = groups.get(id) ?? { ...NOTHING, service, origin, key: total.key, filename: total.filename };
    groups.set(id, group);
    add(group, total);
  }
  return [...groups.values()].sort((a, b) => b.unpriced - a.unpriced);
}

async function unitRows(db: Db, period: Period, unit: 'day' | 'month'): Promise<CostUnit[]> {
  const slots = await attemptSlots(db, period);
  const known = new Map<number, string>();
  const nameOf = (at: number) => {
    const name = known.get(at) ?? unitOf(dayOf(at, period.timezone), unit);
    known.set(at, name);
    return name;
  };
  // Nothing is known from before the first request; rows of zeros would claim otherwise.
  const names = slots[0] === undefined ? [] : unitsOf(period, unit, slots[0].at);
  const rows = new Map<string, CostUnit>(names.map((name) => [name, { ...NOTHING, name, docs: 0 }]));
  for (const slot of slots) {
    const row = rows.get(nameOf(slot.at));
    if (row !== undefined) add(row, slot);
  }
  for (const { at, jobs } of await firstRequestSlots(db, period)) {
    const row = rows.get(nameOf(at));
    if (row !== undefined) row.docs += jobs;
  }
  return [...rows.values()];
}

/** The name a service has in JSON and for people. */
export function serviceNames(service: AttemptTotal['service']): { id: string; title: string } {
  return service === 'parse' ? { id: 'llamaparse', title: 'LlamaParse' } : { id: 'openai', title: 'OpenAI embed' };
}

/** `data` of `tvdb.costs/v1`. */
export function costsJson({ period, by, unit, groups, units, real }: CostAnswer): Record<string, unknown> {
  const spent = costOf(real);
  return {
    period: { from: iso(period.from), to: iso(period.to), timezone: period.timezone },
    ledger_scope: 'local',
    price_table: { id: null, priced: real.unpriced === 0, unpriced_calls: real.unpriced },
    by: by ?? null,
    groups: groups.map((group) => groupJson(group, by)),
    days: unit === 'day' ? units.map((row) => ({ day: row.name, ...unitJson(row) })) : [],
    months: unit === 'month' ? units.map((row) => ({ month: row.name, ...unitJson(row) })) : [],
    totals: {
      spent_nano_usd: spent,
      spent_usd: moneyJson(spent).usd,
      reserved_nano_usd: 0,
      requests: groups.reduce((sum, group) => sum + group.requests, 0),
      real_requests: real.requests,
    },
    avoided: { mock_nano_usd: null, cache_nano_usd: null },
    caps: [],
    projection: null,
  };
}

function groupJson(group: CostGroup, by: Grouping | undefined): Record<string, unknown> {
  const one = group.service !== null;
  return {
    service: group.service === null ? null : serviceNames(group.service).id,
    mode: by === 'mode' ? group.key : group.origin,
    ...(by === 'job' && { job_id: group.key, filename: group.filename }),
    ...(by === 'document' && { document_id: group.key, filename: group.filename }),
    ...(by === 'run' && { run_id: group.key }),
    ...(by === 'origin' && { origin: group.origin }),
    requests: group.requests,
    units: one ? (group.service === 'parse' ? group.pages : group.tokens) : null,
    unit: one ? (group.service === 'parse' ? 'page' : 'token') : null,
    pages: group.pages,
    tokens: group.tokens,
    ...moneyJson(costOf(group)),
  };
}

function unitJson(row: CostUnit): Record<string, unknown> {
  return {
    documents: row.docs,
    requests: row.requests,
    pages: row.pages,
    tokens: row.tokens,
    ...moneyJson(costOf(row)),
  };
}
