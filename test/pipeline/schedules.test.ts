/** T51: a paid parse whose request, answer, webhooks, polls, lost leases, cancellation and crashes come in any order. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isEnded } from '../../src/domain/job-state.ts';
import { cancelJob } from '../../src/pipeline/cancel.ts';
import { takeUpDeliveries } from '../../src/pipeline/deliveries.ts';
import { createEmbedBatcher } from '../../src/pipeline/embed-batcher.ts';
import { takeBackLeases } from '../../src/pipeline/lease-keeper.ts';
import type { PipelineDeps } from '../../src/pipeline/stage.ts';
import { runStep } from '../../src/pipeline/step.ts';
import { insertDelivery } from '../../src/store/inbox.ts';
import { claimJob } from '../../src/store/jobs/claim.ts';
import { registerWorker, thisProcess } from '../../src/store/workers.ts';
import { countingIds } from '../setup/seeded.ts';
import { attemptsOf, expectSound, type PaidLine, paidLine } from './paid-services.ts';

/** Schedules looked at; TVDB_SCHEDULES=2000 is the full number. */
const RUNS = Number(process.env.TVDB_SCHEDULES ?? 30);

const LEASE_MS = 45_000;
const quiet = () => {};

/** One process on the store of `line`: it can take a turn at the queue, and it can die. */
async function processOn(line: PaidLine, nth: number) {
  let dead = false;
  const control = new AbortController();
  const deps: PipelineDeps = {
    ...line.deps,
    ids: countingIds(`b${nth.toString(16).padStart(3, '0')}`),
    store: { ...line.store, write: (run) => (dead ? new Promise(() => {}) : line.store.write(run)) },
  };
  const workerId = deps.ids.uuid();
  await line.store.write((trx) => registerWorker(trx, workerId, thisProcess(), deps.clock.now()));
  const batcher = createEmbedBatcher(deps, null, control.signal);
  const hands = {
    abort: control.signal,
    stopping: new AbortController().signal,
    runId: null,
    capReached: () => {},
    batcher,
    idle: <T>(promise: Promise<T>) => {
      batcher.flush();
      return promise;
    },
  };
  return {
    deps,
    workerId,
    die() {
      dead = true;
    },
    /** Takes up what was delivered, then steps the job until it leaves these hands. */
    async turn() {
      await takeUpDeliveries(deps, quiet);
      const now = deps.clock.now();
      let job = await deps.store.write((trx) => claimJob(trx, { owner: workerId, now, leaseMs: LEASE_MS }));
      while (job !== null && !isEnded(job.status)) {
        const { state, job: after } = await runStep(job, deps, hands, quiet);
        job = state === 'on' && after.lease_owner === workerId ? after : null;
      }
    },
  };
}

const breath = () => new Promise<void>((resolve) => setImmediate(resolve));

/** Lets what is scheduled happen, one after the other in the order of the schedule, until the promise is settled. */
async function release(scheduler: fc.Scheduler, promise: Promise<unknown>): Promise<void> {
  let over = false;
  const end = promise.finally(() => {
    over = true;
  });
  end.catch(quiet);
  for (let turns = 0; !over; turns += 1) {
    if (turns > 20_000) throw new Error('this does not end');
    if (scheduler.count() > 0) await scheduler.waitOne();
    await breath();
  }
  await end;
}

type Action = 'webhook' | 'tick' | 'sweep' | 'cancel' | 'crash';

