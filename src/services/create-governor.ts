/** The governor of a service: asks the store before every request and tells it after, so that all processes are one client. */
import type { Clock } from '../base/clock.ts';
import { asTvdbError } from '../base/errors.ts';
import type { Random } from '../base/ids.ts';
import type { Log } from '../base/log.ts';
import type { Settings } from '../config/variables.ts';
import { admission, type BreakerPolicy, observe, verdictOf, viewOf } from '../domain/breaker.ts';
import type { ServiceName } from '../domain/service-mode.ts';
import { loadBreaker, saveBreaker } from '../store/breakers.ts';
import type { Store, Trx } from '../store/open.ts';
import { addHealthSample } from '../store/service-health.ts';
import type { Call, Exchange, ServiceGovernor } from './governor.ts';
import { breakerError, rateError } from './governor-errors.ts';
import { createLimits } from './limits.ts';
import { RETRY_AFTER_CAP_MS, retryAfterMs } from './retry-after.ts';

/** Longest wait inside `admit`; for more the job is parked and its worker does something else. */
const PATIENCE_MS = 2_000;
/** First pause after a 429 that does not say how long, doubled at each in a row: five of them outlast a window of a minute. */
const BLIND_BASE_MS = 2_000;
const BLIND_CAP_MS = 60_000;
/** `Retry-After: 0` again and again must not become a hot loop. */
const LEAST_BLOCK_MS = 100;
/** Spreads the processes of other machines, which share the limit and not the store. */
const BLIND_JITTER = 0.25;
/** What `admit` itself throws; a client that reports it tells nothing about the service. */
const OWN_CODES: readonly string[] = ['E301', 'E302', 'E304', 'E112'];

export interface GovernorOptions {
  service: ServiceName;
  settings: Settings;
  store: Store;
  clock: Clock;
  random: Random;
  /** This worker or process; named in the store while it tries a request through a half-open breaker. */
  owner: string;
  /** Of the key that would be sent now; `null` when there is none. */
  fingerprint: () => string | null;
  log?: Log;
}

/** When a breaker opens, and how long one try may take before another process may try. */
export function breakerPolicy(settings: Settings): BreakerPolicy {
  const answer = settings.CONNECT_TIMEOUT + settings.HEADERS_TIMEOUT + settings.BODY_TIMEOUT;
  return {
    failures: settings.BREAKER_FAILURES,
    pauseMs: settings.BREAKER_PAUSE,
    probeMs: Math.min(settings.REQUEST_TIMEOUT, answer),
  };
}

/**
 * A governor over the store; any number of them, in any number of processes, act as one. What it keeps may be lost in a
 * power cut: a limit is learnt again from the next answer. Waiting for the disk would cost more than the rest of a request.
 */
