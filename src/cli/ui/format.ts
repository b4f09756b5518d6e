/** Figures as people read them: money, durations, sizes, counts, times. */
import { formatUsd } from '../../domain/money.ts';

/** Nano-USD as `$0.0910`; a positive sum too small for that is `<$0.0001`, an unknown one `unknown`. */
export function usd(nano: number | null): string {
  return formatUsd(nano);
}

/** Milliseconds as `0.4s`, `41.7s`, `2m10s`, `3h05m`, `2d04h`. */
export function duration(ms: number): string {
  if (ms < 59_950) return `${(Math.max(0, ms) / 1000).toFixed(1)}s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m${two(seconds % 60)}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 1440) return `${Math.floor(minutes / 60)}h${two(minutes % 60)}m`;
  return `${Math.floor(minutes / 1440)}d${two(Math.floor((minutes % 1440) / 60))}h`;
}

/** How long ago, coarse: `40s`, `3m`, `5h`, `12d`. */
export function age(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 60) return `${seconds}s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)}h`;
  return `${Math.floor(seconds / 86_400)}d`;
}

/** Bytes as `812 B`, `12 kB`, `1.8 MB` (powers of 1000, as file managers and the upload limit count). */
export function bytes(size: number): string {
  if (size < 1000) return `${size} B`;
  if (size < 999_500) return `${Math.round(size / 1000)} kB`;
  return size < 999_950_000 ? `${(size / 1e6).toFixed(1)} MB` : `${(size / 1e9).toFixed(1)} GB`;
}

/** A whole number with thousands apart: `1,348`. */
export function count(value: number): string {
  return String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, ',');
}

/** `1 page`, `24 pages`. */
export function plural(value: number, noun: string): string {
  return `${count(value)} ${noun}${value === 1 ? '' : 's'}`;
}

/** `16:40:02` in an IANA time zone. */
export function clockTime(at: number, timezone: string): string {
  const { hour, minute, second } = parts(at, timezone);
  return `${hour}:${minute}:${second}`;
}

/** `2026-11-22 16:40` in an IANA time zone. */
export function dateTime(at: number, timezone: string): string {
  const { year, month, day, hour, minute } = parts(at, timezone);
  return `${year}-${month}-${day} ${hour}:${minute}`;
}

const formatters = new Map<string, Intl.DateTimeFormat>();

type Parts = Record<'year' | 'month' | 'day' | 'hour' | 'minute' | 'second', string>;

/** Calendar parts of a moment in a time zone, two or four digits each. */
export function parts(at: number, timezone: string): Parts {
  if (timezone === 'UTC') return partsInUtc(at);
  let formatter = formatters.get(timezone);
  if (formatter === undefined) {
    formatter = new Intl.DateTimeFormat('en-GB', {
      timeZone: timezone,
      hourCycle: 'h23',
      year: 'numeric',
      month: '2-digit',
      day: '2-digit',
      hour: '2-digit',
      minute: '2-digit',
      second: '2-digit',
    });
    formatters.set(timezone, formatter);
  }
  const found = { year: '', month: '', day: '', hour: '', minute: '', second: '' };
  for (const { type, value } of formatter.formatToParts(at))
    if (type in found) found[type as keyof typeof found] = value;
  return found;
}

/** Without `Intl`, whose first question costs a process 12 ms: UTC is the zone of reports unless another is set. */
function partsInUtc(at: number): Parts {
  const [date = '', time = ''] = new Date(at).toISOString().split(/[T.]/);
  const [hour = '', minute = '', second = ''] = time.split(':');
  return { year: date.slice(0, -6), month: date.slice(-5, -3), day: date.slice(-2), hour, minute, second };
}

function two(value: number): string {
  return String(value).padStart(2, '0');
}
