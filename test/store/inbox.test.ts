import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { WebhookEvent } from '../../src/domain/webhook.ts';
import { insertIntent, updateAttempt } from '../../src/store/attempts.ts';
import { insertDelivery, markHandled, unhandledMatches, wakeDelivered } from '../../src/store/inbox.ts';
import { claimJob } from '../../src/store/jobs/claim.ts';
import { moveJob } from '../../src/store/jobs/move.ts';
import { parkJob } from '../../src/store/jobs/park.ts';
import { openStore } from '../../src/store/open.ts';
import type { JobRow } from '../../src/store/schema.ts';
import { addJob } from '../setup/jobs.ts';
import { countingIds } from '../setup/seeded.ts';
import { tempDirectory } from '../setup/temp.ts';

function place() {
  const store = openStore({ home: join(tempDirectory(), 'home') });
  onTestFinished(() => store.close());
  const ids = countingIds();
  const deliver = (eventId: string, remoteJobId: string, event: WebhookEvent = 'parse.success') =>
    store.write((trx) => insertDelivery(trx, { eventId, remoteJobId, event, receivedAt: 10, bodySha256: 'b' }));
  /** Gives a job a parse attempt whose id at the service is `remoteId`. */
  const attempt = async (job: JobRow, remoteId: string | null) => {
    const attemptId = ids.uuid();
    await store.write(async (trx) => {
      await insertIntent(trx, {
        attemptId,
        jobId: job.job_id,
        service: 'parse',
        operation: 'parse',
        requestHash: 'h',
        units: 1,
        origin: 'real',
        now: 5,
      });
      await updateAttempt(trx, attemptId, { outcome: 'sent', remote_id: remoteId });
    });
    return attemptId;
  };
  /** A job that waits for the result of a parse until 99,000. */
  const waiting = async (remoteId: string | null) => {
    const job = await addJob(store, ids);
    const attemptId = await attempt(job, remoteId);
    await park('uploaded');
    return { jobId: job.job_id, job, attemptId };
  };
  const park = (from: 'uploaded' | 'parse_queued', reason: 'awaiting_result' | 'retry' = 'awaiting_result') =>
    store.write(async (trx) => {
      const held = await claimJob(trx, { owner: 'w', now: 6, leaseMs: 1000 });
      if (held === null) throw new Error('nothing to claim');
      const base = { jobId: held.job_id, fence: held.fence, now: 6 };
      if (from === 'uploaded') await moveJob(trx, { ...base, from, to: 'parse_queued' });
      await parkJob(trx, { ...base, status: 'parse_queued', reason, until: 99_000, note: '' });
    });
  const runAfter = async (jobId: string) =>
    (await store.db.selectFrom('upload_jobs').select('run_after').where('job_id', '=', jobId).executeTakeFirstOrThrow())
      .run_after;
  const rows = () => store.db.selectFrom('webhook_inbox').selectAll().orderBy('event_id').execute();
  return { store, ids, deliver, attempt, waiting, park, runAfter, rows };
}

