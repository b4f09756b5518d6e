/** What the one `ui` object offers. Commands talk to this; only the files beside it touch streams and terminal libraries. */
import type { TvdbError } from '../../base/errors.ts';
import type { ExitCode } from '../exit-codes.ts';
import type { Annotation } from './github.ts';
import type { Cell, StatusWord, Text } from './text.ts';

/** What is known about one output stream, decided once at start. */
export interface StreamFacts {
  readonly tty: boolean;
  /** Width in columns; 80 where there is no terminal. A terminal of under 20 columns counts as none for animation. */
  readonly cols: number;
  readonly rows: number;
  readonly color: boolean;
}

export type Format = 'json' | 'ndjson' | 'quiet' | 'plain' | 'rich';

export interface Warning {
  /** `TVDB-W302`, or an error code where the warning is that error in a place where it does not end the command. */
  readonly code: string;
  readonly message: string;
}

export interface Column {
  readonly head: string;
  readonly align?: 'left' | 'right';
  /** May be cut in the middle when the table is wider than the terminal (names, paths, details). Ids and figures may not. */
  readonly flex?: boolean;
}

export interface Table {
  readonly columns: readonly Column[];
  readonly rows: readonly (readonly Cell[])[];
}

/** A page for people, top to bottom. Long lines wrap under their own indent; nothing is lost but the middle of flex cells. */
export interface Page {
  /** Columns there are; `Infinity` when there is no terminal. */
  readonly cols: number;
  readonly ascii: boolean;
  readonly accessible: boolean;
  line(...parts: Text[]): void;
  blank(): void;
  /** A bold heading without colour meaning. */
  heading(text: string): void;
  /** A label in a column of 10 (`Queue     4 waiting`); continuation lines are indented under the text. */
  field(label: string, ...parts: Text[]): void;
  /** `  ok    name` with a glyph where glyphs are allowed; `parts` follow the word. */
  status(word: StatusWord, ...parts: Text[]): void;
  /** A table without borders, or `key: value` records below 60 columns and for screen readers. */
  table(table: Table): void;
  /** Several lines of foreign text (a passage of a document); newlines are kept, every line indented. */
  passage(text: string, indent?: number): void;
}

/** The state of one thing in progress. Calls replace the state; figures never go backwards within a step. */
export interface ProgressState {
  /** What people call it: a file name. */
  readonly label: string;
  readonly status: StatusWord;
  /** Where it is: `parse`. */
  readonly step?: string;
  readonly detail?: string;
  readonly done?: number;
  readonly total?: number;
}

/**
 * Live progress on stderr. On a terminal: one line per active item, finished ones collapse. Plain: one line when a step starts,
 * ends or passes a tenth, and a heartbeat every 30 s. Otherwise nothing.
 */
export interface ProgressView {
  item(id: string, state: ProgressState): void;
  /** The line above the items: `[ 7/12 done  1 failed ]`. */
  tally(text: string): void;
  /** A line that stays. */
  log(...parts: Text[]): void;
  close(): void;
}

/** A page that replaces itself, on the second screen of the terminal. */
export interface WatchView {
  draw(build: (page: Page) => void): Promise<void>;
  /** Back to the screen as it was. Safe to call twice. */
  close(): void;
}

export interface ConfirmOptions {
  /** The flag that answers it; named when nobody can be asked: `--yes`. */
  readonly flag: string;
  /** Why it is asked, for the error. */
  readonly why?: string;
}

/** What a command answers. It never prints: `main` turns this into JSON, events, ids, tab-separated rows or a page. */
export interface CommandResult {
  /** Default: the exit code of `error`, else 0. */
  readonly exitCode?: ExitCode;
  /** The `data` of the JSON envelope: snake_case keys, RFC 3339 times, unknown is `null`. */
  readonly data: object;
  readonly warnings?: readonly Warning[];
  /** A failure whose `data` is worth showing all the same (some documents failed, a check failed). */
  readonly error?: TvdbError;
  /** Errors as GitHub Actions shows them, instead of one for `error`: where several things failed, each has its own. */
  readonly annotations?: readonly Annotation[];
  /** What GitHub Actions shows besides: things to know that are no faults. */
  readonly notices?: readonly Annotation[];
  /** The answer for people. */
  readonly render?: (page: Page) => void;
  /** The answer for pipes: one row a record, no header. Without it the page is printed without colour, width limit or glyphs. */
  readonly plain?: () => readonly (readonly Cell[])[];
  /** The answer under `-q`: only what the next command needs, one a line. */
  readonly quiet?: () => readonly string[];
  /** A finished text (help, a script, Markdown) printed as it is in every text format, also under `-q`. */
  readonly text?: string;
  /** One command line that is the natural next step; printed on stderr after success. */
  readonly next?: string;
}

export interface Ui {
  readonly out: StreamFacts;
  readonly err: StreamFacts;
  /** Whether a person can be asked. */
  readonly interactive: boolean;
  readonly ci: boolean;
  /** GitHub Actions. */
  readonly actions: boolean;
  readonly ascii: boolean;
  readonly accessible: boolean;
  readonly format: Format;
  readonly progress: 'tty' | 'plain' | 'none';
  readonly verbosity: number;
  /** IANA name; for display only. */
  readonly timezone: string;

  /** `16:40:02` in the display time zone. */
  time(at: number): string;
  /** `2026-11-22 16:40` in the display time zone. */
  date(at: number): string;

  /** One NDJSON event; nothing in other formats. `hello` and `result` are written by `main`. */
  event(type: string, fields?: Record<string, unknown>): void;
  /** The id of this invocation, once it has one: in every later event, in error references. */
  setRun(runId: string): void;
  /** The command that continues this one, printed if it is interrupted. */
  resumeWith(commandLine: string): void;

  /** A note for people on stderr (plan, estimate, hint). Not printed under `-q`. */
  note(build: (page: Page) => void): void;
  /** A warning on stderr; also part of the JSON answer. */
  warn(warning: Warning): void;
  /** Detail for `-v` (level 1) or `-vv` (level 2), on stderr. */
  verbose(level: 1 | 2, ...parts: Text[]): void;
  /** One record on stdout while the command still runs: a row in pipes, a page on a terminal; nothing in the other formats. */
  record(row: readonly Cell[], build: (page: Page) => void): Promise<void>;
  /** Writes complete lines to stdout as they are and resolves when they are out; for commands that declare `rawOutput`. */
  stream(text: string): Promise<void>;
  /** A page to redraw, or `null` where nothing can be redrawn: a pipe, a dumb terminal, a screen reader. */
  startWatch(): WatchView | null;
  /** Prints the answer now, for commands that go on (a server). What the handler returns later is then not printed. */
  answer(result: CommandResult): Promise<void>;

  startProgress(): Promise<ProgressView>;
  /** Asks yes or no, default no. Throws E011 naming the flag when nobody can be asked. */
  confirm(question: string, options: ConfirmOptions): Promise<boolean>;
}
