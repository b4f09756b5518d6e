/** Turns what was typed into the typed input of a command, checked by the command's own data. */
import { TvdbError } from '../base/errors.ts';
import type { ArgSpec, CommandDefinition, Input, OptionSpec } from './command.ts';
import { camelCase, corrected, optionKey } from './command-line.ts';
import type { RawInput } from './program.ts';
import { readValue } from './values.ts';

export interface InputContext {
  readonly argv: readonly string[];
  readonly now: number;
  readonly timezone: () => string;
}

/** Throws E003, E005 (with the corrected command line) or E009. */
export function readInput(command: CommandDefinition, raw: RawInput, context: InputContext): Input {
  try {
    checkTogether(command, raw);
    return {
      args: Object.fromEntries(
        command.args.map((arg) => [camelCase(arg.name), readArg(arg, raw.args[camelCase(arg.name)], context)]),
      ),
      options: Object.fromEntries(
        ownOptions(command).map((option) => [optionKey(option.name), readOption(option, raw, context)]),
      ),
    } as unknown as Input;
  } catch (error) {
    throw error instanceof TvdbError ? inCommand(error, command, context.argv) : error;
  }
}

/** One option for each key: `--no-open` beside `--open [id]` only makes the value `false`. */
function ownOptions({ options }: CommandDefinition): OptionSpec[] {
  return options.filter(({ name }) => !name.startsWith('no-') || !options.some((other) => `no-${other.name}` === name));
}

function readArg(arg: ArgSpec, typed: string | readonly string[] | undefined, context: InputContext): unknown {
  const read = (text: string) => readValue(arg.value ?? 'text', text, { ...context, where: `<${arg.name}>` });
  if (arg.repeat === true) return (Array.isArray(typed) ? (typed as readonly string[]) : []).map(read);
  return typeof typed === 'string' ? read(typed) : undefined;
}

function readOption(option: OptionSpec, { options }: RawInput, context: InputContext): unknown {
  const typed = options[optionKey(option.name)];
  const { value, min, max } = option;
  if (value === undefined) return option.name.startsWith('no-') ? typed !== false : typed === true;
  const read = (text: string) => readValue(value, text, { ...context, where: `--${option.name}`, min, max });
  if (option.repeat === true) return (Array.isArray(typed) ? (typed as readonly string[]) : []).map(read);
  return typeof typed === 'string' ? read(typed) : typed;
}

/** Throws E009 for flags that do not go together, and for one without the flag that it belongs to. */
function checkTogether(command: CommandDefinition, { options }: RawInput): void {
  for (const { name, excludes = [], requires } of command.options) {
    if (options[optionKey(name)] === undefined) continue;
    if (requires !== undefined && options[optionKey(requires)] === undefined)
      throw new TvdbError('E009', {
        message: `--${name} means nothing without --${requires}`,
        fix: `Add --${requires}, or leave --${name} out.`,
        facts: { flag: `--${name}` },
      });
    const clash = excludes.find((other) => options[optionKey(other)] !== undefined);
    if (clash !== undefined)
      throw new TvdbError('E009', {
        message: `--${name} and --${clash} exclude each other`,
        facts: { flag: `--${name}` },
      });
  }
}

/** Adds where to read on, and the command line put right if it is known what was meant. */
function inCommand(error: TvdbError, command: CommandDefinition, argv: readonly string[]): TvdbError {
  const { value, suggestion } = error.facts;
  const known = typeof value === 'string' && typeof suggestion === 'string';
  return new TvdbError(error.code, {
    message: error.message,
    ...(error.why !== undefined && { why: error.why }),
    fix: known ? '' : error.fix,
    commands: known ? [corrected(argv, value, suggestion)] : [],
    facts: { ...error.facts, command: command.name },
  });
}
