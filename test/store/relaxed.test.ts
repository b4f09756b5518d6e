import { expect, it } from 'vitest';
import { openStore } from '../../src/store/open.ts';
import { tempDirectory } from '../setup/temp.ts';

it('waits for the disk at every commit but a relaxed one, also after one that failed and beside another', async () => {
  const store = openStore({ home: tempDirectory() });
  const level = () => store.sqlite.pragma('synchronous', { simple: true });
  try {
    const seen: unknown[] = [];
    const look = async () => void seen.push(level());
    await Promise.all([store.write(look), store.writeRelaxed(look), store.write(look), store.writeRelaxed(look)]);
    await expect(store.writeRelaxed(() => Promise.reject(new Error('no')))).rejects.toThrow('no');
    await store.write(look);
    // 2 is FULL, 1 is NORMAL.
    expect([seen, level()]).toEqual([[2, 1, 2, 1, 2], 2]);
    await store.writeRelaxed((trx) => trx.insertInto('meta').values({ key: 'k', value: 'v' }).execute());
    await expect(
      store.writeRelaxed(async (trx) => {
        await trx.updateTable('meta').set({ value: 'lost' }).where('key', '=', 'k').execute();
        throw new Error('rolled back');
      }),
    ).rejects.toThrow();
    expect(await store.db.selectFrom('meta').select('value').where('key', '=', 'k').execute()).toEqual([
      { value: 'v' },
    ]);
  } finally {
    await store.close();
  }
});
