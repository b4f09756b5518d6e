/** T90: what the store keeps in words has no secret in it, whichever statement wrote it; document text is left alone. */
import { expect, it } from 'vitest';
import { createScrubber } from '../../src/base/scrub.ts';
import { openStore } from '../../src/store/open.ts';
import { tempDirectory } from '../setup/temp.ts';

const KEY = 'llx-Kilimanjaro-0123456789-"quoted"';

/** Everything a store holds, as text. */
async function written(scrub?: (text: string) => string): Promise<string[]> {
  const store = openStore({ home: tempDirectory(), ...(scrub !== undefined && { scrub }) });
  try {
    const attempt = (id: string) => ({
      attempt_id: id,
      job_id: 'job',
      service: 'parse' as const,
      operation: 'parse',
      request_hash: 'hash',
      units: 1,
      started_at: 1,
      origin: 'real' as const,
      outcome: 'intent' as const,
    });
    const said = JSON.stringify({ message: `the key ${KEY} is wrong` });
    await store.write(async (trx) => {
      await trx
        .insertInto('attempts')
        .values({ ...attempt('inserted'), error: said, remote_id: KEY })
        .execute();
      // Rows of unlike columns are built another way.
      await trx
        .insertInto('attempts')
        .values([attempt('two'), { ...attempt('three'), upstream_request_id: KEY }])
        .execute();
      await trx.updateTable('attempts').set({ error: said }).where('attempt_id', '=', 'two').execute();
      await trx
        .insertInto('attempts')
        .values({ ...attempt('two'), error: 'none' })
        .onConflict((conflict) => conflict.column('attempt_id').doUpdateSet({ upstream_request_id: KEY }))
        .execute();
      await trx
        .insertInto('parse_cache')
        .values({
          cache_key: 'k',
          file_sha256: 'f',
          pages: JSON.stringify([KEY]),
          origin: 'real',
          credits: 1,
          made_at: 1,
          last_used_at: 1,
        })
        .execute();
    });
    const { rows } = { rows: await store.db.selectFrom('attempts').selectAll().execute() };
    const pages = await store.db.selectFrom('parse_cache').select('pages').execute();
    return [JSON.stringify(rows), JSON.stringify(pages)];
  } finally {
    await store.close();
  }
}

it('T90 masks a key in every column of words, however it is written', async () => {
  const [attempts = '', pages = ''] = await written(createScrubber([KEY]));
  expect(attempts).not.toContain('Kilimanjaro');
  expect(attempts.split('[secret]')).toHaveLength(6);
  expect(pages).toContain('Kilimanjaro');
});

it('would keep it without the scrubber', async () => {
  expect((await written())[0]?.split('Kilimanjaro')).toHaveLength(6);
});
