/** The breaker of a service as data: when requests are paused, who may try one, when they go on. Time is an argument. */
import type { ErrorCode } from '../base/error-codes.ts';

/** Pauses double up to this, or stay at the configured one where that is longer. */
const PAUSE_CAP_MS = 600_000;
/** When to ask again while somebody else tries a request; such a try is mostly over within seconds. */
const PROBE_PATIENCE_MS = 5_000;

export type BreakerState = 'closed' | 'open' | 'half_open';

export interface Breaker {
  state: BreakerState;
  /** In a row, while closed: of free requests, of billable ones, and times the service limited us. */
  failures: number;
  paidFailures: number;
  refusals: number;
  /** Pauses in a row without a success between them. */
  pauses: number;
  /** What opened it last. */
  reason: ErrorCode | null;
  /** Of the key the account was refused with; another key closes it. */
  fingerprint: string | null;
  openedAt: number | null;
  /** Earliest time of the next try; `null` while open means that only the user closes it. */
  retryAt: number | null;
  /** Who tries, and until when that counts: one that died must not keep the others out for ever. */
  probeOwner: string | null;
  probeUntil: number | null;
}

export const CLOSED: Readonly<Breaker> = {
  state: 'closed',
  failures: 0,
  paidFailures: 0,
  refusals: 0,
  pauses: 0,
  reason: null,
  fingerprint: null,
  openedAt: null,
  retryAt: null,
  probeOwner: null,
  probeUntil: null,
};

export interface BreakerPolicy {
  /** Failures in a row that open it. */
  failures: number;
  /** First pause. */
  pauseMs: number;
  /** How long a try may take before somebody else may try. */
  probeMs: number;
}

/** What an exchange tells about the service. `none`: nothing (we gave up, or had a bug). */
export type Verdict = 'ok' | 'failure' | 'rate' | 'key' | 'credit' | 'none';

/**
 * Reads an exchange. A request that was refused for what it says (E309 and the like) was answered by a service that
 * works; 5xx counts as a failure whatever the code.
 */
export function verdictOf(code: ErrorCode | null, httpStatus: number | null): Verdict {
  if (code === 'E112') return 'key';
  if (code === 'E302') return 'credit';
  if (code === 'E301') return 'rate';
  if (code === 'E303' || code === 'E307' || code === 'E308' || (httpStatus ?? 0) >= 500) return 'failure';
  return code === null || code === 'E309' || code === 'E310' || code === 'E311' ? 'ok' : 'none';
}

export interface Caller {
  now: number;
  /** Process or worker. */
  owner: string;
  billable: boolean;
  /** Of the key it would send; `null` when unknown. */
  fingerprint: string | null;
}

export type Admission =
  /** It may leave. `probe`: everybody else waits for what comes of it. `breaker` is what to keep. */
  | { kind: 'pass'; breaker: Breaker; probe: boolean }
  /** It may not: E304 for a time, E112 or E302 until the user acts (`afterMs` is `null`). */
  | { kind: 'refuse'; code: 'E304' | 'E112' | 'E302'; afterMs: number | null };

/**
 * Whether a request may leave. A refused key stops everything, missing credit only what can be billed: polls of jobs that
 * are paid already go on. During an outage any request may be the one that tries, polls included.
 */
export function admission(breaker: Breaker, caller: Caller, policy: BreakerPolicy): Admission {
  const { now, owner, billable, fingerprint } = caller;
  if (breaker.state === 'closed') return { kind: 'pass', breaker, probe: false };
  if (isStop(breaker)) {
    if (isOtherKey(breaker, fingerprint)) return { kind: 'pass', breaker: { ...CLOSED }, probe: false };
    const code = breaker.reason === 'E302' ? 'E302' : 'E112';
    if (code === 'E302' && !billable) return { kind: 'pass', breaker, probe: false };
    return { kind: 'refuse', code, afterMs: null };
  }
  const left = waitFor(breaker, now, policy);
  if (left > 0) {
    return {
      kind: 'refuse',
      code: 'E304',
      afterMs: breaker.state === 'open' ? left : Math.min(left, PROBE_PATIENCE_MS),
    };
  }
  const probing: Breaker = { ...breaker, state: 'half_open', probeOwner: owner, probeUntil: now + policy.probeMs };
  return { kind: 'pass', breaker: probing, probe: true };
}

export interface Observation {
  verdict: Verdict;
  /** The code of the error, kept as the reason. */
  code: ErrorCode | null;
  billable: boolean;
  now: number;
  /** The exchange was the one try that `admission` let through. */
  probe: boolean;
  /** Of the key that was sent, and of the one that would be sent now; a ring of keys may have moved on since. */
  sent: string | null;
  current: string | null;
  /** What a rate refusal asked for. */
  waitMs: number;
}

