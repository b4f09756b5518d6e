/** Embeddings in batches: half the price, up to a day, and never paid twice, whatever happens on the way. */
import { describe, expect, it } from 'vitest';
import { cancelJob } from '../../src/pipeline/cancel.ts';
import { changeMode } from '../../src/pipeline/change-mode.ts';
import { deleteDocument } from '../../src/pipeline/delete.ts';
import { retryJob } from '../../src/pipeline/retry.ts';
import { drive } from '../../src/pipeline/run.ts';
import { addBudgets } from '../setup/ledger.ts';
import { economyPlace, HOUR } from './economy-place.ts';

const never = new AbortController().signal;
const MINUTE = 60_000;

type Place = Awaited<ReturnType<typeof economyPlace>>;

/** The ledger is the simulator's bill, at the prices named; nothing is held any more. */
async function expectBilled(place: Place, prices: readonly number[] = [10]): Promise<void> {
  const { spent, open, prices: paid } = await place.ledger();
  expect({ spent, open, paid }).toEqual({ spent: place.simulator.bill().nanoUsd, open: 0, paid: prices });
}

/** How often the texts of the document were billed: tokens of the bill over tokens of the chunks. */
async function timesBilled(place: Place): Promise<number> {
  const rows = await place.store.db.selectFrom('document_chunks').select('token_count').execute();
  return place.simulator.bill().tokens / rows.reduce((sum, { token_count: tokens }) => sum + tokens, 0);
}

describe('a document that may wait', () => {
  it('is ordered as one batch, rests, and is complete at half the price', async () => {
    const place = await economyPlace();
    await place.accept();
    await place.work();
    expect(await place.job()).toMatchObject({
      ...{ status: 'embedding_queued', park_reason: 'awaiting_result' },
      park_note: 'the batch is ordered; it takes up to 24 hours, and `tvdb run` collects it',
    });
    expect(await place.ledger()).toMatchObject({ spent: 0, open: 1, prices: [10] });
    const job = await place.until('complete');
    expect([job.embedding_space, job.embed_origin]).toEqual(['openai/text-embedding-3-small/1536', 'real']);
    expect([place.asked('batches.create').length, place.asked('embeddings').length]).toEqual([1, 0]);
    const { vectors, chunks, vectorBuffer } = await place.rows();
    expect([vectors, chunks >= 8, vectorBuffer]).toEqual([chunks, true, 0]);
    expect(place.codes()).toEqual([
      ...['EMBED_PLANNED', 'EMBED_BATCH_CREATED', 'EMBED_BATCH_ENDED', 'EMBED_STARTED', 'EMBED_COMMITTED'],
    ]);
    expect(await timesBilled(place)).toBe(1);
    await expectBilled(place);
  });

  it('is found in the cache by the next one, and what is not is ordered', async () => {
    const place = await economyPlace();
    await place.accept();
    await place.until('complete');
    await place.upload('other bytes', {
      economy: true,
      decision: place.deps.router.decide('mock', { openai: 'real' }),
    });
    await place.work();
    expect((await place.jobs()).map(({ status }) => status)).toEqual(['complete', 'complete']);
    expect(place.asked('batches.create')).toHaveLength(1);
  });

  it('is not ordered where vectors are made here, or where nobody asked for it', async () => {
    const place = await economyPlace();
    await place.upload('free', { economy: true });
    await place.work();
    await place.upload('at once', { decision: place.deps.router.decide('mock', { openai: 'real' }) });
    await place.work();
    expect((await place.jobs()).map(({ status, embed_origin: origin }) => [status, origin])).toEqual([
      ['complete', 'mock'],
      ['complete', 'real'],
    ]);
    expect([place.asked('batches.create').length, (await place.ledger()).prices]).toEqual([0, [20]]);
  });

  it('orders a text that occurs twice once', async () => {
    const place = await economyPlace({ pages: 2 });
    place.parser.fetchResult = async () => {
      const markdown = '# Part\n\nThe same words on every page, and there are enough of them to make a chunk. '.repeat(
        4,
      );
      return { pages: [1, 2].map((number) => ({ number, markdown })), creditsBilled: 0 };
    };
    await place.accept();
    await place.until('complete');
    const { vectors } = await place.rows();
    const [batch] = await place.batches();
    expect(batch?.rows).toBeLessThan(vectors);
    await expectBilled(place);
  });

  it('is looked at after half a minute, then at growing distances of ten minutes at most', async () => {
    const place = await economyPlace({ simulator: { faults: 'batch=frozen' } });
    await place.accept();
    const waits: number[] = [];
    for (let round = 0; round < 20; round++) {
      await place.work();
      const { run_after: next } = await place.job();
      const wait = (next ?? 0) - place.clock.now();
      // Time creeps on while the worker is at it.
      waits.push(Math.round(wait / 5_000) * 5_000);
      await place.clock.advance(wait);
    }
    expect(waits.slice(0, 4)).toEqual([30_000, 30_000, 30_000, 45_000]);
    expect(waits).toEqual([...waits].sort((a, b) => a - b));
    expect(waits.at(-1)).toBe(10 * MINUTE);
  });
});

