/** Sets text at a width: broken at words, continued under a hanging indent, painted. */
import type { Scrub } from '../../base/scrub.ts';
import { type Paint, paintLine } from './paint.ts';
import { spans, type Text } from './text.ts';
import { wrap } from './wrap.ts';

/** Where lines are set. */
export interface LineStyle {
  /** Columns; `Infinity` where there is no terminal: a line of a log is found whole. */
  readonly cols: number;
  readonly paint: Paint;
  /** Takes secrets out before a break can cut one in two. */
  readonly scrub?: Scrub;
}

/** What stands on stderr begins with a label (`warn`, `error`, `why`) of this width. */
export const LABEL_COLUMN = 7;

/** Lines of at most the width; those after the first begin under column `hang`. */
export function setLines(
  text: Text,
  { cols, paint, scrub = (whole) => whole }: LineStyle,
  hang = LABEL_COLUMN,
): string[] {
  const clean = spans(text).map((span) => ({ ...span, text: scrub(span.text) }));
  return wrap(clean, cols, hang).map((line) => paintLine(line, paint));
}
