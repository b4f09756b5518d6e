/** Progress on a terminal: a tally and one line for each active item, redrawn in place by ora. */
import type { Clock } from '../../base/clock.ts';
import { truncate, width } from './display.ts';
import { type Paint, paintLine } from './paint.ts';
import { advance, isFinished, stateText, type TrackedItem } from './progress.ts';
import { setLines } from './set-lines.ts';
import { plainText, type Span, spans, statusColumn, type Text } from './text.ts';
import type { ProgressState, ProgressView } from './ui.ts';

export interface LiveProgress {
  readonly clock: Clock;
  readonly stream: NodeJS.WritableStream & { columns?: number; rows?: number };
  readonly paint: Paint;
  readonly ascii: boolean;
  /** Makes text safe to print: removes secrets. */
  readonly scrub: (text: string) => string;
}

const BRAILLE = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];
const LINE = ['-', '\\', '|', '/'];
const FRAME_MS = 100;
/** Spinner and the space after it. */
const MARGIN = 2;

/** A view on a real terminal of at least 20 columns; close it before anything else draws there. */
export async function liveProgress({ clock, stream, paint, ascii, scrub }: LiveProgress): Promise<ProgressView> {
  const { default: ora } = await import('ora');
  const items = new Map<string, TrackedItem>();
  let tally = '';
  const spinner = ora({
    stream,
    spinner: { frames: ascii ? LINE : BRAILLE, interval: FRAME_MS },
    color: false,
    isEnabled: true,
    // ora's default takes stdin over and Ctrl-C no longer arrives (tried, ora 9.4.1 with stdin-discarder 0.3.2).
    discardStdin: false,
  });

  const compose = (): string => {
    const cols = Math.max(1, (stream.columns || 80) - 1);
    const rows = stream.rows || 24;
    const now = clock.monotonic();
    const active = [...items.values()];
    const shown = active.slice(0, Math.max(1, rows - 4));
    const lines = shown.map((item) => itemLine(item, cols - MARGIN, now));
    if (active.length > shown.length) lines.push([{ text: `... ${active.length - shown.length} more`, style: 'dim' }]);
    const title = tally !== '' ? tally : active.length === 0 ? 'working' : `${active.length} active`;
    const first = tally === '' && lines.length === 1 ? [] : [oneLine(spans(title), cols - MARGIN)];
    return scrub([...first, ...lines].map((line) => paintLine(line, paint)).join('\n'));
  };
  const itemLine = (item: TrackedItem, cols: number, now: number): Span[] => {
    const labelCols = Math.min(40, Math.max(10, Math.floor(cols * 0.35)));
    const label = truncate(plainText(item.state.label), labelCols);
    const padding = ' '.repeat(Math.max(0, labelCols - width(label)) + 2);
    const status = statusColumn(item.state.status, ascii);
    return oneLine([status, ...spans([label, padding, stateText(item, now)])], cols);
  };
  const redraw = () => {
    spinner.text = compose();
  };
  // ora redraws frames; the elapsed times inside the text are ours to renew. Never keeps the process alive.
  const ticker = setInterval(redraw, FRAME_MS * 2);
  ticker.unref();
  redraw();
  spinner.start();

  return {
    item(id: string, state: ProgressState) {
      // Drawn by the ticker: thousands of calls a second cost no more than five.
      if (isFinished(state)) items.delete(id);
      else items.set(id, advance(items.get(id), id, state, clock.monotonic()));
    },
    tally(text: string) {
      tally = text;
    },
    log(...parts: Text[]) {
      spinner.clear();
      stream.write(`${scrub(setLines(parts, { cols: stream.columns || 80, paint, scrub }, 2).join('\n'))}\n`);
      redraw();
      spinner.render();
    },
    close() {
      clearInterval(ticker);
      spinner.stop();
    },
  };
}

/** Cut at the terminal's width: a line that wraps would break the count of lines to redraw. */
function oneLine(line: readonly Span[], cols: number): Span[] {
  const kept: Span[] = [];
  let left = cols;
  for (const span of line) {
    if (left <= 0) break;
    const text = truncate(span.text, left);
    kept.push({ text, style: span.style });
    left -= width(text);
  }
  return kept;
}
