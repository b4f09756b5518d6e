/** The limits of a service in the store: requests and tokens a minute, pauses it asked for, the budget of retries. */
import type { Config } from '../config/load.ts';
import type { ServiceName } from '../domain/service-mode.ts';
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
} from '../domain/token-bucket.ts';
import type { Db, Trx } from '../store/open.ts';
import { type BucketKind, loadBucket, type StoredBucket, saveBucket } from '../store/rate-buckets.ts';
import { rateFigures } from './rate-headers.ts';

/** Retries that may come before any call has earned one, and what a call earns. */
const RETRY_BURST = 10;
const RETRY_SHARE = 0.1;
/** After a pause for failures so many may leave at once, not the whole burst that was saved up meanwhile. */
const RECOVERY_BURST = 5;

type LimitSettings = Pick<
  Config['settings'],
  'LLAMAPARSE_REQUESTS_PER_MINUTE' | 'OPENAI_REQUESTS_PER_MINUTE' | 'OPENAI_TOKENS_PER_MINUTE'
>;

/** What the settings allow a service in a minute; `tokens` is `null` where they are not counted. */
function configuredLimits(service: ServiceName, settings: LimitSettings): { requests: number; tokens: number | null } {
  return service === 'llamaparse'
    ? { requests: settings.LLAMAPARSE_REQUESTS_PER_MINUTE, tokens: null }
    : { requests: settings.OPENAI_REQUESTS_PER_MINUTE, tokens: settings.OPENAI_TOKENS_PER_MINUTE };
}

/** A bucket as of now, without touching it. */
export interface LimitView {
  /** May leave at once; and how much at most. */
  available: number;
  burst: number;
  perMinute: number;
  blockedUntil: number | null;
}

