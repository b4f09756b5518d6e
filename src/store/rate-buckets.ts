/** Token buckets shared by all processes: one row each. The rules are in `domain/token-bucket.ts`. */
import type { ServiceName } from '../domain/service-mode.ts';
import type { Bucket } from '../domain/token-bucket.ts';
import type { Db, Trx } from './open.ts';

export type BucketKind = 'requests' | 'tokens' | 'retries';

/** A bucket and the figure of the settings it was made for: another figure there puts aside what the service told. */
export interface StoredBucket {
  bucket: Bucket;
  configured: number;
}

/** The bucket of a service; `undefined` when nothing was taken yet. */
export async function loadBucket(db: Db, service: ServiceName, kind: BucketKind): Promise<StoredBucket | undefined> {
  const row = await db
    .selectFrom('rate_buckets')
    .selectAll()
    .where('name', '=', `${service}:${kind}`)
    .executeTakeFirst();
  if (row === undefined) return undefined;
  return {
    configured: row.configured,
    bucket: {
      tokens: row.tokens,
      capacity: row.capacity,
      perMs: row.per_ms,
      blockedUntil: row.blocked_until,
      queued: row.queued,
      queuedUntil: row.queued_until,
      updatedAt: row.updated_at,
    },
  };
}

/** Keeps a bucket. In the transaction that loaded it: two processes must not take the same token. */
export async function saveBucket(
  trx: Trx,
  service: ServiceName,
  kind: BucketKind,
  { bucket, configured }: StoredBucket,
): Promise<void> {
  const row = {
    tokens: bucket.tokens,
    capacity: bucket.capacity,
    per_ms: bucket.perMs,
    configured,
    queued: bucket.queued,
    queued_until: Math.round(bucket.queuedUntil),
    blocked_until: Math.round(bucket.blockedUntil),
    updated_at: Math.round(bucket.updatedAt),
  };
  await trx
    .insertInto('rate_buckets')
    .values({ name: `${service}:${kind}`, ...row })
    .onConflict((conflict) => conflict.column('name').doUpdateSet(row))
    .execute();
}