describe('a batch that brings less than was ordered', () => {
  it('survives its expiry: finished rows are paid and kept, the others go into another batch', async () => {
    const place = await economyPlace({ simulator: { faults: 'batch=expired:0.5' } });
    await place.accept();
    await place.until('complete');
    const batches = await place.batches();
    expect(batches.map(({ status }) => status)).toEqual(['expired', 'completed']);
    expect((batches[0]?.answered ?? 0) + (batches[1]?.rows ?? 0)).toBe(batches[0]?.rows);
    expect(await timesBilled(place)).toBe(1);
    await expectBilled(place);
  });

  it('that finished nothing costs nothing', async () => {
    const place = await economyPlace({ simulator: { faults: 'batch=expired:0' } });
    await place.accept();
    await place.until('complete');
    expect((await place.ledger()).holds).toBe(2);
    await expectBilled(place);
  });

  it('twice, leaves the rest to be embedded at once, each text still paid once', async () => {
    const place = await economyPlace({ simulator: { faults: 'batch=expired:0.5x2' } });
    await place.accept();
    await place.until('complete');
    expect((await place.batches()).map(({ status }) => status)).toEqual(['expired', 'expired']);
    expect(place.asked('embeddings')).toHaveLength(1);
    expect(await timesBilled(place)).toBe(1);
    await expectBilled(place, [10, 20]);
  });

  it('twice, rests for the user where the full price is more than was agreed to', async () => {
    const place = await economyPlace({ simulator: { faults: 'batch=expired:0x2' } });
    const { job } = await place.accept();
    await place.work();
    const [held] = await place.store.db.selectFrom('holds').select('amount').execute();
    await place.store.db
      .updateTable('upload_jobs')
      .set({ consent_nano_usd: held?.amount ?? 0 })
      .execute();
    for (let round = 0; round < 5; round++) {
      await place.work();
      await place.clock.advance(HOUR);
    }
    const parked = await place.job();
    expect(parked).toMatchObject({ status: 'embedding_queued', park_reason: 'held_by_user', run_after: null });
    expect(parked.park_note).toMatch(/^Batches left some texts without a vector, and at once they cost the full price/);
    expect([place.asked('embeddings').length, (await place.ledger()).open]).toEqual([0, 0]);
    // Taken up again by the user it is ordered again.
    await retryJob(place.deps, job.job_id, 'run', () => {});
    await place.until('complete');
    await expectBilled(place);
  });

  it.each(['row-errors:3', 'unanswered:2'])('has the missing rows ordered again: %s', async (fault) => {
    const place = await economyPlace({ simulator: { faults: `batch=${fault}` } });
    await place.accept();
    await place.until('complete');
    expect((await place.batches()).map(({ status }) => status)).toEqual(['completed', 'completed']);
    expect(await timesBilled(place)).toBe(1);
    await expectBilled(place);
  });

  it('three times, is not ordered a fourth time', async () => {
    const place = await economyPlace({ simulator: { faults: 'batch=row-errors:1*' } });
    await place.accept();
    await place.until('complete');
    expect([(await place.batches()).length, place.asked('embeddings').length]).toEqual([3, 1]);
    await expectBilled(place, [10, 20]);
  });

  it('that fails validation fails the job with the words of the service, and costs nothing', async () => {
    const place = await economyPlace({ simulator: { faults: 'batch=invalid' } });
    const { job } = await place.accept();
    const { last_error: error } = await place.until('failed_embedding');
    expect(JSON.parse(error ?? '')).toMatchObject({
      ...{ code: 'TVDB-E309', why: 'invalid_input: The batch was told to fail.' },
    });
    expect(await place.ledger()).toMatchObject({ spent: 0, open: 0 });
    await retryJob(place.deps, job.job_id, 'run', () => {});
    await place.until('complete');
    await expectBilled(place);
  });

  it('waits while the queue of the account is full, however often', async () => {
    const place = await economyPlace({ simulator: { limits: { batchTokens: 10 } } });
    await place.accept();
    for (let round = 0; round < 10; round++) {
      await place.work();
      await place.clock.advance(HOUR);
    }
    expect(await place.job()).toMatchObject({ status: 'embedding_queued', retry_count: 0 });
    expect(place.asked('batches.create').length).toBeGreaterThan(3);
    expect((await place.batches()).every(({ status, ended_at: at }) => status === 'failed' || at === null)).toBe(true);
    expect(place.simulator.bill().nanoUsd).toBe(0);
  });
});

