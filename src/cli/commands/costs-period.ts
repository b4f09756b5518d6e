/** Which time `costs` is about: whole calendar days and months of the zone that budgets count in. */
import { TvdbError } from '../../base/errors.ts';
import { parts } from '../ui/format.ts';
import { readValue } from '../values.ts';

/** `2026-11-22`. */
export type Day = string;

export interface Period {
  /** `[from, to)` in ms since 1970. */
  readonly from: number;
  readonly to: number;
  /** IANA zone its days are meant in. */
  readonly timezone: string;
}

export interface PeriodWish {
  readonly since: string | undefined;
  readonly until: string | undefined;
  readonly unit: 'day' | 'month' | undefined;
}

const DAYS_BY_DEFAULT = 7;
const MONTHS_BY_DEFAULT = 6;

/** The calendar day a moment falls on. */
export function dayOf(at: number, timezone: string): Day {
  const { year, month, day } = parts(at, timezone);
  return `${year}-${month}-${day}`;
}

/** The first moment of a day. */
function startOf(day: Day, timezone: string): number {
  return readValue('time', day, { where: 'day', now: 0, timezone: () => timezone }) as number;
}

function addDays(day: Day, count: number): Day {
  const date = new Date(`${day}T00:00:00Z`);
  date.setUTCDate(date.getUTCDate() + count);
  return date.toISOString().slice(0, 10);
}

function addMonths(day: Day, count: number): Day {
  const date = new Date(`${day.slice(0, 7)}-01T00:00:00Z`);
  date.setUTCMonth(date.getUTCMonth() + count);
  return date.toISOString().slice(0, 10);
}

/**
 * The period that was asked for; today when nothing was. A day given as the end is included. With days or months as rows
 * the period begins with a whole one, and `7d` means the last seven days with today. Throws E003.
 */
export function periodOf({ since, until, unit }: PeriodWish, now: number, timezone: string): Period {
  const today = dayOf(now, timezone);
  const read = (text: string, where: string) =>
    readValue('time', text, { where, now, timezone: () => timezone }) as number;
  let from = startOf(firstDay(today, unit), timezone);
  if (since !== undefined) {
    const days = unit === undefined ? null : /^(\d{1,5})d$/.exec(since);
    if (days !== null) from = startOf(addDays(today, 1 - Math.max(1, Number(days[1]))), timezone);
    else from = read(since, '--since');
    if (unit === 'day') from = startOf(dayOf(from, timezone), timezone);
    if (unit === 'month') from = startOf(addMonths(dayOf(from, timezone), 0), timezone);
  }
  let to = startOf(addDays(today, 1), timezone);
  if (until !== undefined) {
    const end = read(until, '--until');
    to = /^(\d{4}-\d{2}-\d{2}|today|yesterday)$/.test(until)
      ? startOf(addDays(dayOf(end, timezone), 1), timezone)
      : end;
  }
  if (from < to) return { from, to, timezone };
  throw new TvdbError('E003', {
    message: until === undefined ? `--since ${since} is in the future` : '--until must be later than --since',
    facts: { flag: until === undefined ? '--since' : '--until', value: until ?? since, command: 'costs' },
  });
}

function firstDay(today: Day, unit: PeriodWish['unit']): Day {
  if (unit === 'month') return addMonths(today, 1 - MONTHS_BY_DEFAULT);
  return unit === 'day' ? addDays(today, 1 - DAYS_BY_DEFAULT) : today;
}

/** Pieces of a period that goes on: what a forecast is made of. A quarter of an hour of a day. */
const PIECES = 96;
/** Pieces of a day or month where these are rows. */
const PIECES_OF_A_UNIT = 24;

/**
 * Spans a period is added up in: those of its days or months cut into a few each, those of a forecast, or the whole. Only
 * from the first to the last request (`edges`) that there are.
 */
export function piecesOf(
  period: Period,
  unit: 'day' | 'month' | undefined,
  edges: { first: number; last: number },
  now: number,
): { from: number; to: number }[] {
  const { to, timezone } = period;
  const cut = (from: number, until: number, pieces: number) => {
    const at = (piece: number) => Math.round(from + ((until - from) * piece) / pieces);
    return Array.from({ length: pieces }, (_none, piece) => ({ from: at(piece), to: at(piece + 1) })).filter(
      (one) => one.from <= edges.last && one.to > edges.first && one.from < one.to,
    );
  };
  if (unit === undefined) {
    const goesOn = period.from <= now && now < to;
    return cut(edges.first, to, goesOn ? PIECES : 1);
  }
  return unitsOf(period, unit, edges.first).flatMap((name) => {
    const first = unit === 'day' ? name : `${name}-01`;
    const start = startOf(first, timezone);
    const end = startOf(unit === 'day' ? addDays(first, 1) : addMonths(first, 1), timezone);
    return cut(Math.max(start, period.from), Math.min(end, to), PIECES_OF_A_UNIT);
  });
}

/** Names of the days or months of a period, oldest first, from `first` on. */
export function unitsOf({ from, to, timezone }: Period, unit: 'day' | 'month', first: number): string[] {
  const last = dayOf(to - 1, timezone);
  const names: string[] = [];
  let day = dayOf(Math.max(from, first), timezone);
  while (unitOf(day, unit) <= unitOf(last, unit)) {
    names.push(unitOf(day, unit));
    day = unit === 'day' ? addDays(day, 1) : addMonths(day, 1);
  }
  return names;
}

/** `2026-11-22` or `2026-11`. */
export function unitOf(day: Day, unit: 'day' | 'month'): string {
  return unit === 'day' ? day : day.slice(0, 7);
}

/**
 * The time to compare a period with: `previous` (as long, right before it), a month (`2026-10`), or the same length from
 * a time on (`yesterday`, `2026-11-21`, `7d`). A period that is not over is compared with as much of the other one. Throws E003.
 */
export function comparedPeriod(text: string, period: Period, now: number): { from: number; to: number } {
  const { from, to, timezone } = period;
  const length = Math.min(to, Math.max(from, now)) - from;
  if (text === 'previous') return { from: from - (to - from), to: from - (to - from) + length };
  if (/^\d{4}-(0[1-9]|1[0-2])$/.test(text)) {
    const first = `${text}-01`;
    return { from: startOf(first, timezone), to: startOf(addMonths(first, 1), timezone) };
  }
  const start = readValue('time', text, { where: '--compare', now, timezone: () => timezone }) as number;
  return { from: start, to: start + length };
}
