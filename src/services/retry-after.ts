/** How long a service asks us to wait, from the headers of its answer; never longer than we are willing to. */

/** Longest wait a header can impose. SDKs obey it without a bound: one `Retry-After: 1e9` parks a client for 31 years. */
export const RETRY_AFTER_CAP_MS = 300_000;

/** Digits with an optional fraction and nothing else: `Number` would take `1e9`, `0x10` and an empty text as well. */
const DECIMAL = /^\d{1,12}(\.\d{1,9})?$/;
/** RFC 9110 dates start with the name of a day; `Date.parse` alone would take `-1` for a year. */
const HTTP_DATE = /^(mon|tues?|wed(nes)?|thu(rs)?|fri|sat(ur)?|sun)(day)?,? /i;

/** A value of a header by its lower-case name; several values in one text are separated by commas, as HTTP joins them. */
export type HeaderValues = Readonly<Record<string, string | readonly string[] | undefined>>;

/**
 * The wait in milliseconds, in [0, 300,000], or `null` when no header says anything usable. `retry-after-ms` (OpenAI)
 * comes before `retry-after` (RFC 9110 10.2.3: whole seconds or an HTTP date; fractions are seen in the wild). Of several
 * values the longest counts. A date in the past is 0; negative numbers and other text are as good as absent, so that the
 * caller's own growing wait applies instead of a hot loop. Numbers over the cap are cut to it. `now` is the wall clock.
 */
export function retryAfterMs(headers: HeaderValues, now: number): number | null {
  return longest(headers['retry-after-ms'], milliseconds) ?? longest(headers['retry-after'], (text) => wait(text, now));
}

function longest(value: string | readonly string[] | undefined, read: (text: string) => number | null): number | null {
  if (value === undefined) return null;
  // A date has one comma of its own, after the name of the day.
  const texts = [value].flat().flatMap((text) => text.split(/(?<!\b(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*),/i));
  const waits = texts.map((text) => read(text.trim())).filter((ms) => ms !== null);
  return waits.length === 0 ? null : Math.min(RETRY_AFTER_CAP_MS, Math.max(...waits));
}

function milliseconds(text: string): number | null {
  return DECIMAL.test(text) ? Math.round(Number(text)) : null;
}

function wait(text: string, now: number): number | null {
  if (DECIMAL.test(text)) return Math.round(Number(text) * 1000);
  if (!HTTP_DATE.test(text)) return null;
  const at = Date.parse(text);
  return Number.isNaN(at) ? null : Math.max(0, at - now);
}
