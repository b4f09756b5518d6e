/** Readers of setting texts: each takes the text of one value and returns it typed, or throws saying what it must be. */
import { parseUsd } from '../domain/money.ts';

/** Any non-empty text. */
export function text(value: string): string {
  return value;
}

/** A key. Short ones are refused: scrubbing them from the output would mask ordinary words. */
export function secret(value: string): string {
  if (value.length < 8) throw new Error('must be at least 8 characters long');
  if (/[^\x21-\x7e]/.test(value)) throw new Error('must not contain spaces, control or non-ASCII characters');
  return value;
}

/** `true` or `false` (also 1, 0, yes, no), any case. */
export function boolean(value: string): boolean {
  const lower = value.toLowerCase();
  if (['true', '1', 'yes'].includes(lower)) return true;
  if (['false', '0', 'no'].includes(lower)) return false;
  throw new Error('must be true or false');
}

/** A whole number within bounds, in decimal digits. */
export function integer(least: number, most: number): (value: string) => number {
  return (value) => {
    const number = /^\d{1,15}$/.test(value) ? Number(value) : Number.NaN;
    if (!(number >= least && number <= most)) throw new Error(`must be a whole number from ${least} to ${most}`);
    return number;
  };
}

/** A sum in USD such as 5 or 0.25, as nano-USD. */
export function usd(value: string): number {
  const nano = parseUsd(value);
  if (nano === null) throw new Error('must be a sum in USD such as 5 or 0.25, at most 1000000');
  return nano;
}

/** A share from 0 to 1. */
export function share(value: string): number {
  const number = /^\d(\.\d{1,9})?$/.test(value) ? Number(value) : Number.NaN;
  if (!(number >= 0 && number <= 1)) throw new Error('must be a number from 0 to 1');
  return number;
}

/** One of a closed list. */
export function choice<const T extends string>(values: readonly T[]): (value: string) => T {
  return (value) => {
    const found = values.find((candidate) => candidate === value);
    if (found === undefined) throw new Error(`must be one of ${values.join(', ')}`);
    return found;
  };
}

const UNIT_MS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** Milliseconds of a duration such as `250ms`, `90s`, `5m`, `2h`, `7d`; `null` when the text is not one. */
export function durationMs(value: string): number | null {
  const match = /^(\d{1,9}(?:\.\d{1,3})?)(ms|s|m|h|d)$/.exec(value.trim());
  if (!match) return null;
  return Math.round(Number(match[1]) * UNIT_MS[match[2] as keyof typeof UNIT_MS]);
}

/** A duration within bounds (bounds in milliseconds). */
export function duration(least: number, most: number): (value: string) => number {
  return (value) => {
    const ms = durationMs(value);
    if (ms === null) throw new Error('must be a duration such as 250ms, 90s, 5m, 2h or 7d');
    if (ms < least || ms > most) throw new Error(`must be from ${least} ms to ${most} ms`);
    return ms;
  };
}

/** A UUID, lower-cased. */
export function uuid(value: string): string {
  if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(value)) throw new Error('must be a UUID');
  return value.toLowerCase();
}

/** An IANA time zone this runtime knows. */
export function timeZone(value: string): string {
  // The default. The first question to `Intl` costs a process 12 ms.
  if (value === 'UTC') return value;
  try {
    return new Intl.DateTimeFormat('en', { timeZone: value }).resolvedOptions().timeZone;
  } catch {
    throw new Error('must be a time zone such as UTC or Europe/Berlin');
  }
}

/** An http or https address without query, or one of some names that stand for addresses. No slash at its end. */
export function baseUrl(names: Readonly<Record<string, string>>): (value: string) => string {
  return (value) => {
    const named = names[value.toLowerCase()];
    if (named !== undefined) return named;
    let url: URL;
    try {
      url = new URL(value);
    } catch {
      const known = Object.keys(names);
      throw new Error(
        `must be ${known.length === 0 ? '' : `${known.join(', ')} or `}an address such as https://example.com`,
      );
    }
    if (url.protocol !== 'https:' && url.protocol !== 'http:') throw new Error('must begin with https:// or http://');
    if (url.username !== '' || url.password !== '') throw new Error('must not contain a user name or password');
    if (url.search !== '' || url.hash !== '') throw new Error('must not contain ? or #');
    return url.href.replace(/\/+$/, '');
  };
}
