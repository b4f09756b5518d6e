/** One request that a service made twice: one of the two is used, and the other is money in the ledger all the same. */
import { describe, expect, it } from 'vitest';
import { acknowledge } from '../../src/ledger/acknowledge.ts';
import { cancelJob } from '../../src/pipeline/cancel.ts';
import { correctCharges } from '../../src/pipeline/correct-charges.ts';
import { settleBatchesLeft } from '../../src/pipeline/economy-stop.ts';
import { outcomeOfJob } from '../../src/pipeline/job-outcome.ts';
import { reconcile } from '../../src/pipeline/reconcile.ts';
import { chooseOne } from '../../src/pipeline/twins.ts';
import { unleased } from '../../src/pipeline/unleased.ts';
import { requestsOfJobs } from '../../src/store/attempt-totals.ts';
import { embeddingsInDoubt, failedRemotely, latestAttempt, parsesInFlight } from '../../src/store/attempts.ts';
import { endedBatches } from '../../src/store/embed-batches.ts';
import { insertDelivery, wakeDelivered } from '../../src/store/inbox.ts';
import { openOverruns } from '../../src/store/overruns.ts';
import { addBudgets, assertLedger } from '../setup/ledger.ts';
import { economyPlace, HOUR } from './economy-place.ts';
import {
  attemptsOf,
  codesOf,
  crash,
  expectSound,
  finish,
  type PaidLine,
  paidLine,
  settle,
  unknown,
  until,
} from './paid-services.ts';

/** Three pages, cost_effective. */
const CEILING = 3 * 3 * 1_250_000;
const never = new AbortController().signal;

/** A document whose parse the service makes `times` times of one request, and the answer is lost. */
async function twinLine(times = 2, changes: Parameters<typeof paidLine>[0] = {}): Promise<PaidLine> {
  const line = paidLine({
    ...changes,
    paid: {
      onSubmit: async (create) => {
        for (let made = 0; made < times; made += 1) create();
        throw unknown();
      },
    },
  });
  // What a parse was billed is asked for once more at the end of a command.
  line.remote.usage = async (remoteId) => (line.remote.jobs.get(remoteId)?.pages.length ?? 0) * 3;
  await addBudgets(line.store, [
    { limit: 1_000_000_000 },
    { limit: 1_000_000_000, scope: 'service', scope_value: 'openai' },
  ]);
  await line.upload('one', { mode: 'real' });
  return line;
}

const twinsOf = async (line: PaidLine) =>
  (await attemptsOf(line, 'parse')).filter(({ operation }) => operation === 'parse_twin');
const holdOf = ({ store }: PaidLine, attemptId: string) =>
  store.db.selectFrom('holds').selectAll().where('attempt_id', '=', attemptId).executeTakeFirstOrThrow();
const kindsOf = async ({ store }: PaidLine, attemptId: string) =>
  (await store.db.selectFrom('spend').selectAll().where('attempt_id', '=', attemptId).orderBy('seq').execute()).map(
    ({ kind, amount }) => [kind, amount],
  );
const frozen = async ({ store }: Pick<PaidLine, 'store'>) =>
  (await store.db.selectFrom('budgets').select('frozen_by').orderBy('budget_id').execute()).map((one) => one.frozen_by);
const see = (line: Pick<PaidLine, 'store' | 'clock'>, attemptId: string) =>
  line.store.write((trx) => acknowledge(trx, { attemptId, by: 'test', now: line.clock.now() }));

