/** Rows that only a paid service, another machine or a crash would make. */
import { systemIds } from '../../src/base/ids.ts';
import { CLOSED } from '../../src/domain/breaker.ts';
import { fullBucket } from '../../src/domain/token-bucket.ts';
import { encodeVector, vectorSha } from '../../src/domain/vector.ts';
import { markUnknown, settle } from '../../src/ledger/end.ts';
import { hold } from '../../src/ledger/hold.ts';
import { addVectors } from '../../src/search/vector-index.ts';
import { insertIntent, markSent, updateAttempt } from '../../src/store/attempts.ts';
import { saveBreaker } from '../../src/store/breakers.ts';
import { insertBudget } from '../../src/store/budgets.ts';
import { saveBucket } from '../../src/store/rate-buckets.ts';
import { startRun } from '../../src/store/runs.ts';
import { addHealthSample } from '../../src/store/service-health.ts';
import { registerWorker, removeWorker, thisProcess } from '../../src/store/workers.ts';
import { storeAt } from '../cli/seeded-home.ts';
import { addJob } from '../setup/jobs.ts';

/** Gives a searchable chunk a vector of a space that the mode does not search. */
export async function otherSpace(home: string): Promise<void> {
  const vector = encodeVector(Float32Array.from([1, 0, 0, 0, 0, 0, 0, 0]));
  await storeAt(home, async (store) => {
    const { chunk_id: chunkId, document_id: documentId } = await store.db
      .selectFrom('document_chunks')
      .select(['chunk_id', 'document_id'])
      .executeTakeFirstOrThrow();
    const rows = [{ chunkId, vector, vectorSha: vectorSha(vector), origin: 'real' as const }];
    await store.write((trx) => addVectors(trx, { spaceName: 'openai/x/8', dimensions: 8, documentId, rows }));
  });
}

/** A request of a job to a paid service; its price is not known. */
export async function paidRequest(home: string, jobId: string): Promise<void> {
  const attemptId = systemIds.uuid();
  const now = Date.now();
  await storeAt(home, (store) =>
    store.write(async (trx) => {
      const about = { operation: 'embed', requestHash: 'h', units: 40, origin: 'real' as const, now };
      await insertIntent(trx, { attemptId, jobId, service: 'embed', ...about });
      await markSent(trx, attemptId, now);
    }),
  );
}

/** Gives a run more jobs than `trace` tells; returns the id of another run that has none. */
export async function moreJobs(home: string, runId: string): Promise<string> {
  const emptyRun = systemIds.uuid();
  await storeAt(home, async (store) => {
    for (let count = 0; count < 6; count += 1) await addJob(store, systemIds, { run_id: runId });
    await store.write((trx) => startRun(trx, { runId: emptyRun, command: 'upload', mode: 'mock', now: 1 }));
  });
  return emptyRun;
}

/** Puts a job into the hands of a worker, which is this process or one that is gone. */
export async function worker(home: string, jobId: string, { lives }: { lives: boolean }): Promise<void> {
  const now = Date.now();
  const identity = { ...thisProcess(), ...(!lives && { pid_started: 'long ago' }) };
  await storeAt(home, async (store) => {
    await store.write((trx) => removeWorker(trx, 'w1'));
    await store.write((trx) => registerWorker(trx, 'w1', identity, now));
    await store.db
      .updateTable('upload_jobs')
      .set({ lease_owner: 'w1', lease_until: now + 60_000 })
      .where('job_id', '=', jobId)
      .execute();
  });
}

/** Lets a job rest because a service is limiting requests, until nobody knows when. */
export async function limited(home: string, jobId: string): Promise<void> {
  await storeAt(home, (store) =>
    store.db
      .updateTable('upload_jobs')
      .set({ park_reason: 'rate_limit', run_after: null })
      .where('job_id', '=', jobId)
      .execute(),
  );
}