/** The limits of one service. Every method but `view` must run in the transaction of its caller. */
export function createLimits(service: ServiceName, settings: LimitSettings) {
  const configured = configuredLimits(service, settings);

  const sized = (kind: BucketKind, perMinute: number) => ({
    capacity: kind === 'requests' ? requestBurst(perMinute) : perMinute,
    perMs: perMinute / 60_000,
  });

  /** The stored bucket, or a full one. A setting that was changed since counts again until the service says otherwise. */
  const current = async (db: Db, kind: 'requests' | 'tokens', now: number): Promise<StoredBucket> => {
    const figure = configured[kind] ?? Number.MAX_SAFE_INTEGER;
    const { capacity, perMs } = sized(kind, figure);
    const stored = await loadBucket(db, service, kind);
    if (stored === undefined) return { bucket: fullBucket(capacity, perMs, now), configured: figure };
    if (stored.configured === figure) return stored;
    return { bucket: resize(stored.bucket, capacity, perMs, now), configured: figure };
  };

  const change = async (trx: Trx, kind: 'requests' | 'tokens', now: number, how: (bucket: Bucket) => Bucket) => {
    const stored = await current(trx, kind, now);
    await saveBucket(trx, service, kind, { ...stored, bucket: how(stored.bucket) });
  };

  const retries = async (trx: Trx, now: number): Promise<StoredBucket> =>
    (await loadBucket(trx, service, 'retries')) ?? {
      bucket: fullBucket(RETRY_BURST, 0, now),
      configured: RETRY_BURST,
    };

  return {
    /** Takes one request and its tokens, both or neither. Refused when the wait would be longer than `patienceMs`. */
    async take(trx: Trx, tokens: number, now: number, patienceMs: number) {
      const wanted = [
        { kind: 'requests', cost: 1 },
        ...(tokens > 0 && configured.tokens !== null ? [{ kind: 'tokens', cost: tokens } as const] : []),
      ] as const;
      const tried: { kind: 'requests' | 'tokens'; stored: StoredBucket; granted: boolean; waitMs: number }[] = [];
      for (const { kind, cost } of wanted) {
        const stored = await current(trx, kind, now);
        const { bucket, granted, waitMs } = take(stored.bucket, cost, now, patienceMs);
        tried.push({ kind, stored: { ...stored, bucket }, granted, waitMs });
      }
      const refused = tried.filter(({ granted }) => !granted);
      // A refused bucket is kept as well: it may hold a place for a large request.
      for (const { kind, stored } of refused.length === 0 ? tried : refused)
        await saveBucket(trx, service, kind, stored);
      const [slowest] = [...tried].sort((a, b) => b.waitMs - a.waitMs);
      return { granted: refused.length === 0, waitMs: slowest?.waitMs ?? 0, kind: slowest?.kind ?? 'requests' };
    },

    /** Gives back what `take` took for a request that did not leave. */
    async giveBack(trx: Trx, tokens: number, now: number): Promise<void> {
      await change(trx, 'requests', now, (bucket) => refund(bucket, 1, now));
      if (tokens > 0 && configured.tokens !== null)
        await change(trx, 'tokens', now, (bucket) => refund(bucket, tokens, now));
    },

    /** Takes over what the headers of an answer say: another limit, less left than we think. */
    async learn(trx: Trx, headers: Readonly<Record<string, string>>, now: number): Promise<void> {
      for (const kind of ['requests', 'tokens'] as const) {
        const { limit, remaining, resetMs } = rateFigures(headers, kind);
        if ((limit === null && remaining === null) || configured[kind] === null) continue;
        await change(trx, kind, now, (before) => {
          let bucket = before;
          const size = limit === null ? bucket : sized(kind, limit);
          if (size.capacity !== bucket.capacity || size.perMs !== bucket.perMs)
            bucket = resize(bucket, size.capacity, size.perMs, now);
          if (remaining === null) return bucket;
          bucket = lower(bucket, remaining, now);
          // `reset` is when all of it is there again, and it fills evenly: the first one comes after a share of that.
          return remaining > 0 || resetMs === null ? bucket : block(bucket, resetMs / (limit ?? 1), now);
        });
      }
    },

    /**
     * Stops everything for `ms` because the service said so to a request that left at `sentAt`. True when that request
     * left after the stop before had ended: what was in flight together is one refusal, not many.
     */
    async block(trx: Trx, ms: number, sentAt: number, now: number): Promise<boolean> {
      const { bucket } = await current(trx, 'requests', now);
      // Ahead of now and still no block: written before the clock was set back.
      const fresh = blockedMs(bucket, now) === 0 && (sentAt >= bucket.blockedUntil || bucket.blockedUntil > now);
      await change(trx, 'requests', now, (before) => block(before, ms, now));
      return fresh;
    },

    /** How long nothing may leave. */
    async blockedMs(db: Db, now: number): Promise<number> {
      return blockedMs((await current(db, 'requests', now)).bucket, now);
    },

    /** Leaves little of the burst: a service that has just come back is not met by everybody at once. */
    async drain(trx: Trx, now: number): Promise<void> {
      await change(trx, 'requests', now, (bucket) => lower(bucket, RECOVERY_BURST, now));
    },

    /** A call that leaves earns its share of a retry. */
    async earnRetry(trx: Trx, now: number): Promise<void> {
      const stored = await retries(trx, now);
      if (stored.bucket.tokens >= RETRY_BURST) return;
      await saveBucket(trx, service, 'retries', { ...stored, bucket: refund(stored.bucket, RETRY_SHARE, now) });
    },

    /** Spends a retry if there is one. */
    async takeRetry(trx: Trx, now: number): Promise<boolean> {
      const stored = await retries(trx, now);
      const { bucket, granted } = take(stored.bucket, 1, now, 0);
      if (granted) await saveBucket(trx, service, 'retries', { ...stored, bucket });
      return granted;
    },

    /** Every limit as of now; `tokens` is `null` where they are not counted. Changes nothing. */
    async view(db: Db, now: number): Promise<{ requests: LimitView; tokens: LimitView | null; retriesLeft: number }> {
      const look = async (kind: 'requests' | 'tokens'): Promise<LimitView> => {
        const { bucket } = await current(db, kind, now);
        const blocked = blockedMs(bucket, now);
        return {
          available: Math.max(0, Math.floor(refill(bucket, now).tokens)),
          burst: Math.round(bucket.capacity),
          perMinute: Math.round(bucket.perMs * 60_000),
          blockedUntil: blocked === 0 ? null : now + blocked,
        };
      };
      const budget = await loadBucket(db, service, 'retries');
      return {
        requests: await look('requests'),
        tokens: configured.tokens === null ? null : await look('tokens'),
        retriesLeft: Math.floor(budget?.bucket.tokens ?? RETRY_BURST),
      };
    },
  };
}
