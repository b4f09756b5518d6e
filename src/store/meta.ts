/** Facts about this store that are made once: the local user and the key that signs storage URLs. */
import { randomBytes } from 'node:crypto';
import type { Store } from './open.ts';

/** The local user's id: made once, kept for ever. `fresh` makes it for whichever process comes first. */
export async function localUserId(store: Store, fresh: () => string): Promise<string> {
  return ensure(store, 'user_id', fresh);
}

/** The key that signs storage URLs: 32 random bytes, made once, never leaves this machine. */
export async function signingKey(store: Store): Promise<Buffer> {
  return Buffer.from(await ensure(store, 'signing_key', () => randomBytes(32).toString('hex')), 'hex');
}

async function ensure(store: Store, key: string, make: () => string): Promise<string> {
  const known = await store.db.selectFrom('meta').select('value').where('key', '=', key).executeTakeFirst();
  if (known) return known.value;
  return store.write(async (trx) => {
    await trx
      .insertInto('meta')
      .values({ key, value: make() })
      .onConflict((conflict) => conflict.doNothing())
      .execute();
    const { value } = await trx.selectFrom('meta').select('value').where('key', '=', key).executeTakeFirstOrThrow();
    return value;
  });
}
