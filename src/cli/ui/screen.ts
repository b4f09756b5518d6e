/** The one `ui` object: built once by `main`, the only owner of stdout and stderr. */
import type { Clock } from '../../base/clock.ts';
import { asTvdbError, type TvdbError } from '../../base/errors.ts';
import { jsonText } from '../../base/json-text.ts';
import type { Scrub } from '../../base/scrub.ts';
import type { CommandResult } from '../command.ts';
import { VERSION } from '../version.ts';
import { answerText } from './answer.ts';
import { display } from './display.ts';
import type { Outcome } from './envelope.ts';
import type { Facts, StreamLike } from './facts.ts';
import { clockTime, dateTime } from './format.ts';
import { type AnnotationKind, annotations } from './github.ts';
import type { Outlet } from './outlet.ts';
import { type PageStyle, setPage } from './page.ts';
import { loadPaint, type Paint, paintLine, unpainted } from './paint.ts';
import { plainProgress } from './progress-plain.ts';
import { askYesNo, cannotAsk, type Terminal } from './prompt.ts';
import { LABEL_COLUMN, setLines } from './set-lines.ts';
import { tabSeparated } from './table.ts';
import { accent, type Cell, dim, spans, type Text, warn } from './text.ts';
import type { Page, ProgressView, Ui, Warning, WatchView } from './ui.ts';
import { watchView } from './watch.ts';

export interface ScreenOptions {
  readonly facts: Facts;
  readonly verbosity: number;
  /** IANA zone of the display; asked for on first use, because the runtime needs 30 ms to tell its own. */
  readonly timezone: () => string;
  readonly fields: readonly string[] | undefined;
  /** Schema name of the JSON answer. */
  readonly schema: string;
  readonly clock: Clock;
  readonly stdout: Outlet;
  readonly stderr: Outlet;
  readonly terminal: Terminal & { readonly stdout?: StreamLike };
  /** Stdout belongs to the command's own records: no events are written to it. */
  readonly rawOutput?: boolean | undefined;
  readonly scrub: Scrub;
  /** Ends a question when the work is stopped. */
  readonly stopping: AbortSignal;
}

export interface Ending {
  readonly exitCode: number;
  readonly result: CommandResult | undefined;
  readonly error: TvdbError | undefined;
}

/** The part of the screen that only `main` uses. */
export interface Screen {
  readonly ui: Ui;
  /** First line of an event stream. */
  hello(): void;
  /** Prints the answer on stdout and an error on stderr, in the format that was asked for. Returns the exit code to use. */
  finish(ending: Ending): Promise<number>;
  /** `next` or `resume` line on stderr. */
  hint(label: string, commandLine: string): void;
  /** How to continue, if the command said so. */
  resumeLine(): string | undefined;
  /** Resolves when everything said so far is out. */
  settled(): Promise<void>;
  closeProgress(): void;
}

