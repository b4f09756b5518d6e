/** What a command is: data that help, parsing and completion read, plus a thin handler that returns its answer. */

import type { Clock } from '../base/clock.ts';
import type { Ids } from '../base/ids.ts';
import type { Config } from '../config/load.ts';
import type { World } from '../world.ts';
import type { ExitCode } from './exit-codes.ts';
import type { Interrupt } from './interrupt.ts';
import type { CommandResult, Ui } from './ui/ui.ts';

export type { ExitCode } from './exit-codes.ts';
export type { CommandResult } from './ui/ui.ts';

/** What each kind of value becomes: money in nano-USD, durations in ms, times in ms since 1970. */
export interface ValueTypes {
  text: string;
  path: string;
  /** An id or a unique prefix of 4 or more characters; resolved by the command, completed from the local store. */
  id: string;
  integer: number;
  number: number;
  money: number;
  duration: number;
  /** `2026-11-22`, `today`, `7d`, or a full ISO time. */
  time: number;
  /** `key=value`. */
  pair: { key: string; value: string };
}

export type ValueKind = keyof ValueTypes;

/** A kind of value, or the closed list of values that are allowed (checked centrally, with a did-you-mean). */
export type ValueSpec = ValueKind | readonly string[];

export interface OptionSpec {
  /** Long name without dashes. The handler reads it in camelCase; `no-wait` is read as `wait`, `true` unless given. */
  readonly name: string;
  readonly short?: string;
  /** One line, no full stop. */
  readonly summary: string;
  /** Absent for a boolean flag. */
  readonly value?: ValueSpec;
  /** Shown in help instead of the kind: `<usd>`. */
  readonly valueName?: string;
  /** `--open` and `--open <value>` are both allowed; without a value it is `true`. Attach values with `=` where arguments follow. */
  readonly optionalValue?: boolean;
  /** May be given several times; the handler gets a list, empty when absent. */
  readonly repeat?: boolean;
  /** Bounds of an integer or a number. */
  readonly min?: number;
  readonly max?: number;
  /** Listed first in help. */
  readonly common?: boolean;
  /** Not shown in help or completion. */
  readonly hidden?: boolean;
  /** The configuration variable (`SERVICE_MODE`) that this flag overrides; the text is handed to `loadConfig`. */
  readonly setting?: string;
  /** Long names of flags that must not be given together with this one (E009). */
  readonly excludes?: readonly string[];
  /** Long name of a flag without which this one means nothing (E009). */
  readonly requires?: string;
}

export interface ArgSpec {
  readonly name: string;
  readonly summary: string;
  /** Default `text`. */
  readonly value?: ValueSpec;
  readonly optional?: boolean;
  /** Takes all that follow; only the last argument may. One is needed unless it is optional. */
  readonly repeat?: boolean;
}

type Camel<S extends string> = S extends `${infer Head}-${infer Tail}` ? `${Head}${Capitalize<Camel<Tail>>}` : S;
type KeyOf<S extends string> = S extends `no-${infer Rest}` ? Camel<Rest> : Camel<S>;
type ValueOf<V> = V extends readonly (infer Choice)[] ? Choice : V extends ValueKind ? ValueTypes[V] : never;
type Field<S, K extends string> = S extends { readonly [P in K]: infer V } ? V : undefined;
type OptionValue<S> = S extends { readonly value: infer V }
  ? Field<S, 'repeat'> extends true
    ? readonly ValueOf<V>[]
    : ValueOf<V> | undefined | (Field<S, 'optionalValue'> extends true ? true : never)
  : boolean;
type ArgSingle<S> = S extends { readonly value: infer V } ? ValueOf<V> : string;
type ArgValue<S> =
  Field<S, 'repeat'> extends true
    ? readonly ArgSingle<S>[]
    : ArgSingle<S> | (Field<S, 'optional'> extends true ? undefined : never);

/** The parsed command line of one command, typed by its own data. */
export interface Input<
  A extends readonly ArgSpec[] = readonly ArgSpec[],
  O extends readonly OptionSpec[] = readonly OptionSpec[],
> {
  readonly args: { readonly [S in A[number] as Camel<S['name']>]: ArgValue<S> };
  readonly options: { readonly [S in O[number] as KeyOf<S['name']>]: OptionValue<S> };
}

