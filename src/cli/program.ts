/** Mounts the commands on commander and finds out what a command line asks for. Nothing is printed or run here. */
import { Argument, Command, CommanderError, Option } from 'commander';
import { TvdbError } from '../base/errors.ts';
import type { CommandDefinition, GlobalFlags, OptionSpec } from './command.ts';
import { argumentForm, camelCase, corrected, optionKey } from './command-line.ts';
import { refuseEarlyFlags } from './early-flags.ts';
import { GLOBAL_OPTIONS, type RawOptions, readGlobals } from './globals.ts';
import { closest } from './suggest.ts';

/** What was typed, not yet checked: texts by key in camelCase, only what was given. */
export interface RawInput {
  readonly args: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly options: RawOptions;
}

export type Selection =
  | { readonly kind: 'version'; readonly globals: GlobalFlags }
  /** `path` is the command's name, empty for the whole tool; `bare` when nothing was typed that asks for help. */
  | { readonly kind: 'help'; readonly path: string; readonly bare: boolean; readonly globals: GlobalFlags }
  | {
      readonly kind: 'run';
      readonly command: CommandDefinition;
      readonly raw: RawInput;
      readonly globals: GlobalFlags;
    };

type Request = { kind: 'help'; path: string; bare: boolean } | { kind: 'version' };

interface ParseState {
  verbose: number;
  run?: { command: CommandDefinition; parser: Parser };
}

/** Thrown inside commander, which has no other way to stop. */
class Asked extends Error {
  readonly request: Request;
  constructor(request: Request) {
    super(request.kind);
    this.request = request;
  }
}

/** commander's own errors exit 1 and are made of text; these methods of it are replaced so that each error carries its facts. */
class Parser extends Command {
  readonly path: string;
  readonly argv: readonly string[];

  constructor(path: string, argv: readonly string[]) {
    super(path.split(' ').at(-1));
    this.path = path;
    this.argv = argv;
    this.helpCommand(false).allowExcessArguments(false);
    this.configureOutput({ writeOut() {}, writeErr() {} }).exitOverride();
  }

  override outputHelp(): void {
    throw new Asked({ kind: 'help', path: this.path, bare: false });
  }

  override help(): never {
    throw new Asked({ kind: 'help', path: this.path, bare: true });
  }

  unknownOption(rest: string): never {
    // Of short flags in one word commander names only what is left of the word: of `-n.pdf`, where -n is a flag, `-.pdf`.
    const typed = this.argv.includes(rest) ? rest : (this.argv.find((word) => isCluster(word, rest)) ?? rest);
    const flag = typed.split('=')[0] ?? typed;
    const guess = closest(flag, visibleFlags(this));
    if (guess === undefined && /[./]/.test(flag) && this.registeredArguments.length > 0) throw this.fileLikeFlag(typed);
    const early = this.path === '' && guess === undefined;
    throw this.misuse(
      `Unknown flag ${flag}.`,
      flag,
      guess,
      early ? 'flags of a command come after its name' : undefined,
    );
  }

  unknownCommand(): never {
    throw this.unknownWord('command', this.args[0] ?? '');
  }

  missingArgument(name: string): never {
    throw new TvdbError('E002', {
      message: `<${name}> is missing`,
      why: `usage: tvdb ${this.path} ${this.registeredArguments.map((arg) => argumentForm({ name: arg.name(), optional: !arg.required, repeat: arg.variadic })).join(' ')}`,
      facts: { command: this.path },
    });
  }

  optionMissingArgument(option: Option): never {
    throw new TvdbError('E002', {
      message: `${option.long} needs a value`,
      why: option.description,
      facts: { command: this.path, flag: option.long },
    });
  }

  _excessArguments(received: readonly string[]): never {
    const extra = received[this.registeredArguments.length] ?? '';
    if (this.commands.length > 0 && this.registeredArguments.length === 0) throw this.unknownWord('command', extra);
    const takes = this.registeredArguments.length;
    throw new TvdbError('E001', {
      message: `"${extra}" is one argument too many`,
      why: `tvdb ${this.path} takes ${takes === 0 ? 'none' : `${takes} at most`}; quote an argument that has spaces`,
      facts: { command: this.path, value: extra },
    });
  }

  /** A file whose name begins with a dash. */
  private fileLikeFlag(typed: string): TvdbError {
    return new TvdbError('E001', {
      message: `Unknown flag ${typed}.`,
      why: 'a word that begins with a dash is read as flags',
      fix: `If it is a file, write ./${typed}, or put -- before it.`,
      commands: [corrected(this.argv, typed, `./${typed}`)],
      facts: { command: this.path, value: typed, suggestion: `./${typed}` },
    });
  }

  private unknownWord(noun: string, word: string): TvdbError {
    const names = this.createHelp()
      .visibleCommands(this)
      .map((command) => command.name());
    return this.misuse(`Unknown ${noun} "${word}".`, word, closest(word, names));
  }

  private misuse(what: string, wrong: string, guess: string | undefined, why?: string): TvdbError {
    const shown = wrong.startsWith('-') ? guess : `"${guess}"`;
    return new TvdbError('E001', {
      message: guess === undefined ? what : `${what} Did you mean ${shown}?`,
      ...(why !== undefined && { why }),
      fix: guess === undefined ? `See \`${['tvdb', this.path, '--help'].filter(Boolean).join(' ')}\`.` : '',
      commands: guess === undefined ? [] : [corrected(this.argv, wrong, guess)],
      facts: { command: this.path, value: wrong, ...(guess !== undefined && { suggestion: guess }) },
    });
  }
}

