/** What is old enough to go: samples, deliveries, closed windows. The ledger and the events of jobs are kept for good. */
import { pruneWindows } from './budget-windows.ts';
import type { Trx } from './open.ts';

const DAY_MS = 86_400_000;

/** Rows that went. */
export interface Pruned {
  samples: number;
  deliveries: number;
  windows: number;
}

/**
 * Removes what is older than `days`, at most once a day: the time of the last removal is kept in `meta`. `null` when it is
 * not a day ago. A clock that was set back does not stop it for ever. Belongs into the write that opens a run, so that of
 * many processes that start at once one does it.
 */
export async function pruneOld(trx: Trx, { now, days }: { now: number; days: number }): Promise<Pruned | null> {
  const last = await trx.selectFrom('meta').select('value').where('key', '=', KEY).executeTakeFirst();
  if (last !== undefined && isToday(Number(last.value), now)) return null;
  await trx
    .insertInto('meta')
    .values({ key: KEY, value: String(now) })
    .onConflict((conflict) => conflict.column('key').doUpdateSet({ value: String(now) }))
    .execute();
  const before = now - days * DAY_MS;
  const samples = await trx.deleteFrom('service_health').where('at', '<', before).executeTakeFirst();
  const deliveries = await trx.deleteFrom('webhook_inbox').where('received_at', '<', before).executeTakeFirst();
  return {
    samples: Number(samples.numDeletedRows),
    deliveries: Number(deliveries.numDeletedRows),
    windows: await pruneWindows(trx, before),
  };
}

const KEY = 'pruned_at';

function isToday(last: number, now: number): boolean {
  return last <= now && now - last < DAY_MS;
}
