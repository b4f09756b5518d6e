/** The text that stdout gets for a result, in each format. */

import { type PageStyle, setPage } from './page.ts';
import { tabSeparated } from './table.ts';
import type { CommandResult } from './ui.ts';

/** A page as pipes get it where a command has no rows: no glyph or width limit, and colour only if it was forced. */
const BARE = { cols: Number.POSITIVE_INFINITY, ascii: true, accessible: false };

/** Complete lines, or an empty text. JSON and events are made elsewhere. */
export async function answerText(
  result: CommandResult,
  format: 'quiet' | 'plain' | 'rich',
  style: PageStyle,
): Promise<string> {
  if (result.text !== undefined)
    return result.text === '' || result.text.endsWith('\n') ? result.text : `${result.text}\n`;
  if (format === 'quiet') return lines(result.quiet?.() ?? []);
  if (format === 'plain' && result.plain !== undefined) return lines(result.plain().map(tabSeparated));
  return result.render === undefined
    ? ''
    : setPage(result.render, format === 'rich' ? style : { ...BARE, paint: style.paint });
}

function lines(list: readonly string[]): string {
  return list.map((line) => `${line}\n`).join('');
}
