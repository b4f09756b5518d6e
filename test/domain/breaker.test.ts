/** The rules of the breaker: what opens it, who may try, what closes it. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ErrorCode } from '../../src/base/error-codes.ts';
import {
  admission,
  type Breaker,
  type BreakerPolicy,
  CLOSED,
  observe,
  verdictOf,
  viewOf,
} from '../../src/domain/breaker.ts';

const POLICY: BreakerPolicy = { failures: 3, pauseMs: 30_000, probeMs: 100_000 };
const T0 = 1_700_000_000_000;

interface Seen {
  now?: number;
  billable?: boolean;
  probe?: boolean;
  sent?: string | null;
  current?: string | null;
  waitMs?: number;
  status?: number | null;
}

/** The breaker after an exchange that ended in `code`. */
function told(breaker: Breaker, code: ErrorCode | null, seen: Seen = {}): Breaker {
  const { now = T0, billable = true, probe = false, sent = 'aaaa', current = 'aaaa', waitMs = 0, status = 200 } = seen;
  const verdict = verdictOf(code, status);
  return observe(breaker, { verdict, code, billable, now, probe, sent, current, waitMs }, POLICY);
}

function ask(breaker: Breaker, { now = T0, billable = true, fingerprint = 'aaaa', owner = 'a' } = {}) {
  return admission(breaker, { now, owner, billable, fingerprint }, POLICY);
}

/** Lets a try through at `now`. */
function probing(breaker: Breaker, now: number, owner = 'a'): Breaker {
  const answer = ask(breaker, { now, owner });
  if (answer.kind !== 'pass' || !answer.probe) throw new Error(`no try at ${now - T0}`);
  return answer.breaker;
}

const failing = (times: number, code: ErrorCode = 'E303', seen: Seen = {}): Breaker =>
  Array.from({ length: times }).reduce<Breaker>((breaker) => told(breaker, code, seen), { ...CLOSED });

describe('what an exchange tells', () => {
  it('counts connection failures, unknown outcomes, nonsense and 5xx as failures, and refused requests as life', () => {
    const read = (code: ErrorCode | null, status: number | null = null) => verdictOf(code, status);
    expect((['E303', 'E307', 'E308'] as const).map((code) => read(code))).toEqual(['failure', 'failure', 'failure']);
    expect(read('E309', 502)).toBe('failure');
    expect([read(null, 200), read('E309', 422), read('E310'), read('E311', 404)]).toEqual(['ok', 'ok', 'ok', 'ok']);
    expect([read('E301', 429), read('E112', 401), read('E302', 402)]).toEqual(['rate', 'key', 'credit']);
    expect([read('E012'), read('E900')]).toEqual(['none', 'none']);
  });
});

describe('a closed breaker', () => {
  it('opens after so many failures in a row, and a success between them starts the count anew', () => {
    expect(failing(2).state).toBe('closed');
    expect(told(told(failing(2), null), 'E303').state).toBe('closed');
    expect(failing(3)).toMatchObject({ state: 'open', reason: 'E303', openedAt: T0, retryAt: T0 + 30_000, pauses: 1 });
  });

  it('is not kept closed by polls that work while every paid request fails', () => {
    let breaker: Breaker = { ...CLOSED };
    for (let n = 0; n < 3; n++) breaker = told(told(breaker, 'E307'), null, { billable: false });
    expect(breaker.state).toBe('open');
  });

  it('opens for refusals of the rate in a row, one for each pause', () => {
    expect(failing(2, 'E301').state).toBe('closed');
    expect(failing(3, 'E301')).toMatchObject({ state: 'open', reason: 'E301' });
    expect(viewOf(failing(3, 'E301'), { now: T0, fingerprint: 'aaaa' }, POLICY).why).toBe('rate_limited');
  });

  it('learns nothing from a request that we gave up', () => {
    const breaker = failing(2);
    expect(told(breaker, 'E012')).toBe(breaker);
  });
});

