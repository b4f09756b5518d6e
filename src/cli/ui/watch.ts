/** A page that is drawn again and again on the terminal's second screen, which leaves no trace when it closes. */
import { type PageStyle, setPage } from './page.ts';
import type { Page, WatchView } from './ui.ts';

export interface WatchOptions {
  readonly style: PageStyle;
  /** Present size of the terminal; it may change while watching. */
  readonly size: () => { readonly cols: number; readonly rows: number };
  readonly write: (text: string) => Promise<unknown>;
}

const ENTER = '\x1b[?1049h\x1b[?25l';
const LEAVE = '\x1b[?25h\x1b[?1049l';
const HOME = '\x1b[H';
const REST_OF_LINE = '\x1b[K';
const REST_OF_SCREEN = '\x1b[J';

/** A view on a real terminal; close it before anything else is printed there. */
export function watchView({ style, size, write }: WatchOptions): WatchView {
  let state: 'new' | 'open' | 'closed' = 'new';
  return {
    async draw(build: (page: Page) => void) {
      const { cols, rows } = size();
      const lines = (await setPage(build, { ...style, cols })).trimEnd().split('\n');
      if (state === 'closed') return;
      const room = Math.max(1, rows - 1);
      const shown =
        lines.length <= room ? lines : [...lines.slice(0, room - 1), `... ${lines.length - room + 1} more lines`];
      const enter = state === 'new' ? ENTER : '';
      state = 'open';
      await write(`${enter}${HOME}${shown.map((line) => `${line}${REST_OF_LINE}`).join('\r\n')}${REST_OF_SCREEN}`);
    },
    close() {
      if (state === 'open') void write(LEAVE);
      state = 'closed';
    },
  };
}
