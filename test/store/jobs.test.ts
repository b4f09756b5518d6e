import { describe, expect, it, onTestFinished } from 'vitest';
import { ACTIVE_STATUSES, isEnded, JOB_STATUSES, MOVES } from '../../src/domain/job-state.ts';
import { claimJob, outlook } from '../../src/store/jobs/claim.ts';
import { jobById, matchIds } from '../../src/store/jobs/find.ts';
import { heldJobs, renewLeases } from '../../src/store/jobs/heartbeat.ts';
import { LostLeaseError, moveJob, updateHeldJob } from '../../src/store/jobs/move.ts';
import { parkJob, wakeJobs } from '../../src/store/jobs/park.ts';
import { releaseStale } from '../../src/store/jobs/release-stale.ts';
import { openStore, type Store } from '../../src/store/open.ts';
import type { JobRow } from '../../src/store/schema.ts';
import { deadWorkers, registerWorker, thisProcess } from '../../src/store/workers.ts';
import { addJob } from '../setup/jobs.ts';
import { countingIds, seededRandom } from '../setup/seeded.ts';
import { tempDirectory } from '../setup/temp.ts';

const LEASE = 30_000;

function open(): Store {
  const store = openStore({ home: tempDirectory() });
  onTestFinished(() => store.close());
  return store;
}

const claim = (store: Store, owner: string, now: number, scope = {}) =>
  store.write((trx) => claimJob(trx, { owner, now, leaseMs: LEASE, scope }));

const must = (job: JobRow | null | undefined): JobRow => {
  if (!job) throw new Error('no job');
  return job;
};

describe('claimJob', () => {
  it('gives each job to one worker only, highest priority first, then the oldest', async () => {
    const store = open();
    const ids = countingIds();
    const old = await addJob(store, ids, { created_at: 1 });
    const young = await addJob(store, ids, { created_at: 2 });
    const urgent = await addJob(store, ids, { created_at: 3, processing_priority: 5 });
    const order = [];
    for (const owner of ['a', 'b', 'c', 'd']) order.push((await claim(store, owner, 10))?.job_id ?? null);
    expect(order).toEqual([urgent.job_id, old.job_id, young.job_id, null]);
  });

  it('raises the fence at every claim', async () => {
    const store = open();
    await addJob(store, countingIds());
    const first = must(await claim(store, 'a', 10));
    await store.write((trx) => releaseStale(trx, { now: 10 + LEASE, maxRecoveries: 3, deadWorkers: [] }));
    const second = must(await claim(store, 'b', 10 + LEASE));
    expect(second.fence).toBeGreaterThan(first.fence);
  });

  it('leaves out parked jobs until their time has come, to the millisecond, and those held for the user for ever', async () => {
    const store = open();
    const ids = countingIds();
    await addJob(store, ids, { park_reason: 'retry', run_after: 100, created_at: 1 });
    await addJob(store, ids, { park_reason: 'held_by_user', run_after: null, created_at: 2 });
    expect(await claim(store, 'a', 99)).toBeNull();
    expect(await outlook(store.db, 99)).toMatchObject({ ready: 0, parked: 1, nextAt: 100, held: 1, leased: 0 });
    const job = must(await claim(store, 'a', 100));
    expect([job.park_reason, job.run_after]).toEqual([null, null]);
    expect(await claim(store, 'a', 1e12)).toBeNull();
  });

  it('keeps to its scope of run and mode', async () => {
    const store = open();
    const ids = countingIds();
    const mine = await addJob(store, ids, { run_id: 'run-1' });
    await addJob(store, ids, { run_id: 'run-2', service_mode: 'hybrid' });
    expect((await claim(store, 'a', 10, { runId: 'run-1' }))?.job_id).toBe(mine.job_id);
    expect(await claim(store, 'a', 10, { runId: 'run-1' })).toBeNull();
    expect(await claim(store, 'a', 10, { mode: 'mock' })).toBeNull();
    expect((await claim(store, 'a', 10, { mode: 'hybrid' }))?.run_id).toBe('run-2');
  });

  it('claims through its partial index', () => {
    const store = open();
    const plan = store.sqlite
      .prepare(
        `EXPLAIN QUERY PLAN SELECT job_id FROM upload_jobs j WHERE j.lease_owner IS NULL AND j.status IN (${ACTIVE_STATUSES.map((status) => `'${status}'`).join(', ')})
         AND (j.park_reason IS NULL OR j.run_after <= 1) ORDER BY j.processing_priority DESC, j.created_at, j.job_id LIMIT 1`,
      )
      .all() as { detail: string }[];
    expect(plan.map((row) => row.detail).join()).toContain('claimable_jobs');
  });
});

