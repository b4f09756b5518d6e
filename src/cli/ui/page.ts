/** Builds a page for people and sets it at a width. */
import { type LineStyle, setLines } from './set-lines.ts';
import { tableLines } from './table.ts';
import { plainText, type StatusWord, statusColumn, type Text } from './text.ts';
import type { Page, Table } from './ui.ts';

export interface PageStyle extends LineStyle {
  readonly ascii: boolean;
  readonly accessible: boolean;
}

const FIELD_COLUMN = 10;
/** Where text after a status word begins. */
const STATUS_COLUMN = 8;

/** Runs `build` and returns the page's text, each line ended by a newline; empty when nothing was put on it. */
export async function setPage(build: (page: Page) => void, style: PageStyle): Promise<string> {
  const blocks: (string[] | Promise<string[]>)[] = [];
  const lines = (text: Text, hang: number) => {
    blocks.push(setLines(text, style, hang));
  };
  build({
    cols: style.cols,
    ascii: style.ascii,
    accessible: style.accessible,
    line: (...parts: Text[]) => lines(parts, leadingSpaces(parts) + 2),
    blank: () => blocks.push(['']),
    heading: (text: string) => lines([{ text, style: 'strong' }], 2),
    field: (label: string, ...parts: Text[]) =>
      lines([{ text: padLabel(label, FIELD_COLUMN), style: 'strong' }, ...parts], FIELD_COLUMN),
    status: (word: StatusWord, ...parts: Text[]) =>
      lines([statusColumn(word, style.ascii || style.accessible), ...parts], STATUS_COLUMN),
    table: (table: Table) => blocks.push(tableLines(table, style.cols, style.accessible, style.paint)),
    passage: (text: string, indent = 2) => {
      for (const line of plainText(text.replaceAll('\t', '    '), '\n').split('\n'))
        lines([' '.repeat(indent), line], indent);
    },
  });
  const all = (await Promise.all(blocks)).flat();
  return all.length === 0 ? '' : `${all.join('\n')}\n`;
}

/** A label in its column, always with a space after it. */
function padLabel(label: string, column: number): string {
  return label.length < column ? label.padEnd(column) : `${label} `;
}

function leadingSpaces(parts: readonly Text[]): number {
  return /^ */.exec(plainText(parts))?.[0].length ?? 0;
}