/** Both services in trouble: one tried again just now, one blocked, requests that failed with an answer and without. */
export async function pausedServices(home: string): Promise<void> {
  const now = Date.now();
  const until = now + 60_000;
  const sample = { origin: 'real', at: now, http_status: 200, code: null, ok: 1, latency_ms: 80 } as const;
  const failed = { ...sample, ok: 0, code: 'TVDB-E303' };
  await storeAt(home, (store) =>
    store.write(async (trx) => {
      const open = { ...CLOSED, openedAt: now, retryAt: now, reason: 'E303' } as const;
      await saveBreaker(trx, 'openai', { ...open, state: 'half_open', probeOwner: 'w1', probeUntil: until }, now);
      await saveBreaker(trx, 'llamaparse', { ...open, state: 'open' }, now);
      for (const kind of ['requests', 'tokens'] as const) {
        const bucket = { ...fullBucket(20, 1, now), blockedUntil: until };
        await saveBucket(trx, 'openai', kind, { bucket, configured: kind === 'requests' ? 3_000 : 1_000_000 });
      }
      await addHealthSample(trx, { ...sample, service: 'openai', operation: 'embeddings.create' });
      await addHealthSample(trx, { ...failed, service: 'openai', operation: 'models.list', http_status: null });
      await addHealthSample(trx, { ...failed, service: 'llamaparse', operation: 'parse.get', http_status: 503 });
    }),
  );
}

/** Charges, an overrun, and holds that have not ended; returns the requests of three of them. */
export async function ledgerRows(home: string): Promise<{ unsent: string; overrun: string; settled: string }> {
  const now = Date.now();
  return storeAt(home, async (store) => {
    const runId = systemIds.uuid();
    await store.write((trx) =>
      insertBudget(trx, {
        ...{ scope: 'all', scope_value: '', span: 'day', measure: 'cost', limit_value: 5_000_000_000, hard: 1 },
        ...{ source: 'default', user_limit: null, user_hard: null, created_at: 1 },
      }),
    );
    const request = async (
      service: 'llamaparse' | 'openai',
      amount: number,
      sent: boolean,
      end?: number | 'unknown',
    ) => {
      const job = await addJob(store, systemIds, { run_id: runId, status: 'complete' });
      const attemptId = systemIds.uuid();
      await store.write(async (trx) => {
        const kind = service === 'openai' ? 'embed' : 'parse';
        const about = { operation: kind, requestHash: 'h', units: 1, origin: 'real' as const, now, runId };
        await insertIntent(trx, { attemptId, jobId: job.job_id, service: kind, ...about });
        const subject = { attemptId, jobId: job.job_id, runId, costCenter: null, service, timeZone: 'UTC', now };
        await hold(trx, { ...subject, amount, units: 1, unitPrice: amount, priceVersion: '2026-11-01' });
        if (sent) await markSent(trx, attemptId, now);
        if (end === 'unknown') {
          await updateAttempt(trx, attemptId, { outcome: 'unknown' });
          await markUnknown(trx, { attemptId, now });
        } else if (end !== undefined) {
          await updateAttempt(trx, attemptId, { outcome: 'ok' });
          await settle(trx, { attemptId, now, actual: end });
        }
      });
      return attemptId;
    };
    await request('llamaparse', 3_750_000, true, 'unknown');
    return {
      unsent: await request('llamaparse', 3_750_000, false),
      settled: await request('openai', 40, true, 40),
      // Last: it stops the budget.
      overrun: await request('llamaparse', 3_750_000, true, 5_000_000),
    };
  });
}

/** Changes a row of the ledger past its triggers, and lowers a limit below what is spent. */
export async function spoiled(home: string): Promise<void> {
  await storeAt(home, async (store) => {
    store.sqlite.exec(`DROP TRIGGER spend_no_update; UPDATE spend SET cost_center = 'x' WHERE seq = 1`);
    await store.db.updateTable('budgets').set({ limit_value: 1 }).where('measure', '=', 'cost').execute();
  });
}
