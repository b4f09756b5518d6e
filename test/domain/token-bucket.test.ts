/** The rules of token buckets, over any order of takes, pauses and jumps of the clock. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type Bucket,
  block,
  blockedMs,
  fullBucket,
  lower,
  refill,
  refund,
  requestBurst,
  resize,
  take,
} from '../../src/domain/token-bucket.ts';

const PATIENCE = 2_000;
const T0 = 1_700_000_000_000;

type Step =
  | { do: 'pass'; ms: number }
  | { do: 'jump'; ms: number }
  | { do: 'take'; cost: number }
  | { do: 'block'; ms: number }
  | { do: 'lower'; to: number };

const cost = fc.oneof({ weight: 5, arbitrary: fc.integer({ min: 1, max: 20 }) }, fc.integer({ min: 21, max: 200 }));
const takes = fc.record({ do: fc.constant('take' as const), cost });
const passes = fc.record({ do: fc.constant('pass' as const), ms: fc.integer({ min: 0, max: 30_000 }) });
const jumps = fc.record({ do: fc.constant('jump' as const), ms: fc.integer({ min: -86_400_000, max: 86_400_000 }) });
const blocks = fc.record({ do: fc.constant('block' as const), ms: fc.integer({ min: 0, max: 1e9 }) });
const lowers = fc.record({ do: fc.constant('lower' as const), to: fc.integer({ min: -5, max: 300 }) });
const shape = fc.record({
  capacity: fc.integer({ min: 1, max: 60 }),
  perMinute: fc.integer({ min: 1, max: 6_000 }),
});

function bucketOf({ capacity, perMinute }: { capacity: number; perMinute: number }): Bucket {
  return fullBucket(capacity, perMinute / 60_000, T0);
}

function run(start: Bucket, steps: readonly Step[], check: (bucket: Bucket, now: number) => void): void {
  let bucket = start;
  let now = T0;
  for (const step of steps) {
    if (step.do === 'pass' || step.do === 'jump') now += step.ms;
    else if (step.do === 'block') bucket = block(bucket, step.ms, now);
    else if (step.do === 'lower') bucket = lower(bucket, step.to, now);
    else bucket = take(bucket, step.cost, now, PATIENCE).bucket;
    check(bucket, now);
  }
}

describe('a token bucket', () => {
  it('never holds more than its capacity and never owes more than one large take and what patience allows', () => {
    fc.assert(
      fc.property(shape, fc.array(fc.oneof(takes, takes, passes, jumps, blocks, lowers)), (form, steps) => {
        const start = bucketOf(form);
        const largest = Math.max(0, ...steps.map((step) => (step.do === 'take' ? step.cost - start.capacity : 0)));
        const ahead = PATIENCE * start.perMs;
        run(start, steps, (bucket, now) => {
          expect(refill(bucket, now).tokens).toBeLessThanOrEqual(start.capacity);
          expect(bucket.tokens).toBeGreaterThanOrEqual(-largest - ahead - 1e-6);
        });
      }),
    );
  });

  it('lets no more through in any time than its capacity and what flows in', () => {
    fc.assert(
      fc.property(shape, fc.array(fc.oneof(takes, takes, passes)), (form, steps) => {
        let bucket = bucketOf(form);
        let now = T0;
        const uses: { at: number; cost: number }[] = [];
        for (const step of steps) {
          if (step.do === 'pass') now += step.ms;
          else {
            const small = Math.min(step.cost, bucket.capacity);
            const { granted, waitMs, bucket: after } = take(bucket, small, now, PATIENCE);
            bucket = after;
            if (granted) uses.push({ at: now + waitMs, cost: small });
          }
        }
        for (const { at } of uses) {
          const used = uses.reduce((sum, use) => sum + (use.at <= at ? use.cost : 0), 0);
          expect(used).toBeLessThanOrEqual(bucket.capacity + (at - T0) * bucket.perMs + 1e-6);
        }
      }),
    );
  });

  it('T77 gains nothing from a clock that goes back and forth, and is usable at once after each jump', () => {
    fc.assert(
      fc.property(shape, fc.array(jumps, { maxLength: 12 }), (form, steps) => {
        run(bucketOf(form), [...steps, { do: 'jump', ms: -10 * 86_400_000 }], (bucket, now) => {
          expect(take(bucket, 1, now, PATIENCE)).toMatchObject({ granted: true, waitMs: 0 });
          expect(take({ ...bucket, tokens: 0 }, 1, now, 1e12).waitMs).toBeLessThanOrEqual(60_001);
        });
      }),
    );
  });

  it('T77 flows on after the clock was set back by an hour', () => {
    const empty = { ...fullBucket(20, 1 / 1000, T0), tokens: 0 };
    const seen = refill(empty, T0 - 3_600_000);
    expect(refill(seen, T0 - 3_600_000 + 5_000).tokens).toBe(5);
  });

  it('adds tokens with time and never takes any away', () => {
    fc.assert(
      fc.property(shape, fc.nat(50), fc.array(fc.nat(60_000)), (form, used, waits) => {
        let bucket: Bucket = { ...bucketOf(form), tokens: -used };
        let now = T0;
        for (const wait of waits) {
          now += wait;
          const after = refill(bucket, now);
          expect(after.tokens).toBeGreaterThanOrEqual(bucket.tokens);
          bucket = after;
        }
      }),
    );
  });

  it('keeps the place of who waits for a short time: the next one waits longer', () => {
    let bucket = fullBucket(1, 1 / 1000, T0);
    const waits: number[] = [];
    for (let n = 0; n < 4; n++) {
      const taken = take(bucket, 1, T0, PATIENCE);
      bucket = taken.bucket;
      waits.push(taken.granted ? taken.waitMs : -taken.waitMs);
    }
    expect(waits).toEqual([0, 1000, 2000, -3000]);
  });

  it('lets a take larger than the capacity through when it is full, although smaller ones keep coming', () => {
    const perMs = 40_000 / 60_000;
    let bucket = fullBucket(40_000, perMs, T0);
    let now = T0;
    let wanted = T0;
    let served: number | null = null;
    const behind: boolean[] = [];
    for (; served === null && now < T0 + 600_000; now += 500) {
      const small = take(bucket, 1_000, now, PATIENCE);
      bucket = small.bucket;
      behind.push(small.granted);
      if (now < wanted) continue;
      const large = take(bucket, 90_000, now, PATIENCE);
      bucket = large.bucket;
      if (large.granted) served = now + large.waitMs;
      else wanted = now + large.waitMs;
    }
    expect(served).not.toBeNull();
    expect((served ?? 0) - T0).toBeLessThan(70_000);
    expect(behind).toContain(true);
    // It is paid off before anything else leaves.
    expect(bucket.tokens).toBeLessThan(0);
    expect(take(bucket, 1, now, PATIENCE).granted).toBe(false);
  });

  it('does not wait for ever for a large take that never comes back', () => {
    const bucket = { ...fullBucket(10, 10 / 60_000, T0), tokens: 5 };
    const large = take(bucket, 30, T0, PATIENCE);
    expect(large).toMatchObject({ granted: false, waitMs: 30_000 });
    expect(take(large.bucket, 1, T0 + 1_000, PATIENCE).granted).toBe(false);
    expect(take(large.bucket, 1, T0 + 40_001, PATIENCE).granted).toBe(true);
  });

  it('is blocked for as long as the service says, 300 s at most, and has no burst saved up from before', () => {
    const bucket = block(fullBucket(20, 20 / 60_000, T0), 1e9, T0);
    expect(blockedMs(bucket, T0)).toBe(300_000);
    expect(take(bucket, 1, T0 + 299_000, 0)).toMatchObject({ granted: false, waitMs: 1_000 });
    expect(block(fullBucket(20, 20 / 60_000, T0), 1_000, T0).tokens).toBe(0);
    expect(blockedMs(block(bucket, 1_000, T0), T0)).toBe(300_000);
  });

  it('does not stay blocked for an hour because the clock was set back by one', () => {
    const bucket = block(fullBucket(20, 1, T0), 200_000, T0);
    expect(take(bucket, 1, T0 - 3_600_000, 0).waitMs).toBeLessThanOrEqual(1);
  });

  it('takes over a new limit and gives back what was not used, never above the capacity', () => {
    const bucket = resize(fullBucket(20, 1, T0), 5, 0.5, T0);
    expect(bucket).toMatchObject({ tokens: 5, capacity: 5, perMs: 0.5 });
    expect(refund({ ...bucket, tokens: 1 }, 2, T0).tokens).toBe(3);
    expect(refund(bucket, 2, T0).tokens).toBe(5);
    expect(lower(bucket, 2, T0).tokens).toBe(2);
    expect(lower({ ...bucket, tokens: -3 }, 2, T0).tokens).toBe(-3);
  });
});

describe('requestBurst', () => {
  it('is the whole minute for small limits and one second of it for large ones', () => {
    expect([1, 5, 20, 100, 1_200, 3_000, 60_000].map(requestBurst)).toEqual([1, 5, 20, 20, 20, 50, 1_000]);
  });
});
