/** From a command line to an exit code: parses, runs one command and shows its answer or error in one place. */
import { resolve } from 'node:path';
import { EXIT } from '../base/error-codes.ts';
import { asTvdbError, TvdbError } from '../base/errors.ts';
import { armFault } from '../base/fault.ts';
import type { Scrub } from '../base/scrub.ts';
import type { CommandResult } from './command.ts';
import { reportCrash } from './crash.ts';
import { type InterruptControl, listenForInterrupts, stopCode } from './interrupt.ts';
import { type Io, processIo } from './io.ts';
import { displayZone, makePlan, type Plan } from './plan.ts';
import { PRODUCT, type Product } from './product.ts';
import { runCommand, type Stage } from './run.ts';
import { decide, isSet } from './ui/facts.ts';
import { type Outlet, outlet } from './ui/outlet.ts';
import { createScreen, type Ending, type Screen } from './ui/screen.ts';
import { VERSION } from './version.ts';

/** Variables that hold keys: scrubbed even before the configuration was read. */
const KEY_VARIABLES = [
  'LLAMAPARSE_API_KEY',
  'LLAMA_CLOUD_API_KEY',
  'OPENAI_API_KEY',
  'LLAMAPARSE_API_KEY_SECONDARY',
  'OPENAI_API_KEY_SECONDARY',
  'TVDB_API_TOKEN',
] as const;

/** Runs one command line and returns the exit code; the caller sets `process.exitCode`, so that output drains. */
export async function main(argv: readonly string[], io: Io = processIo(), product: Product = PRODUCT): Promise<number> {
  armFault(io.env.TVDB_FAULT);
  let screen: Screen | undefined;
  const stderr = outlet(io.stderr);
  const interrupts = listenForInterrupts({
    signals: io.signals,
    say: (text) => void stderr.write(text),
    restore: () => restoreTerminal(io, stderr, screen),
    exit: (code) => io.exit(code),
  });
  const stdout = outlet(io.stdout, () => interrupts.stop('closed-pipe'));
  try {
    const plan = await makePlan(argv, io, product);
    if (plan === 'version') {
      await stdout.write(`${VERSION}\n`);
      return EXIT.ok;
    }
    const scrub = product.scrubber([
      ...KEY_VARIABLES.flatMap((name) => io.env[name] ?? []),
      ...(plan.config?.secrets ?? []),
    ]);
    screen = await makeScreen(plan, { io, stdout, stderr, interrupts, scrub });
    if (plan.command !== undefined) screen.hello();
    const ending = await endingOf(plan, { argv, io, product, interrupts, screen, scrub });
    const code = await screen.finish(ending);
    showHints(plan, ending, screen, interrupts);
    await screen.settled();
    return stdout.failure === undefined ? code : await reportUnwritable(stdout.failure, code, screen);
  } finally {
    interrupts.dispose();
  }
}

interface Scene extends Stage {
  readonly interrupts: InterruptControl;
}

interface Wires {
  readonly io: Io;
  readonly stdout: Outlet;
  readonly stderr: Outlet;
  readonly interrupts: InterruptControl;
  readonly scrub: Scrub;
}

function makeScreen(plan: Plan, { io, stdout, stderr, interrupts, scrub }: Wires): Promise<Screen> {
  const settings = plan.config?.settings;
  const facts = decide(
    { stdin: { isTTY: io.stdinIsTty }, stdout: io.stdout, stderr: io.stderr },
    io.env,
    plan.globals,
    {
      ascii: settings?.TVDB_ASCII ?? isSet(io.env.TVDB_ASCII),
      accessible: settings?.TVDB_ACCESSIBLE ?? isSet(io.env.TVDB_ACCESSIBLE),
      noInput: settings?.TVDB_NO_INPUT ?? isSet(io.env.TVDB_NO_INPUT),
    },
  );
  return createScreen({
    facts,
    verbosity: plan.globals.verbose,
    timezone: () => displayZone(plan, io),
    fields: plan.globals.fields,
    schema: plan.command?.json ?? 'tvdb.error/v1',
    clock: io.clock,
    stdout,
    stderr,
    terminal: io,
    rawOutput: plan.command?.rawOutput,
    scrub,
    stopping: interrupts.stopping,
  });
}

/** Runs the command to its end and decides the exit code. Precedence: a bug, then an interruption, then the command's own. */
async function endingOf(plan: Plan, scene: Scene): Promise<Ending> {
  const { command } = plan;
  let result: CommandResult | undefined;
  let error = plan.error;
  try {
    if (error === undefined && command !== undefined) result = await runCommand(plan, command, scene);
    error ??= result?.error;
  } catch (thrown) {
    error = asTvdbError(thrown);
  }
  if (error?.code === 'E900') error = crashed(error, plan, scene);
  const cause = scene.interrupts.cause();
  const stop = stopCode(cause);
  if (error?.code === 'E900') return { exitCode: EXIT.internal, result, error };
  if (stop !== null && !(command?.stopIsSuccess === true && (error === undefined || error.code === 'E012'))) {
    return { exitCode: stop, result, error: error ?? (scene.interrupts.stopping.reason as TvdbError) };
  }
  // The reader of the output left, or a server was stopped by hand: the end of the work, but nobody's failure.
  if (error?.code === 'E012' && cause !== null) return { exitCode: EXIT.ok, result, error: undefined };
  return { exitCode: result?.exitCode ?? error?.exit ?? EXIT.ok, result, error };
}

function crashed(error: TvdbError, plan: Plan, { argv, io, scrub }: Scene): TvdbError {
  const home =
    plan.config?.home ??
    resolve(io.env.TVDB_HOME || `${io.env.XDG_DATA_HOME || `${io.env.HOME ?? '.'}/.local/share`}/tvdb`);
  return reportCrash({
    error,
    command: plan.command?.name ?? '',
    argv,
    at: io.clock.now(),
    id: io.ids.uuid(),
    home,
    scrub,
  });
}

function showHints(plan: Plan, { result, error }: Ending, screen: Screen, interrupts: InterruptControl): void {
  const resume = screen.resumeLine();
  if (stopCode(interrupts.cause()) !== null && plan.command?.stopIsSuccess !== true && resume !== undefined)
    screen.hint('resume', resume);
  else if (error === undefined && result?.next !== undefined && ['rich', 'plain'].includes(screen.ui.format))
    screen.hint('next', result.next);
}

/** The last words of a process that is ended by force. */
function restoreTerminal(io: Io, stderr: Outlet, screen: Screen | undefined): void {
  screen?.closeProgress();
  const resume = screen?.resumeLine();
  const show = io.stderr.isTTY === true ? '\x1b[?25h' : '';
  void stderr.write(`${show}stop   ended at once${resume === undefined ? '' : `\nresume ${resume}`}\n`);
}

async function reportUnwritable(failure: Error, code: number, screen: Screen): Promise<number> {
  const error = new TvdbError('E109', {
    message: 'The output could not be written',
    why: failure.message,
    cause: failure,
  });
  await screen.finish({ exitCode: code === EXIT.ok ? error.exit : code, result: undefined, error });
  await screen.settled();
  return code === EXIT.ok ? error.exit : code;
}