describe('T05 a parse that the service made twice of one request', () => {
  it('is charged for both: the older is used, the other has an attempt and a settled hold of its own', async () => {
    const line = await twinLine();
    await finish(line);
    const [original, twin] = await attemptsOf(line, 'parse');
    expect(original).toMatchObject({ operation: 'parse', outcome: 'ok', remote_id: 'pjb-1' });
    expect(twin).toMatchObject({
      operation: 'parse_twin',
      outcome: 'ok',
      remote_id: 'pjb-2',
      origin: 'real',
      units: 3,
    });
    const [of, its] = [await holdOf(line, original?.attempt_id ?? ''), await holdOf(line, twin?.attempt_id ?? '')];
    const { run_id, job_id, service, cost_center, units, unit_price, price_version, amount } = of;
    expect(its).toMatchObject({ run_id, job_id, service, cost_center, units, unit_price, price_version, amount });
    expect(its).toMatchObject({ state: 'settled', provisional: 1, settled_amount: CEILING });
    const event = line.events.find(({ code }) => code === 'PARSE_OVERRUN');
    expect(event).toMatchObject({ severity: 'error', attempt_id: original?.attempt_id });
    expect(JSON.parse(event?.data ?? '')).toEqual({
      ...{ remote_id: 'pjb-2', twin_attempt_id: twin?.attempt_id, nano_usd: CEILING },
    });
    expect(line.remote.posts).toHaveLength(1);
    expect(await openOverruns(line.store.db)).toMatchObject([
      { attempt_id: twin?.attempt_id, twin_of: original?.attempt_id, hold_amount: 0, amount: CEILING },
    ]);
    await expectSound(line);
  });

  it('stops every hard budget that counts it until somebody has seen it; then the job goes on', async () => {
    const line = await twinLine();
    // Enough for what was asked for; the twin is agreed to by whoever acknowledges it.
    await line.store.db
      .updateTable('upload_jobs')
      .set({ consent_nano_usd: CEILING + 1_000_000 })
      .execute();
    await finish(line);
    const [twin] = await twinsOf(line);
    // The one of OpenAI counts no parse.
    expect(await frozen(line)).toEqual([twin?.attempt_id, null]);
    expect(await line.jobs()).toMatchObject([{ status: 'embedding_queued', park_reason: 'budget', run_after: null }]);
    expect(await see(line, twin?.attempt_id ?? '')).toMatchObject({ state: 'acknowledged', released: [{}] });
    expect(await see(line, twin?.attempt_id ?? '')).toEqual({ state: 'already' });
    expect(await openOverruns(line.store.db)).toEqual([]);
    await line.store.db.updateTable('upload_jobs').set({ run_after: line.clock.now() }).execute();
    await finish(line);
    expect(await line.jobs()).toMatchObject([{ status: 'complete' }]);
    expect(line.remote.posts).toHaveLength(1);
    await assertLedger(line.store);
  });

  it('is corrected to what the service billed, once', async () => {
    const line = await twinLine();
    await finish(line);
    const [twin] = await twinsOf(line);
    line.remote.usage = async () => 6;
    for (let round = 0; round < 3; round += 1) await correctCharges(line.deps, { limit: 10, signal: never });
    expect(await kindsOf(line, twin?.attempt_id ?? '')).toEqual([
      ['hold', CEILING],
      ['settle', CEILING],
      ['correction_down', 3 * 1_250_000],
    ]);
    expect(await openOverruns(line.store.db)).toMatchObject([{ amount: 6 * 1_250_000 }]);
    expect(await twinsOf(line)).toMatchObject([{ billed_units: 6 }]);
  });

  it('and then billed above its ceiling, stops the budgets once more, and can be seen once more', async () => {
    const line = await twinLine();
    await finish(line);
    const [twin] = await twinsOf(line);
    await see(line, twin?.attempt_id ?? '');
    line.remote.usage = async () => 20;
    await correctCharges(line.deps, { limit: 10, signal: never });
    expect(await frozen(line)).toEqual([twin?.attempt_id, null]);
    expect(await openOverruns(line.store.db)).toMatchObject([{ attempt_id: twin?.attempt_id, amount: 20 * 1_250_000 }]);
    expect(await see(line, twin?.attempt_id ?? '')).toMatchObject({ state: 'acknowledged', released: [{}] });
    expect([await frozen(line), await openOverruns(line.store.db)]).toEqual([[null, null], []]);
    await assertLedger(line.store);
  });

  it('three times, is three charges, seen one by one', async () => {
    const line = await twinLine(3);
    await finish(line);
    const twins = await twinsOf(line);
    expect(twins.map((one) => one.remote_id)).toEqual(['pjb-2', 'pjb-3']);
    expect(codesOf(line).filter((code) => code === 'PARSE_OVERRUN')).toHaveLength(2);
    const [first, second] = twins.map((one) => one.attempt_id);
    expect(await see(line, first ?? '')).toEqual({ state: 'acknowledged', released: [] });
    expect(await frozen(line)).toEqual([second, null]);
    expect(await see(line, second ?? '')).toMatchObject({ released: [{}] });
  });

  it('is charged past a limit that has no room: the bill cannot be refused, and the excess shows as an overrun', async () => {
    const line = await twinLine();
    await line.store.db
      .updateTable('budgets')
      .set({ limit_value: CEILING + 1 })
      .where('scope', '=', 'all')
      .execute();
    await finish(line);
    const [window] = await line.store.db.selectFrom('budget_windows').selectAll().execute();
    expect(window).toMatchObject({ spent: 2 * CEILING, held: 0, requests: 2 });
    await assertLedger(line.store, { over: true });
    // So that the check after every test does not meet it.
    await line.store.db.updateTable('budgets').set({ limit_value: 1_000_000_000 }).execute();
  });

  it.each([
    ['before its twin is booked', 0],
    ['after its twin is booked and before it is adopted', 1],
    ['after both', 2],
  ])('is booked once when the process dies %s', async (_when, done) => {
    const line = await twinLine();
    const { write } = line.store;
    let looked = 0;
    line.remote.findByAttempt = new Proxy(line.remote.findByAttempt, {
      async apply(find, self, args) {
        const found = (await Reflect.apply(find, self, args)) as string[];
        // From here on `done` writes go through, and no more.
        line.deps.store.write = async (work) => {
          looked += 1;
          return looked > done ? new Promise(() => {}) : write(work);
        };
        return found;
      },
    });
    void line.drain().catch(() => {});
    for (let turn = 0; looked <= done && turn < 1_000; turn += 1) await line.clock.advance(100);
    expect(await twinsOf(line)).toHaveLength(Math.min(done, 1));
    const next = crash(line);
    await finish(next);
    expect(await twinsOf(next)).toMatchObject([{ remote_id: 'pjb-2' }]);
    const codes = await next.store.db.selectFrom('job_events').select('code').execute();
    const times = (wanted: string) => codes.filter(({ code }) => code === wanted).length;
    expect([times('PARSE_OVERRUN'), times('PARSE_ADOPTED')]).toEqual([1, 1]);
    expect(await attemptsOf(next, 'parse')).toMatchObject([{ outcome: 'ok', remote_id: 'pjb-1' }, { outcome: 'ok' }]);
    await assertLedger(next.store);
  });

  it('is booked once by two processes that look at the same time', async () => {
    const line = await twinLine();
    await finish(line);
    const [original] = await attemptsOf(line, 'parse');
    const [job] = await line.jobs();
    if (original === undefined || job === undefined) throw new Error('no parse');
    const found = ['pjb-1', 'pjb-2', 'pjb-9'];
    // Both have seen that pjb-9 is not booked before either of them writes.
    let ready = 0;
    let go = () => {};
    const both = new Promise<void>((resolve) => {
      go = resolve;
    });
    const commit = unleased(job, line.deps);
    const chosen = await Promise.all(
      [1, 2].map(() =>
        chooseOne(
          original,
          found,
          async (...args) => {
            ready += 1;
            if (ready === 2) go();
            await both;
            return commit(...args);
          },
          line.deps,
        ),
      ),
    );
    expect(chosen).toEqual([1, 2].map(() => ({ remoteId: 'pjb-1', twins: ['pjb-2', 'pjb-9'] })));
    expect((await twinsOf(line)).map((one) => one.remote_id)).toEqual(['pjb-2', 'pjb-9']);
    const codes = await line.store.db.selectFrom('job_events').select('code').execute();
    expect(codes.filter(({ code }) => code === 'PARSE_OVERRUN')).toHaveLength(2);
  });

  it('is not made of one parse that a list names on two of its pages', async () => {
    const line = await twinLine(1);
    const { findByAttempt } = line.remote;
    line.remote.findByAttempt = async (...args) => (await findByAttempt(...args)).flatMap((id) => [id, id]);
    await finish(line);
    expect(await attemptsOf(line, 'parse')).toMatchObject([{ operation: 'parse', outcome: 'ok', remote_id: 'pjb-1' }]);
    expect([codesOf(line).includes('PARSE_OVERRUN'), await frozen(line)]).toEqual([false, [null, null]]);
  });

  it('is never adopted once it is booked, in whatever order the service lists the two', async () => {
    const line = await twinLine();
    await finish(line);
    const [original, twin] = await attemptsOf(line, 'parse');
    // A process that died before the adoption.
    await line.store.db
      .updateTable('attempts')
      .set({ remote_id: null, outcome: 'sent' })
      .where('attempt_id', '=', original?.attempt_id ?? '')
      .execute();
    await line.store.db
      .updateTable('upload_jobs')
      .set({ status: 'parse_queued', park_reason: null, run_after: line.clock.now() })
      .execute();
    line.remote.findByAttempt = async () => ['pjb-2', 'pjb-1'];
    await finish(line);
    expect(await attemptsOf(line, 'parse')).toMatchObject([{ remote_id: 'pjb-1' }, { attempt_id: twin?.attempt_id }]);
  });

  it('is not taken for a parse of the job: not by its slot, its cache, its story, or the id it is shown by', async () => {
    const line = await twinLine();
    await finish(line);
    const { db } = line.store;
    const [job] = await line.jobs();
    if (job === undefined) throw new Error('no job');
    const { job_id: id } = job;
    expect(await latestAttempt(db, id, 'parse')).toMatchObject({ remote_id: 'pjb-1' });
    expect([await failedRemotely(db, job.document_id), await parsesInFlight(db)]).toEqual([false, 0]);
    expect((await requestsOfJobs(db, [id])).get(id)).toMatchObject({ requests: 1, remoteId: 'pjb-1' });
    expect(await db.selectFrom('parse_cache').select('credits').execute()).toEqual([{ credits: 9 }]);
    // Its money is the job's; it is no request of it.
    const { steps, uses } = (await outcomeOfJob(db, id, line.clock.now())) ?? {};
    expect(uses).toMatchObject([{ service: 'parse', requests: 1, units: 3, nanoUsd: 2 * CEILING }]);
    expect(steps?.find(({ name }) => name === 'parse')).toMatchObject({ upstreamId: 'pjb-1' });
  });

  it('does not keep the webhook of the parse that is used from waking its job', async () => {
    const line = await twinLine();
    await finish(line);
    const [job] = await line.jobs();
    const later = line.clock.now() + HOUR;
    const waiting = { status: 'parse_queued', park_reason: 'awaiting_result', run_after: later } as const;
    await line.store.db.updateTable('upload_jobs').set(waiting).execute();
    await line.store.db.updateTable('attempts').set({ outcome: 'adopted' }).where('operation', '=', 'parse').execute();
    const woken = await line.store.write(async (trx) => {
      const told = { eventId: 'e-1', remoteJobId: 'pjb-1', event: 'parse.success', bodySha256: 'h' } as const;
      await insertDelivery(trx, { ...told, receivedAt: line.clock.now() });
      return wakeDelivered(trx, line.clock.now());
    });
    expect(woken).toEqual([job?.job_id]);
  });

  it('of a job that was cancelled, is found and booked by a reconciliation', async () => {
    const line = await twinLine();
    const running = line.drain();
    await until(line.clock, () => codesOf(line).includes('PARSE_UNKNOWN'));
    const [job] = await line.jobs();
    line.signals.stopping.abort();
    await settle(line.clock, running);
    await cancelJob(line.deps, job?.job_id ?? '', () => {}, never);
    for (let round = 0; round < 3; round += 1) await reconcile(line.deps, { since: 0, signal: never });
    expect(await twinsOf(line)).toMatchObject([{ remote_id: 'pjb-2' }]);
    const codes = await line.store.db.selectFrom('job_events').select('code').execute();
    expect(codes.filter(({ code }) => code === 'PARSE_OVERRUN')).toHaveLength(1);
    const holds = await line.store.db.selectFrom('holds').selectAll().execute();
    expect(holds.map(({ state, settled_amount: sum, provisional }) => [state, sum, provisional])).toEqual([
      ['settled', CEILING, 0],
      ['settled', CEILING, 0],
    ]);
  });
});

