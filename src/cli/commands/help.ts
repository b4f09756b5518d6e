/** `tvdb help`: the help of the tool, of a command, of a topic; with --json the tree of commands. */
import { TvdbError } from '../../base/errors.ts';
import { type CommandDefinition, type CommandResult, defineCommand } from '../command.ts';
import { exitRows } from '../exit-codes.ts';
import { GLOBAL_OPTIONS } from '../globals.ts';
import { commandHelp, rootHelp, TOPICS, usage } from '../help-text.ts';
import { closest } from '../suggest.ts';

export const help = defineCommand({
  name: 'help',
  summary: 'Show help for a command or a topic',
  args: [
    {
      name: 'topic',
      summary: 'a command, or one of exit-codes, environment, formatting, errors',
      optional: true,
      repeat: true,
    },
  ],
  options: [{ name: 'brief', summary: 'commands only', hidden: true }],
  examples: [
    ['tvdb help upload', 'flags and exit codes of a command'],
    ['tvdb help errors E101', 'what an error means and what to do'],
    ['tvdb help --json', 'every command and flag, for programs'],
  ],
  needs: 'nothing',
  exitCodes: [0, 2],
  json: 'tvdb.help/v1',
  ndjson: false,
  async handler({ args: { topic }, options: { brief } }, ctx) {
    const [word, detail] = topic;
    const visible = ctx.commands.filter((command) => !command.hidden);
    const cols = ctx.ui.out.cols;
    if (word === undefined) return { data: tree(visible), text: rootHelp(visible, cols, brief) };
    const command = ctx.commands.find(({ name }) => name === topic.join(' '));
    if (command !== undefined) return { data: tree([command]), text: commandHelp(command, ctx.commands, cols) };
    return topicHelp(word, detail, visible);
  },
});

async function topicHelp(
  word: string,
  detail: string | undefined,
  commands: readonly CommandDefinition[],
): Promise<CommandResult> {
  const topics = await import('../help-topics.ts');
  if (word === 'exit-codes') return topics.exitCodesTopic();
  if (word === 'environment') return topics.environmentTopic();
  if (word === 'formatting') return topics.formattingTopic();
  if (word === 'errors') return topics.errorsTopic(detail);
  const typed = detail === undefined ? word : `${word} ${detail}`;
  const guess = closest(typed, [...commands.map(({ name }) => name), ...TOPICS.map(([name]) => name)]);
  throw new TvdbError('E001', {
    message: `There is no help for "${typed}".${guess === undefined ? '' : ` Did you mean "${guess}"?`}`,
    fix: guess === undefined ? 'See `tvdb help`.' : '',
    commands: guess === undefined ? [] : [`tvdb help ${guess}`],
    facts: { command: '', value: typed },
  });
}

/** The command tree as data; the order of flags is the order of declaration. */
function tree(commands: readonly CommandDefinition[]): object {
  const option = ({ name, short, summary, value, repeat }: CommandDefinition['options'][number]) => ({
    name: `--${name}`,
    short: short === undefined ? null : `-${short}`,
    summary,
    value: value === undefined ? null : typeof value === 'string' ? value : 'choice',
    choices: Array.isArray(value) ? value : null,
    repeatable: repeat === true,
  });
  return {
    commands: commands.map((command) => ({
      name: command.name,
      summary: command.summary,
      usage: usage(command, []),
      arguments: command.args.map(({ name, summary, optional, repeat }) => ({
        name,
        summary,
        required: optional !== true,
        repeatable: repeat === true,
      })),
      options: command.options.filter(({ hidden }) => !hidden).map(option),
      examples: command.examples.map(([line, effect]) => ({ line, effect })),
      exit_codes: exitRows(command.exitCodes).map(([code, meaning]) => ({ code, meaning })),
      json_schema: command.json,
      ndjson: command.ndjson,
    })),
    global_options: GLOBAL_OPTIONS.map(option),
  };
}
