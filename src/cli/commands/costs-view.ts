/** `costs` on a screen and in a pipe. */
import { shortId } from '../../base/ids.ts';
import { clockTime, count, duration, plural, usd } from '../ui/format.ts';
import { accent, type Cell, dim, strong } from '../ui/text.ts';
import type { Page, Table } from '../ui/ui.ts';
import { budgetLine } from './budget-view.ts';
import { type CostAnswer, type CostGroup, costOf, type Usage } from './costs-answer.ts';
import { serviceId } from './costs-json.ts';
import { dayOf } from './costs-period.ts';

/** Rows of jobs, documents or runs on a screen. A pipe and JSON get all of them. */
const ROWS_SHOWN = 50;

/** What the page needs besides the answer. */
export interface CostsPlace {
  /** The price book in force. */
  readonly priceVersion: string;
  /** In CI, where every runner has a ledger of its own. */
  readonly ci: boolean;
  /** A time as people here read it. */
  date(at: number): string;
}

/** Period and budgets, then one table: groups, or days or months with the newest next to the prompt; then the sums. */
export function costsPage(page: Page, answer: CostAnswer, place: CostsPlace): void {
  const { period, groups, unit } = answer;
  const only = place.ci ? 'ledger: this machine only' : 'ledger: this machine';
  page.line(strong('Spend'), `     ${periodText(answer)} (${period.timezone})`, dim(`   ${only}`));
  for (const budget of answer.budgets) budgetLine(page, budget, place.date);
  page.blank();
  if (groups.length === 0) page.line('No request was sent in this time.');
  else if (unit !== undefined) page.table(unitTable(answer, unit));
  else page.table(groupTable(answer));
  if (unit === undefined && groups.length > ROWS_SHOWN)
    page.line(dim(`... ${plural(groups.length - ROWS_SHOWN, 'more row')}; --json has them all`));
  page.line(strong('Total real'), `  ${totalText(answer.real)}`);
  page.blank();
  facts(page, answer, place);
}

function facts(page: Page, answer: CostAnswer, { priceVersion }: CostsPlace): void {
  const { real, unknown, estimated, avoided, compare, compared, priceVersions } = answer;
  page.field(
    'reserved',
    `${usd(real.held)}, of which unknown ${usd(unknown)}`,
    unknown > 0 ? dim('   tvdb costs holds') : '',
  );
  if (estimated > 0) {
    const difference = real.spent - estimated;
    page.field(
      'estimate',
      `${usd(estimated)}   actual ${usd(real.spent)}   difference ${signed(difference)} (${percentText(difference, estimated)})`,
    );
  }
  projectionLine(page, answer);
  if (compare !== undefined && compared !== null) {
    const spent = costOf(real);
    const change =
      spent === null ? 'unknown' : `${signed(spent - compared)} (${percentText(spent - compared, compared)})`;
    page.field('compared', `with ${spanText(compare, answer.period.timezone)}: ${usd(compared)}   change ${change}`);
  }
  page.field(
    'avoided',
    `mock ${usd(avoided.mock)}   cache ${usd(avoided.cache)}`,
    dim('   not spend, for comparison only'),
  );
  const used = priceVersions.filter((version) => version !== priceVersion);
  const others = used.length === 0 ? '' : `, ${used.join(', ')} before`;
  const priced = real.unpriced === 0 ? 'all calls priced' : `${plural(real.unpriced, 'call')} unpriced`;
  page.field('prices', `book ${priceVersion}${others}, ${priced}; provider bills may differ`);
}

function projectionLine(page: Page, { projection, period }: CostAnswer): void {
  if (projection === null) return;
  const { forecast, until, capReachedAt } = projection;
  if (forecast.state === 'not_enough_history') {
    const known = forecast.basisMs === 0 ? 'nothing was spent yet' : `${duration(forecast.basisMs)} of spending`;
    page.field('forecast', `not enough history (${known}, an hour is needed)`);
    return;
  }
  const { likelyNanoUsd: likely, lowNanoUsd: low, highNanoUsd: high, basisMs } = forecast;
  const end = `${dayOf(until - 1, period.timezone)}`;
  page.field(
    'forecast',
    `${usd(likely)} by the end of ${end}, likely ${usd(low)} to ${usd(high)}, from ${duration(basisMs)} of spending`,
    capReachedAt === null ? '' : `; the cap is reached about ${clockTime(capReachedAt, period.timezone).slice(0, 5)}`,
  );
}

const signed = (nano: number) => `${nano > 0 ? '+' : ''}${usd(nano)}`;

function percentText(part: number, whole: number): string {
  if (whole === 0) return part === 0 ? '0%' : 'from nothing';
  const percent = (part / whole) * 100;
  return `${percent > 0 ? '+' : ''}${percent.toFixed(1)}%`;
}

function periodText({ period }: CostAnswer): string {
  return spanText(period, period.timezone);
}

