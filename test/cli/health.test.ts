/** `tvdb health` over a store that other processes have written to. */
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { TvdbError } from '../../src/base/errors.ts';
import { sha256 } from '../../src/base/hash.ts';
import type { Product } from '../../src/cli/product.ts';
import { CLOSED } from '../../src/domain/breaker.ts';
import { fullBucket } from '../../src/domain/token-bucket.ts';
import { loadBreaker, saveBreaker } from '../../src/store/breakers.ts';
import { openStore, type Store } from '../../src/store/open.ts';
import { saveBucket } from '../../src/store/rate-buckets.ts';
import { addHealthSample } from '../../src/store/service-health.ts';
import { openWorld } from '../../src/world.ts';
import { runTvdb } from '../setup/run-tvdb.ts';
import { tempDirectory } from '../setup/temp.ts';
import { virtualClock } from '../setup/virtual-clock.ts';

const NOW = Date.UTC(2026, 10, 23, 12);
const KEY = 'sk-test-1234567890abcdef';

async function inStore<T>(home: string, work: (store: Store) => Promise<T>): Promise<T> {
  const store = openStore({ home: join(home, 'data/tvdb') });
  try {
    return await work(store);
  } finally {
    await store.close();
  }
}

/** LlamaParse paused for another 20 s, the key of OpenAI refused, some requests of both. */
async function troubled(): Promise<string> {
  const home = tempDirectory();
  await runTvdb(['status'], { home });
  await inStore(home, (store) =>
    store.write(async (trx) => {
      const openedAt = NOW - 10_000;
      const paused = { ...CLOSED, state: 'open', failures: 5, pauses: 1, reason: 'E307', openedAt } as const;
      await saveBreaker(trx, 'llamaparse', { ...paused, retryAt: NOW + 20_000 }, NOW);
      const fingerprint = sha256(KEY).slice(0, 8);
      await saveBreaker(trx, 'openai', { ...CLOSED, state: 'open', reason: 'E112', fingerprint, openedAt }, NOW);
      const bucket = { ...fullBucket(20, 20 / 60_000, NOW), tokens: 3.4, blockedUntil: NOW + 25_000 };
      await saveBucket(trx, 'llamaparse', 'requests', { bucket, configured: 20 });
      const sample = { origin: 'real', http_status: 200, code: null, ok: 1 } as const;
      for (let n = 1; n <= 20; n++)
        await addHealthSample(trx, {
          ...sample,
          service: 'llamaparse',
          at: NOW - 100_000 * (21 - n),
          operation: n % 2 === 0 ? 'parse.create' : 'parse.get',
          latency_ms: n * 100,
        });
      const failed = { ok: 0, http_status: 500, code: 'TVDB-E307', latency_ms: 9_000 };
      await addHealthSample(trx, {
        ...sample,
        ...failed,
        service: 'llamaparse',
        at: NOW - 10_000,
        operation: 'parse.create',
      });
      const refused = { ok: 0, http_status: 401, code: 'TVDB-E112', latency_ms: 5 };
      await addHealthSample(trx, {
        ...sample,
        ...refused,
        service: 'openai',
        at: NOW - 9_000,
        operation: 'embeddings.create',
      });
    }),
  );
  return home;
}

const health = (home: string, argv: string[] = [], options = {}) =>
  runTvdb(['health', ...argv], { home, clock: virtualClock(NOW), env: { OPENAI_API_KEY: KEY }, ...options });