/** Builds the screen; loads chalk only where a stream is coloured. */
export async function createScreen(options: ScreenOptions): Promise<Screen> {
  const { facts, clock, stdout, stderr, scrub } = options;
  let zone: string | undefined;
  const timezone = () => {
    zone ??= options.timezone();
    return zone;
  };
  const color: Paint = facts.out.color || facts.err.color ? await loadPaint() : unpainted;
  const paints = { out: facts.out.color ? color : unpainted, err: facts.err.color ? color : unpainted };
  const notes = annotations();
  const warnings: Warning[] = [];
  let seq = 0;
  let runId: string | undefined;
  let resume: string | undefined;
  let answered = false;
  let view: ProgressView | undefined;
  let watch: WatchView | undefined;
  // Pages are set asynchronously (cli-table3 is loaded on first use); the queue keeps what was said in order.
  let queue: Promise<unknown> = Promise.resolve();
  const enqueue = (write: () => Promise<unknown>) => {
    queue = queue.then(write);
    return queue;
  };

  const style = (stream: 'out' | 'err'): PageStyle => ({
    cols: facts[stream].tty ? facts[stream].cols : Number.POSITIVE_INFINITY,
    paint: paints[stream],
    scrub,
    ascii: facts.ascii || !facts[stream].tty,
    accessible: facts.accessible,
  });
  const say = (text: string) => enqueue(() => stderr.write(scrub(text)));
  const sayLine = (...parts: Text[]) => say(`${setLines(parts, style('err')).join('\n')}\n`);
  const tell = (text: string) => enqueue(() => stdout.write(scrub(text)));
  const event = (type: string, fields: Record<string, unknown> = {}) => {
    if (facts.format !== 'ndjson' || options.rawOutput === true) return;
    const line = {
      v: 1,
      seq,
      ts: new Date(clock.now()).toISOString(),
      type,
      ...(runId !== undefined && { run_id: runId }),
      ...fields,
    };
    seq += 1;
    void tell(`${jsonText(line)}\n`);
  };
  const annotate = (kind: AnnotationKind, title: string, message: string) => {
    if (facts.actions) void say(notes.add(kind, title, message));
  };
  const addWarning = (warning: Warning) => {
    warnings.push(warning);
    event('warning', { ...warning });
    void sayLine(warn('warn   '), `${warning.code}  ${warning.message}`);
    annotate('warning', warning.code, warning.message);
  };
  const outcomeOf = async ({ exitCode, result, error }: Ending): Promise<Outcome> => {
    const data = result?.data ?? null;
    const rest = { schema: options.schema, at: clock.now(), warnings, runId };
    if (data === null || options.fields === undefined) return { ...rest, exitCode, error, data };
    try {
      const { selectFields } = await import('./envelope.ts');
      return { ...rest, exitCode, error, data: selectFields(data, options.fields) };
    } catch (thrown) {
      const unknown = asTvdbError(thrown);
      return { ...rest, exitCode: unknown.exit, error: unknown, data: null };
    }
  };
  const print = async (outcome: Outcome, result: CommandResult | undefined) => {
    const { format } = facts;
    if (format === 'json' || format === 'ndjson') {
      const { envelope } = await import('./envelope.ts');
      if (format === 'ndjson') event('result', envelope(outcome));
      else await tell(`${jsonText(envelope(outcome), 2)}\n`);
    } else if (result !== undefined) await tell(await answerText(result, format, style('out')));
  };

  const ui: Ui = {
    ...facts,
    verbosity: options.verbosity,
    get timezone() {
      return timezone();
    },
    time: (at) => clockTime(at, timezone()),
    date: (at) => dateTime(at, timezone()),
    event,
    setRun: (id) => {
      runId = id;
    },
    resumeWith: (commandLine) => {
      resume = commandLine;
    },
    note(build: (page: Page) => void) {
      if (facts.format !== 'quiet') void enqueue(async () => stderr.write(scrub(await setPage(build, style('err')))));
    },
    warn: addWarning,
    verbose(level, ...parts) {
      if (options.verbosity >= level) void sayLine(dim('debug  '), ...parts);
    },
    async record(row: readonly Cell[], build: (page: Page) => void) {
      if (facts.format === 'plain') await tell(`${tabSeparated(row)}\n`);
      if (facts.format === 'rich') await enqueue(async () => stdout.write(scrub(await setPage(build, style('out')))));
    },
    stream: (text) => stdout.write(scrub(text)),
    startWatch() {
      if (facts.format !== 'rich' || facts.progress !== 'tty') return null;
      const size = () => ({
        cols: options.terminal.stdout?.columns || facts.out.cols,
        rows: options.terminal.stdout?.rows || facts.out.rows,
      });
      watch = watchView({ style: style('out'), size, write: (text) => stdout.write(scrub(text)) });
      return watch;
    },
    async answer(result) {
      answered = true;
      await queue;
      await print(await outcomeOf({ exitCode: 0, result, error: undefined }), result);
    },
    async startProgress() {
      await queue;
      view?.close();
      view = await openView();
      return view;
    },
    async confirm(question, { flag, why }) {
      if (!facts.interactive) throw cannotAsk(question, flag, why);
      await queue;
      view?.close();
      view = undefined;
      return askYesNo(display(question), options.terminal, facts.err.color, options.stopping);
    },
  };

  async function openView(): Promise<ProgressView> {
    if (facts.progress === 'none') return { item() {}, tally() {}, log() {}, close() {} };
    if (facts.progress === 'plain') return plainProgress({ clock, time: ui.time, write: (line) => void say(line) });
    const { liveProgress } = await import('./progress-live.ts');
    return liveProgress({ clock, stream: options.terminal.stderr, paint: paints.err, ascii: facts.ascii, scrub });
  }

  return {
    ui,
    hello: () => event('hello', { schema: 'tvdb.events/v1', tvdb: VERSION }),
    async finish(ending) {
      view?.close();
      watch?.close();
      for (const warning of ending.result?.warnings ?? []) addWarning(warning);
      await queue;
      const outcome = await outcomeOf(ending);
      const { error, exitCode } = outcome;
      if (!answered) await print(outcome, ending.result);
      if (error?.code === 'E012') await sayLine(dim('stop   '), error.message);
      else if (error !== undefined) {
        const { errorText } = await import('./errors.ts');
        await say(
          errorText(error, {
            ...style('err'),
            exitCode,
            runId,
            verbose: options.verbosity > 0,
          }),
        );
        const own = [{ title: `${error.label} ${error.category}`, message: error.message }];
        for (const { title, message } of ending.result?.annotations ?? own) annotate('error', title, message);
      }
      for (const { title, message } of ending.result?.notices ?? []) annotate('notice', title, message);
      if (facts.actions) await say(notes.rest());
      return exitCode;
    },
    // A command is pasted: a line break of ours would be part of it.
    hint: (label, line) =>
      void say(`${paintLine(spans([dim(label.padEnd(LABEL_COLUMN)), accent(line)]), paints.err)}\n`),
    resumeLine: () => resume,
    settled: async () => void (await queue),
    closeProgress() {
      view?.close();
      watch?.close();
    },
  };
}
