/** Turns styles into escape codes: the only user of chalk, which is told the decision and never detects anything itself. */
import type { Span, Style } from './text.ts';

/** Text with its escape codes, or as it is where colour is off. The text must already be displayable. */
export type Paint = (text: string, style: Style) => string;

/** No colour at all. */
export const unpainted: Paint = (text) => text;

/** Loads chalk at the basic 16 colours, which follow the user's own terminal theme. */
export async function loadPaint(): Promise<Paint> {
  const { Chalk } = await import('chalk');
  const chalk = new Chalk({ level: 1 });
  const styles: Record<Style, (text: string) => string> = {
    plain: (text) => text,
    strong: chalk.bold,
    dim: chalk.dim,
    good: chalk.green,
    warn: chalk.yellow,
    bad: chalk.red.bold,
    accent: chalk.cyan,
  };
  return (text, style) => styles[style](text);
}

/** One line of spans. */
export function paintLine(line: readonly Span[], paint: Paint): string {
  return line.map((span) => paint(span.text, span.style)).join('');
}