describe('tvdb health', () => {
  it('says of a store that nothing was sent from that nothing is known', async () => {
    const { code, json } = await runTvdb(['health', '--json']);
    expect(code).toBe(0);
    expect(json.schema).toBe('tvdb.health/v1');
    expect(json.data.services.map(({ name }: { name: string }) => name)).toEqual(['llamaparse', 'openai']);
    expect(json.data.services[0]).toEqual({
      name: 'llamaparse',
      effective: 'mock',
      reason: 'mode_mock',
      fallback: false,
      breaker: {
        state: 'closed',
        open: false,
        why: 'ok',
        failures: 0,
        refusals: 0,
        pauses: 0,
        error_code: null,
        opened_at: null,
        retry_at: null,
        probe_until: null,
        reset: false,
      },
      last_ok_at: null,
      last_error: null,
      calls: 0,
      failures: 0,
      failure_share: null,
      p50_ms: null,
      p95_ms: null,
      operations: [],
      limits: {
        requests: { available: 20, burst: 20, per_minute: 20, blocked_until: null },
        tokens: null,
        retries_left: 10,
      },
      check: null,
    });
  });

  it('shows pauses, errors, latencies and limits, and changes nothing', async () => {
    const home = await troubled();
    const dump = () => inStore(home, async ({ sqlite }) => sqlite.serialize().toString('base64'));
    const before = await dump();
    const { code, json } = await health(home, ['--json']);
    expect(code).toBe(0);
    const [parse, embed] = json.data.services;
    expect(parse).toMatchObject({
      breaker: {
        state: 'open',
        open: true,
        why: 'breaker_open',
        error_code: 'TVDB-E307',
        retry_at: '2026-11-23T12:00:20.000Z',
      },
      last_ok_at: '2026-11-23T11:58:20.000Z',
      last_error: { at: '2026-11-23T11:59:50.000Z', operation: 'parse.create', code: 'TVDB-E307', http_status: 500 },
      calls: 21,
      failures: 1,
      p50_ms: 1000,
      p95_ms: 1900,
      limits: { requests: { available: 3, per_minute: 20, blocked_until: '2026-11-23T12:00:25.000Z' } },
    });
    expect(parse.operations).toEqual([
      { operation: 'parse.create', calls: 11, failures: 1, p50_ms: 1000, p95_ms: 2000 },
      { operation: 'parse.get', calls: 10, failures: 0, p50_ms: 900, p95_ms: 1900 },
    ]);
    expect(embed).toMatchObject({
      breaker: { open: true, why: 'key_refused', error_code: 'TVDB-E112', retry_at: null },
      limits: { tokens: { available: 1_000_000, per_minute: 1_000_000, blocked_until: null } },
    });
    expect(await dump()).toBe(before);
  });

  it('counts only what was sent since the time that was given', async () => {
    const { json } = await health(await troubled(), ['llamaparse', '--since', '2026-11-23T11:50:00Z', '--json']);
    expect(json.data.services).toHaveLength(1);
    expect(json.data.services[0]).toMatchObject({ calls: 7, failures: 1 });
  });

  it('reads at a glance on 80 columns, and says what to do', async () => {
    const { stdout, stderr } = await health(await troubled(), [], {
      tty: true,
      env: { NO_COLOR: '1', OPENAI_API_KEY: KEY },
    });
    for (const line of stdout.split('\n')) expect(line.length).toBeLessThanOrEqual(80);
    expect(stdout).toMatch(/LlamaParse +mock +open +1m ago +1 of 21 +1\.0s +1\.9s/);
    expect(stdout).toContain('next try at 12:00:20 (in 20s)');
    expect(stdout).toMatch(/OpenAI +stopped: the key was refused 10s ago \(TVDB-E112\)/);
    expect(stdout).toMatch(/LlamaParse requests +20 +3 of 20 +until 12:00:25 \(25s\)/);
    expect(stderr).toContain('tvdb health openai --reset');
  });

  it('is one row a service in a pipe, and the names of those in trouble under -q', async () => {
    const home = await troubled();
    const rows = (await health(home)).stdout
      .trimEnd()
      .split('\n')
      .map((line) => line.split('\t'));
    expect(rows.map((row) => row.slice(0, 5))).toEqual([
      ['llamaparse', 'mock', 'open', 'breaker_open', '2026-11-23T12:00:20.000Z'],
      ['openai', 'mock', 'open', 'key_refused', ''],
    ]);
    expect((await health(home, ['-q'])).stdout).toBe('llamaparse\nopenai\n');
  });

  it('does not hold the refusal of one key against another', async () => {
    const { json } = await health(await troubled(), ['openai', '--json'], { env: { OPENAI_API_KEY: `${KEY}-new` } });
    expect(json.data.services[0].breaker).toMatchObject({ state: 'closed', open: false, why: 'ok' });
  });

  it('closes with --reset the one service that is named, and says when there was nothing to close', async () => {
    const home = await troubled();
    const { json } = await health(home, ['openai', '--reset', '--json']);
    expect(json.data.services[0].breaker).toMatchObject({ state: 'closed', why: 'ok', reset: true });
    const state = (name: 'openai' | 'llamaparse') =>
      inStore(home, async ({ db }) => (await loadBreaker(db, name)).state);
    expect([await state('openai'), await state('llamaparse')]).toEqual(['closed', 'open']);
    const again = await health(home, ['openai', '--reset'], { tty: true, env: { NO_COLOR: '1' } });
    expect(again.stdout).toContain('Nothing was paused.');
    await health(home, ['--reset']);
    expect(await state('llamaparse')).toBe('closed');
  });

  it('asks the services in effect with --check, by what is free', async () => {
    const { code, json } = await health(tempDirectory(), ['--check', '--json']);
    expect(code).toBe(0);
    for (const { check } of json.data.services)
      expect(check).toEqual({ ok: true, ms: 0, detail: expect.stringContaining('this machine') });
  });

  it('exits with 6 when a service does not answer --check, and still shows everything', async () => {
    const parseService = async () => {
      throw new TvdbError('E303', { message: 'LlamaParse does not answer' });
    };
    const product: Partial<Product> = {
      openWorld: async (...given) => {
        const world = await openWorld(...given);
        return { ...world, router: { ...world.router, parseService } };
      },
    };
    const { code, json } = await health(tempDirectory(), ['--check', '--json'], { product });
    expect(code).toBe(6);
    expect(json.error).toMatchObject({ code: 'TVDB-E303', message: 'LlamaParse did not answer the check' });
    const [parse, embed] = json.data.services;
    expect(parse.check).toEqual({ ok: false, ms: 0, detail: 'TVDB-E303 LlamaParse does not answer' });
    expect(embed.check.ok).toBe(true);
  });

  it('names the choices when there is no such service', async () => {
    const { code, stderr } = await health(tempDirectory(), ['opnai']);
    expect(code).toBe(2);
    expect(stderr).toContain('Did you mean "openai"?');
  });
});
