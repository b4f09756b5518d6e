import { describe, expect, it, onTestFinished } from 'vitest';
import { openStore } from '../../src/store/open.ts';
import { tempDirectory } from '../setup/temp.ts';
import { virtualClock } from '../setup/virtual-clock.ts';

function twoConnections() {
  const home = tempDirectory();
  const stores = [openStore({ home, busyTimeoutMs: 1 }), openStore({ home, busyTimeoutMs: 1 })] as const;
  onTestFinished(async () => {
    await Promise.all(stores.map((store) => store.close()));
  });
  return stores;
}

const insert = (key: string) => ({ key, value: 'x' });

describe('transactions', () => {
  it('T20 takes the write lock before the first read, so a read-then-write never meets a newer snapshot', async () => {
    const [one, two] = twoConnections();
    let otherCommitted = false;
    const other = { done: Promise.resolve() };
    await one.write(async (trx) => {
      await trx.selectFrom('meta').selectAll().execute();
      // With a deferred begin this would commit now, and the write below would fail with SQLITE_BUSY_SNAPSHOT.
      other.done = two.write(async (inner) => {
        await inner.insertInto('meta').values(insert('two')).execute();
        otherCommitted = true;
      });
      await new Promise((resolve) => setImmediate(resolve));
      expect(otherCommitted).toBe(false);
      await trx.insertInto('meta').values(insert('one')).execute();
    });
    await other.done;
    expect(await one.db.selectFrom('meta').select('key').orderBy('key').execute()).toEqual([
      { key: 'one' },
      { key: 'two' },
    ]);
  });

  it('rolls everything back when the work throws', async () => {
    const [store] = twoConnections();
    await expect(
      store.write(async (trx) => {
        await trx.insertInto('meta').values(insert('one')).execute();
        throw new Error('on purpose');
      }),
    ).rejects.toThrow('on purpose');
    expect(await store.db.selectFrom('meta').selectAll().execute()).toEqual([]);
  });

  it('gives up with E501, having blocked nobody, when another process holds the lock for longer than its patience', async () => {
    const home = tempDirectory();
    const clock = virtualClock();
    const waiting = openStore({ home, clock, busyTimeoutMs: 1 });
    const holding = openStore({ home, busyTimeoutMs: 1 });
    onTestFinished(async () => {
      await Promise.all([waiting.close(), holding.close()]);
    });
    holding.sqlite.exec('begin immediate');
    const refused = expect(waiting.write(async () => {})).rejects.toMatchObject({ code: 'E501' });
    await clock.advance(31_000);
    await refused;
    holding.sqlite.exec('rollback');
    await waiting.write(async (trx) => {
      await trx.insertInto('meta').values(insert('after')).execute();
    });
  });

  it('T23 reports a full disk as E503 and keeps whole transactions only', async () => {
    const [store] = twoConnections();
    const pages = store.sqlite.pragma('page_count', { simple: true }) as number;
    store.sqlite.pragma(`max_page_count = ${pages + 8}`);
    let written = 0;
    const fill = async () => {
      for (;;) {
        await store.write(async (trx) => {
          await trx
            .insertInto('meta')
            .values({ key: `a${written}`, value: 'x'.repeat(2000) })
            .execute();
          await trx
            .insertInto('meta')
            .values({ key: `b${written}`, value: 'x'.repeat(2000) })
            .execute();
        });
        written += 1;
      }
    };
    await expect(fill()).rejects.toMatchObject({ code: 'E503' });
    expect(await store.db.selectFrom('meta').selectAll().execute()).toHaveLength(written * 2);
    store.sqlite.pragma('max_page_count = 100000');
    await store.write(async (trx) => {
      await trx.insertInto('meta').values(insert('after')).execute();
    });
  });

  it('refuses a cursor, which would block the only connection', async () => {
    const [store] = twoConnections();
    const read = async () => {
      for await (const _ of store.db.selectFrom('meta').selectAll().stream()) break;
    };
    await expect(read()).rejects.toThrow('in pages');
  });
});