describe('an order whose answer did not arrive', () => {
  it.each(['cut', 'malformed', 'html', '500:accepted', 'wrong-shape'])(
    'is looked for and adopted: %s',
    async (fault) => {
      const place = await economyPlace({ simulator: { faults: `batches.create=${fault}` } });
      await place.accept();
      await place.work();
      expect(await place.job()).toMatchObject({ park_reason: 'unknown_outcome' });
      await place.until('complete', 10 * MINUTE);
      expect(place.asked('batches.create')).toHaveLength(1);
      expect((await place.batches()).map(({ status }) => status)).toEqual(['completed']);
      await expectBilled(place);
    },
  );

  it('is not ordered again before its absence is proven, and then it is', async () => {
    const place = await economyPlace({ simulator: { faults: 'batches.create=cut-before' } });
    await place.accept();
    const end = place.clock.now() + 15 * MINUTE * 1.25;
    while (place.clock.now() < end - MINUTE) {
      await place.work();
      expect([place.asked('batches.create').length, (await place.ledger()).open]).toEqual([1, 1]);
      await place.clock.advance(MINUTE);
    }
    await place.until('complete');
    expect(place.asked('batches.create')).toHaveLength(2);
    expect((await place.batches()).map(({ status }) => status)).toEqual(['absent', 'completed']);
    await expectBilled(place);
  });

  it('is not taken for absent by a list that cannot be read', async () => {
    const place = await economyPlace({
      simulator: { faults: 'batches.create=cut,batches.list=500x5,batches.list=html' },
    });
    await place.accept();
    await place.until('complete', 10 * MINUTE, 20);
    expect(place.asked('batches.create')).toHaveLength(1);
    await expectBilled(place);
  });

  it('is looked for after the process died between the mark and the answer', async () => {
    const place = await economyPlace();
    await place.accept();
    const { batch } = place.service;
    if (batch === undefined) throw new Error('no batches');
    const create = batch.create;
    batch.create = async (...args) => {
      await create(...args);
      place.signals.abort.abort();
      throw new Error('the process is gone');
    };
    await place.work();
    batch.create = create;
    const again = { abort: never, stopping: never };
    const attempts = () => place.store.db.selectFrom('attempts').selectAll().where('service', '=', 'embed').execute();
    expect(await attempts()).toMatchObject([{ outcome: 'sent', remote_id: null, operation: 'embed_batch' }]);
    for (let round = 0; round < 3; round++) {
      await place.work({ signals: again });
      await place.clock.advance(HOUR);
    }
    await place.work({ signals: again });
    expect((await place.job()).status).toBe('complete');
    expect(await attempts()).toMatchObject([{ outcome: 'ok' }]);
    expect(place.asked('batches.create')).toHaveLength(1);
    await expectBilled(place);
  });
});

describe('an order that is refused', () => {
  it.each<[string, string]>([
    ['batches.create=rate:retry-after=60', 'batches.create'],
    ['batch-files.create=500', 'batch-files.create'],
    ['batch-files.create=cut', 'batch-files.create'],
  ])('is made again, and nothing is held meanwhile: %s', async (faults, operation) => {
    const place = await economyPlace({ simulator: { faults } });
    await place.accept();
    await place.work();
    expect([(await place.ledger()).open, (await place.job()).park_reason]).toEqual([0, expect.any(String)]);
    await place.until('complete');
    expect(place.asked(operation)).toHaveLength(2);
    await expectBilled(place);
  });

  it('by a budget never leaves', async () => {
    const place = await economyPlace();
    await addBudgets(place.store, [{ limit: 100 }]);
    await place.accept();
    await place.work();
    expect(await place.job()).toMatchObject({ park_reason: 'budget' });
    expect([place.asked('batches.create').length, (await place.ledger()).holds]).toEqual([0, 0]);
    expect(await place.batches()).toEqual([]);
  });
});