describe('moveJob', () => {
  it('writes nothing under a stale fence or from another status (J2, J3)', async () => {
    const store = open();
    await addJob(store, countingIds());
    const job = must(await claim(store, 'a', 10));
    const move = { jobId: job.job_id, from: 'uploaded', to: 'parse_queued', fence: job.fence, now: 20 } as const;
    await expect(store.write((trx) => moveJob(trx, { ...move, fence: job.fence - 1 }))).rejects.toBeInstanceOf(
      LostLeaseError,
    );
    await expect(
      store.write((trx) => moveJob(trx, { ...move, from: 'parse_queued', to: 'parsed' })),
    ).rejects.toBeInstanceOf(LostLeaseError);
    expect(must(await jobById(store.db, job.job_id)).status).toBe('uploaded');
    await store.write((trx) => moveJob(trx, move));
    expect(must(await jobById(store.db, job.job_id)).status).toBe('parse_queued');
    await expect(store.write((trx) => moveJob(trx, move))).rejects.toBeInstanceOf(LostLeaseError);
  });

  it('accepts exactly the moves of MOVES', async () => {
    const store = open();
    const ids = countingIds();
    for (const from of JOB_STATUSES) {
      for (const to of JOB_STATUSES) {
        const job = await addJob(store, ids, { status: from });
        const moved = store.write((trx) => moveJob(trx, { jobId: job.job_id, from, to, fence: 0, now: 2 }));
        if ((MOVES[from].to as readonly string[]).includes(to)) await moved;
        else await expect(moved).rejects.toThrow('illegal move');
        expect(must(await jobById(store.db, job.job_id)).status).toBe(
          (MOVES[from].to as readonly string[]).includes(to) ? to : from,
        );
      }
    }
  });

  it('ends the lease with the job, and at a takeover by the user', async () => {
    const store = open();
    await addJob(store, countingIds(), { status: 'embeddings_stored' });
    const job = must(await claim(store, 'a', 10));
    await store.write((trx) =>
      moveJob(trx, {
        jobId: job.job_id,
        from: 'embeddings_stored',
        to: 'cancelled',
        fence: job.fence,
        now: 20,
        takeOver: true,
      }),
    );
    const after = must(await jobById(store.db, job.job_id));
    expect(after).toMatchObject({
      status: 'cancelled',
      lease_owner: null,
      fence: job.fence + 1,
      processing_completed_at: 20,
    });
  });

  it('keeps the counters of a step until the next step begins, so that going back within a step cannot run for ever', async () => {
    const store = open();
    const job = await addJob(store, countingIds(), { status: 'parse_queued', recoveries: 2, retry_count: 3 });
    await store.write((trx) =>
      moveJob(trx, { jobId: job.job_id, from: 'parse_queued', to: 'uploaded', fence: 0, now: 2 }),
    );
    expect(await jobById(store.db, job.job_id)).toMatchObject({ recoveries: 2, retry_count: 3 });
    await store.write(async (trx) => {
      await moveJob(trx, { jobId: job.job_id, from: 'uploaded', to: 'parsed', fence: 0, now: 3 });
      await moveJob(trx, { jobId: job.job_id, from: 'parsed', to: 'parse_validated', fence: 0, now: 3 });
    });
    expect(await jobById(store.db, job.job_id)).toMatchObject({ recoveries: 0, retry_count: 0 });
  });
});

