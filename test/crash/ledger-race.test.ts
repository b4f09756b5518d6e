/** T10, T76: eight processes race for one budget. Nobody ever sees it passed, and nobody is told that the store is busy. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import BetterSqlite from 'better-sqlite3';
import { rolldown } from 'rolldown';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { periodOf } from '../../src/domain/period.ts';
import { openStore, STORE_FILE, type Store } from '../../src/store/open.ts';
import { addBudgets, assertLedger } from '../setup/ledger.ts';
import { tempDirectory } from '../setup/temp.ts';
import type { Leg, Race, Result } from './ledger-racer.ts';

const PROCESSES = Number(process.env.TVDB_RACE_PROCESSES ?? '8');
const ASKS = Number(process.env.TVDB_RACE_ASKS ?? '500');
const CAP = 20_000;
const LARGEST = 100;
const NOON = Date.UTC(2026, 10, 27, 12);
const BUNDLE = 'dist/test';

beforeAll(async () => {
  const bundle = await rolldown({
    input: { 'ledger-racer': 'test/crash/ledger-racer.ts' },
    platform: 'node',
    external: (id) => !id.startsWith('.') && !id.startsWith('/'),
  });
  await bundle.write({ dir: BUNDLE, format: 'esm', entryFileNames: '[name].mjs' });
});
afterAll(() => rmSync(BUNDLE, { recursive: true, force: true }));

async function racer(race: Race): Promise<Result> {
  const child = spawn(process.execPath, [join(BUNDLE, 'ledger-racer.mjs'), JSON.stringify(race)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let out = '';
  child.stdout.on('data', (part: Buffer) => {
    out += String(part);
  });
  const [code] = (await once(child, 'close')) as [number];
  expect(code).toBe(0);
  return JSON.parse(out) as Result;
}

const raceOf = (legs: (index: number) => Leg[], how: Race['how'] = 'gated') =>
  Promise.all(Array.from({ length: PROCESSES }, (_, index) => racer({ index, legs: legs(index), how })));

async function capped(home: string, limit: number): Promise<Store> {
  mkdirSync(home, { recursive: true, mode: 0o700 });
  const store = openStore({ home });
  await addBudgets(store, [{ limit }]);
  return store;
}

/** Looks at the totals every 5 ms from a connection of its own; returns how often, and the most it saw. */
function sampler(home: string): () => { samples: number; most: number } {
  const db = new BetterSqlite(join(home, STORE_FILE), { readonly: true });
  const look = db.prepare('SELECT MAX(spent + held) FROM budget_windows').pluck();
  let samples = 0;
  let most = 0;
  const timer = setInterval(() => {
    most = Math.max(most, (look.get() as number | null) ?? 0);
    samples += 1;
  }, 5);
  return () => {
    clearInterval(timer);
    db.close();
    return { samples, most };
  };
}

const sum = (results: readonly Result[], of: (result: Result) => number) =>
  results.reduce((total, one) => total + of(one), 0);

describe('T10 eight processes that race for one budget', () => {
  const leg = (home: string): Leg => ({ home, timeZone: 'UTC', start: NOON, step: 1, asks: ASKS, largest: LARGEST });

  it('never pass it, use it up, and are never told that the store is busy', async () => {
    const home = join(tempDirectory(), 'store');
    const store = await capped(home, CAP);
    const stop = sampler(home);
    const results = await raceOf(() => [leg(home)]);
    const { samples, most } = stop();
    const used = await store.db.selectFrom('budget_windows').selectAll().executeTakeFirstOrThrow();
    expect(results.flatMap(({ errors }) => errors)).toEqual([]);
    expect(most).toBeLessThanOrEqual(CAP);
    expect(samples).toBeGreaterThan(20);
    expect(used.spent + used.held).toBeLessThanOrEqual(CAP);
    expect(used.spent + used.held).toBeGreaterThanOrEqual(CAP - LARGEST);
    expect(used.requests).toBe(sum(results, ({ granted }) => granted));
    expect(sum(results, ({ granted, refused }) => granted + refused)).toBe(PROCESSES * ASKS);
    await assertLedger(store);
    await store.close();
  });

  it('pass it where the comparison is not in the statement that takes the money', async () => {
    const home = join(tempDirectory(), 'store');
    const store = await capped(home, CAP);
    await raceOf(() => [leg(home)], 'looks_first');
    const used = await store.db.selectFrom('budget_windows').selectAll().executeTakeFirstOrThrow();
    expect(used.spent + used.held).toBeGreaterThan(CAP);
    await store.close();
  });
});

describe('T76 across midnight, in ten zones, on the days clocks are changed', () => {
  /** A noon in each zone; the race goes over the midnight before it, which is one of the year's two odd ones where there are any. */
  const DAYS = {
    UTC: '2026-11-27T12:00:00Z',
    'America/New_York': '2026-11-02T17:00:00Z',
    'Europe/London': '2026-03-30T11:00:00Z',
    'Australia/Lord_Howe': '2026-04-06T01:30:00Z',
    'Africa/Cairo': '2026-04-24T09:00:00Z',
    'Asia/Beirut': '2026-03-29T09:00:00Z',
    'America/Santiago': '2026-09-06T15:00:00Z',
    'Asia/Kathmandu': '2026-11-27T06:15:00Z',
    'Pacific/Chatham': '2026-04-05T23:15:00Z',
    'America/St_Johns': '2026-03-09T14:30:00Z',
  } as const;
  const LIMIT = 1_000;
  const TRIES = Math.max(20, Math.round(ASKS / 10));

  it('no day is passed, each is used up, and clocks two seconds apart agree on what is left', async () => {
    const root = tempDirectory();
    const zones = Object.entries(DAYS).map(([timeZone, noon], index) => {
      const home = join(root, String(index));
      return { timeZone, home, midnight: periodOf('day', Date.parse(noon), timeZone).from };
    });
    const stores = await Promise.all(zones.map(({ home }) => capped(home, LIMIT)));
    const results = await raceOf((index) =>
      zones.map(({ timeZone, home, midnight }) => {
        // From three seconds before to three after; each clock up to two seconds fast or slow.
        const start = midnight - 3_000 + Math.round(((index - 3.5) / 3.5) * 2_000);
        return { home, timeZone, start, step: 6_000 / TRIES, asks: TRIES, largest: LARGEST };
      }),
    );
    expect(results.flatMap(({ errors }) => errors)).toEqual([]);
    for (const [index, { timeZone, midnight }] of zones.entries()) {
      const store = stores[index];
      if (store === undefined) continue;
      await assertLedger(store);
      const windows = await store.db.selectFrom('budget_windows').selectAll().orderBy('from_at').execute();
      const [before, after] = [periodOf('day', midnight - 1, timeZone), periodOf('day', midnight, timeZone)];
      expect(windows.map(({ period_id: id }) => id)).toEqual([before.id, after.id]);
      for (const { period_id: id, spent, held } of windows) {
        expect([id, spent + held <= LIMIT, spent + held > LIMIT - LARGEST]).toEqual([id, true, true]);
      }
      const holds = await store.db.selectFrom('holds').select(['held_at', 'periods']).execute();
      const wrong = holds.filter(
        ({ held_at: at, periods }) => !periods.includes(`"${(at < midnight ? before : after).id}"`),
      );
      expect(wrong).toEqual([]);
      await store.close();
    }
  });
});