/** Whether `word` is several short flags of which `rest`, with a dash of its own, is the end. */
function isCluster(word: string, rest: string): boolean {
  return /^-[^-]/.test(word) && rest.length > 1 && word.endsWith(rest.slice(1));
}

function visibleFlags(command: Command): string[] {
  const own = command.options.filter((option) => !option.hidden || isGlobal(option));
  return [...new Set(['--help', '--version', ...own.flatMap((option) => option.long ?? [])])];
}

function isGlobal(option: Option): boolean {
  return GLOBAL_OPTIONS.some(({ name }) => option.long === `--${name}`);
}

/** What `argv` asks for. Throws a usage error (exit 2) with a suggestion where there is one. */
export function parseCommandLine(argv: readonly string[], commands: readonly CommandDefinition[]): Selection {
  const state: ParseState = { verbose: 0 };
  const root = mount(argv, commands, state);
  let request: Request | undefined;
  try {
    root.parse(argv, { from: 'user' });
  } catch (error) {
    if (error instanceof Asked) request = error.request;
    else if (error instanceof CommanderError && error.code === 'commander.version') request = { kind: 'version' };
    else throw error;
  }
  const chosen = state.run?.parser;
  if (chosen !== undefined) refuseEarlyFlags(chosen);
  const options = { ...given(root), ...(chosen !== undefined && given(chosen)), verbose: state.verbose };
  const globals = readGlobals(options);
  if (request !== undefined) return { ...request, globals };
  if (state.run === undefined) return { kind: 'help', path: '', bare: true, globals };
  const { command } = state.run;
  checkFormats(command, globals);
  const args = command.args.map((arg, i) => [camelCase(arg.name), state.run?.parser.processedArgs[i]]);
  return { kind: 'run', command, globals, raw: { args: Object.fromEntries(args), options } };
}

/** Builds commander's tree. Global flags are on every level, so that short ones combine with a command's own (`-yq`). */
function mount(argv: readonly string[], commands: readonly CommandDefinition[], state: ParseState): Parser {
  const root = new Parser('', argv);
  root.version('', '-V, --version');
  const byPath = new Map<string, Parser>([['', root]]);
  const addGlobals = (parser: Parser) => {
    for (const spec of GLOBAL_OPTIONS) parser.addOption(toOption(spec).hideHelp(parser !== root));
    parser.on('option:verbose', () => {
      state.verbose += 1;
    });
  };
  addGlobals(root);
  for (const command of [...commands].sort((a, b) => a.name.split(' ').length - b.name.split(' ').length)) {
    const parent = byPath.get(command.name.split(' ').slice(0, -1).join(' '));
    if (parent === undefined) throw new Error(`command "${command.name}" has no parent`);
    const parser = new Parser(command.name, argv);
    byPath.set(command.name, parser);
    // Only a command whose words were typed can be chosen; building some 500 flags for the others would cost every start 10 ms.
    if (command.name.split(' ').every((word) => argv.includes(word))) {
      for (const arg of command.args) parser.addArgument(new Argument(argumentForm(arg), arg.summary));
      for (const spec of command.options) parser.addOption(toOption(spec).hideHelp(spec.hidden === true));
      addGlobals(parser);
    }
    // Flags behind the name of a command below this one are meant for that one, also where both have one of that name.
    if (commands.some(({ name }) => name.startsWith(`${command.name} `))) parser.enablePositionalOptions();
    if (command.handler !== undefined) {
      parser.action(() => {
        state.run = { command, parser };
      });
    }
    parent.addCommand(parser, { hidden: command.hidden === true });
  }
  return root;
}

function toOption(spec: OptionSpec): Option {
  const value = spec.value === undefined ? '' : spec.optionalValue === true ? ' [value]' : ' <value>';
  const option = new Option(
    `${spec.short === undefined ? '' : `-${spec.short}, `}--${spec.name}${value}`,
    spec.summary,
  );
  if (spec.repeat === true)
    option.argParser((text: string, before: readonly string[] | undefined) => [...(before ?? []), text]);
  return option;
}

/** The options that were typed at one level. */
function given(parser: Parser): Record<string, unknown> {
  const keys = parser.options.map((option) => optionKey((option.long ?? '').slice(2)));
  return Object.fromEntries(
    keys.filter((key) => parser.getOptionValueSource(key) === 'cli').map((key) => [key, parser.getOptionValue(key)]),
  );
}

/** Formats that a command does not offer are refused before it runs. */
function checkFormats(command: CommandDefinition, globals: GlobalFlags): void {
  if (globals.json && command.json === null) {
    throw new TvdbError('E001', {
      message: `tvdb ${command.name} has no JSON form`,
      fix: 'Leave --json out.',
      facts: { command: command.name, flag: '--json' },
    });
  }
  if (globals.ndjson && !globals.json && !command.ndjson) {
    const fix = command.json === null ? 'Leave --ndjson out.' : 'Use --json.';
    throw new TvdbError('E001', {
      message: `tvdb ${command.name} has no events`,
      fix,
      facts: { command: command.name, flag: '--ndjson' },
    });
  }
}