describe('an open breaker', () => {
  it('lets exactly one try through when its pause is over, a poll as well as a paid request', () => {
    for (const billable of [true, false]) {
      const open = failing(3);
      expect(ask(open, { now: T0 + 29_999, billable })).toEqual({ kind: 'refuse', code: 'E304', afterMs: 1 });
      const answer = ask(open, { now: T0 + 30_000, billable });
      expect(answer).toMatchObject({ kind: 'pass', probe: true, breaker: { state: 'half_open', probeOwner: 'a' } });
      if (answer.kind !== 'pass') continue;
      expect(ask(answer.breaker, { now: T0 + 30_001, owner: 'b', billable })).toMatchObject({ kind: 'refuse' });
    }
  });

  it('closes when the try succeeds', () => {
    expect(told(probing(failing(3), T0 + 30_000), null, { probe: true })).toEqual(CLOSED);
  });

  it('after a poll that works opens again at the next paid failure, for longer', () => {
    const open = failing(3, 'E307');
    const closed = told(probing(open, T0 + 30_000), null, { probe: true, billable: false });
    expect(closed).toMatchObject({ state: 'closed', paidFailures: 2, pauses: 1 });
    expect(told(closed, 'E307', { now: T0 + 31_000 })).toMatchObject({ state: 'open', retryAt: T0 + 91_000 });
    expect(told(closed, null)).toEqual(CLOSED);
  });

  it('pauses twice as long each time the try fails, up to ten minutes', () => {
    let breaker = failing(3);
    const pauses: number[] = [];
    for (let n = 0; n < 7; n++) {
      const now = breaker.retryAt ?? 0;
      breaker = told(probing(breaker, now), 'E303', { now, probe: true });
      pauses.push(((breaker.retryAt ?? 0) - now) / 1000);
    }
    expect(pauses).toEqual([60, 120, 240, 480, 600, 600, 600]);
  });

  it('waits as long as a refused try was told to', () => {
    const breaker = told(probing(failing(3), T0 + 30_000), 'E301', { now: T0, probe: true, waitMs: 250_000 });
    expect(breaker).toMatchObject({ state: 'open', retryAt: T0 + 250_000 });
  });

  it('gives the try of a process that died to the next one', () => {
    const half = probing(failing(3), T0 + 30_000, 'dead');
    expect(ask(half, { now: T0 + 129_999, owner: 'b' }).kind).toBe('refuse');
    expect(probing(half, T0 + 130_000, 'b')).toMatchObject({ probeOwner: 'b', probeUntil: T0 + 230_000 });
  });

  it('gives the try back when it did not take place', () => {
    const back = told(probing(failing(3), T0 + 30_000), 'E012', { now: T0 + 31_000, probe: true });
    expect(back).toMatchObject({ state: 'open', retryAt: T0 + 31_000, pauses: 1, probeOwner: null });
  });

  it('is not moved by what was sent before it opened', () => {
    const open = failing(3);
    expect(told(open, null)).toBe(open);
    expect(told(open, 'E303')).toBe(open);
    const half = probing(open, T0 + 30_000);
    expect([told(half, null), told(half, 'E303')]).toEqual([half, half]);
  });

  it('T77 does not stay open for an hour because the clock was set back by one', () => {
    const now = T0 - 3_600_000;
    expect(ask(failing(3), { now })).toMatchObject({ kind: 'pass', probe: true });
    expect(ask(probing(failing(3), T0 + 30_000), { now })).toMatchObject({ kind: 'pass', probe: true });
  });
});

describe('an account that was refused', () => {
  it('stops everything at once for a refused key, until another key is used', () => {
    const stopped = told({ ...CLOSED }, 'E112');
    expect(stopped).toMatchObject({ state: 'open', retryAt: null, fingerprint: 'aaaa', reason: 'E112' });
    for (const billable of [true, false])
      expect(ask(stopped, { billable, now: T0 + 1e10 })).toEqual({ kind: 'refuse', code: 'E112', afterMs: null });
    expect(ask(stopped, { fingerprint: 'bbbb' })).toEqual({ kind: 'pass', probe: false, breaker: CLOSED });
    expect(viewOf(stopped, { now: T0, fingerprint: 'aaaa' }, POLICY)).toEqual({
      open: true,
      why: 'key_refused',
      retryAt: null,
    });
    expect(viewOf(stopped, { now: T0, fingerprint: 'bbbb' }, POLICY).open).toBe(false);
  });

  it('without credit stops what can be billed and lets polls of paid jobs go on', () => {
    const stopped = told({ ...CLOSED }, 'E302');
    expect(ask(stopped)).toEqual({ kind: 'refuse', code: 'E302', afterMs: null });
    expect(ask(stopped, { billable: false })).toEqual({ kind: 'pass', probe: false, breaker: stopped });
    expect(told(stopped, null, { billable: false })).toBe(stopped);
  });

  it('is not stopped for the next key by a late refusal of the one before', () => {
    expect(told({ ...CLOSED }, 'E112', { sent: 'aaaa', current: 'bbbb' })).toEqual(CLOSED);
  });

  it('is found out during an outage, too', () => {
    expect(told(failing(3), 'E112')).toMatchObject({ state: 'open', retryAt: null, reason: 'E112' });
    expect(told(probing(failing(3), T0 + 30_000), 'E302', { probe: true })).toMatchObject({ retryAt: null });
  });
});

describe('in any order of exchanges', () => {
  const codes = fc.constantFrom<ErrorCode | null>(null, 'E301', 'E303', 'E307', 'E309', 'E012');
  const step = fc.record({
    code: codes,
    billable: fc.boolean(),
    wait: fc.nat(700_000),
    owner: fc.constantFrom('a', 'b'),
  });

  it('a breaker that only time has closed lets somebody try within its longest pause and one try', () => {
    fc.assert(
      fc.property(fc.array(step), (steps) => {
        let breaker: Breaker = { ...CLOSED };
        let now = T0;
        for (const { code, billable, wait, owner } of steps) {
          now += wait;
          const answer = ask(breaker, { now, billable, owner });
          if (answer.kind === 'refuse') continue;
          breaker = told(answer.breaker, code, { now, billable, probe: answer.probe });
        }
        expect(ask(breaker, { now: now + 700_000 }).kind).toBe('pass');
      }),
    );
  });
});