/** Flags that every command takes. */
export interface GlobalFlags {
  readonly quiet: boolean;
  readonly verbose: number;
  readonly json: boolean;
  readonly ndjson: boolean;
  readonly fields: readonly string[] | undefined;
  readonly color: 'auto' | 'always' | 'never';
  readonly progress: 'auto' | 'tty' | 'plain' | 'none';
  readonly input: boolean;
  readonly config: string | undefined;
  readonly envFile: string | undefined;
  readonly cwd: string | undefined;
  readonly timezone: string | undefined;
  readonly logFile: string | undefined;
}

/** An id that completion offers. */
export interface IdSuggestion {
  readonly value: string;
  readonly description: string;
}

/** Collaborators of a handler; it reaches for nothing else. */
export interface CommandContext {
  readonly ui: Ui;
  /** Throws (a bug) for a command that declares `needs: 'nothing'`. */
  readonly config: Config;
  /** Opens store and services on first use and returns the same world after that; `main` closes it. Only with `needs: 'world'`. */
  openWorld(): Promise<World>;
  readonly interrupt: Interrupt;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly stdin: NodeJS.ReadableStream & { readonly isTTY?: boolean };
  /** Known without opening stdin: `-` on a terminal is a mistake to report at once. */
  readonly stdinIsTty: boolean;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Absolute; relative paths of arguments are meant from here, never from `process.cwd()`. */
  readonly cwd: string;
  readonly globals: GlobalFlags;
  /** Every command, for help and completion. */
  readonly commands: readonly CommandDefinition[];
  /** Ids in the local store that begin with a prefix. */
  completeIds(prefix: string): Promise<readonly IdSuggestion[]>;
}

export interface CommandData<
  A extends readonly ArgSpec[] = readonly ArgSpec[],
  O extends readonly OptionSpec[] = readonly OptionSpec[],
> {
  /** Words as typed: `upload`, `alerts ack`. A name of two words lives under the command of the first. */
  readonly name: string;
  /** One line for the list of commands, no full stop. */
  readonly summary: string;
  /** Further paragraphs of help. */
  readonly description?: string;
  readonly args: A;
  readonly options: O;
  /** Command line and what it does; shown first in help. */
  readonly examples: readonly (readonly [line: string, effect: string])[];
  /** How much of the tool must stand before the handler runs. */
  readonly needs: 'nothing' | 'config' | 'world';
  /** Runs even when a setting or its file is not valid, and finds that in `config.problems`. */
  readonly badConfig?: 'shown';
  /** Codes it can end with besides 70 and 130, with a meaning where the general one is too vague. */
  readonly exitCodes: readonly (ExitCode | readonly [code: ExitCode, meaning: string])[];
  /** Schema name of the JSON answer, `tvdb.upload/v1`; `null` where `--json` makes no sense. */
  readonly json: `tvdb.${string}/v${number}` | null;
  /** Whether `--ndjson` is offered. */
  readonly ndjson: boolean;
  /** Stdout carries records of the command's own (`ui.stream`): `--ndjson` is accepted and adds no events. */
  readonly rawOutput?: boolean;
  /** Ctrl-C is the normal end (a server): exit 0 instead of 130. */
  readonly stopIsSuccess?: boolean;
  readonly hidden?: boolean;
}

/** A command as the program mounts it; the types of its own flags are known only to its handler. */
export interface CommandDefinition extends CommandData {
  /** Absent for a group (`config`), which prints its own help. Declared as a method so that narrower inputs fit. */
  handler?(input: Input, ctx: CommandContext): Promise<CommandResult>;
}

/** Declares a command; the handler's input is typed from `args` and `options`. Import heavy work inside the handler. */
export function defineCommand<const A extends readonly ArgSpec[], const O extends readonly OptionSpec[]>(
  definition: CommandData<A, O> & { handler(input: Input<A, O>, ctx: CommandContext): Promise<CommandResult> },
): CommandDefinition {
  return definition as unknown as CommandDefinition;
}

/** Declares a word that only holds further commands. */
export function defineGroup(name: string, summary: string): CommandDefinition {
  return {
    name,
    summary,
    args: [],
    options: [],
    examples: [],
    needs: 'nothing',
    exitCodes: [0, 2],
    json: null,
    ndjson: false,
  };
}
