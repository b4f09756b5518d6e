/** `costs` on a screen and in a pipe. */
import { shortId } from '../../base/ids.ts';
import { count, plural, usd } from '../ui/format.ts';
import { accent, type Cell, dim, strong } from '../ui/text.ts';
import type { Page, Table } from '../ui/ui.ts';
import { type CostAnswer, type CostGroup, costOf, type Grouping, serviceNames, type Usage } from './costs-answer.ts';
import { dayOf } from './costs-period.ts';

/** Rows of jobs, documents or runs on a screen. A pipe and JSON get all of them. */
const ROWS_SHOWN = 50;

/** Period, then one table: groups, or days or months with the newest next to the prompt. */
export function costsPage(page: Page, answer: CostAnswer): void {
  const { period, groups, unit, by } = answer;
  page.line(strong('Spend'), `     ${periodText(answer)} (${period.timezone})`, dim('   ledger: this machine'));
  page.blank();
  if (groups.length === 0) page.line('No request was sent in this time.');
  else if (unit !== undefined) page.table(unitTable(answer, unit));
  else page.table(groupTable(groups.slice(0, ROWS_SHOWN), by));
  if (unit === undefined && groups.length > ROWS_SHOWN)
    page.line(dim(`... ${plural(groups.length - ROWS_SHOWN, 'more row')}; --json has them all`));
  page.line(strong('Total real'), `  ${totalText(answer.real)}`);
}

function periodText({ period: { from, to, timezone } }: CostAnswer): string {
  const first = dayOf(from, timezone);
  const last = dayOf(to - 1, timezone);
  return first === last ? first : `${first} to ${last}`;
}

function totalText(real: Usage): string {
  const cost = costOf(real);
  return cost === null ? `at least ${usd(0)}  (${plural(real.unpriced, 'call')} unpriced)` : usd(cost);
}

function groupTable(groups: readonly CostGroup[], by: Grouping | undefined): Table {
  const key = by === undefined ? [{ head: 'SERVICE' }, { head: 'MODE' }] : [{ head: by.toUpperCase() }];
  const name = by === 'job' || by === 'document' ? [{ head: 'FILE', flex: true }] : [];
  return {
    columns: [
      ...key,
      ...name,
      { head: 'REQUESTS', align: 'right' },
      { head: 'UNITS', align: 'right' },
      { head: 'COST', align: 'right' },
    ],
    rows: groups.map((group) => [
      ...keyCells(group, by),
      ...(name.length === 0 ? [] : [group.filename]),
      count(group.requests),
      unitsText(group),
      usd(costOf(group)),
    ]),
  };
}

function keyCells({ service, origin, key }: CostGroup, by: Grouping | undefined): Cell[] {
  const title = service === null ? null : serviceNames(service).title;
  if (by === undefined) return [title, origin];
  if (by === 'service') return [title];
  if (by === 'origin') return [origin];
  return [key === null || by === 'mode' ? key : accent(shortId(key))];
}

function unitsText({ pages, tokens }: Usage): string {
  return [pages > 0 ? plural(pages, 'page') : '', tokens > 0 ? plural(tokens, 'token') : '']
    .filter((part) => part !== '')
    .join(', ');
}

function unitTable({ units }: CostAnswer, unit: 'day' | 'month'): Table {
  const sum = (key: 'docs' | 'pages' | 'tokens' | 'requests' | 'unpriced') =>
    units.reduce((total, row) => total + row[key], 0);
  const total = {
    name: 'Total',
    docs: sum('docs'),
    requests: sum('requests'),
    pages: sum('pages'),
    tokens: sum('tokens'),
    unpriced: sum('unpriced'),
  };
  return {
    columns: [
      { head: unit.toUpperCase() },
      ...['DOCS', 'REQUESTS', 'PAGES', 'TOKENS', 'TOTAL'].map((head) => ({ head, align: 'right' as const })),
    ],
    rows: [...units, total].map((row) => [
      row.name,
      count(row.docs),
      count(row.requests),
      count(row.pages),
      count(row.tokens),
      usd(costOf(row)),
    ]),
  };
}

/** For a pipe: key (service and mode; or what was asked for), requests, pages, tokens, cost in USD; or the same by day or month. */
export function costRows({ groups, units, unit, by }: CostAnswer): Cell[][] {
  const figures = (usage: Usage): Cell[] => {
    const cost = costOf(usage);
    return [usage.requests, usage.pages, usage.tokens, cost === null ? null : cost / 1e9];
  };
  if (unit !== undefined) return units.map((row) => [row.name, row.docs, ...figures(row)]);
  return groups.map((group) => {
    const service = group.service === null ? null : serviceNames(group.service).id;
    const key =
      by === undefined
        ? [service, group.origin]
        : [by === 'service' ? service : by === 'origin' ? group.origin : group.key];
    return [...key, ...figures(group)];
  });
}
