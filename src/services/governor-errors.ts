/** What the governor says when it lets nothing through. Nothing has left, so nothing was charged. */
import { TvdbError } from '../base/errors.ts';
import type { Breaker } from '../domain/breaker.ts';
import type { ServiceName } from '../domain/service-mode.ts';

const TITLES: Record<ServiceName, string> = { llamaparse: 'LlamaParse', openai: 'OpenAI' };

/** E301: the limit of requests or tokens is used up, or the service asked for a pause. */
export function rateError(service: ServiceName, operation: string, kind: 'requests' | 'tokens', ms: number): TvdbError {
  return new TvdbError('E301', {
    message: `${TITLES[service]} takes the next request (${operation}) in ${seconds(ms)}`,
    why: `the limit of ${kind} a minute is used up, or the service asked for a pause`,
    retry: { kind: 'after', ms },
    chargedNanoUsd: 0,
    facts: { service, operation, limit: kind },
  });
}

/** E304, E112 or E302: the breaker is open. */
export function breakerError(
  service: ServiceName,
  operation: string,
  { code, afterMs }: { code: 'E304' | 'E112' | 'E302'; afterMs: number | null },
  { reason }: Pick<Breaker, 'reason'>,
): TvdbError {
  const title = TITLES[service];
  const shared = { chargedNanoUsd: 0, facts: { service, operation } };
  if (code === 'E304') {
    const ms = Math.max(1, afterMs ?? 1);
    return new TvdbError('E304', {
      ...shared,
      message: `Requests to ${title} are paused for another ${seconds(ms)}`,
      why: `they failed repeatedly${reason === null ? '' : `, the last time with TVDB-${reason}`}`,
      retry: { kind: 'after', ms },
    });
  }
  const commands = [`tvdb health ${service} --reset`];
  return code === 'E112'
    ? new TvdbError('E112', {
        ...shared,
        message: `${title} refused the key, and nothing is sent with it any more`,
        fix: 'Set another key; or, when this one is right after all, let it be tried again.',
        commands,
      })
    : new TvdbError('E302', {
        ...shared,
        message: `The account at ${title} has no credit or quota left, and nothing that costs is sent any more`,
        fix: 'Raise the limit or the plan at the service, then let it be tried again.',
        commands,
      });
}

function seconds(ms: number): string {
  return `${Math.ceil(ms / 1000)} s`;
}
