/** Token buckets as data: how much may leave now, how long the rest waits. The time is an argument; nothing is stored here. */

/** Longest time a service can block a bucket. */
const BLOCK_CAP_MS = 300_000;
/** A request that was told to wait for a full bucket comes back within this after its time, or loses its place. */
const PLACE_KEPT_MS = 10_000;
/** Requests that may leave at once where a minute allows them: what one small document needs, and the whole of the free plan. */
const LEAST_BURST = 20;

export interface Bucket {
  /** What is left; negative while takes that were granted ahead of their time are paid off. */
  tokens: number;
  /** Most it holds: the burst. */
  capacity: number;
  /** What flows in every millisecond. */
  perMs: number;
  /** Nothing leaves before, whatever it holds. Wall clock, milliseconds; 0 for never blocked. */
  blockedUntil: number;
  /** A take larger than the capacity that waits for a full bucket (0: none); smaller ones stay behind it until `queuedUntil`. */
  queued: number;
  queuedUntil: number;
  /** When `tokens` was right. */
  updatedAt: number;
}

export interface Take {
  bucket: Bucket;
  /** Whether the tokens are taken. They may be used after `waitMs`. */
  granted: boolean;
  /** Granted: how long to wait first. Refused: when to ask again. */
  waitMs: number;
}

/** A full bucket. */
export function fullBucket(capacity: number, perMs: number, now: number): Bucket {
  return { tokens: capacity, capacity, perMs, blockedUntil: 0, queued: 0, queuedUntil: 0, updatedAt: now };
}

/**
 * Burst of a limit of requests: a whole minute's worth up to 20, else one second's worth if that is more. Services count
 * large limits in shorter steps than the minute they name, and 3,000 requests at once would be refused by most.
 */
export function requestBurst(perMinute: number): number {
  return Math.max(perMinute / 60, Math.min(perMinute, LEAST_BURST));
}

/**
 * The bucket as of now. A clock that went back adds nothing and starts anew from there; one that jumped ahead fills it at
 * most. Never more than the capacity.
 */
export function refill(bucket: Bucket, now: number): Bucket {
  const elapsed = Math.max(0, now - bucket.updatedAt);
  const tokens = Math.min(bucket.capacity, bucket.tokens + elapsed * bucket.perMs);
  return { ...bucket, tokens, updatedAt: now };
}

/** How long the bucket is blocked from now on. A time further ahead than any block lasts was written by another clock. */
export function blockedMs({ blockedUntil }: Bucket, now: number): number {
  return ahead(blockedUntil, now, BLOCK_CAP_MS);
}

/**
 * Takes `cost` now, to be used after a wait of at most `patienceMs`: the place in the row is kept, so waiting callers do
 * not race for the same token. Refused when the wait is longer. A cost above the capacity needs a full bucket and leaves
 * a debt; while it waits for that, smaller ones stay behind it, or it would wait for ever.
 */
export function take(before: Bucket, cost: number, now: number, patienceMs: number): Take {
  const bucket = refill(before, now);
  const missing = Math.min(cost, bucket.capacity) - bucket.tokens;
  const wait = Math.max(blockedMs(bucket, now), missing <= 0 ? 0 : missing / bucket.perMs);
  const behind = cost < bucket.queued ? ahead(bucket.queuedUntil, now, longestQueue(bucket)) : 0;
  const waitMs = Math.ceil(Math.max(wait, behind));
  if (waitMs <= patienceMs) {
    const served = cost >= bucket.queued;
    const queue = served ? { queued: 0, queuedUntil: 0 } : {};
    return { bucket: { ...bucket, ...queue, tokens: bucket.tokens - cost }, granted: true, waitMs };
  }
  const oversize = cost > bucket.capacity && cost >= bucket.queued;
  const queue = oversize ? { queued: cost, queuedUntil: now + Math.ceil(wait) + PLACE_KEPT_MS } : {};
  return { bucket: { ...bucket, ...queue }, granted: false, waitMs };
}

/** Gives back what was taken and not used. */
export function refund(bucket: Bucket, cost: number, now: number): Bucket {
  const current = refill(bucket, now);
  return { ...current, tokens: Math.min(current.capacity, current.tokens + cost) };
}

/** The service says that only `remaining` is left: believed when it is less than we think. */
export function lower(bucket: Bucket, remaining: number, now: number): Bucket {
  const current = refill(bucket, now);
  return { ...current, tokens: Math.min(current.tokens, Math.max(0, remaining)) };
}

/** The limit is another one from now on; what is left keeps its amount, as far as it fits. */
export function resize(bucket: Bucket, capacity: number, perMs: number, now: number): Bucket {
  const current = refill(bucket, now);
  return { ...current, capacity, perMs, tokens: Math.min(current.tokens, capacity) };
}

/** Nothing leaves for `ms` (at most 300 s), and what had been saved up is gone: the service has just said that it is too much. */
export function block(bucket: Bucket, ms: number, now: number): Bucket {
  const current = refill(bucket, now);
  const left = Math.max(blockedMs(current, now), Math.min(BLOCK_CAP_MS, ms));
  return { ...current, tokens: Math.min(current.tokens, 0), blockedUntil: now + Math.ceil(left) };
}

function longestQueue({ capacity, queued, perMs }: Bucket): number {
  return BLOCK_CAP_MS + PLACE_KEPT_MS + (capacity + queued) / perMs;
}

/** Milliseconds from now to `until`; 0 when that is past, or further than anybody would have set it. */
function ahead(until: number, now: number, cap: number): number {
  return until > now && until - now <= cap ? until - now : 0;
}