describe('while a batch is at work', () => {
  it('a look that fails changes nothing, however often', async () => {
    const place = await economyPlace({ simulator: { faults: 'batches.get=500x8,batches.get=html,batches.get=rate' } });
    await place.accept();
    await place.until('complete', 10 * MINUTE, 30);
    expect((await place.job()).retry_count).toBe(0);
    await expectBilled(place);
  });

  it.each(['html', 'truncated', 'cut', '500', 'malformed'])(
    'results that do not arrive whole are fetched again, not paid again: %s',
    async (fault) => {
      const place = await economyPlace({ simulator: { faults: `batch-files.content=${fault}x2` } });
      await place.accept();
      await place.until('complete', HOUR);
      expect([place.asked('batches.create').length, place.asked('batch-files.content').length]).toEqual([1, 3]);
      await expectBilled(place);
    },
  );

  it('nothing falls back: what it does is paid, so it is waited for', async () => {
    let open = false;
    const place = await economyPlace({
      stateOf: async () => ({ open, why: open ? 'breaker_open' : 'ok', retryAt: null }),
    });
    await place.accept('hybrid');
    await place.work();
    open = true;
    await place.clock.advance(MINUTE);
    await place.work();
    expect(await place.job()).toMatchObject({ park_reason: 'awaiting_result', fallback_triggered: 0 });
    await place.until('complete');
    expect((await place.job()).embed_origin).toBe('real');
    await expectBilled(place);
  });

  it('before it, hybrid falls back as always', async () => {
    const place = await economyPlace({ stateOf: async () => ({ open: true, why: 'breaker_open', retryAt: null }) });
    await place.accept('hybrid');
    await place.work();
    expect(await place.job()).toMatchObject({ status: 'complete', embed_origin: 'mock', fallback_triggered: 1 });
    expect(place.asked('batches.create')).toEqual([]);
  });

  it('a missing key is waited for', async () => {
    const place = await economyPlace();
    await place.accept();
    await place.work();
    place.key(undefined);
    await place.clock.advance(HOUR);
    await place.work();
    expect(await place.job()).toMatchObject({ park_reason: 'service_unavailable' });
    place.key('sk-given-back-0123456789');
    await place.until('complete');
    await expectBilled(place);
  });

  it('a change to mock cancels it; what it finished is paid and remembered', async () => {
    const place = await economyPlace();
    const { job } = await place.accept();
    await place.work();
    await place.clock.advance(HOUR / 2);
    await changeMode(place.deps, job.job_id, { mode: 'mock', overrides: {} }, () => {});
    await place.until('complete', MINUTE);
    expect((await place.job()).embed_origin).toBe('mock');
    expect((await place.batches()).map(({ status }) => status)).toEqual(['cancelled']);
    const cached = await place.store.db.selectFrom('embedding_cache').select('chunk_sha').execute();
    expect(cached.length).toBe((await place.batches())[0]?.answered);
    expect(cached.length).toBeGreaterThan(0);
    await expectBilled(place);
  });

  it('a change to mock without a key goes on at once, and the batch is settled once there is one', async () => {
    const place = await economyPlace();
    const { job } = await place.accept();
    await place.work();
    place.key(undefined);
    await changeMode(place.deps, job.job_id, { mode: 'mock', overrides: {} }, () => {});
    await place.until('complete', MINUTE);
    expect(await place.ledger()).toMatchObject({ spent: 0, open: 1 });
    await place.clock.advance(HOUR);
    place.key('sk-given-back-0123456789');
    await driveOnce(place);
    await expectBilled(place);
  });

  it.each(['cancel', 'delete'] as const)('%s cancels it, and a later run settles what it did', async (how) => {
    const place = await economyPlace();
    const { job } = await place.accept();
    await place.work();
    await place.clock.advance(HOUR / 2);
    if (how === 'cancel') await cancelJob(place.deps, job.job_id, () => {}, never);
    else await deleteDocument(place.deps, job.document_id, () => {}, never);
    expect(place.asked('batches.cancel')).toHaveLength(1);
    await place.clock.advance(MINUTE);
    await driveOnce(place);
    await driveOnce(place);
    const [batch] = await place.batches();
    expect(batch).toMatchObject({ status: 'cancelled', ended_at: expect.any(Number) });
    expect(place.simulator.bill().nanoUsd).toBeGreaterThan(0);
    const cached = await place.store.db.selectFrom('embedding_cache').select('chunk_sha').execute();
    expect(cached.length > 0).toBe(how === 'cancel');
    await expectBilled(place);
  });

  it('for more than a day, it is told to stop, and what it finished is used', async () => {
    const place = await economyPlace({ simulator: { faults: 'batch=frozen' } });
    await place.accept();
    await place.work();
    await place.clock.advance(24.9 * HOUR);
    await place.work();
    expect(place.asked('batches.cancel')).toEqual([]);
    await place.clock.advance(HOUR / 2);
    await place.work();
    expect(place.asked('batches.cancel')).toHaveLength(1);
    await place.until('complete');
    expect(await timesBilled(place)).toBe(1);
    await expectBilled(place);
  });

  it('its disappearance is an end that keeps the money, and is said', async () => {
    const place = await economyPlace();
    await place.accept();
    await place.work();
    place.simulator.control.faults('batches.get=404*');
    await place.clock.advance(MINUTE);
    await place.work();
    expect(await place.job()).toMatchObject({ park_reason: 'awaiting_result' });
    const { last_error: error } = await place.until('failed_embedding');
    expect(JSON.parse(error ?? '')).toMatchObject({ code: 'TVDB-E311' });
    expect(await place.ledger()).toMatchObject({ spent: 0, open: 1 });
  });
});