describe('the inbox', () => {
  it('T44 keeps an event once, and the same news under another event id once', async () => {
    const { deliver, rows } = place();
    expect(await deliver('e1', 'p1')).toBe('new');
    expect(await deliver('e1', 'p1')).toBe('known');
    expect(await deliver('e2', 'p1')).toBe('known');
    expect(await deliver('e1', 'p2')).toBe('known');
    expect(await deliver('e3', 'p1', 'parse.error')).toBe('new');
    expect((await rows()).map((row) => row.event_id)).toEqual(['e1', 'e3']);
  });

  it('wakes the job that waits for the parse, once', async () => {
    const { store, deliver, waiting, runAfter, rows } = place();
    const { jobId } = await waiting('p1');
    const other = await waiting('p2');
    await deliver('e1', 'p1');
    expect(await unhandledMatches(store.db)).toEqual([{ eventId: 'e1', jobId }]);
    expect(await store.write((trx) => wakeDelivered(trx, 50))).toEqual([jobId]);
    expect([await runAfter(jobId), await runAfter(other.jobId)]).toEqual([50, 99_000]);
    expect((await rows()).map((row) => row.handled_at)).toEqual([50]);
    expect(await unhandledMatches(store.db)).toEqual([]);
    expect(await store.write((trx) => wakeDelivered(trx, 60))).toEqual([]);
    expect(await runAfter(jobId)).toBe(50);
  });

  it('leaves a delivery about a parse that nobody knows alone', async () => {
    const { store, deliver, waiting, runAfter, rows } = place();
    const { jobId } = await waiting('p1');
    await deliver('e1', 'stranger');
    expect(await store.write((trx) => wakeDelivered(trx, 50))).toEqual([]);
    expect(await runAfter(jobId)).toBe(99_000);
    expect((await rows()).map((row) => row.handled_at)).toEqual([null]);
  });

  it('T52 finds a delivery that came before the id of the parse was recorded', async () => {
    const { store, deliver, waiting } = place();
    const { jobId, attemptId } = await waiting(null);
    await deliver('e1', 'p1');
    expect(await store.write((trx) => wakeDelivered(trx, 50))).toEqual([]);
    await store.write((trx) => updateAttempt(trx, attemptId, { remote_id: 'p1' }));
    expect(await store.write((trx) => wakeDelivered(trx, 60))).toEqual([jobId]);
  });

  it('waits for a job that is in hand: it is woken once it is parked', async () => {
    const { store, deliver, waiting, park } = place();
    const { jobId } = await waiting('p1');
    await store.write(async (trx) => {
      const held = await claimJob(trx, { owner: 'w', now: 100_000, leaseMs: 1000 });
      expect(held?.job_id).toBe(jobId);
    });
    await deliver('e1', 'p1');
    expect(await store.write((trx) => wakeDelivered(trx, 50))).toEqual([]);
    await store.db.updateTable('upload_jobs').set({ lease_owner: null, lease_until: null }).execute();
    await park('parse_queued');
    expect(await store.write((trx) => wakeDelivered(trx, 60))).toEqual([jobId]);
  });

  it('wakes for the newest attempt only, and never a job that rests for another reason', async () => {
    const { store, deliver, waiting, attempt, runAfter, park } = place();
    const { job, jobId } = await waiting('old');
    await attempt(job, 'new');
    await deliver('e1', 'old');
    expect(await store.write((trx) => wakeDelivered(trx, 50))).toEqual([]);
    await store.db.updateTable('upload_jobs').set({ run_after: 1 }).execute();
    await park('parse_queued', 'retry');
    await deliver('e2', 'new');
    expect(await store.write((trx) => wakeDelivered(trx, 60))).toEqual([]);
    expect(await runAfter(jobId)).toBe(99_000);
  });

  it('wakes nobody because a parse waits or runs', async () => {
    const { store, deliver, waiting } = place();
    await waiting('p1');
    await deliver('e1', 'p1', 'parse.pending');
    await deliver('e2', 'p1', 'parse.running');
    expect(await store.write((trx) => wakeDelivered(trx, 50))).toEqual([]);
    await deliver('e3', 'p1', 'parse.success');
    expect(await store.write((trx) => wakeDelivered(trx, 60))).toHaveLength(1);
  });

  it('clears away what came after polling had found the result', async () => {
    const { store, deliver, waiting, rows } = place();
    const { attemptId } = await waiting('p1');
    await store.write((trx) => updateAttempt(trx, attemptId, { outcome: 'ok' }));
    await store.db.updateTable('upload_jobs').set({ park_reason: null, run_after: null }).execute();
    await deliver('e1', 'p1');
    await deliver('e2', 'stranger');
    await store.write((trx) => wakeDelivered(trx, 50));
    expect((await rows()).map((row) => row.handled_at)).toEqual([50, null]);
  });

  it('marks only what was not handled before', async () => {
    const { store, deliver, rows } = place();
    await deliver('e1', 'p1');
    await deliver('e2', 'p2');
    await store.write((trx) => markHandled(trx, ['e1'], 20));
    await store.write((trx) => markHandled(trx, ['e1', 'e2'], 30));
    expect((await rows()).map((row) => row.handled_at)).toEqual([20, 30]);
  });
});
