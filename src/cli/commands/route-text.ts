/** Why a service is used or not, as JSON and in the words people read; one place for `mode`, `status`, `upload` and `search`. */
import { iso } from '../../base/clock.ts';
import type { Route, ServiceName } from '../../domain/service-mode.ts';
import { KEY_VARIABLES } from '../../services/router.ts';

/** A route as JSON has it. */
export function routeJson({ use, why, fallback, retryAt }: Route): Record<string, unknown> {
  return { use, why, fallback, retry_at: iso(retryAt ?? null) };
}

/** The routes of both services. */
export function routesJson({ llamaparse, openai }: Readonly<Record<ServiceName, Route>>): Record<string, unknown> {
  return { llamaparse: routeJson(llamaparse), openai: routeJson(openai) };
}

/** The reason of a route as a phrase. `key` is how the key may be shown; empty where it is not to be. */
export function routeReason({ use, why }: Route, service: ServiceName, key = ''): string {
  const withKey = key === '' ? '' : `, key ${key}`;
  switch (why) {
    case 'mode_mock':
      return 'mode mock: free and offline';
    case 'mode_real':
      return `mode real${withKey}`;
    case 'override':
      return `${use ?? 'none'} was asked for by name`;
    case 'ok':
      return `the real service can be used${withKey}`;
    case 'key_missing':
      return `${KEY_VARIABLES[service]} is not set`;
    case 'not_built':
      return `this process has no real service${withKey}`;
    case 'parse_is_mock':
      return 'the parse is a mock, and real vectors of it would be paid for nothing';
    case 'breaker_open':
      return 'paused after repeated failures';
    case 'key_refused':
      return `the service refused the key${withKey}`;
    case 'no_credit':
      return 'the account has no credit or quota left';
    case 'rate_limited':
      return 'the service is limiting requests';
    case 'service_unavailable':
      return 'the service did not answer';
    case 'budget':
      return 'the budget is used up';
  }
}
