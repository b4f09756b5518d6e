/** Forecasts: right on known series, honest about short ones. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { forecast, reachedAt, type SpendPoint } from '../../src/domain/forecast.ts';

const HOUR = 3_600_000;
const QUARTER = HOUR / 4;

/** One point each quarter of an hour from 0 on, until `hours`. */
const steady = (nanoUsd: number, hours: number): SpendPoint[] =>
  Array.from({ length: hours * 4 }, (_none, index) => ({ at: index * QUARTER, nanoUsd }));

describe('forecast', () => {
  it.each([0, 1, HOUR - 1])('says that %i ms of history are not enough', (basis) => {
    const now = 10 * HOUR;
    const points = basis === 0 ? [] : [{ at: now - basis, nanoUsd: 5_000_000 }];
    expect(forecast(points, { now, until: 24 * HOUR })).toEqual({ state: 'not_enough_history', basisMs: basis });
  });

  it.each([1, 3, 12])('is exact and without a range on %i hours of a steady series', (hours) => {
    const until = 24 * HOUR;
    expect(forecast(steady(1_000_000, hours), { now: hours * HOUR, until })).toEqual({
      ...{ state: 'ok', basisMs: hours * HOUR, nanoUsdPerHour: 4_000_000 },
      ...{ likelyNanoUsd: 96_000_000, lowNanoUsd: 96_000_000, highNanoUsd: 96_000_000 },
    });
  });

  it('leaves the night before the first document out', () => {
    const shifted = steady(1_000_000, 2).map(({ at, nanoUsd }) => ({ at: at + 8 * HOUR, nanoUsd }));
    expect(forecast(shifted, { now: 10 * HOUR, until: 12 * HOUR })).toMatchObject({
      basisMs: 2 * HOUR,
      likelyNanoUsd: 16_000_000,
    });
  });

  it('has a range that holds the end of four of five days of random documents', () => {
    let seed = 7;
    const random = () => {
      seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
      return seed / 2_147_483_648;
    };
    let inside = 0;
    const days = 400;
    for (let day = 0; day < days; day += 1) {
      const points = steady(0, 12).map(({ at }) => ({
        at,
        nanoUsd: random() < 0.5 ? 1 + Math.floor(random() * 1e7) : 0,
      }));
      const total = points.reduce((sum, { nanoUsd }) => sum + nanoUsd, 0);
      const found = forecast(points, { now: 6 * HOUR, until: 12 * HOUR });
      if (found.state === 'ok' && found.lowNanoUsd <= total && total <= found.highNanoUsd) inside += 1;
    }
    expect(inside / days).toBeGreaterThan(0.72);
    expect(inside / days).toBeLessThan(0.95);
  });

  it('never falls below what is spent, and its range holds the likely figure', () => {
    const point = fc.record({ at: fc.integer({ min: 0, max: 20 * HOUR }), nanoUsd: fc.integer({ min: 0, max: 1e12 }) });
    fc.assert(
      fc.property(fc.array(point, { maxLength: 60 }), fc.integer({ min: 0, max: 24 * HOUR }), (points, now) => {
        const found = forecast(points, { now, until: 24 * HOUR });
        if (found.state !== 'ok') return;
        const spent = points.filter(({ at }) => at < now).reduce((sum, { nanoUsd }) => sum + nanoUsd, 0);
        expect(found.lowNanoUsd).toBeGreaterThanOrEqual(spent - 1);
        expect(found.lowNanoUsd).toBeLessThanOrEqual(found.likelyNanoUsd);
        expect(found.likelyNanoUsd).toBeLessThanOrEqual(found.highNanoUsd);
      }),
    );
  });
});

it('a cap is reached when what is left is spent at the pace; never when that is after the end', () => {
  const span = { now: 2 * HOUR, until: 24 * HOUR };
  const found = forecast(steady(1_000_000, 2), span);
  expect(reachedAt(found, 8_000_000, span)).toBe(4 * HOUR);
  expect(reachedAt(found, 1_000_000_000, span)).toBeNull();
  expect(reachedAt({ state: 'not_enough_history', basisMs: 0 }, 1, span)).toBeNull();
});
