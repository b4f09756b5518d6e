/** Gathers what `health` answers from the store; asks a service only for `--check`, by its free request. */
import { iso } from '../../base/clock.ts';
import { asTvdbError } from '../../base/errors.ts';
import { sha256 } from '../../base/hash.ts';
import { type Breaker, type BreakerView, CLOSED, viewOf } from '../../domain/breaker.ts';
import type { Origin, Route, ServiceName } from '../../domain/service-mode.ts';
import { parseOptions } from '../../pipeline/route.ts';
import { breakerPolicy } from '../../services/create-governor.ts';
import { createLimits, type LimitView } from '../../services/limits.ts';
import type { ServiceHealth } from '../../services/parse/port.ts';
import { loadBreaker, resetBreaker } from '../../store/breakers.ts';
import { type HealthSummary, healthSummary } from '../../store/service-health.ts';
import type { World } from '../../world.ts';

export interface ServiceAnswer {
  readonly name: ServiceName;
  readonly title: string;
  /** What a new job would use. */
  readonly route: Route;
  /** As it is for the key that is set: a stop of another key is none. */
  readonly breaker: Breaker;
  readonly view: BreakerView;
  /** It was not closed, and this command closed it. */
  readonly wasReset: boolean;
  readonly summary: HealthSummary;
  readonly limits: { requests: LimitView; tokens: LimitView | null; retriesLeft: number };
  /** `null` when it was not asked. */
  readonly check: ServiceHealth | null;
}

export interface HealthAnswer {
  readonly at: number;
  readonly since: number;
  /** A reset was asked for and there was nothing to close. */
  readonly idleReset: boolean;
  readonly services: readonly ServiceAnswer[];
}

export interface HealthRequest {
  readonly names: readonly ServiceName[];
  /** Those `resetServices` closed; `undefined` when it was not asked to. */
  readonly reset: readonly ServiceName[] | undefined;
  readonly since: number;
  /** Ask the services, until this aborts. */
  readonly check: AbortSignal | undefined;
}

const TITLES: Record<ServiceName, string> = { llamaparse: 'LlamaParse', openai: 'OpenAI' };

/** Closes the breakers of services; answers which of them were not closed. */
export async function resetServices(
  { store, clock, log }: World,
  names: readonly ServiceName[],
): Promise<ServiceName[]> {
  return store.write(async (trx) => {
    const closed: ServiceName[] = [];
    for (const name of names) if (await resetBreaker(trx, name, clock.now())) closed.push(name);
    for (const service of closed) log('info', 'breaker.reset', { service });
    return closed;
  });
}

/** Everything `health` shows, as of now. */
export async function healthAnswer(world: World, request: HealthRequest): Promise<HealthAnswer> {
  const { settings } = world.config;
  const at = world.clock.now();
  const { services } = world.router.decide(settings.SERVICE_MODE, {
    ...(settings.SERVICE_MODE_LLAMAPARSE !== undefined && { llamaparse: settings.SERVICE_MODE_LLAMAPARSE }),
    ...(settings.SERVICE_MODE_OPENAI !== undefined && { openai: settings.SERVICE_MODE_OPENAI }),
  });
  const keys = {
    llamaparse: settings.LLAMAPARSE_API_KEY ?? settings.LLAMA_CLOUD_API_KEY,
    openai: settings.OPENAI_API_KEY,
  };
  const answers: ServiceAnswer[] = [];
  for (const name of request.names) {
    const route = services[name];
    // Before the look at the store: what the check has met belongs to it.
    const check =
      request.check === undefined || route.use === null ? null : await asked(world, name, route.use, request.check);
    const { db } = world.store;
    const stored = await loadBreaker(db, name);
    const key = keys[name];
    const fingerprint = key === undefined ? null : sha256(key).slice(0, 8);
    const view = viewOf(stored, { now: at, fingerprint }, breakerPolicy(settings));
    answers.push({
      name,
      title: TITLES[name],
      route,
      breaker: view.why === 'ok' && stored.state !== 'closed' ? CLOSED : stored,
      view,
      wasReset: request.reset?.includes(name) ?? false,
      summary: await healthSummary(db, name, request.since),
      limits: await createLimits(name, settings).view(db, at),
      check,
    });
  }
  return { at, since: request.since, idleReset: request.reset?.length === 0, services: answers };
}

async function asked(world: World, name: ServiceName, use: Origin, signal: AbortSignal): Promise<ServiceHealth> {
  const began = world.clock.monotonic();
  try {
    const { router, config } = world;
    const parse = () => router.parseService(use, parseOptions(config.settings));
    const service = await (name === 'openai' ? router.embedService(use) : parse());
    return await service.health(signal);
  } catch (thrown) {
    signal.throwIfAborted();
    const { label, message } = asTvdbError(thrown);
    return { ok: false, latencyMs: world.clock.monotonic() - began, detail: `${label} ${message}` };
  }
}

/** `data` of `tvdb.health/v1`. */
export function healthJson({ since, services }: HealthAnswer): Record<string, unknown> {
  return { since: iso(since), services: services.map(serviceJson) };
}

function serviceJson(answer: ServiceAnswer): Record<string, unknown> {
  const { name, route, breaker, view, wasReset, summary, limits, check } = answer;
  return {
    name,
    effective: route.use,
    reason: route.why,
    fallback: route.fallback,
    breaker: {
      state: breaker.state,
      open: view.open,
      why: view.why,
      failures: breaker.failures + breaker.paidFailures,
      refusals: breaker.refusals,
      pauses: breaker.pauses,
      error_code: breaker.reason === null ? null : `TVDB-${breaker.reason}`,
      opened_at: iso(breaker.openedAt),
      retry_at: iso(view.retryAt),
      probe_until: iso(breaker.probeUntil),
      reset: wasReset,
    },
    last_ok_at: iso(summary.lastOkAt),
    last_error:
      summary.lastError === null
        ? null
        : {
            at: iso(summary.lastError.at),
            operation: summary.lastError.operation,
            code: summary.lastError.code,
            http_status: summary.lastError.httpStatus,
          },
    calls: summary.calls,
    failures: summary.failures,
    failure_share: summary.failureShare,
    p50_ms: summary.p50Ms,
    p95_ms: summary.p95Ms,
    operations: summary.operations.map((row) => ({
      operation: row.operation,
      calls: row.calls,
      failures: row.failures,
      p50_ms: row.p50Ms,
      p95_ms: row.p95Ms,
    })),
    limits: {
      requests: limitJson(limits.requests),
      tokens: limits.tokens === null ? null : limitJson(limits.tokens),
      retries_left: limits.retriesLeft,
    },
    check: check === null ? null : { ok: check.ok, ms: Math.round(check.latencyMs), detail: check.detail },
  };
}

function limitJson({ available, burst, perMinute, blockedUntil }: LimitView): Record<string, unknown> {
  return { available, burst, per_minute: perMinute, blocked_until: iso(blockedUntil) };
}
