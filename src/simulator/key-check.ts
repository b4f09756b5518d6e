/** Which API keys are let in, and what the two services say to the others. */
import { sha256 } from '../base/hash.ts';
import type { Service } from './exchange.ts';
import { llamaRefusal } from './llama-errors.ts';
import { openaiRefusal } from './openai-errors.ts';
import type { KeyRules } from './options.ts';

export interface KeyCheck {
  /** Throws `Refused` with 401. */
  check(service: Service, authorization: string | undefined): void;
  /** Replaces what is given, keeps what is not. */
  change(rules: KeyRules): void;
}

const PREFIX: Readonly<Record<Service, string>> = { llama: 'llx-', openai: 'sk-' };
const SHORTEST = 8;

/** The rules as they were at the start; `change` replaces them. */
export function createKeyCheck(start: KeyRules): KeyCheck {
  let rules = start;
  return {
    check(service, authorization) {
      const key = keyOf(authorization);
      if (key === undefined) throw service === 'llama' ? llamaRefusal(401, 'Not authenticated') : noOpenaiKey();
      const { accepted, refused = [] } = rules;
      const fine = accepted?.includes(key) ?? (key.startsWith(PREFIX[service]) && key.length >= SHORTEST);
      if (fine && !refused.includes(key)) return;
      throw service === 'llama'
        ? llamaRefusal(401, 'Invalid API Key. Please check your region and try again.')
        : openaiRefusal(401, `Incorrect API key provided: ${masked(key)}. ${WHERE}`, { code: 'invalid_api_key' });
    },
    change(next) {
      rules = { ...rules, ...next };
    },
  };
}

/** The first 8 hex digits of the SHA-256 of the key, or of the whole header where it has another form. */
export function fingerprint(authorization: string): string {
  return sha256(keyOf(authorization) ?? authorization).slice(0, 8);
}

const WHERE = 'You can find your API key at https://platform.openai.com/account/api-keys.';

function keyOf(authorization: string | undefined): string | undefined {
  return /^Bearer (\S+)$/.exec(authorization ?? '')?.[1];
}

function masked(key: string): string {
  return key.length < 12 ? '*'.repeat(key.length) : `${key.slice(0, 4)}${'*'.repeat(key.length - 8)}${key.slice(-4)}`;
}

function noOpenaiKey() {
  return openaiRefusal(
    401,
    "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY).",
  );
}