describe('leases', () => {
  it('T31 are taken back when they ran out and not one millisecond earlier', async () => {
    const store = open();
    await addJob(store, countingIds());
    await claim(store, 'a', 1000);
    const release = (now: number) =>
      store.write((trx) => releaseStale(trx, { now, maxRecoveries: 3, deadWorkers: [] }));
    expect(await release(1000 + LEASE - 1)).toHaveLength(0);
    expect(await release(1000 + LEASE)).toHaveLength(1);
  });

  it('live on while they are renewed', async () => {
    const store = open();
    await addJob(store, countingIds());
    const job = must(await claim(store, 'a', 1000));
    await store.write((trx) => renewLeases(trx, { owner: 'a', now: 20_000, leaseMs: LEASE }));
    expect(await heldJobs(store.db, 'a')).toEqual(new Set([job.job_id]));
    const stale = await store.write((trx) =>
      releaseStale(trx, { now: 1000 + LEASE, maxRecoveries: 3, deadWorkers: [] }),
    );
    expect(stale).toHaveLength(0);
  });

  it('T30 let no zombie write: neither before nor after the job has a new owner', async () => {
    const store = open();
    await addJob(store, countingIds());
    const zombie = must(await claim(store, 'zombie', 0));
    const write = () =>
      store.write((trx) =>
        updateHeldJob(trx, { jobId: zombie.job_id, status: 'uploaded', fence: zombie.fence, now: LEASE + 1 }),
      );
    await write();
    await store.write((trx) => releaseStale(trx, { now: LEASE, maxRecoveries: 3, deadWorkers: [] }));
    await expect(write()).rejects.toBeInstanceOf(LostLeaseError);
    await claim(store, 'next', LEASE);
    await expect(write()).rejects.toBeInstanceOf(LostLeaseError);
  });

  it('T34 are given up on after three dead workers: the job is held for the user and the queue goes on', async () => {
    const store = open();
    const ids = countingIds();
    const poison = await addJob(store, ids, { created_at: 1 });
    const healthy = await addJob(store, ids, { created_at: 2 });
    for (let death = 1; death <= 3; death++) {
      const now = death * 100_000;
      expect((await claim(store, `worker-${death}`, now))?.job_id).toBe(poison.job_id);
      await store.write((trx) => releaseStale(trx, { now: now + LEASE, maxRecoveries: 3, deadWorkers: [] }));
    }
    expect(await jobById(store.db, poison.job_id)).toMatchObject({
      park_reason: 'held_by_user',
      run_after: null,
      status: 'uploaded',
    });
    expect((await claim(store, 'worker-4', 1_000_000))?.job_id).toBe(healthy.job_id);
    await store.write((trx) => wakeJobs(trx, [poison.job_id], 2_000_000));
    expect((await claim(store, 'worker-5', 2_000_000))?.job_id).toBe(poison.job_id);
  });

  it('T36 of a process that is gone end at once; a reused process id is not taken for its owner', async () => {
    const store = open();
    const me = thisProcess();
    await store.write(async (trx) => {
      await registerWorker(trx, 'living', me, 1);
      await registerWorker(trx, 'reused-pid', { ...me, pid_started: '1' }, 1);
      await registerWorker(trx, 'before-reboot', { ...me, boot_id: 'another' }, 1);
      await registerWorker(trx, 'gone', { ...me, pid: 2 ** 22 + 1 }, 1);
      await registerWorker(trx, 'elsewhere', { ...me, host: 'another-host', pid: 2 ** 22 + 1 }, 1);
    });
    expect([...(await deadWorkers(store.db))].toSorted()).toEqual(['before-reboot', 'gone', 'reused-pid']);
    await addJob(store, countingIds());
    const job = must(await claim(store, 'gone', 10));
    const freed = await store.write((trx) => releaseStale(trx, { now: 11, maxRecoveries: 3, deadWorkers: ['gone'] }));
    expect(freed.map((row) => row.job_id)).toEqual([job.job_id]);
  });
});

