/** The checks that stay on in production, given what must never happen. */
import { describe, expect, it } from 'vitest';
import { assertMoved } from '../../src/ledger/balance.ts';

const window = { budget_id: 1, period_id: 'day', run_id: null, from_at: 0, until_at: 9, opened_at: 0 };
const before = { ...window, spent: 10, held: 20, requests: 3, budget: { hard: 1, measure: 'cost' }, limit: 40 };
const delta = { spent: 0, held: 5, requests: 1 };
const after = { ...window, spent: 10, held: 25, requests: 4 };
const check =
  (now: (typeof after)[], limit = 40, within = true) =>
  () =>
    assertMoved([{ ...before, limit }], now, delta, { within });

describe('assertMoved', () => {
  it('lets an exact move pass', () => {
    expect(check([after])).not.toThrow();
    expect(check([after], 35)).not.toThrow();
    expect(check([after], 34, false)).not.toThrow();
  });

  it.each([
    ['a window that did not move', []],
    ['another window', [{ ...after, period_id: 'hour' }]],
    ['another sum held', [{ ...after, held: 26 }]],
    ['another sum spent', [{ ...after, spent: 11 }]],
    ['another number of requests', [{ ...after, requests: 3 }]],
    ['no number', [{ ...after, held: Number.NaN }]],
  ])('stops for %s', (_what, now) => {
    expect(check(now)).toThrow(expect.objectContaining({ code: 'E205' }));
  });

  it('M1 stops where a hard limit was passed', () => {
    expect(check([after], 34)).toThrow(expect.objectContaining({ code: 'E205' }));
  });
});