function spanText({ from, to }: { from: number; to: number }, timezone: string): string {
  const first = dayOf(from, timezone);
  const last = dayOf(to - 1, timezone);
  return first === last ? first : `${first} to ${last}`;
}

function totalText(real: Usage): string {
  return costOf(real) === null
    ? `at least ${usd(real.spent)}  (${plural(real.unpriced, 'call')} unpriced)`
    : usd(real.spent);
}

function groupTable({ groups, by, breakdown, real }: CostAnswer): Table {
  const split = by === undefined || breakdown;
  const keyed = by !== undefined && by !== 'service' && by !== 'origin';
  const heads = [
    ...(keyed ? [by.toUpperCase()] : []),
    ...(split || by === 'service' ? ['SERVICE'] : []),
    ...(split ? ['MODE'] : by === 'origin' ? ['ORIGIN'] : []),
  ];
  const name = by === 'job' || by === 'document' ? [{ head: 'FILE', flex: true }] : [];
  const figures = ['REQUESTS', 'UNITS', ...(real.held > 0 ? ['RESERVED'] : []), 'COST', 'SHARE'];
  return {
    columns: [
      ...heads.map((head) => ({ head })),
      ...name,
      ...figures.map((head) => ({ head, align: 'right' as const })),
    ],
    rows: groups
      .slice(0, ROWS_SHOWN)
      .map((group) => [
        ...(keyed ? [keyCell(group, by)] : []),
        ...(split || by === 'service' ? [serviceCell(group)] : []),
        ...(split || by === 'origin' ? [group.origin] : []),
        ...(name.length === 0 ? [] : [group.filename]),
        count(group.requests),
        unitsText(group),
        ...(real.held > 0 ? [group.held === 0 ? null : usd(group.held)] : []),
        usd(costOf(group)),
        group.spent === 0 || real.spent === 0 ? null : shareText(group.spent / real.spent),
      ]),
  };
}

function shareText(share: number): string {
  return share < 0.005 ? '<1%' : `${Math.round(share * 100)}%`;
}

function serviceCell({ service }: CostGroup): Cell {
  return service === null ? null : service === 'parse' ? 'LlamaParse' : 'OpenAI embed';
}

function keyCell({ key }: CostGroup, by: string): Cell {
  if (key === null) return by === 'cost-center' || by === 'tag' ? '(none)' : null;
  return by === 'job' || by === 'document' || by === 'run' ? accent(shortId(key)) : key;
}

function unitsText({ pages, tokens }: Usage): string {
  return [pages > 0 ? plural(pages, 'page') : '', tokens > 0 ? plural(tokens, 'token') : '']
    .filter((part) => part !== '')
    .join(', ');
}

function unitTable({ units, budgets }: CostAnswer, unit: 'day' | 'month'): Table {
  const sum = (key: 'docs' | 'pages' | 'tokens' | 'llamaparse' | 'openai' | 'unpriced' | 'spent') =>
    units.reduce((total, row) => total + row[key], 0);
  const total = {
    ...{ name: 'Total', docs: sum('docs'), pages: sum('pages'), tokens: sum('tokens'), unpriced: sum('unpriced') },
    ...{ llamaparse: sum('llamaparse'), openai: sum('openai'), spent: sum('spent') },
  };
  const cap = budgets.find(
    ({ budget: { scope, span, measure } }) => scope === 'all' && span === unit && measure === 'cost',
  )?.limit;
  return {
    columns: [
      { head: unit.toUpperCase() },
      ...['DOCS', 'PAGES', 'TOKENS', 'LLAMAPARSE', 'OPENAI', 'TOTAL', 'CAP'].map((head) => ({
        head,
        align: 'right' as const,
      })),
    ],
    rows: [...units, total].map((row) => [
      row.name,
      count(row.docs),
      count(row.pages),
      count(row.tokens),
      usd(row.llamaparse),
      usd(row.openai),
      usd(costOf(row)),
      row === total || cap === undefined || cap === 0 ? null : `${Math.round((row.spent / cap) * 100)}%`,
    ]),
  };
}

/**
 * For a pipe: key (service and mode; or what was asked for), requests, pages, tokens, cost in USD; or the same by day or
 * month. An unknown cost is no number.
 */
export function costRows({ groups, units, unit, by, breakdown }: CostAnswer): Cell[][] {
  const figures = (usage: Usage): Cell[] => {
    const cost = costOf(usage);
    return [usage.requests, usage.pages, usage.tokens, cost === null ? null : cost / 1e9];
  };
  if (unit !== undefined) return units.map((row) => [row.name, row.docs, ...figures(row)]);
  return groups.map((group) => {
    const service = group.service === null ? null : serviceId(group.service);
    const keyed = by !== undefined && by !== 'service' && by !== 'origin';
    const split = by === undefined || breakdown;
    return [
      ...(keyed ? [group.key] : []),
      ...(split || by === 'service' ? [service] : []),
      ...(split || by === 'origin' ? [group.origin] : []),
      ...figures(group),
    ];
  });
}
