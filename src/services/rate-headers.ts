/** Limits that a service tells with its answers: `x-ratelimit-{limit,remaining,reset}-{requests,tokens}` (OpenAI; LlamaCloud has none). */

/** What was told of one kind of limit; `null` where it was not, or not understood. */
export interface RateFigures {
  /** A minute. */
  limit: number | null;
  remaining: number | null;
  /** Milliseconds until all of it is there again. */
  resetMs: number | null;
}

const NUMBER = /^\d{1,12}$/;
/** Go's way to write durations: `120ms`, `1s`, `7.66s`, `6m0s`, `1h2m3s`. */
const DURATION =
  /^(?:(\d{1,9}(?:\.\d{1,9})?)h)?(?:(\d{1,9}(?:\.\d{1,9})?)m)?(?:(\d{1,9}(?:\.\d{1,9})?)s)?(?:(\d{1,9}(?:\.\d{1,9})?)ms)?$/;
/** Longer ones belong to limits of days and say nothing about the next minutes. */
const RESET_CAP_MS = 86_400_000;

/**
 * What the headers (names in lower case) say about requests or tokens. Tokens may have a limit of the project besides that
 * of the organisation (`…-project-tokens`): the lower figure of the two counts. Text that is no figure is as good as absent.
 */
export function rateFigures(headers: Readonly<Record<string, string>>, kind: 'requests' | 'tokens'): RateFigures {
  const names = kind === 'tokens' ? ['tokens', 'project-tokens'] : ['requests'];
  const read = (what: string, parse: (text: string) => number | null) =>
    names.map((name) => parse((headers[`x-ratelimit-${what}-${name}`] ?? '').trim())).filter((one) => one !== null);
  const limits = read('limit', wholeNumber).filter((limit) => limit > 0);
  const remaining = read('remaining', wholeNumber);
  const resets = read('reset', durationMs);
  return {
    limit: limits.length === 0 ? null : Math.min(...limits),
    remaining: remaining.length === 0 ? null : Math.min(...remaining),
    resetMs: resets.length === 0 ? null : Math.max(...resets),
  };
}

function wholeNumber(text: string): number | null {
  return NUMBER.test(text) ? Number(text) : null;
}

function durationMs(text: string): number | null {
  const parts = text === '' ? null : DURATION.exec(text);
  if (parts === null) return null;
  const [, hours = '0', minutes = '0', seconds = '0', ms = '0'] = parts;
  const total = Number(hours) * 3_600_000 + Number(minutes) * 60_000 + Number(seconds) * 1000 + Number(ms);
  return Math.min(RESET_CAP_MS, Math.ceil(total));
}