describe('the files of a batch', () => {
  const filesOf = async ({ simulator }: Place) => {
    const { data } = await simulator.openai.files.list();
    return data.map(({ purpose }) => purpose).sort();
  };
  const ended = async (place: Place) => {
    await place.accept();
    await place.until('complete');
    expect(await filesOf(place)).toEqual(['batch', 'batch_output']);
  };

  it('are deleted at the service once the vectors are stored, each asked for once', async () => {
    const place = await economyPlace();
    await ended(place);
    await driveOnce(place);
    expect(await filesOf(place)).toEqual([]);
    await driveOnce(place);
    expect(place.asked('batch-files.delete')).toHaveLength(2);
  });

  it('of what failed in a batch go too', async () => {
    const place = await economyPlace({ simulator: { faults: 'batch=row-errors:1' } });
    await place.accept();
    await place.until('complete');
    expect((await filesOf(place)).length).toBeGreaterThan(2);
    await driveOnce(place);
    expect(await filesOf(place)).toEqual([]);
  });

  it.each(['500', 'rate:retry-after=60', 'cut-before', '403'])(
    'that cannot be deleted (%s) are logged, fail nothing, and are deleted by a later run',
    async (fault) => {
      const place = await economyPlace();
      await ended(place);
      const said: string[] = [];
      place.deps.log = (level, event) => said.push(`${level}: ${event}`);
      place.simulator.control.faults(`batch-files.delete=${fault}*`);
      await driveOnce(place);
      expect(new Set(said)).toEqual(new Set(['warn: a file of a batch could not be deleted at its service']));
      expect([await filesOf(place), (await place.job()).status]).toEqual([['batch', 'batch_output'], 'complete']);
      place.simulator.control.clearFaults();
      await place.clock.advance(HOUR);
      await driveOnce(place);
      expect(await filesOf(place)).toEqual([]);
    },
  );

  it('of which the service refuses one for good, keep nobody from deleting the others', async () => {
    const place = await economyPlace();
    await ended(place);
    place.simulator.control.faults('batch-files.delete=400');
    await driveOnce(place);
    expect(await filesOf(place)).toHaveLength(1);
    const asked = place.asked('batch-files.delete').length;
    await driveOnce(place);
    expect(place.asked('batch-files.delete')).toHaveLength(asked);
  });

  it('that are gone already are no reason to ask again', async () => {
    const place = await economyPlace();
    await ended(place);
    for (const { id } of (await place.simulator.openai.files.list()).data)
      await place.simulator.openai.files.delete(id);
    await driveOnce(place);
    const asked = place.asked('batch-files.delete').length;
    await driveOnce(place);
    expect(place.asked('batch-files.delete')).toHaveLength(asked);
  });

  it('are left alone while the batch is at work, and without a key', async () => {
    const place = await economyPlace();
    await place.accept();
    await place.work();
    await driveOnce(place);
    expect(await filesOf(place)).toEqual(['batch']);
    await place.until('complete');
    place.key(undefined);
    await driveOnce(place);
    expect(place.asked('batch-files.delete')).toEqual([]);
  });

  it('go at once where the order is refused before it leaves', async () => {
    const place = await economyPlace();
    await addBudgets(place.store, [{ limit: 100 }]);
    await place.accept();
    await place.work();
    expect(await filesOf(place)).toEqual([]);
  });

  it('of an order that the service refuses are deleted by the next run', async () => {
    const place = await economyPlace({ simulator: { faults: 'batches.create=400' } });
    await place.accept();
    await place.work();
    await driveOnce(place);
    expect([(await place.job()).status, await filesOf(place)]).toEqual(['failed_embedding', []]);
  });
});

function driveOnce({ deps }: Place) {
  return drive(deps, {
    ...{ concurrency: 1, until: 'drain', waitForOthers: false, onEvent: () => {} },
    signals: { abort: never, stopping: never },
  });
}