/** The breaker after an exchange; the same object when nothing changed. */
export function observe(breaker: Breaker, seen: Observation, policy: BreakerPolicy): Breaker {
  const { verdict, sent, current, now } = seen;
  if (verdict === 'key' || verdict === 'credit') {
    // The next request goes out with another key: the account is not refused with that one.
    if (sent !== current) return seen.probe ? giveBack(breaker, now) : breaker;
    return isStop(breaker) && breaker.reason === 'E112' ? breaker : stopped(breaker, seen);
  }
  if (breaker.state === 'closed') return observeClosed(breaker, seen, policy);
  // Whatever was sent before it opened tells nothing about now.
  if (breaker.state === 'open' || !seen.probe) return breaker;
  if (verdict === 'none') return giveBack(breaker, now);
  return verdict === 'ok' ? closedBy(breaker, seen, policy) : paused(breaker, seen, policy);
}

function observeClosed(breaker: Breaker, seen: Observation, policy: BreakerPolicy): Breaker {
  const { verdict, billable } = seen;
  if (verdict === 'none') return breaker;
  if (verdict === 'ok') {
    // Polls that go through while every paid request fails must not hide that: each of those may cost a lost parse.
    const paidFailures = billable ? 0 : breaker.paidFailures;
    const pauses = paidFailures === 0 ? 0 : breaker.pauses;
    const same = breaker.failures + breaker.refusals === 0 && paidFailures === breaker.paidFailures;
    return same && pauses === breaker.pauses ? breaker : { ...breaker, failures: 0, refusals: 0, paidFailures, pauses };
  }
  const next = { ...breaker };
  if (verdict === 'rate') next.refusals += 1;
  else if (billable) next.paidFailures += 1;
  else next.failures += 1;
  const full = next.failures + next.paidFailures >= policy.failures || next.refusals >= policy.failures;
  return full ? paused(next, seen, policy) : next;
}

/** A free request that works closes it for free ones; the next billable failure opens it again. */
function closedBy(breaker: Breaker, { billable }: Observation, policy: BreakerPolicy): Breaker {
  const paidFailures = billable ? 0 : Math.min(breaker.paidFailures, policy.failures - 1);
  return { ...CLOSED, paidFailures, pauses: paidFailures === 0 ? 0 : breaker.pauses };
}

function paused(breaker: Breaker, { code, now, waitMs }: Observation, policy: BreakerPolicy): Breaker {
  const pauses = breaker.pauses + 1;
  const pause = Math.min(pauseCap(policy), policy.pauseMs * 2 ** Math.min(breaker.pauses, 30));
  return {
    ...breaker,
    state: 'open',
    pauses,
    reason: code ?? breaker.reason,
    fingerprint: null,
    openedAt: breaker.openedAt ?? now,
    retryAt: now + Math.max(pause, Math.min(waitMs, PAUSE_CAP_MS)),
    probeOwner: null,
    probeUntil: null,
  };
}

function stopped(breaker: Breaker, { code, now, current }: Observation): Breaker {
  const openedAt = isStop(breaker) ? breaker.openedAt : now;
  return { ...CLOSED, state: 'open', reason: code, fingerprint: current, pauses: breaker.pauses, openedAt };
}

function giveBack(breaker: Breaker, now: number): Breaker {
  if (breaker.state !== 'half_open') return breaker;
  return { ...breaker, state: 'open', retryAt: now, probeOwner: null, probeUntil: null };
}

export interface BreakerView {
  /** A billable request would be refused now. */
  open: boolean;
  why: 'ok' | 'breaker_open' | 'key_refused' | 'no_credit' | 'rate_limited';
  /** When the next request is tried; `null` when nothing is in the way, or nothing but the user helps. */
  retryAt: number | null;
}

/** How the breaker stands for a key, for those who only look. Open and due: `open` is false, the next request tries. */
export function viewOf(
  breaker: Breaker,
  { now, fingerprint }: Pick<Caller, 'now' | 'fingerprint'>,
  policy: BreakerPolicy,
): BreakerView {
  if (breaker.state === 'closed') return { open: false, why: 'ok', retryAt: null };
  if (isStop(breaker)) {
    if (isOtherKey(breaker, fingerprint)) return { open: false, why: 'ok', retryAt: null };
    return { open: true, why: breaker.reason === 'E302' ? 'no_credit' : 'key_refused', retryAt: null };
  }
  const left = waitFor(breaker, now, policy);
  return { open: left > 0, why: breaker.reason === 'E301' ? 'rate_limited' : 'breaker_open', retryAt: now + left };
}

/** Open until the user acts. */
function isStop({ state, retryAt }: Breaker): boolean {
  return state === 'open' && retryAt === null;
}

function isOtherKey(breaker: Breaker, fingerprint: string | null): boolean {
  return breaker.fingerprint !== null && fingerprint !== null && breaker.fingerprint !== fingerprint;
}

/** Until the next try. A time further ahead than any pause lasts was written by a clock that was set back since. */
function waitFor({ state, retryAt, probeUntil }: Breaker, now: number, policy: BreakerPolicy): number {
  const [until, cap] = state === 'open' ? [retryAt ?? now, pauseCap(policy)] : [probeUntil ?? now, policy.probeMs];
  return until > now && until - now <= cap ? until - now : 0;
}

function pauseCap({ pauseMs }: BreakerPolicy): number {
  return Math.max(PAUSE_CAP_MS, pauseMs);
}
