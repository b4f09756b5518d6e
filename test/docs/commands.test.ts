import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ERROR_CODES } from '../../src/base/error-codes.ts';
import type { ArgSpec, CommandDefinition, OptionSpec } from '../../src/cli/command.ts';
import { COMMANDS } from '../../src/cli/commands/index.ts';
import { exitRows } from '../../src/cli/exit-codes.ts';
import { ROOT } from '../rules/sources.ts';

const cell = (text: string) => text.replaceAll('|', '\\|');
const row = (cells: readonly string[]) => `| ${cells.map(cell).join(' | ')} |`;
const shown = COMMANDS.filter((command) => command.hidden !== true && command.handler !== undefined);

function argument({ name, optional, repeat }: ArgSpec): string {
  const word = `<${name}>${repeat === true ? '...' : ''}`;
  return optional === true ? `[${word}]` : word;
}

function flag({ name, short, value, valueName }: OptionSpec): string {
  const kind = valueName ?? (value === undefined ? '' : `<${typeof value === 'string' ? value : value.join('|')}>`);
  return `\`${short === undefined ? '' : `-${short}, `}--${name}${kind === '' ? '' : ` ${kind}`}\``;
}

function section(command: CommandDefinition): string[] {
  const options = command.options.filter((option) => option.hidden !== true);
  const codes = exitRows(command.exitCodes).map(([code, meaning]) => `${code} ${meaning}`);
  return [
    `## tvdb ${command.name}`,
    '',
    `${command.summary[0]?.toUpperCase()}${command.summary.slice(1)}.`,
    '',
    '```text',
    ['tvdb', command.name, ...command.args.map(argument), ...(options.length > 0 ? ['[flags]'] : [])].join(' '),
    '```',
    '',
    ...(command.description === undefined ? [] : [command.description, '']),
    ...(options.length === 0
      ? []
      : [
          row(['flag', 'meaning']),
          row(['---', '---']),
          ...options.map((option) => row([flag(option), option.summary])),
          '',
        ]),
    ...(command.examples.length === 0
      ? []
      : ['```sh', ...command.examples.map(([line, effect]) => `${line}   # ${effect}`), '```', '']),
    `Exit codes: ${codes.join('; ')}.${command.json === null ? '' : ` JSON: \`${command.json}\`.`}${command.ndjson ? ' Offers `--ndjson`.' : ''}`,
    '',
  ];
}

function commandsPage(): string {
  return [
    '# Commands',
    '',
    'Made from the command data in `src/cli/commands/` by `npm run docs`; do not edit. A test fails when this page is stale.',
    'Flags that every command takes are listed by `tvdb --help`.',
    '',
    ...shown.flatMap(section),
    '## Error codes',
    '',
    row(['code', 'exit', 'meaning', 'what to do']),
    row(['---', '---', '---', '---']),
    ...Object.entries(ERROR_CODES).map(([code, { exit, title, fix }]) =>
      row([`TVDB-${code}`, String(exit), title, fix]),
    ),
    '',
  ].join('\n');
}

describe('docs/COMMANDS.md', () => {
  it('is what the commands make of it', async () => {
    await expect(commandsPage()).toMatchFileSnapshot(join(ROOT, 'docs/COMMANDS.md'));
  });
});

describe('docs/JSON_OUTPUT.md', () => {
  it('has a section for every schema', () => {
    const page = readFileSync(join(ROOT, 'docs/JSON_OUTPUT.md'), 'utf8');
    const schemas = shown.flatMap((command) => (command.json === null ? [] : [command.json]));
    expect(schemas.filter((schema) => !page.includes(`## ${schema}`))).toEqual([]);
  });
});

describe('every command', () => {
  it.each(shown.map((command) => [command.name, command] as const))(
    'has a summary, exit codes and an example: %s',
    (_, command) => {
      expect(command.summary).not.toMatch(/\.$/);
      expect(command.summary.length).toBeGreaterThan(10);
      expect(command.exitCodes.length).toBeGreaterThan(0);
      expect(command.examples.length).toBeGreaterThan(0);
      for (const option of command.options) expect(option.summary).not.toMatch(/\.$/);
    },
  );
});
