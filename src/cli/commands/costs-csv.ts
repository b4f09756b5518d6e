/** `costs --csv`: the table with a header, for spreadsheets. */
import { type CsvCell, csv } from '../../domain/csv.ts';
import { decimalUsd } from '../../domain/money.ts';
import { type CostAnswer, costOf, type Usage } from './costs-answer.ts';
import { serviceId } from './costs-json.ts';

/** One line a group, or a day or month. Money is in US dollars and exact; an unknown sum is an empty cell. */
export function costsCsv({ groups, units, unit, by }: CostAnswer): string {
  const figures = ['requests', 'pages', 'tokens', 'reserved_usd', 'cost_usd'];
  if (unit !== undefined)
    return csv([[unit, 'documents', ...figures], ...units.map((row) => [row.name, row.docs, ...cells(row)])]);
  const keyed = by !== undefined && by !== 'service' && by !== 'origin';
  const named = by === 'job' || by === 'document';
  const key = keyed ? [by.replace('-', '_'), ...(named ? ['file'] : [])] : [];
  return csv([
    [...key, 'service', 'origin', ...figures],
    ...groups.map((group) => [
      ...(keyed ? [group.key, ...(named ? [group.filename] : [])] : []),
      group.service === null ? null : serviceId(group.service),
      group.origin,
      ...cells(group),
    ]),
  ]);
}

function cells(usage: Usage): CsvCell[] {
  const cost = costOf(usage);
  // As digits: a number of this size written by JavaScript may come out as 5.9e-8, which some spreadsheets take for text.
  const money = (nano: number) => decimalUsd(nano);
  return [usage.requests, usage.pages, usage.tokens, money(usage.held), cost === null ? null : money(cost)];
}
