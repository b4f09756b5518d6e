/** `data` of `tvdb.costs/v1`. */
import { iso } from '../../base/clock.ts';
import { budgetJson } from './budget-view.ts';
import { type CostAnswer, type CostGroup, costOf, type Grouping, type Projection, type Usage } from './costs-answer.ts';
import { moneyJson } from './job-view.ts';

/** The answer as data. `priceVersion` is that of the price book in force. */
export function costsJson(answer: CostAnswer, priceVersion: string): Record<string, unknown> {
  const { period, by, unit, groups, units, real, compare, compared } = answer;
  const spent = costOf(real);
  return {
    period: { from: iso(period.from), to: iso(period.to), timezone: period.timezone },
    ledger_scope: 'local',
    price_table: {
      id: priceVersion,
      used: answer.priceVersions,
      priced: real.unpriced === 0,
      unpriced_calls: real.unpriced,
    },
    by: by ?? null,
    groups: groups.map((group) => groupJson(group, by)),
    days: unit === 'day' ? units.map((row) => ({ day: row.name, ...unitJson(row) })) : [],
    months: unit === 'month' ? units.map((row) => ({ month: row.name, ...unitJson(row) })) : [],
    totals: {
      spent_nano_usd: spent,
      spent_usd: moneyJson(spent).usd,
      reserved_nano_usd: real.held,
      unknown_nano_usd: answer.unknown,
      requests: groups.reduce((sum, group) => sum + group.requests, 0),
      real_requests: real.requests,
    },
    estimate: {
      estimated_nano_usd: answer.estimated,
      actual_nano_usd: real.spent,
      difference_nano_usd: real.spent - answer.estimated,
    },
    avoided: { mock_nano_usd: answer.avoided.mock, cache_nano_usd: answer.avoided.cache },
    caps: answer.budgets.map(budgetJson),
    projection: answer.projection === null ? null : projectionJson(answer.projection),
    comparison:
      compare === undefined || compared === null
        ? null
        : {
            from: iso(compare.from),
            to: iso(compare.to),
            spent_nano_usd: compared,
            difference_nano_usd: spent === null ? null : spent - compared,
          },
  };
}

function projectionJson({ until, forecast, capReachedAt }: Projection) {
  const known = forecast.state === 'ok' ? forecast : null;
  return {
    until: iso(until),
    enough_history: known !== null,
    basis_ms: forecast.basisMs,
    likely_nano_usd: known?.likelyNanoUsd ?? null,
    low_nano_usd: known?.lowNanoUsd ?? null,
    high_nano_usd: known?.highNanoUsd ?? null,
    cap_reached_at: iso(capReachedAt),
  };
}

function groupJson(group: CostGroup, by: Grouping | undefined): Record<string, unknown> {
  const { service, origin, key, filename } = group;
  const one = service !== null;
  return {
    service: service === null ? null : serviceId(service),
    mode: by === 'mode' ? key : origin,
    ...(by === 'job' && { job_id: key, filename }),
    ...(by === 'document' && { document_id: key, filename }),
    ...(by === 'run' && { run_id: key }),
    ...(by === 'origin' && { origin }),
    ...(by === 'cost-center' && { cost_center: key }),
    ...(by === 'tag' && { tag: key }),
    requests: group.requests,
    units: one ? (service === 'parse' ? group.pages : group.tokens) : null,
    unit: one ? (service === 'parse' ? 'page' : 'token') : null,
    ...usageJson(group),
  };
}

function unitJson(row: CostAnswer['units'][number]): Record<string, unknown> {
  return {
    documents: row.docs,
    requests: row.requests,
    ...usageJson(row),
    llamaparse_nano_usd: row.llamaparse,
    openai_nano_usd: row.openai,
  };
}

function usageJson(usage: Usage) {
  return { pages: usage.pages, tokens: usage.tokens, ...moneyJson(costOf(usage)), reserved_nano_usd: usage.held };
}

/** The name a service has in JSON. */
export function serviceId(service: NonNullable<CostGroup['service']>): 'llamaparse' | 'openai' {
  return service === 'parse' ? 'llamaparse' : 'openai';
}
