/** What a chunk says: its text and its heading path. */
import type { Section, Unit } from './chunk-units.ts';

/** The text of units: their source, with table headers and fences where a chunk begins or ends inside. */
export function renderUnits(source: string, units: readonly Unit[]): string {
  let text = '';
  for (let index = 0; index < units.length; ) {
    const first = units[index];
    if (first === undefined) break;
    let next = index + 1;
    while (next < units.length && units[next]?.wrap === first.wrap) next += 1;
    const last = units[next - 1] ?? first;
    const before = units[index - 1];
    if (before !== undefined) {
      const gap = source.slice(before.end, first.start);
      text += (first.wrap ?? before.wrap) !== undefined && !gap.includes('\n') ? '\n' : gap;
    }
    if (first.wrap !== undefined && first.start > first.wrap.start) text += first.wrap.before;
    text += source.slice(first.start, last.end);
    if (first.wrap !== undefined && last.end < first.wrap.end) text += first.wrap.after;
    index = next;
  }
  return text;
}

/** The titles that the sections of all units begin with. */
function commonPath(units: readonly { section: Section }[]): string[] {
  const [first, ...others] = units;
  let path = first?.section.path ?? [];
  for (const { section } of others) {
    if (section.path === path) continue;
    let length = 0;
    while (length < path.length && path[length] === section.path[length]) length += 1;
    path = path.slice(0, length);
  }
  return [...path];
}

/**
 * The heading path of a chunk: what the sections of its content have in common. Headings alone count only when there is
 * nothing else, and a few words before the first heading (under `leadTokens`: a running title, the last line of the page
 * before) do not count, or every page with a running title would lose its headings.
 */
export function headingPath(units: readonly Unit[], leadTokens: number): string[] {
  const heading = units.findIndex((unit) => unit.heading);
  const lead = heading > 0 && tokensOf(units.slice(0, heading)) < leadTokens ? heading : 0;
  const rest = units.slice(lead);
  const content = rest.filter((unit) => unit.content);
  return commonPath(content.length > 0 ? content : rest.slice(-1));
}

/** The tokens of units, a separator after each included. */
export function tokensOf(units: readonly Unit[]): number {
  return units.reduce((sum, unit) => sum + unit.tokens + 1, 0);
}
