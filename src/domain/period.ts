/**
 * Calendar periods of budgets: the hour, day and month an instant lies in, in a time zone.
 *
 * A day is a local calendar date, never 24 hours: some have 23 or 25, and in Cairo, Beirut or Santiago one begins at 01:00.
 * Where the zone lies at an instant is asked of `Intl` (about 2 µs); the period found last is kept for each zone, so that
 * a run of instants costs one comparison each.
 */

export const PERIOD_KINDS = ['hour', 'day', 'month'] as const;
export type PeriodKind = (typeof PERIOD_KINDS)[number];

export interface Period {
  readonly kind: PeriodKind;
  /** `day:2026-11-27@Europe/Berlin`, `month:2026-11@UTC`, `hour:2026-11-27T13:00Z@Europe/Berlin` (its start in UTC: a local hour can come twice). */
  readonly id: string;
  /** First instant, in milliseconds. */
  readonly from: number;
  /** First instant after it. */
  readonly until: number;
}

const MINUTE = 60_000;
const HOUR = 3_600_000;
/** Further from UTC than any zone is or was. */
const WIDEST = 16 * HOUR;
/** The range of `Date`, less room to look around in. */
const LATEST = 8.64e15 - 400 * 24 * HOUR;

const formatters = new Map<string, Intl.DateTimeFormat>();
const lately = new Map<string, Period>();

/** The period of a kind an instant (whole milliseconds) lies in. Throws `RangeError` for an unknown zone or no instant. */
export function periodOf(kind: PeriodKind, at: number, timeZone: string): Period {
  if (!Number.isSafeInteger(at) || Math.abs(at) > LATEST) throw new RangeError(`not an instant: ${at}`);
  const key = `${kind}@${timeZone}`;
  const known = lately.get(key);
  if (known !== undefined && known.from <= at && at < known.until) return known;
  const period = kind === 'hour' ? hourOf(at, timeZone) : kind === 'day' ? dayOf(at, timeZone) : monthOf(at, timeZone);
  lately.set(key, period);
  return period;
}

/** Milliseconds local time is ahead of UTC at an instant. */
function offsetAt(at: number, timeZone: string): number {
  if (timeZone === 'UTC') return 0;
  let formatter = formatters.get(timeZone);
  if (formatter === undefined) {
    formatter = new Intl.DateTimeFormat('en-US', { timeZone, timeZoneName: 'longOffset' });
    formatters.set(timeZone, formatter);
  }
  // Ends in `GMT`, `GMT-04:00` or, before zones were whole minutes, `GMT+02:05:09`.
  const match = /GMT(?:([+-])(\d\d):(\d\d)(?::(\d\d))?)?$/.exec(formatter.format(at));
  if (match === null) throw new RangeError(`the offset of ${timeZone} cannot be read`);
  const [, sign, hours, minutes, seconds] = match;
  if (sign === undefined) return 0;
  const ahead = Number(hours) * HOUR + Number(minutes) * MINUTE + Number(seconds ?? 0) * 1000;
  return sign === '-' ? -ahead : ahead;
}

/** The first instant in `(from, to]` at which the offset is no longer that of `from`; it is known to change in between. */
function changeBetween(from: number, to: number, timeZone: string): number {
  const before = offsetAt(from, timeZone);
  let same = from;
  let other = to;
  while (other - same > 1) {
    const middle = Math.floor((same + other) / 2);
    if (offsetAt(middle, timeZone) === before) same = middle;
    else other = middle;
  }
  return other;
}

/**
 * The first instant of a local date (given by its midnight in UTC) or, where that date is left out or comes twice because
 * clocks were changed at midnight, of what is at it or after it. Once a date has begun, the one before is over for good.
 */
export function startOfDate(date: number, timeZone: string): number {
  const from = date - WIDEST;
  const before = offsetAt(from, timeZone);
  const after = offsetAt(date + WIDEST, timeZone);
  const start = date - before;
  if (before === after) return start;
  const change = changeBetween(from, date + WIDEST, timeZone);
  return start < change ? start : Math.max(change, date - after);
}

/** Midnight in UTC of the date that an instant belongs to. */
function dateOf(at: number, timeZone: string): number {
  const local = new Date(at + offsetAt(at, timeZone));
  const date = utcDate(local.getUTCFullYear(), local.getUTCMonth(), local.getUTCDate());
  const next = nextDate(date, 0, 1);
  return at >= startOfDate(next, timeZone) ? next : date;
}

/** `Date.UTC` without its reading of the years 0 to 99 as 1900 to 1999. */
function utcDate(year: number, month: number, day: number): number {
  return new Date(0).setUTCFullYear(year, month, day);
}

function nextDate(date: number, months: number, days: number): number {
  const on = new Date(date);
  return utcDate(on.getUTCFullYear(), on.getUTCMonth() + months, on.getUTCDate() + days);
}

function dayOf(at: number, timeZone: string): Period {
  const date = dateOf(at, timeZone);
  return {
    kind: 'day',
    id: `day:${isoDate(date)}@${timeZone}`,
    from: startOfDate(date, timeZone),
    until: startOfDate(nextDate(date, 0, 1), timeZone),
  };
}

function monthOf(at: number, timeZone: string): Period {
  const date = new Date(dateOf(at, timeZone));
  const first = utcDate(date.getUTCFullYear(), date.getUTCMonth(), 1);
  return {
    kind: 'month',
    id: `month:${isoDate(first).slice(0, -3)}@${timeZone}`,
    from: startOfDate(first, timeZone),
    until: startOfDate(nextDate(first, 1, 0), timeZone),
  };
}

/** A local clock hour; one in which clocks are changed is cut there, so that a repeated hour is two. */
function hourOf(at: number, timeZone: string): Period {
  const offset = offsetAt(at, timeZone);
  let from = Math.floor((at + offset) / HOUR) * HOUR - offset;
  let until = from + HOUR;
  if (offsetAt(from, timeZone) !== offset) from = changeBetween(from, at, timeZone);
  if (offsetAt(until - 1, timeZone) !== offset) until = changeBetween(at, until - 1, timeZone);
  return { kind: 'hour', id: `hour:${new Date(from).toISOString().slice(0, -8)}Z@${timeZone}`, from, until };
}

function isoDate(date: number): string {
  return new Date(date).toISOString().slice(0, -14);
}
