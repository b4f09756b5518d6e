/** Settings as `mode`, `config list` and `doctor` show them: the value as people write it, secrets never, where it came from. */
import { type Source, sourceText } from '../../config/load.ts';
import { type Settings, VARIABLES, type VariableName } from '../../config/variables.ts';
import { decimalUsd } from '../../domain/money.ts';

/** A key shorter than this would be half shown by its last four characters. */
const LEAST_SHOWN = 16;

const UNITS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1_000],
  ['ms', 1],
] as const;

/** `env:NAME`, `flag:--mode`, `file:/path`, `preferences:/path` or `default`: for programs. */
export function sourceName(source: Source, variable: VariableName): string {
  if (source.kind === 'environment') return `env:${variable}`;
  if (source.kind === 'flag') return `flag:${source.name}`;
  if (source.kind === 'default') return 'default';
  return `${source.kind}:${source.path}`;
}

/** Where a value came from, for people; names the variable, so that the sentence can be acted on. */
export function sourcePhrase(source: Source, variable: VariableName): string {
  return source.kind === 'environment' ? `${variable} in the environment` : sourceText(source);
}

/** Whether a setting is a key. */
export function isSecret(name: VariableName): boolean {
  const variable = VARIABLES[name];
  return 'secret' in variable && variable.secret === true;
}

/** `set, ends 9f3c`: all that is ever shown of a key. */
export function secretText(value: string): string {
  return value.length < LEAST_SHOWN ? 'set' : `set, ends ${value.slice(-4)}`;
}

/** A value as it would be written in a file; `null` when it is unset. */
export function valueText(name: VariableName, settings: Settings): string | null {
  const value = settings[name];
  if (value === undefined) return null;
  if (isSecret(name)) return secretText(String(value));
  if (name.endsWith('_USD') && typeof value === 'number') return decimalUsd(value);
  return isDuration(name) && typeof value === 'number' ? durationText(value) : String(value);
}

/** Whether a setting is a length of time: its default is written as one. */
function isDuration(name: VariableName): boolean {
  return /^\d+(ms|s|m|h|d)$/.test(VARIABLES[name].default ?? '');
}

/** The largest unit that divides it: `90s`, `5m`. */
function durationText(ms: number): string {
  if (ms === 0) return '0ms';
  const [unit, size] = UNITS.find(([, one]) => ms % one === 0) ?? UNITS[4];
  return `${ms / size}${unit}`;
}
