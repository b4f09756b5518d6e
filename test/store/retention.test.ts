/** What is old goes once a day; the ledger never. */
import { expect, it } from 'vitest';
import { settle } from '../../src/ledger/end.ts';
import { insertDelivery } from '../../src/store/inbox.ts';
import type { Store } from '../../src/store/open.ts';
import { pruneOld } from '../../src/store/retention.ts';
import { addHealthSample } from '../../src/store/service-health.ts';
import { assertLedger, ledgerStore, NOON, take } from '../setup/ledger.ts';

const DAY = 86_400_000;

const prune = (store: Store, when: { now: number; days: number }) => store.write((trx) => pruneOld(trx, when));

async function place() {
  const store = await ledgerStore({ limit: 1_000 });
  for (const [index, age] of [40, 31, 29, 0].entries()) {
    const at = NOON - age * DAY;
    await take(store, `a${index}`, 10, { now: at });
    await store.write(async (trx) => {
      await settle(trx, { attemptId: `a${index}`, now: at, actual: 9 });
      await addHealthSample(trx, {
        ...{
          service: 'openai',
          origin: 'real',
          at,
          operation: 'embed',
          ok: 1,
          latency_ms: 1,
          http_status: 200,
          code: null,
        },
      });
      const news = { eventId: `e${index}`, remoteJobId: `r${index}`, event: 'parse.success' as const };
      await insertDelivery(trx, { ...news, receivedAt: at, bodySha256: 'x' });
    });
  }
  const count = async (table: 'spend' | 'holds' | 'service_health' | 'webhook_inbox' | 'budget_windows') =>
    (
      await store.db
        .selectFrom(table)
        .select((select) => select.fn.countAll<number>().as('n'))
        .executeTakeFirstOrThrow()
    ).n;
  return { store, count };
}

it('samples, deliveries and closed windows older than RETENTION_DAYS go; ledger and holds stay', async () => {
  const { store, count } = await place();
  expect(await prune(store, { now: NOON, days: 30 })).toEqual({ samples: 2, deliveries: 2, windows: 2 });
  expect([await count('service_health'), await count('webhook_inbox'), await count('budget_windows')]).toEqual([
    2, 2, 2,
  ]);
  expect([await count('spend'), await count('holds')]).toEqual([8, 4]);
  await assertLedger(store);
});

it('happens at most once a day, also when many processes start at once, and again after the clock was set back', async () => {
  const { store } = await place();
  const starts = await Promise.all([1, 2, 3].map(() => prune(store, { now: NOON, days: 30 })));
  expect(starts.filter((one) => one !== null)).toHaveLength(1);
  expect(await prune(store, { now: NOON + DAY - 1, days: 30 })).toBeNull();
  expect(await prune(store, { now: NOON + DAY, days: 30 })).not.toBeNull();
  expect(await prune(store, { now: NOON - DAY, days: 30 })).not.toBeNull();
});
