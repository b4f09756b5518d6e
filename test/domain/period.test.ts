/** Periods of budgets in every kind of zone: nothing twice, nothing left out, whatever clocks do. */
import { describe, expect, it } from 'vitest';
import { PERIOD_KINDS, type PeriodKind, periodOf } from '../../src/domain/period.ts';

const HOUR = 3_600_000;
/** Whole hours, half and three-quarter hours, changes of half an hour, days that begin at 01:00, both hemispheres, none. */
const ZONES = [
  'UTC',
  'America/New_York',
  'Europe/London',
  'Australia/Lord_Howe',
  'Africa/Cairo',
  'Asia/Beirut',
  'America/Santiago',
  'Asia/Kathmandu',
  'Pacific/Chatham',
  'America/St_Johns',
] as const;

const day = (text: string, zone: string) => periodOf('day', Date.parse(text), zone);
const hours = ({ from, until }: { from: number; until: number }) => (until - from) / HOUR;

/** The local date by another way than the code under test: the Swedish form of it. */
function localDate(at: number, zone: string): string {
  return new Intl.DateTimeFormat('sv-SE', { timeZone: zone, dateStyle: 'short' }).format(at);
}

/** The first instant of a local year; every zone is a multiple of a quarter of an hour away from UTC. */
function newYear(year: number, zone: string): number {
  let at = Date.UTC(year, 0, 1) - 16 * HOUR;
  while (localDate(at, zone) !== `${year}-01-01`) at += HOUR / 4;
  return at;
}

describe('T75 every half hour of 2026 in ten zones', () => {
  it.each(ZONES)('%s: ids go up, no gap, no overlap, 365 days', (zone) => {
    const formatter = new Intl.DateTimeFormat('sv-SE', { timeZone: zone, dateStyle: 'short' });
    const from = newYear(2026, zone);
    const end = newYear(2027, zone);
    const days = new Set<string>();
    const wrong: unknown[] = [];
    let granted = 0;
    const spent = new Map<string, number>();
    let before: { id: string; until: number } | undefined;
    for (let at = from; at < end; at += HOUR / 2) {
      const period = periodOf('day', at, zone);
      days.add(period.id);
      if (!(period.from <= at && at < period.until)) wrong.push([at, period]);
      if (period.id !== `day:${formatter.format(at)}@${zone}`) wrong.push([at, period]);
      if (before !== undefined && before.id !== period.id) {
        if (before.id > period.id || before.until !== period.from) wrong.push([at, before, period]);
      }
      before = period;
      // A cap of 10 a day, one asked each half hour.
      const used = spent.get(period.id) ?? 0;
      if (used < 10) {
        spent.set(period.id, used + 1);
        granted += 1;
      }
    }
    expect(wrong).toEqual([]);
    expect(days.size).toBe(365);
    expect(granted).toBeLessThanOrEqual(365 * 10);
  });

  it.each(ZONES)('%s: each hour, day and month begins where the one before ends, and has its own id', (zone) => {
    for (const kind of PERIOD_KINDS) {
      const ids = new Set<string>();
      let period = periodOf(kind, Date.UTC(2026, 0, 15), zone);
      const limit = Date.UTC(2027, 0, 15);
      while (period.from < limit) {
        expect(ids.has(period.id)).toBe(false);
        ids.add(period.id);
        const last = periodOf(kind, period.until - 1, zone);
        const next = periodOf(kind, period.until, zone);
        if (last.id !== period.id || next.from !== period.until || next.id <= period.id)
          expect([zone, last, next]).toEqual([zone, period, 'the one after']);
        period = next;
      }
    }
  });
});

