/** The flags that every command takes, before or after its name. */
import { TvdbError } from '../base/errors.ts';
import { timeZone } from '../config/read.ts';
import type { GlobalFlags, OptionSpec } from './command.ts';
import { readValue } from './values.ts';

const WHEN = ['auto', 'always', 'never'] as const;
const HOW = ['auto', 'tty', 'plain', 'none'] as const;

/** Data for parsing, help and completion. `--help` and `--version` are commander's own. */
export const GLOBAL_OPTIONS: readonly OptionSpec[] = [
  { name: 'json', summary: 'one JSON document on stdout', common: true },
  { name: 'quiet', short: 'q', summary: 'print only what the next command needs (ids)', common: true },
  { name: 'verbose', short: 'v', summary: 'more detail on stderr; twice for requests', common: true },
  { name: 'ndjson', summary: 'one JSON event a line, where a command offers it' },
  { name: 'fields', value: 'text', valueName: 'a,b', summary: 'with --json: only these keys of data or of its rows' },
  { name: 'color', value: WHEN, valueName: 'when', summary: 'auto, always or never' },
  { name: 'no-color', summary: 'the same as --color=never' },
  { name: 'progress', value: HOW, valueName: 'how', summary: 'auto, tty, plain or none' },
  { name: 'no-progress', summary: 'the same as --progress=none' },
  { name: 'no-input', summary: 'never ask; fail and name the flag that answers' },
  { name: 'config', value: 'path', valueName: 'file', summary: "preferences file to use instead of the user's" },
  { name: 'env-file', value: 'path', valueName: 'file', summary: 'read instead of .env.tvdb001 and .env' },
  { name: 'cwd', short: 'C', value: 'path', valueName: 'dir', summary: 'work as if started in this directory' },
  { name: 'timezone', value: 'text', valueName: 'tz', summary: 'time zone of the display, such as Europe/Berlin' },
  { name: 'log-file', value: 'path', valueName: 'file', summary: 'write the log there' },
];

/** Raw values by key in camelCase; only what was typed. `color` and `progress` are `false` for their `--no-` forms. */
export type RawOptions = Readonly<Record<string, unknown>>;

/** Checks and types the global flags; throws E001, E003 or E005. */
export function readGlobals(raw: RawOptions): GlobalFlags {
  const text = (key: string) => (typeof raw[key] === 'string' ? raw[key] : undefined);
  const flags: GlobalFlags = {
    quiet: raw.quiet === true,
    verbose: typeof raw.verbose === 'number' ? raw.verbose : 0,
    json: raw.json === true,
    ndjson: raw.ndjson === true,
    fields: text('fields')
      ?.split(',')
      .map((field) => field.trim())
      .filter((field) => field !== ''),
    color: raw.color === false ? 'never' : choice('--color', text('color'), WHEN),
    progress: raw.progress === false ? 'none' : choice('--progress', text('progress'), HOW),
    input: raw.input !== false,
    config: text('config'),
    envFile: text('envFile'),
    cwd: text('cwd'),
    timezone: text('timezone'),
    logFile: text('logFile'),
  };
  if (flags.timezone !== undefined) checkTimezone(flags.timezone);
  if (flags.fields !== undefined && !flags.json && !flags.ndjson) {
    throw new TvdbError('E001', {
      message: '--fields needs --json',
      fix: 'Add --json.',
      facts: { flag: '--fields', command: '' },
    });
  }
  return flags;
}

function choice<const T extends string>(where: string, text: string | undefined, choices: readonly T[]): T {
  const value = text ?? 'auto';
  return readValue(choices, value, { where, now: 0, timezone: () => 'UTC' }) as T;
}

function checkTimezone(text: string): void {
  try {
    timeZone(text);
  } catch (error) {
    const problem = error instanceof Error ? error.message : 'is not valid';
    throw new TvdbError('E003', {
      message: `--timezone ${problem}, not "${text}"`,
      facts: { flag: '--timezone', value: text },
    });
  }
}

/**
 * The flags that decide how an error is shown, for a command line that could not be parsed. It may take a flag's value for a flag
 * (`--tag --json`); that only changes the form of the error.
 */
export function guessGlobals(argv: readonly string[]): GlobalFlags {
  const end = argv.indexOf('--');
  const flags = end < 0 ? argv : argv.slice(0, end);
  const has = (...names: string[]) => flags.some((flag) => names.includes(flag));
  return {
    ...readGlobals({}),
    quiet: has('-q', '--quiet'),
    verbose: has('-v', '--verbose') ? 1 : 0,
    json: has('--json'),
    ndjson: has('--ndjson'),
    color: has('--no-color', '--color=never') ? 'never' : has('--color=always') ? 'always' : 'auto',
  };
}
