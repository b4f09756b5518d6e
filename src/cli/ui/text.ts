/** Text for people as data: what it says and how it is meant. Only the painter turns a style into escape codes. */
import { display } from './display.ts';

/** At most three hues a screen; `bad` only for the thing to read first. */
export type Style = 'plain' | 'strong' | 'dim' | 'good' | 'warn' | 'bad' | 'accent';

/** The words a status is said with; colour and glyph only repeat them. */
export type StatusWord = 'ok' | 'warn' | 'fail' | 'skip' | 'run' | 'wait';

export interface Span {
  readonly text: string;
  readonly style: Style;
}

/** Anything that can be put on a line. Strings are data: control characters in them become visible escapes. */
export type Text = string | number | Span | readonly Text[];

/** A table cell; `null` means unknown or not applicable and shows as `-`. */
export type Cell = Text | null;

const styled =
  (style: Style) =>
  (text: string | number): Span => ({ text: String(text), style });

/** The name or figure a reader looks for. */
export const strong = styled('strong');
/** Secondary detail. */
export const dim = styled('dim');
export const good = styled('good');
export const warn = styled('warn');
export const bad = styled('bad');
/** Ids and commands to copy. */
export const accent = styled('accent');

const STATUS_STYLE: Record<StatusWord, Style> = {
  ok: 'good',
  warn: 'warn',
  fail: 'bad',
  skip: 'dim',
  run: 'accent',
  wait: 'dim',
};
const STATUS_GLYPH: Record<StatusWord, string> = { ok: '✓', warn: '!', fail: '✗', skip: '-', run: '›', wait: '·' };

/** The style a status word is painted in. */
export function statusStyle(word: StatusWord): Style {
  return STATUS_STYLE[word];
}

/** Eight columns: two for the glyph (blank in ASCII), six for the word. */
export function statusColumn(word: StatusWord, ascii: boolean): Span {
  return { text: `${ascii ? ' ' : STATUS_GLYPH[word]} ${word.padEnd(6)}`, style: STATUS_STYLE[word] };
}

/** Flattens to spans without any control character except those in `keep`. */
export function spans(text: Text, keep: '' | '\n' = ''): Span[] {
  if (typeof text === 'string' || typeof text === 'number')
    return [{ text: display(String(text), keep), style: 'plain' }];
  if (Array.isArray(text)) return (text as readonly Text[]).flatMap((part) => spans(part, keep));
  const span = text as Span;
  return [{ text: display(span.text, keep), style: span.style }];
}

/** The characters alone. */
export function plainText(text: Cell, keep: '' | '\n' = ''): string {
  return text === null
    ? '-'
    : spans(text, keep)
        .map((span) => span.text)
        .join('');
}