describe('parkJob', () => {
  it('gives the lease back with reason, time and sentence, under the guard of the fence', async () => {
    const store = open();
    await addJob(store, countingIds());
    const job = must(await claim(store, 'a', 10));
    const park = {
      jobId: job.job_id,
      status: 'uploaded',
      fence: job.fence,
      now: 20,
      reason: 'retry',
      until: 500,
      note: 'busy',
    } as const;
    await expect(store.write((trx) => parkJob(trx, { ...park, fence: 0 }))).rejects.toBeInstanceOf(LostLeaseError);
    await store.write((trx) => parkJob(trx, park));
    expect(await jobById(store.db, job.job_id)).toMatchObject({
      status: 'uploaded',
      park_reason: 'retry',
      park_note: 'busy',
      run_after: 500,
      lease_owner: null,
    });
  });
});

describe('matchIds', () => {
  it('finds prefixes as ranges, so that wildcards in them mean themselves', async () => {
    const store = open();
    const job = await addJob(store, countingIds('abcd'));
    const kinds = ['job', 'document', 'correlation'] as const;
    expect(await matchIds(store.db, 'ABCD', kinds)).toHaveLength(3);
    expect(await matchIds(store.db, job.job_id, kinds)).toEqual([{ kind: 'job', id: job.job_id }]);
    expect(await matchIds(store.db, '%', kinds)).toEqual([]);
    expect(await matchIds(store.db, 'abc_', kinds)).toEqual([]);
  });
});

describe('random histories of claims, moves, parks, deaths and cancels', () => {
  it('never lose a job, never leave an ended one, never let two workers write', async () => {
    for (let seed = 1; seed <= 6; seed++) {
      const store = openStore({ home: tempDirectory() });
      const random = seededRandom(seed);
      const ids = countingIds();
      for (let index = 0; index < 6; index++) await addJob(store, ids, { created_at: index });
      const holds = new Map<string, JobRow>();
      let now = 1000;
      for (let turn = 0; turn < 250; turn++) {
        now += Math.floor(random() * 5000);
        const pick = random();
        const owner = `w${Math.floor(random() * 4)}`;
        if (pick < 0.4) {
          const job = await claim(store, owner, now);
          if (job !== null) holds.set(job.job_id, job);
        } else if (pick < 0.9 && holds.size > 0) {
          const held = [...holds.values()][Math.floor(random() * holds.size)] as JobRow;
          const before = must(await jobById(store.db, held.job_id));
          const options = MOVES[held.status].to as readonly JobRow['status'][];
          const to = options[Math.floor(random() * options.length)] as JobRow['status'];
          const owned = before.fence === held.fence && before.lease_owner !== null && before.status === held.status;
          const moved = await store
            .write((trx) => moveJob(trx, { jobId: held.job_id, from: held.status, to, fence: held.fence, now }))
            .then(() => true)
            .catch((error: unknown) => {
              expect(error).toBeInstanceOf(LostLeaseError);
              return false;
            });
          expect(moved).toBe(owned);
          const after = must(await jobById(store.db, held.job_id));
          if (!moved) expect(after.status).toBe(before.status);
          if (!moved || isEnded(after.status)) holds.delete(held.job_id);
          else holds.set(held.job_id, after);
        } else {
          now += LEASE;
          await store.write((trx) => releaseStale(trx, { now, maxRecoveries: 1000, deadWorkers: [] }));
        }
      }
      const { jobs } = await store.db
        .selectFrom('upload_jobs')
        .select((select) => select.fn.countAll<number>().as('jobs'))
        .executeTakeFirstOrThrow();
      expect(jobs).toBe(6);
      await store.close();
    }
  });
});
