/** Breaks lines of styled text at a width, with continuation lines under a hanging indent. */
import { head, width } from './display.ts';
import type { Span } from './text.ts';

/** Lines of at most `cols` columns that together hold all of `spans`; words longer than a line are cut between characters. */
export function wrap(spans: readonly Span[], cols: number, hang: number): Span[][] {
  const limit = Math.max(8, cols);
  const indent = Math.min(hang, Math.max(0, limit - 8));
  const lines: Span[][] = [];
  let line: Span[] = [];
  let used = 0;
  const push = (text: string, style: Span['style']) => {
    line.push({ text, style });
    used += width(text);
  };
  const breakLine = () => {
    lines.push(trimEnd(line));
    line = [];
    used = 0;
    if (indent > 0) push(' '.repeat(indent), 'plain');
  };
  for (const { text, style } of spans) {
    for (const [piece] of text.matchAll(/ +|[^ ]+/g)) {
      const isSpace = piece.startsWith(' ');
      if (used + width(piece) <= limit) {
        push(piece, style);
        continue;
      }
      if (isSpace) {
        breakLine();
        continue;
      }
      // A word that fits on a line of its own goes there; a longer one starts here and is cut.
      if (width(piece) <= limit - indent) breakLine();
      let rest = piece;
      while (used + width(rest) > limit) {
        const fits = head(rest, limit - used);
        if (fits !== '') push(fits, style);
        rest = rest.slice(fits.length);
        breakLine();
      }
      push(rest, style);
    }
  }
  lines.push(trimEnd(line));
  return lines;
}

/** Without trailing spaces, which would show as colour or wrap a full terminal line. */
function trimEnd(line: Span[]): Span[] {
  const trimmed = [...line];
  for (let last = trimmed.at(-1); last !== undefined; last = trimmed.at(-1)) {
    const text = last.text.trimEnd();
    trimmed.pop();
    if (text !== '') {
      trimmed.push({ text, style: last.style });
      break;
    }
  }
  return trimmed;
}
