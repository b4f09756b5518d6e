/** The help of the tool and of each command, made from the commands' own data: examples first, common flags first. */
import type { ArgSpec, CommandDefinition, OptionSpec } from './command.ts';
import { argumentForm } from './command-line.ts';
import { exitRows } from './exit-codes.ts';
import { GLOBAL_OPTIONS } from './globals.ts';
import { spans } from './ui/text.ts';
import { wrap } from './ui/wrap.ts';

/** Longer lines are hard to read, however wide the terminal is. */
const MOST_COLS = 100;

export const TOPICS: readonly (readonly [name: string, summary: string])[] = [
  ['exit-codes', 'what each exit code means'],
  ['environment', 'every variable and its default'],
  ['formatting', 'JSON, events, pipes, colour'],
  ['errors', 'every error code, or one: tvdb help errors E101'],
];

/** Help of the whole tool; `brief` leaves out global flags and topics. */
export function rootHelp(commands: readonly CommandDefinition[], cols: number, brief: boolean): string {
  const top = commands.filter((command) => !command.hidden && !command.name.includes(' '));
  const examples = top.flatMap((command) => command.examples.slice(0, 1)).slice(0, 4);
  const sections = [
    [
      'tvdb takes documents through upload, parsing, chunking, embedding and search.',
      'Nothing is spent unless real services are asked for.',
    ],
    ['Usage', '  tvdb <command> [flags] [arguments]'],
    section('Examples', examples, cols),
    section(
      'Commands',
      top.map(({ name, summary }) => [name, summary]),
      cols,
    ),
    ...(brief
      ? []
      : [
          section('Flags of every command', [...GLOBAL_OPTIONS.map(optionRow), ...BUILT_IN], cols),
          section(
            'Topics',
            TOPICS.map(([name, text]) => [`tvdb help ${name}`, text]),
            cols,
          ),
        ]),
    [brief ? 'More: tvdb help, tvdb help <command>' : 'More: tvdb help <command>'],
  ];
  return joined(sections);
}

const BUILT_IN: [string, string][] = [
  ['-h, --help', 'this help'],
  ['-V, --version', 'the version'],
];

/** Help of one command, with the commands below it. */
export function commandHelp(command: CommandDefinition, commands: readonly CommandDefinition[], cols: number): string {
  const below = commands.filter(({ name, hidden }) => !hidden && name.startsWith(`${command.name} `));
  const visible = command.options.filter(({ hidden }) => !hidden);
  const sorted = [...visible.filter(({ common }) => common), ...visible.filter(({ common }) => !common)];
  const shared = GLOBAL_OPTIONS.filter(({ common, name }) => common && (name !== 'json' || command.json !== null));
  const sections = [
    wrapped(command.summary, cols),
    ['Usage', ...usage(command, below).map((line) => `  ${line}`)],
    section('Examples', command.examples, cols),
    ...(command.description === undefined
      ? []
      : command.description.split('\n\n').map((paragraph) => wrapped(paragraph, cols))),
    section(
      'Arguments',
      command.args.map((arg) => [argumentForm(arg), argumentText(arg)]),
      cols,
    ),
    section('Flags', sorted.map(optionRow), cols),
    section(
      'Commands',
      below.map(({ name, summary }) => [name, summary]),
      cols,
    ),
    section('Also', [...shared.map(optionRow), ['', 'all flags of every command: tvdb help']], cols),
    section(
      'Exit codes',
      exitRows(command.exitCodes).map(([code, text]) => [String(code), text]),
      cols,
    ),
  ];
  return joined(sections);
}

/** `tvdb upload <path...> [flags]` */
export function usage(command: CommandDefinition, below: readonly CommandDefinition[]): string[] {
  const own = [
    'tvdb',
    command.name,
    ...command.args.map(argumentForm),
    ...(command.options.some(({ hidden }) => !hidden) ? ['[flags]'] : []),
  ].join(' ');
  return [
    ...(command.handler === undefined ? [] : [own]),
    ...(below.length > 0 ? [`tvdb ${command.name} <command>`] : []),
  ];
}

function argumentText({ summary, value }: ArgSpec): string {
  return Array.isArray(value) ? `${summary}: ${value.join(', ')}` : summary;
}

function optionRow(option: OptionSpec): [string, string] {
  const { name, short, summary, value, repeat } = option;
  const kind = value === undefined ? '' : ` <${option.valueName ?? (typeof value === 'string' ? value : name)}>`;
  const choices = Array.isArray(value) && !GLOBAL_OPTIONS.includes(option) ? ` (${value.join(', ')})` : '';
  const form = option.optionalValue === true ? `[=${kind.trim()}]` : kind;
  return [
    `${short === undefined ? '    ' : `-${short}, `}--${name}${form}`,
    `${summary}${choices}${repeat === true ? ' (repeatable)' : ''}`,
  ];
}

/** Two columns under a heading; a left side too long for its column stands on a line of its own. */
function section(title: string, rows: readonly (readonly [string, string])[], cols: number): string[] {
  if (rows.length === 0) return [];
  const longest = Math.max(...rows.map(([left]) => left.length));
  const column = Math.min(longest, Math.max(10, Math.floor(Math.min(cols, MOST_COLS) * 0.45))) + 4;
  return [title, ...rows.flatMap(([left, right]) => row(`  ${left}`, right, column, cols))];
}

function row(left: string, right: string, column: number, cols: number): string[] {
  if (left.length + 2 <= column) return lines(`${left.padEnd(column)}${right}`, cols, column);
  return [...lines(left, cols, 4), ...(right === '' ? [] : lines(`${' '.repeat(column)}${right}`, cols, column))];
}

function wrapped(text: string, cols: number): string[] {
  return lines(text, cols, 0);
}

function lines(text: string, cols: number, hang: number): string[] {
  return wrap(spans(text), Math.min(cols, MOST_COLS), hang).map((line) => line.map((span) => span.text).join(''));
}

function joined(sections: readonly (readonly string[])[]): string {
  return `${sections
    .filter((section) => section.length > 0)
    .map((section) => section.join('\n'))
    .join('\n\n')}\n`;
}
