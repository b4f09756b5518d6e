/** Breakers, buckets and health samples as rows. */
import { describe, expect, it, onTestFinished } from 'vitest';
import { type Breaker, CLOSED } from '../../src/domain/breaker.ts';
import { fullBucket } from '../../src/domain/token-bucket.ts';
import { loadBreaker, resetBreaker, saveBreaker } from '../../src/store/breakers.ts';
import { openStore } from '../../src/store/open.ts';
import { loadBucket, saveBucket } from '../../src/store/rate-buckets.ts';
import { addHealthSample, healthSummary } from '../../src/store/service-health.ts';
import { tempDirectory } from '../setup/temp.ts';

function fresh() {
  const store = openStore({ home: tempDirectory() });
  onTestFinished(() => store.close());
  return store;
}

describe('breakers', () => {
  it('come back as they were kept, one for each service', async () => {
    const { db, write } = fresh();
    const breaker: Breaker = {
      state: 'half_open',
      failures: 1,
      paidFailures: 2,
      refusals: 3,
      pauses: 4,
      reason: 'E303',
      fingerprint: 'abcd1234',
      openedAt: 5,
      retryAt: 6,
      probeOwner: 'me',
      probeUntil: 7,
    };
    expect(await loadBreaker(db, 'openai')).toEqual(CLOSED);
    await write((trx) => saveBreaker(trx, 'openai', CLOSED, 1));
    await write((trx) => saveBreaker(trx, 'openai', breaker, 2));
    expect(await loadBreaker(db, 'openai')).toEqual(breaker);
    expect(await loadBreaker(db, 'llamaparse')).toEqual(CLOSED);
    expect(await write((trx) => resetBreaker(trx, 'openai', 3))).toBe(true);
    expect(await write((trx) => resetBreaker(trx, 'openai', 3))).toBe(false);
    expect(await loadBreaker(db, 'openai')).toEqual(CLOSED);
  });

  it('name no reason when the row has one that this version does not know', async () => {
    const { db, write, sqlite } = fresh();
    await write((trx) => saveBreaker(trx, 'openai', CLOSED, 1));
    sqlite.exec("UPDATE breakers SET reason = 'TVDB-toString'");
    expect((await loadBreaker(db, 'openai')).reason).toBeNull();
  });
});

describe('rate buckets', () => {
  it('come back as they were kept, each kind by itself', async () => {
    const { db, write } = fresh();
    const bucket = { ...fullBucket(20, 1 / 3000, 5), tokens: -1.25, blockedUntil: 6, queued: 7, queuedUntil: 8 };
    await write((trx) => saveBucket(trx, 'llamaparse', 'requests', { bucket, configured: 20 }));
    expect(await loadBucket(db, 'llamaparse', 'requests')).toEqual({ bucket, configured: 20 });
    expect(await loadBucket(db, 'llamaparse', 'retries')).toBeUndefined();
    expect(await loadBucket(db, 'openai', 'requests')).toBeUndefined();
  });
});

describe('health samples', () => {
  const sample = { origin: 'real', operation: 'a', http_status: 200, code: null, ok: 1, latency_ms: 1 } as const;

  it('are kept for the newest thousand of each service, whatever the clock did', async () => {
    const { db, write, sqlite } = fresh();
    await write(async (trx) => {
      for (let n = 0; n < 60; n++) await addHealthSample(trx, { ...sample, service: 'openai', at: n });
      for (let n = 0; n < 1_300; n++)
        await addHealthSample(trx, { ...sample, service: 'llamaparse', at: n < 900 ? 10_000 + n : n, latency_ms: n });
    });
    const count = (service: string) =>
      sqlite.prepare('SELECT count(*) FROM service_health WHERE service = ?').pluck().get(service);
    expect(count('openai')).toBe(60);
    expect(count('llamaparse')).toBeGreaterThanOrEqual(1_000);
    expect(count('llamaparse')).toBeLessThanOrEqual(1_050);
    expect((await healthSummary(db, 'llamaparse', 0)).lastOkAt).toBe(1_299);
  });

  it('add up to percentiles that were really measured, failures left out', async () => {
    const { db, write } = fresh();
    await write(async (trx) => {
      for (let n = 1; n <= 100; n++) await addHealthSample(trx, { ...sample, service: 'openai', at: n, latency_ms: n });
      const failed = { ok: 0, http_status: null, code: 'TVDB-E303', latency_ms: 60_000, operation: 'b' };
      await addHealthSample(trx, { ...sample, ...failed, service: 'openai', at: 101 });
    });
    expect(await healthSummary(db, 'openai', 1)).toEqual({
      calls: 101,
      failures: 1,
      failureShare: 1 / 101,
      p50Ms: 50,
      p95Ms: 95,
      lastOkAt: 100,
      lastError: { at: 101, operation: 'b', code: 'TVDB-E303', httpStatus: null },
      operations: [
        { operation: 'a', calls: 100, failures: 0, p50Ms: 50, p95Ms: 95 },
        { operation: 'b', calls: 1, failures: 1, p50Ms: null, p95Ms: null },
      ],
    });
    expect(await healthSummary(db, 'openai', 102)).toMatchObject({ calls: 0, failureShare: null, lastOkAt: 100 });
  });
});