export function createGovernor(options: GovernorOptions): ServiceGovernor {
  const { service, settings, store, clock, random, owner, fingerprint, log } = options;
  const limits = createLimits(service, settings);
  const policy = breakerPolicy(settings);
  /** The try this process was let through with, until its report. */
  let probe: Pick<Call, 'operation' | 'billable'> | null = null;
  /** Of the key of the last request that was let through. */
  let lastSent: string | null = null;

  const callerOf = ({ billable, fingerprint: sent }: Call) => ({
    now: clock.now(),
    owner,
    billable,
    fingerprint: sent ?? fingerprint(),
  });

  /** Breaker and limits in one transaction. Returns the error instead of throwing it, so that the places kept are committed. */
  const reserve = (call: Call, patienceMs: number) =>
    store.writeRelaxed(async (trx) => {
      const caller = callerOf(call);
      const breaker = await loadBreaker(trx, service);
      const answer = admission(breaker, caller, policy);
      if (answer.kind === 'refuse') return { error: breakerError(service, call.operation, answer, breaker) };
      const { granted, waitMs, kind } = await limits.take(trx, call.tokens, caller.now, patienceMs);
      if (!granted) return { error: rateError(service, call.operation, kind, waitMs) };
      if (answer.breaker !== breaker) await saveBreaker(trx, service, answer.breaker, caller.now);
      await limits.earnRetry(trx, caller.now);
      return { error: null, waitMs, probe: answer.probe, fingerprint: caller.fingerprint };
    });

  /** After a wait: whether nothing has come up meanwhile that a request would be refused for now. */
  const stillFree = async (call: Call, isProbe: boolean): Promise<boolean> => {
    const caller = callerOf(call);
    if ((await limits.blockedMs(store.db, caller.now)) > 0) return false;
    const answer = admission(await loadBreaker(store.db, service), caller, policy);
    return isProbe || (answer.kind === 'pass' && !answer.probe);
  };

  /** The request does not leave: its tokens, and its try, are for others. Should that fail, both come back with time. */
  const giveBack = (call: Call, isProbe: boolean) =>
    store
      .writeRelaxed(async (trx) => {
        await limits.giveBack(trx, call.tokens, clock.now());
        if (isProbe) await learn(trx, call, { verdict: 'none', code: null, probe: true, waitMs: 0 });
      })
      .catch(() => {});

  const learn = async (
    trx: Trx,
    call: Call,
    seen: Pick<Parameters<typeof observe>[1], 'verdict' | 'code' | 'probe' | 'waitMs'>,
  ) => {
    const now = clock.now();
    const before = await loadBreaker(trx, service);
    const sent = call.fingerprint ?? lastSent ?? fingerprint();
    const after = observe(before, { ...seen, billable: call.billable, now, sent, current: fingerprint() }, policy);
    if (after === before) return;
    await saveBreaker(trx, service, after, now);
    if (before.state !== 'closed' && after.state === 'closed') await limits.drain(trx, now);
    if (before.state !== after.state) {
      const level = after.state === 'open' ? 'warn' : 'info';
      log?.(level, 'breaker.changed', { service, from: before.state, to: after.state, reason: after.reason });
    }
  };

  /** A 429, or a 503 that says when to come back, stops everybody. Answers what it asked for and whether it is news. */
  const heed = async (trx: Trx, exchange: Exchange, isRate: boolean): Promise<{ waitMs: number; fresh: boolean }> => {
    const now = clock.now();
    const { error, headers, httpStatus, latencyMs } = exchange;
    const asked = error?.retry.kind === 'after' ? error.retry.ms : retryAfterMs(headers, now);
    if (!isRate && (httpStatus !== 503 || asked === null)) return { waitMs: 0, fresh: false };
    const { refusals } = await loadBreaker(trx, service);
    const blind = Math.min(BLIND_CAP_MS, BLIND_BASE_MS * 2 ** Math.min(refusals, 30)) * (1 + BLIND_JITTER * random());
    const waitMs = Math.round(Math.min(RETRY_AFTER_CAP_MS, Math.max(LEAST_BLOCK_MS, asked ?? blind)));
    return { waitMs, fresh: await limits.block(trx, waitMs, now - latencyMs, now) };
  };

  const note = async (trx: Trx, exchange: Exchange) => {
    const now = clock.now();
    const { operation, billable, latencyMs, httpStatus, error } = exchange;
    await addHealthSample(trx, {
      service,
      origin: 'real',
      at: now,
      operation,
      ok: error === null ? 1 : 0,
      latency_ms: Math.max(0, Math.round(latencyMs)),
      http_status: httpStatus,
      code: error?.label ?? null,
    });
    const isProbe = probe !== null && probe.operation === operation && probe.billable === billable;
    if (isProbe) probe = null;
    const verdict = verdictOf(error?.code ?? null, httpStatus);
    await limits.learn(trx, exchange.headers, now);
    const { waitMs, fresh } = await heed(trx, exchange, verdict === 'rate');
    await learn(trx, exchange, {
      // Requests that were in flight together are refused once, not each on its own.
      verdict: verdict === 'rate' && !fresh && !isProbe ? 'none' : verdict,
      code: error?.code ?? null,
      probe: isProbe,
      waitMs,
    });
  };

  return {
    async admit(call, signal) {
      let patience = PATIENCE_MS;
      for (;;) {
        signal.throwIfAborted();
        const place = await reserve(call, patience);
        if (place.error !== null) throw place.error;
        const remember = () => {
          lastSent = place.fingerprint;
          if (place.probe) probe = { operation: call.operation, billable: call.billable };
        };
        if (place.waitMs === 0) return remember();
        try {
          await clock.sleep(place.waitMs, signal);
          if (await stillFree(call, place.probe)) return remember();
        } catch (error) {
          await giveBack(call, place.probe);
          throw error;
        }
        await giveBack(call, place.probe);
        patience -= place.waitMs;
      }
    },

    async report(exchange) {
      if (exchange.httpStatus === null && OWN_CODES.includes(exchange.error?.code ?? '')) return;
      try {
        await store.writeRelaxed((trx) => note(trx, exchange));
      } catch (error) {
        const { label, message } = asTvdbError(error);
        log?.('error', 'governor.report_lost', { service, operation: exchange.operation, code: label, message });
      }
    },

    retryAllowed: () => store.writeRelaxed((trx) => limits.takeRetry(trx, clock.now())),

    async state() {
      const now = clock.now();
      const view = viewOf(await loadBreaker(store.db, service), { now, fingerprint: fingerprint() }, policy);
      const blocked = view.why === 'ok' ? await limits.blockedMs(store.db, now) : 0;
      return blocked <= PATIENCE_MS ? view : { open: false, why: 'rate_limited', retryAt: now + blocked };
    },
  };
}
