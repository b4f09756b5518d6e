/** Rows that only a paid service, another machine or a crash would make. */
import { twinAttemptId } from '../../src/base/derived-ids.ts';
import { systemIds } from '../../src/base/ids.ts';
import { CLOSED } from '../../src/domain/breaker.ts';
import { fullBucket } from '../../src/domain/token-bucket.ts';
import { encodeVector, vectorSha } from '../../src/domain/vector.ts';
import { holdOf, markUnknown, settle } from '../../src/ledger/end.ts';
import { hold } from '../../src/ledger/hold.ts';
import { holdTwin } from '../../src/ledger/twin.ts';
import { addVectors } from '../../src/search/vector-index.ts';
import { insertIntent, markSent, updateAttempt } from '../../src/store/attempts.ts';
import { saveBreaker } from '../../src/store/breakers.ts';
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

/**
 * Money held for three requests: one that was not sent, one of unknown outcome, one that was charged above its hold; and
 * for a fourth that the service made besides of the last.
 */
export async function heldMoney(home: string): Promise<{ idle: string; lost: string; over: string }> {
  const [idle, lost, over] = [systemIds.uuid(), systemIds.uuid(), systemIds.uuid()];
  const now = Date.now();
  const runId = systemIds.uuid();
  await storeAt(home, async (store) => {
    const job = await addJob(store, systemIds, { run_id: runId });
    await store.write(async (trx) => {
      await startRun(trx, { runId, command: 'upload', mode: 'real', now });
      for (const attemptId of [idle, lost, over]) {
        const about = { operation: 'parse', requestHash: attemptId, units: 12, origin: 'real' as const, now, runId };
        await insertIntent(trx, { attemptId, jobId: job.job_id, service: 'parse', ...about });
        await hold(trx, {
          ...{ attemptId, jobId: job.job_id, runId, service: 'llamaparse', costCenter: 'claims' },
          ...{ amount: 45_000_000, units: 12, unitPrice: 3_750_000, priceVersion: '2026-07', timeZone: 'UTC', now },
        });
        if (attemptId !== idle) await markSent(trx, attemptId, now);
      }
      await updateAttempt(trx, lost, { outcome: 'unknown' });
      await markUnknown(trx, { attemptId: lost, now });
      await updateAttempt(trx, over, { outcome: 'ok', remote_id: 'pjb-1', billed_units: 48 });
      await settle(trx, { attemptId: over, actual: 60_000_000, now });
      const twin = { attemptId: twinAttemptId(over, 'pjb-2'), of: await holdOf(trx, over), now, timeZone: 'UTC' };
      const made = { operation: 'parse_twin', requestHash: over, units: 12, origin: 'real' as const, now, runId };
      const options = JSON.stringify({ twin_of: over });
      await insertIntent(trx, { ...made, attemptId: twin.attemptId, jobId: job.job_id, service: 'parse', options });
      await markSent(trx, twin.attemptId, now);
      await updateAttempt(trx, twin.attemptId, { outcome: 'ok', remote_id: 'pjb-2' });
      await holdTwin(trx, twin);
      await settle(trx, { attemptId: twin.attemptId, actual: null, now });
    });
  });
  return { idle, lost, over };
}

/** Changes a hold behind the back of the ledger. */
export async function changedHold(home: string, attemptId: string): Promise<void> {
  await storeAt(home, (store) =>
    store.db.updateTable('hold_states').set({ settled_amount: 1 }).where('attempt_id', '=', attemptId).execute(),
  );
}
