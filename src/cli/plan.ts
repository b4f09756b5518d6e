/** From a command line to a plan: which command, with which flags, under which configuration. */
import { statSync } from 'node:fs';
import { isAbsolute, resolve } from 'node:path';
import { asTvdbError, TvdbError } from '../base/errors.ts';
import type { Config } from '../config/load.ts';
import type { CommandDefinition, GlobalFlags } from './command.ts';
import { optionKey } from './command-line.ts';
import { guessGlobals } from './globals.ts';
import { readInput } from './input.ts';
import type { Io } from './io.ts';
import type { Product } from './product.ts';
import { parseCommandLine, type RawInput } from './program.ts';

/** What is to be done, or the error that says why nothing can be. */
export interface Plan {
  readonly globals: GlobalFlags;
  readonly command: CommandDefinition | undefined;
  readonly raw: RawInput;
  readonly cwd: string;
  readonly config: Config | undefined;
  readonly error: TvdbError | undefined;
}

/** Parses and loads the configuration; an error on the way becomes part of the plan, because showing it needs a screen. */
export async function makePlan(argv: readonly string[], io: Io, product: Product): Promise<Plan | 'version'> {
  let plan: Plan = {
    globals: guessGlobals(argv),
    command: undefined,
    raw: { args: {}, options: {} },
    cwd: '',
    config: undefined,
    error: undefined,
  };
  try {
    const selection = parseCommandLine(argv, product.commands);
    if (selection.kind === 'version') {
      // commander stops at the flag, so what follows it was not read.
      const shown = guessGlobals(argv);
      return shown.json ? { ...plan, globals: shown, command: named('version', product) } : 'version';
    }
    const { globals } = selection;
    if (selection.kind === 'help') {
      const topic = selection.path === '' ? [] : selection.path.split(' ');
      const options = selection.bare && selection.path === '' ? { brief: true } : {};
      return { ...plan, globals, command: named('help', product), raw: { args: { topic }, options } };
    }
    const { command, raw } = selection;
    plan = { ...plan, globals, command, raw };
    plan = { ...plan, cwd: workingDirectory(io, command, globals.cwd) };
    // Values are checked before the configuration is read: a typo is the better thing to hear about.
    readInput(command, raw, { argv, now: io.clock.now(), timezone: () => 'UTC' });
    if (command.needs === 'nothing') return plan;
    const load = command.badConfig === 'shown' ? product.inspectConfig : product.loadConfig;
    const config = await load({
      flags: settingFlags(command, raw),
      env: { ...io.env },
      cwd: plan.cwd,
      ...(globals.envFile !== undefined && { envFile: globals.envFile }),
      ...(globals.config !== undefined && { preferencesFile: resolve(plan.cwd, globals.config) }),
    });
    return { ...plan, config };
  } catch (thrown) {
    const error = asTvdbError(thrown);
    const name = error.facts.command;
    return {
      ...plan,
      error,
      command: plan.command ?? (typeof name === 'string' && name !== '' ? named(name, product) : undefined),
    };
  }
}

function named(name: string, product: Product): CommandDefinition | undefined {
  return product.commands.find((command) => command.name === name);
}

/** Not asked of the system where nothing depends on it: help and completion work in a directory that was deleted. */
function workingDirectory(io: Io, { needs }: CommandDefinition, flag: string | undefined): string {
  if (flag === undefined) return needs === 'nothing' ? '' : io.cwd;
  const directory = isAbsolute(flag) ? resolve(flag) : resolve(io.cwd, flag);
  if (statSync(directory, { throwIfNoEntry: false })?.isDirectory() === true) return directory;
  throw new TvdbError('E003', {
    message: `--cwd must be a directory, not "${flag}"`,
    facts: { flag: '--cwd', value: flag, command: '' },
  });
}

/** Flags that stand for a setting, by the setting's name. */
function settingFlags(
  command: CommandDefinition,
  { options }: RawInput,
): Record<string, { value: string; flag: string }> {
  return Object.fromEntries(
    command.options.flatMap(({ setting, name }) => {
      const value = options[optionKey(name)];
      return setting === undefined || typeof value !== 'string' ? [] : [[setting, { value, flag: `--${name}` }]];
    }),
  );
}

/** IANA zone of the display: the flag, a zone the user configured, else the machine's. */
export function displayZone(plan: Plan, io: Io): string {
  const configured = plan.config === undefined ? io.env.TVDB_TIMEZONE : plan.config.settings.TVDB_TIMEZONE;
  const isDefault = plan.config?.sources.TVDB_TIMEZONE.source.kind === 'default';
  const zone = plan.globals.timezone ?? (isDefault ? undefined : configured);
  if (zone === 'UTC') return zone;
  try {
    return new Intl.DateTimeFormat('en', { ...(zone !== undefined && { timeZone: zone }) }).resolvedOptions().timeZone;
  } catch {
    // Only without a loaded configuration, which would have refused it.
    return 'UTC';
  }
}
