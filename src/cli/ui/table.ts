/** Tables for people: borderless columns that never exceed the terminal, or labelled records where columns would not fit. */
import { truncate, width } from './display.ts';
import { type Paint, paintLine } from './paint.ts';
import { plainText, type Span, spans } from './text.ts';
import type { Table } from './ui.ts';
import { wrap } from './wrap.ts';

/** Below this, columns are too narrow to read. */
const RECORDS_BELOW = 60;
const GAP = '  ';
/** A flex column keeps at least this much, else the table becomes records. */
const FLEX_MIN = 12;
/** cli-table3 without any of its lines; `style` must be given or it colours even into a pipe (tried, 0.6.5). */
const NO_LINES = {
  top: '',
  'top-mid': '',
  'top-left': '',
  'top-right': '',
  bottom: '',
  'bottom-mid': '',
  'bottom-left': '',
  'bottom-right': '',
  left: '',
  'left-mid': '',
  mid: '',
  'mid-mid': '',
  right: '',
  'right-mid': '',
  middle: GAP,
} as const;

/** The lines of a table at `cols` columns; rows keep their order, `null` cells show as `-`. */
export async function tableLines(table: Table, cols: number, accessible: boolean, paint: Paint): Promise<string[]> {
  if (accessible || cols < RECORDS_BELOW) return recordLines(table, cols, paint);
  const widths = columnWidths(table, cols);
  if (widths === null) return recordLines(table, cols, paint);
  const { default: CliTable } = await import('cli-table3');
  const drawn = new CliTable({
    chars: NO_LINES,
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
    colWidths: widths,
    colAligns: table.columns.map((column) => column.align ?? 'left'),
  });
  drawn.push(table.columns.map((column, i) => paint(truncate(column.head, widths[i] ?? 0), 'strong')));
  for (const row of table.rows) {
    drawn.push(table.columns.map((_column, i) => paintLine(cutTo(cellSpans(row[i]), widths[i] ?? 0), paint)));
  }
  return drawn.toString().split('\n').map(trimLine);
}

/** Natural widths, with flex columns cut as far as needed; `null` when even that does not fit. */
function columnWidths(table: Table, cols: number): number[] | null {
  const widths = table.columns.map((column, i) =>
    Math.max(1, width(column.head), ...table.rows.map((row) => width(plainText(row[i] ?? null)))),
  );
  let excess = widths.reduce((sum, one) => sum + one, GAP.length * (widths.length - 1)) - cols;
  while (excess > 0) {
    const widest = widths.reduce(
      (best, one, i) => (table.columns[i]?.flex && one > (widths[best] ?? 0) ? i : best),
      firstFlex(table),
    );
    const current = widths[widest] ?? 0;
    if (widest < 0 || current <= FLEX_MIN) return null;
    const cut = Math.min(excess, Math.max(1, Math.ceil((current - FLEX_MIN) / 2)));
    widths[widest] = current - cut;
    excess -= cut;
  }
  return widths;
}

function firstFlex(table: Table): number {
  return table.columns.findIndex((column) => column.flex);
}

function cellSpans(cell: Table['rows'][number][number] | undefined): Span[] {
  return spans(cell ?? '-');
}

function cutTo(cell: Span[], cols: number): Span[] {
  const text = cell.map((span) => span.text).join('');
  return width(text) <= cols ? cell : [{ text: truncate(text, cols), style: cell[0]?.style ?? 'plain' }];
}

/** The last column is padded by cli-table3; spaces at a line's end are noise when copied. */
function trimLine(line: string): string {
  return line.replace(/ +$/, '');
}

function recordLines(table: Table, cols: number, paint: Paint): string[] {
  return table.rows.flatMap((row, index) => {
    const fields = table.columns.flatMap((column, i) => {
      const label: Span = { text: `${column.head.toLowerCase()}: `, style: 'dim' };
      return wrap([label, ...cellSpans(row[i])], cols, 2).map((line) => paintLine(line, paint));
    });
    return index === 0 ? fields : ['', ...fields];
  });
}

/** One row for a pipe: cells apart by tabs, with tabs, line ends and all other control characters inside a cell escaped. */
export function tabSeparated(row: Table['rows'][number]): string {
  return row.map((cell) => (cell === null ? '' : plainText(cell))).join('\t');
}
