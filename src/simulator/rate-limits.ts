/** Requests and tokens a minute, in windows that reset at their end, and the headers OpenAI tells about them. */
import type { Clock } from '../base/clock.ts';
import { Refused } from './exchange.ts';
import { llamaRefusal } from './llama-errors.ts';
import { rateError } from './openai-errors.ts';
import type { RateLimits } from './options.ts';

export interface RateWindows {
  /** Counts one LlamaCloud request; throws `Refused` (429, without Retry-After, as there). */
  llama(): void;
  /** Counts one OpenAI request with its tokens; returns the headers, throws `Refused` (429 with them). */
  openai(tokens: number): Readonly<Record<string, string>>;
}

const MINUTE = 60_000;

/** Windows that have not begun. */
export function createRateWindows(clock: Clock, limits: RateLimits): RateWindows {
  const llama = { from: Number.NEGATIVE_INFINITY, requests: 0, tokens: 0 };
  const openai = { ...llama };

  function roll(window: typeof llama): void {
    if (clock.monotonic() - window.from < MINUTE) return;
    Object.assign(window, { from: clock.monotonic(), requests: 0, tokens: 0 });
  }

  function headers(): Record<string, string> {
    const reset = duration(openai.from + MINUTE - clock.monotonic());
    return {
      'x-ratelimit-limit-requests': String(limits.openaiRequests),
      'x-ratelimit-limit-tokens': String(limits.openaiTokens),
      'x-ratelimit-remaining-requests': String(Math.max(0, limits.openaiRequests - openai.requests)),
      'x-ratelimit-remaining-tokens': String(Math.max(0, limits.openaiTokens - openai.tokens)),
      'x-ratelimit-reset-requests': reset,
      'x-ratelimit-reset-tokens': reset,
    };
  }

  return {
    llama() {
      roll(llama);
      llama.requests += 1;
      if (limits.llamaRequests !== null && llama.requests > limits.llamaRequests) {
        throw llamaRefusal(429, 'Rate limit exceeded. Please try again later.');
      }
    },
    openai(tokens) {
      roll(openai);
      if (openai.requests + 1 > limits.openaiRequests || openai.tokens + tokens > limits.openaiTokens) {
        const seconds = Math.ceil((openai.from + MINUTE - clock.monotonic()) / 1000);
        const error = rateError(limits.openaiRequests);
        throw new Refused({ status: 429, body: { error }, headers: { ...headers(), 'retry-after': String(seconds) } });
      }
      openai.requests += 1;
      openai.tokens += tokens;
      return headers();
    },
  };
}

/** `120ms`, `1s`, `6m0s`: neither an epoch nor plain seconds. */
function duration(ms: number): string {
  if (ms < 1000) return `${Math.max(0, Math.round(ms))}ms`;
  const seconds = Math.round(ms / 1000);
  return seconds < 60 ? `${seconds}s` : `${Math.floor(seconds / 60)}m${seconds % 60}s`;
}
