/** Reads the values of flags and arguments: durations, money, times, numbers, choices. What cannot be read is E003 or E005. */
import { TvdbError } from '../base/errors.ts';
import { durationMs } from '../config/read.ts';
import { startOfDate } from '../domain/period.ts';
import type { ValueKind, ValueSpec } from './command.ts';
import { closest } from './suggest.ts';
import { parts } from './ui/format.ts';

/** What a reader needs to know besides the text. */
export interface ValueContext {
  /** As typed: `--mode`, `<file>`. */
  readonly where: string;
  /** Milliseconds since 1970, for `today` and `7d`. */
  readonly now: number;
  /** IANA zone that days are meant in; only asked for where a day is. */
  readonly timezone: () => string;
  readonly min?: number | undefined;
  readonly max?: number | undefined;
}

/** The typed value of `text`; throws E003, or E005 with a suggestion for a closed list. */
export function readValue(spec: ValueSpec, text: string, context: ValueContext): unknown {
  return typeof spec === 'string' ? READERS[spec](text, context) : readChoice(spec, text, context);
}

const READERS: Record<ValueKind, (text: string, context: ValueContext) => unknown> = {
  text: (text) => text,
  path: (text, context) => (text === '' || text.includes('\0') ? invalid(text, context, 'a path') : text),
  id: (text, context) =>
    /^[0-9a-z][0-9a-z_-]{3,63}$/i.test(text)
      ? text
      : invalid(text, context, 'an id or at least its first 4 characters'),
  integer: (text, context) =>
    bounded(/^-?\d{1,15}$/.test(text) ? Number(text) : Number.NaN, text, context, 'a whole number'),
  number: (text, context) =>
    bounded(/^-?(\d{1,15}(\.\d{0,15})?|\.\d{1,15})$/.test(text) ? Number(text) : Number.NaN, text, context, 'a number'),
  money: readMoney,
  duration: readDuration,
  time: readTime,
  pair: (text, context) => {
    const at = text.indexOf('=');
    if (at < 1) return invalid(text, context, 'of the form key=value');
    return { key: text.slice(0, at), value: text.slice(at + 1) };
  },
};

function invalid(text: string, { where }: ValueContext, wanted: string): never {
  throw new TvdbError('E003', {
    message: `${where} must be ${wanted}, not "${text}"`,
    facts: { flag: where, value: text },
  });
}

function bounded(value: number, text: string, context: ValueContext, noun: string): number {
  const { min = Number.NEGATIVE_INFINITY, max = Number.POSITIVE_INFINITY } = context;
  if (value >= min && value <= max) return value;
  const range =
    max === Number.POSITIVE_INFINITY
      ? min === Number.NEGATIVE_INFINITY
        ? ''
        : ` of ${min} or more`
      : ` from ${min} to ${max}`;
  return invalid(text, context, `${noun}${range}`);
}

/** US dollars as nano-USD, exactly: digits are moved, never multiplied as a fraction. `0.25`, `$5`, at most 9 decimals. */
function readMoney(text: string, context: ValueContext): number {
  const match = /^\$?(\d{1,6})(?:\.(\d{1,9}))?$/.exec(text);
  if (!match) return invalid(text, context, 'a sum in US dollars such as 0.25 (below 1,000,000, at most 9 decimals)');
  return Number(match[1]) * 1_000_000_000 + Number((match[2] ?? '').padEnd(9, '0'));
}

function readDuration(text: string, context: ValueContext): number {
  const ms = durationMs(text);
  if (ms !== null) return ms;
  const hint = /^\d+$/.test(text) ? ` (with its unit: ${text}s?)` : '';
  return invalid(text, context, `a duration such as 90s, 5m or 2h${hint}`);
}

/** `now`, `today`, `yesterday`, a duration ago (`7d`), a day (its first moment in the time zone), or a full ISO time. */
function readTime(text: string, context: ValueContext): number {
  const { now } = context;
  if (text === 'now') return now;
  const ago = durationMs(text);
  if (ago !== null) return now - ago;
  const timezone = context.timezone();
  const today = parts(now, timezone);
  const day = { year: Number(today.year), month: Number(today.month), day: Number(today.day) };
  if (text === 'today') return startOfDay(day.year, day.month, day.day, timezone);
  if (text === 'yesterday') return startOfDay(day.year, day.month, day.day - 1, timezone);
  const date = /^(\d{4})-(\d{2})-(\d{2})$/.exec(text);
  if (date) {
    const [year, month, dayOfMonth] = [Number(date[1]), Number(date[2]), Number(date[3])];
    if (new Date(Date.UTC(year, month - 1, dayOfMonth)).toISOString().startsWith(text))
      return startOfDay(year, month, dayOfMonth, timezone);
  }
  const full = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,3})?)?(Z|[+-]\d{2}:\d{2})$/.test(text)
    ? Date.parse(text)
    : Number.NaN;
  return Number.isNaN(full)
    ? invalid(text, context, 'a time such as 2026-11-22, today, 7d or 2026-11-22T16:40:00Z')
    : full;
}

/** The first moment of a calendar day in a time zone, as budgets have it; days may run under or over the month. */
function startOfDay(year: number, month: number, day: number, timezone: string): number {
  return startOfDate(Date.UTC(year, month - 1, day), timezone);
}

function readChoice(choices: readonly string[], text: string, { where }: ValueContext): string {
  if (choices.includes(text)) return text;
  const guess = closest(text, choices);
  const noun = where.replace(/[<>]/g, '');
  throw new TvdbError('E005', {
    message: `Unknown ${noun} "${text}".${guess === undefined ? '' : ` Did you mean "${guess}"?`}`,
    why: `${where} takes ${choices.join(', ')}`,
    fix: guess === undefined ? `use one of ${choices.join(', ')}` : `use ${guess}`,
    facts: { flag: where, value: text, choices, ...(guess !== undefined && { suggestion: guess }) },
  });
}
