import { expect, it } from 'vitest';
import { insertDocument } from '../../src/store/documents.ts';
import { jobById } from '../../src/store/jobs/find.ts';
import { insertJob } from '../../src/store/jobs/insert.ts';
import { wakeSlotWaiter } from '../../src/store/jobs/wake.ts';
import { openStore } from '../../src/store/open.ts';
import { documentRow, jobRow } from '../setup/jobs.ts';
import { countingIds } from '../setup/seeded.ts';
import { tempDirectory } from '../setup/temp.ts';

it('a free slot goes to the longest document that waits, after those of a higher priority', async () => {
  const store = openStore({ home: tempDirectory() });
  const ids = countingIds();
  try {
    const parked = { park_reason: 'rate_limit' as const, park_note: 'no slot', run_after: 1000 };
    const job = (pages: number, changes = {}) =>
      store.write(async (trx) => {
        const document = documentRow(ids, { pages });
        await insertDocument(trx, document);
        return (await insertJob(trx, jobRow(ids, document, { ...parked, ...changes }))).job;
      });
    const short = await job(5);
    const long = await job(60);
    const urgent = await job(1, { processing_priority: 1 });
    const resting = await job(90, { park_reason: 'budget' });
    const due = async () => {
      await store.write((trx) => wakeSlotWaiter(trx, 10));
      const rows = await Promise.all([short, long, urgent, resting].map(({ job_id }) => jobById(store.db, job_id)));
      return rows.map((row) => row?.run_after);
    };
    expect(await due()).toEqual([1000, 1000, 10, 1000]);
    expect(await due()).toEqual([1000, 10, 10, 1000]);
    expect(await due()).toEqual([10, 10, 10, 1000]);
  } finally {
    await store.close();
  }
});