async function play(scheduler: fc.Scheduler, actions: readonly Action[], look = true): Promise<PaidLine> {
  const line: PaidLine = paidLine({
    settings: { UNKNOWN_OUTCOME_WINDOW: 3_600_000 },
    paid: {
      latencyMs: 4_000,
      onSubmit: async (create) => {
        await scheduler.schedule(Promise.resolve(), 'the request arrives');
        const id = create();
        await scheduler.schedule(Promise.resolve(), 'the answer arrives');
        return id;
      },
    },
  });
  if (!look) line.remote.findByAttempt = async () => [];
  const { job } = await line.upload('one', { mode: 'real' });
  let nth = 1;
  let current = await processOn(line, nth);
  const running = new Set<Promise<void>>();
  const turn = () => {
    const done: Promise<void> = current.turn().finally(() => running.delete(done));
    running.add(done);
  };
  let deliveries = 0;
  let cancelled = false;
  const act: Record<Action, () => Promise<void>> = {
    async tick() {
      line.clock.jump(5_000);
      turn();
    },
    async webhook() {
      deliveries += 1;
      const [remote] = line.remote.jobs.values();
      const delivery = { event: 'parse.success', remoteJobId: remote?.id ?? 'pjb-1', bodySha256: 'b' } as const;
      const receivedAt = line.clock.now();
      await line.store.write((trx) => insertDelivery(trx, { ...delivery, eventId: `e${deliveries}`, receivedAt }));
    },
    async sweep() {
      line.clock.jump(LEASE_MS + 1);
      await takeBackLeases(line.deps, quiet, 'nobody');
    },
    async cancel() {
      const was = await cancelJob(line.deps, job.job_id, quiet, new AbortController().signal);
      cancelled ||= was?.outcome.state === 'cancelled';
    },
    async crash() {
      current.die();
      nth += 1;
      current = await processOn(line, nth);
    },
  };
  turn();
  const planned = actions.map((action) => scheduler.schedule(Promise.resolve(), action).then(() => act[action]()));
  await release(scheduler, Promise.all(planned));
  // Requests that are under way arrive, whoever sent them.
  for (let turns = 0; turns < 20; turns += 1) await release(scheduler, breath());
  // The last process works on in peace. What the others had in hand was lost with them.
  current.die();
  const last = await processOn(line, 99);
  for (let round = 0; round < 100; round += 1) {
    const [now] = await line.jobs();
    if (now === undefined || isEnded(now.status)) break;
    line.clock.jump(LEASE_MS + 1);
    await takeBackLeases(last.deps, quiet, last.workerId);
    if (now.park_reason === 'held_by_user') line.store.sqlite.exec('UPDATE upload_jobs SET park_reason = NULL');
    await release(scheduler, last.turn());
  }
  const [end] = await line.jobs();
  expect(end?.status).toBe(cancelled ? 'cancelled' : 'complete');
  return line;
}

/** What may be said of the end of every schedule. */
async function expectOneParse(line: PaidLine): Promise<void> {
  await expectSound(line);
  expect(line.remote.jobs.size).toBeLessThanOrEqual(1);
  expect(line.remote.posts.length).toBeLessThanOrEqual(1);
  const [job] = await line.jobs();
  const attempts = await attemptsOf(line, 'parse');
  const { chunkBuffer, vectorBuffer, vectors } = await line.rows();
  expect({ chunkBuffer, vectorBuffer }).toEqual({ chunkBuffer: 0, vectorBuffer: 0 });
  if (job?.status === 'complete') {
    expect(attempts.filter(({ outcome }) => outcome === 'ok')).toHaveLength(1);
    expect(line.remote.jobs.size).toBe(1);
    expect(vectors).toBeGreaterThan(0);
  } else expect(vectors).toBe(0);
}

const actions = fc.shuffledSubarray<Action>(
  ['webhook', 'webhook', 'tick', 'tick', 'tick', 'sweep', 'cancel', 'crash', 'crash'],
  { minLength: 2 },
);

describe('T51 any order of request, answer, webhooks, looks, lost leases, cancellation and crashes', () => {
  it('leaves at most one remote parse, one POST an attempt, and a job that is complete or cancelled', async () => {
    await fc.assert(
      fc.asyncProperty(fc.scheduler(), actions, async (scheduler, chosen) => {
        await expectOneParse(await play(scheduler, chosen));
      }),
      { numRuns: RUNS },
    );
  }, 600_000);

  it('would not, if the service were not asked before a request is sent again', async () => {
    const broken = fc.check(
      fc.asyncProperty(fc.scheduler(), actions, async (scheduler, chosen) => {
        await expectOneParse(await play(scheduler, chosen, false));
      }),
      { numRuns: 60, endOnFailure: true },
    );
    expect((await broken).failed).toBe(true);
  }, 600_000);
});