describe('days', () => {
  it.each([
    ['America/New_York', '2026-03-08T12:00:00Z', 23],
    ['America/New_York', '2026-11-01T12:00:00Z', 25],
    ['Europe/London', '2026-03-29T12:00:00Z', 23],
    ['Europe/London', '2026-10-25T12:00:00Z', 25],
    ['Australia/Lord_Howe', '2026-04-05T00:00:00Z', 24.5],
    ['Australia/Lord_Howe', '2026-10-04T00:00:00Z', 23.5],
    ['UTC', '2026-11-01T12:00:00Z', 24],
  ])('%s %s has %s hours', (zone, at, length) => {
    expect(hours(day(at, zone))).toBe(length);
  });

  it.each([
    ['Africa/Cairo', '2026-04-24', '2026-04-23T22:00:00.000Z'],
    ['Asia/Beirut', '2026-03-29', '2026-03-28T22:00:00.000Z'],
    ['America/Santiago', '2026-09-06', '2026-09-06T04:00:00.000Z'],
  ])('%s %s begins at 01:00, in the very instant the day before ends', (zone, date, start) => {
    const period = day(`${date}T12:00:00Z`, zone);
    expect([period.id, new Date(period.from).toISOString(), hours(period)]).toEqual([`day:${date}@${zone}`, start, 23]);
    const time = new Intl.DateTimeFormat('en-GB', { timeZone: zone, timeStyle: 'short' });
    expect([time.format(period.from), time.format(period.from - 1)]).toEqual(['01:00', '23:59']);
    expect(periodOf('day', period.from - 1, zone).until).toBe(period.from);
  });

  it('go from the 29th to the 31st where a date was left out', () => {
    const apia = day('2011-12-30T05:00:00Z', 'Pacific/Apia');
    const next = periodOf('day', apia.until, 'Pacific/Apia');
    expect([apia.id, next.id, hours(apia), hours(next)]).toEqual([
      'day:2011-12-29@Pacific/Apia',
      'day:2011-12-31@Pacific/Apia',
      24,
      24,
    ]);
  });

  it('do not come back where clocks went from 00:01 to 23:01 of the day before', () => {
    const zone = 'America/St_Johns';
    const first = day('2010-11-07T02:30:30Z', zone);
    const back = periodOf('day', first.from + HOUR / 2, zone);
    expect(localDate(first.from, zone)).toBe('2010-11-07');
    expect(localDate(first.from + HOUR / 2, zone)).toBe('2010-11-06');
    expect(back.id).toBe(first.id);
    expect(first.id).toBe(`day:2010-11-07@${zone}`);
  });

  it.each([0, -1, Date.UTC(1970, 0, 1), Date.UTC(2038, 0, 19, 3, 14, 8), Date.UTC(2999, 11, 31), Date.UTC(1, 0, 1)])(
    'T77 hold %s, however far the clock jumped',
    (at) => {
      for (const zone of ZONES) {
        for (const kind of PERIOD_KINDS) {
          const { from, until } = periodOf(kind, at, zone);
          expect(from <= at && at < until).toBe(true);
        }
      }
    },
  );

  it.each([Number.NaN, Number.POSITIVE_INFINITY, 1.5, 9e15])('refuse %s', (at) => {
    expect(() => periodOf('day', at, 'UTC')).toThrow(RangeError);
  });

  it('refuse a zone that is not one', () => {
    expect(() => periodOf('day', 0, 'Mars/Olympus')).toThrow(RangeError);
  });
});

describe('T78 months', () => {
  const month = (text: string, zone = 'UTC') => periodOf('month', Date.parse(text), zone);

  it.each([
    ['2026-01-31T23:59:59.999Z', 'month:2026-01@UTC', 31],
    ['2026-02-28T23:59:59.999Z', 'month:2026-02@UTC', 28],
    ['2028-02-29T12:00:00Z', 'month:2028-02@UTC', 29],
    ['2100-02-28T12:00:00Z', 'month:2100-02@UTC', 28],
    ['2026-12-31T23:00:00Z', 'month:2026-12@UTC', 31],
  ])('%s is in %s, which has %s days', (at, id, days) => {
    const period = month(at);
    expect([period.id, hours(period) / 24]).toEqual([id, days]);
  });

  it('begin at local midnight and count the hours that clocks give and take', () => {
    expect(hours(month('2026-03-15T00:00:00Z', 'America/New_York'))).toBe(31 * 24 - 1);
    expect(hours(month('2026-11-15T00:00:00Z', 'America/New_York'))).toBe(30 * 24 + 1);
    expect(month('2026-11-01T03:59:59Z', 'America/New_York').id).toBe('month:2026-10@America/New_York');
    expect(month('2026-11-01T04:00:00Z', 'America/New_York').id).toBe('month:2026-11@America/New_York');
  });
});

describe('hours', () => {
  const ids = (kind: PeriodKind, zone: string, from: string, steps: number) =>
    new Set(Array.from({ length: steps }, (_, index) => periodOf(kind, Date.parse(from) + index * 600_000, zone).id));

  it('that come twice are two', () => {
    expect([...ids('hour', 'America/New_York', '2026-11-01T05:00:00Z', 12)]).toEqual([
      'hour:2026-11-01T05:00Z@America/New_York',
      'hour:2026-11-01T06:00Z@America/New_York',
    ]);
  });

  it('begin at the full local hour where the zone is 45 minutes off', () => {
    expect(periodOf('hour', Date.parse('2026-11-27T13:20:00Z'), 'Asia/Kathmandu')).toMatchObject({
      id: 'hour:2026-11-27T13:15Z@Asia/Kathmandu',
      until: Date.parse('2026-11-27T14:15:00Z'),
    });
  });

  it('are cut where clocks change by half an hour', () => {
    const before = periodOf('hour', Date.parse('2026-04-04T14:59:00Z'), 'Australia/Lord_Howe');
    const after = periodOf('hour', before.until, 'Australia/Lord_Howe');
    expect([hours(before), hours(after)]).toEqual([1, 0.5]);
  });
});