describe('T05 a batch that the service made twice of one order', () => {
  /** Every order arrives twice, and the answer is lost. */
  async function twinPlace() {
    const place = await economyPlace({ simulator: { faults: 'batches.create=duplicate' } });
    await addBudgets(place.store, [{ limit: 1_000_000_000 }]);
    await place.accept();
    const { batch } = place.service;
    if (batch === undefined) throw new Error('no batches');
    const { create } = batch;
    batch.create = async (...args) => {
      await create(...args);
      throw unknown();
    };
    return place;
  }
  const embeds = async (place: Awaited<ReturnType<typeof twinPlace>>) => attemptsOf(place as never, 'embed');
  const driveOnce = (place: Awaited<ReturnType<typeof twinPlace>>) => settleBatchesLeft(place.deps, never);

  it('is cancelled, reserved, and settled with what it did; the job does not wait for it', async () => {
    const place = await twinPlace();
    await place.work();
    await place.clock.advance(HOUR / 2);
    await place.work();
    const [original, twin] = await embeds(place);
    expect(twin).toMatchObject({ operation: 'embed_batch_twin', outcome: 'adopted', origin: 'real' });
    expect(place.asked('batches.cancel')).toHaveLength(1);
    expect(await frozen(place as never)).toEqual([twin?.attempt_id]);
    expect(await place.ledger()).toMatchObject({ spent: 0, open: 2, prices: [10] });
    expect(await openOverruns(place.store.db)).toMatchObject([
      { attempt_id: twin?.attempt_id, twin_of: original?.attempt_id, service: 'openai' },
    ]);
    await place.until('complete');
    expect(await place.ledger()).toMatchObject({ open: 1 });
    await driveOnce(place);
    const { spent, open } = await place.ledger();
    expect({ spent, open }).toEqual({ spent: place.simulator.bill().nanoUsd, open: 0 });
    expect(place.simulator.bill().requests).toHaveLength(2);
    // How often a job has ordered is told by what it ordered.
    expect(await endedBatches(place.store.db, (await place.job()).job_id)).toMatchObject([{ status: 'completed' }]);
    expect(place.codes().filter((code) => code === 'EMBED_BATCH_OVERRUN')).toHaveLength(1);
    expect(place.asked('batches.create')).toHaveLength(1);
    // Seen or not, it is on the list until somebody says so.
    expect(await openOverruns(place.store.db)).toMatchObject([{ twin_of: original?.attempt_id }]);
    expect(await see(place as never, twin?.attempt_id ?? '')).toMatchObject({ released: [{}] });
  });

  it('is settled while its job still rests, and says nothing of requests in doubt', async () => {
    const place = await twinPlace();
    await place.work();
    await place.clock.advance(HOUR / 2);
    await place.work();
    await place.clock.advance(60_000);
    await driveOnce(place);
    const job = await place.job();
    expect([job.status, await place.ledger()]).toMatchObject(['embedding_queued', { open: 1 }]);
    const [original, twin] = await embeds(place);
    expect(twin).toMatchObject({ outcome: 'ok', billed_units: expect.any(Number) });
    // An answered request would end the doubt about those before it.
    const about = { operation: 'embed', outcome: 'unknown' } as const;
    const lost = original?.attempt_id ?? '';
    await place.store.db.updateTable('attempts').set(about).where('attempt_id', '=', lost).execute();
    expect(await embeddingsInDoubt(place.store.db, job.job_id)).toMatchObject([{ attempt_id: lost }]);
  });

  it('that did nothing before it was cancelled costs nothing', async () => {
    const place = await twinPlace();
    await place.until('complete', 60_000, 90);
    await driveOnce(place);
    const [, twin] = await embeds(place);
    expect(await kindsOf(place as never, twin?.attempt_id ?? '')).toMatchObject(
      [['hold'], ['release']].map(([kind]) => [kind, expect.any(Number)]),
    );
    const { spent, open } = await place.ledger();
    expect({ spent, open }).toEqual({ spent: place.simulator.bill().nanoUsd, open: 0 });
  });

  it('of a job that was cancelled meanwhile, is booked and settled too', async () => {
    const place = await twinPlace();
    await place.work();
    await place.clock.advance(HOUR / 2);
    const job = await place.job();
    await cancelJob(place.deps, job.job_id, () => {}, never);
    for (let round = 0; round < 3; round += 1) {
      await place.clock.advance(60_000);
      await driveOnce(place);
    }
    expect((await embeds(place)).map(({ operation }) => operation)).toEqual(['embed_batch', 'embed_batch_twin']);
    const { spent, open } = await place.ledger();
    expect({ spent, open }).toEqual({ spent: place.simulator.bill().nanoUsd, open: 0 });
    const codes = await place.store.db.selectFrom('job_events').select('code').execute();
    expect(codes.filter(({ code }) => code === 'EMBED_BATCH_OVERRUN')).toHaveLength(1);
  });
});
