/** Values of flags: durations, money, times, numbers, choices. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TvdbError } from '../../src/base/errors.ts';
import type { ValueSpec } from '../../src/cli/command.ts';
import { readValue } from '../../src/cli/values.ts';
import { periodOf } from '../../src/domain/period.ts';

const NOW = Date.UTC(2026, 10, 22, 3, 30);
const read = (spec: ValueSpec, text: string, timezone = 'UTC', bounds: { min?: number; max?: number } = {}) =>
  readValue(spec, text, { where: '--flag', now: NOW, timezone: () => timezone, ...bounds });
const code = (spec: ValueSpec, text: string, bounds = {}) => {
  try {
    return `accepted ${JSON.stringify(read(spec, text, 'UTC', bounds))}`;
  } catch (error) {
    return error instanceof TvdbError ? error.code : String(error);
  }
};

describe('values', () => {
  it('reads money exactly, as nano-USD', () => {
    expect(read('money', '0.25')).toBe(250_000_000);
    expect(read('money', '$5')).toBe(5_000_000_000);
    expect(read('money', '0.000000001')).toBe(1);
    expect(read('money', '999999.999999999')).toBe(999_999_999_999_999);
    for (const text of ['', '-1', '1,5', '1e3', 'free', '0.0000000001', '1000000', 'NaN', '.5', '5.'])
      expect(code('money', text)).toBe('E003');
  });

  it('reads any money amount back to what was written', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 999_999 }), fc.integer({ min: 0, max: 999_999_999 }), (dollars, nano) => {
        expect(read('money', `${dollars}.${String(nano).padStart(9, '0')}`)).toBe(dollars * 1_000_000_000 + nano);
      }),
    );
  });

  it('reads durations with their unit, and refuses them without', () => {
    expect(read('duration', '90s')).toBe(90_000);
    expect(read('duration', '5m')).toBe(300_000);
    expect(read('duration', '250ms')).toBe(250);
    for (const text of ['90', '', 's', '-5m', '5 minutes', '1e3s']) expect(code('duration', text)).toBe('E003');
    expect(() => read('duration', '90')).toThrow('90s?');
  });

  it('reads times: words, days in the time zone, durations ago, full ISO', () => {
    expect(read('time', 'now')).toBe(NOW);
    expect(read('time', '7d')).toBe(NOW - 7 * 86_400_000);
    expect(read('time', '2026-11-22')).toBe(Date.UTC(2026, 10, 22));
    expect(read('time', '2026-11-22T16:40:00+02:00')).toBe(Date.UTC(2026, 10, 22, 14, 40));
    expect(read('time', 'today')).toBe(Date.UTC(2026, 10, 22));
    // 03:30 UTC is still the evening before in New York.
    expect(read('time', 'today', 'America/New_York')).toBe(Date.UTC(2026, 10, 21, 5));
    expect(read('time', 'yesterday', 'America/New_York')).toBe(Date.UTC(2026, 10, 20, 5));
    for (const text of ['', 'tomorrowish', '2026-02-30', '2026-13-01', '22.11.2026', '2026-11-22T16:40:00', '0'])
      expect(code('time', text)).toBe('E003');
  });

  it('finds the first moment of days on which the clocks change', () => {
    expect(read('time', '2026-03-29', 'Europe/Berlin')).toBe(Date.UTC(2026, 2, 28, 23));
    expect(read('time', '2026-03-30', 'Europe/Berlin')).toBe(Date.UTC(2026, 2, 29, 22));
    expect(read('time', '2026-10-26', 'Europe/Berlin')).toBe(Date.UTC(2026, 9, 25, 23));
  });

  it.each([
    // Clocks go forward at midnight: the day has no 00:00, and begins at 01:00.
    ['2026-09-06', 'America/Santiago', Date.UTC(2026, 8, 6, 4)],
    ['2026-03-08', 'America/Havana', Date.UTC(2026, 2, 8, 5)],
    ['2026-03-29', 'Atlantic/Azores', Date.UTC(2026, 2, 29, 1)],
    ['2026-04-24', 'Africa/Cairo', Date.UTC(2026, 3, 23, 22)],
    // And back at midnight: the hour before it comes twice, and both are of the day before.
    ['2026-04-05', 'America/Santiago', Date.UTC(2026, 3, 5, 4)],
  ])('begins the day %s of %s where its budget begins', (day, zone, first) => {
    expect(read('time', day, zone)).toBe(first);
    expect(periodOf('day', first, zone).from).toBe(first);
  });

  it('holds numbers to their bounds', () => {
    expect(read('integer', '12')).toBe(12);
    expect(code('integer', '101', { min: 1, max: 100 })).toBe('E003');
    expect(code('integer', '0', { min: 1 })).toBe('E003');
    for (const text of ['', '1.5', '0x10', ' 1', '1e9', 'Infinity']) expect(code('integer', text)).toBe('E003');
    expect(read('number', '-0.5')).toBe(-0.5);
  });

  it('reads pairs, ids and paths', () => {
    expect(read('pair', 'team=a=b')).toEqual({ key: 'team', value: 'a=b' });
    expect(code('pair', '=x')).toBe('E003');
    expect(code('id', 'ab')).toBe('E003');
    expect(read('id', 'ab12')).toBe('ab12');
    expect(code('path', 'a\0b')).toBe('E003');
  });

  it('suggests the choice that was meant, with E005', () => {
    expect(() => read(['mock', 'real', 'hybrid'], 'hybird')).toThrow('Unknown --flag "hybird". Did you mean "hybrid"?');
    expect(code(['mock', 'real'], 'sideways')).toBe('E005');
  });

  it('never throws anything but E003 or E005', () => {
    const kinds: ValueSpec[] = ['id', 'integer', 'number', 'money', 'duration', 'time', 'pair', 'path', ['a', 'b']];
    fc.assert(
      fc.property(fc.string(), fc.constantFrom(...kinds), (text, kind) => {
        expect(code(kind, text)).toMatch(/^(accepted|E003|E005)/);
      }),
    );
  });
});
