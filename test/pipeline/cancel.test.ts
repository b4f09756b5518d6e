import { describe, expect, it } from 'vitest';
import { cancelJob } from '../../src/pipeline/cancel.ts';
import { attemptsOfJob } from '../../src/store/attempts.ts';
import { eventsOfJob } from '../../src/store/events.ts';
import { memoryEmbedder, memoryParser, pipeline } from './harness.ts';

const never = new AbortController().signal;

describe('cancelling a job', () => {
  it('ends one that waits, with its event, and a worker does not take it', async () => {
    const line = pipeline();
    const { job } = await line.upload('one');
    const done = await cancelJob(line.deps, job.job_id, () => {}, never);
    expect(done).toMatchObject({
      outcome: { state: 'cancelled', was: 'uploaded', held: false },
      job: { status: 'cancelled', fence: job.fence + 1 },
    });
    await line.drain();
    const [after] = await line.jobs();
    expect(after).toMatchObject({ status: 'cancelled', lease_owner: null, processing_started_at: null });
    expect(after?.processing_completed_at).not.toBeNull();
    expect((await eventsOfJob(line.store.db, job.job_id)).at(-1)).toMatchObject({
      code: 'CANCELLED',
      from_status: 'uploaded',
      to_status: 'cancelled',
    });
  });

  it('J3: takes the job out of the hands of a worker, whose later writes all fail', async () => {
    let cancelled: unknown;
    const line = pipeline({
      embedder: memoryEmbedder({
        async embed(texts, _attempt, signal) {
          const [job] = await line.jobs();
          if (cancelled === undefined && job !== undefined)
            cancelled = await cancelJob(line.deps, job.job_id, () => {}, never);
          return memoryEmbedder().embed(texts, { attemptId: '', jobId: '', correlationId: '' }, signal);
        },
      }),
    });
    const { job } = await line.upload('one');
    await line.drain();
    expect(cancelled).toMatchObject({ outcome: { state: 'cancelled', was: 'embedding_queued', held: true } });
    expect(await line.jobs()).toMatchObject([{ status: 'cancelled', lease_owner: null }]);
    expect(await line.rows()).toMatchObject({ chunks: 0, vectors: 0, chunkBuffer: 0, vectorBuffer: 0 });
    const events = await eventsOfJob(line.store.db, job.job_id);
    expect(events.at(-1)?.code).toBe('CANCELLED');
  });

  it('stops the parse at its service, under the id the service gave', async () => {
    const stopped: string[] = [];
    const parser = memoryParser({
      runsHere: false,
      async poll() {
        return { state: 'running' };
      },
      async cancel(remoteId) {
        stopped.push(remoteId);
      },
    });
    const line = pipeline({ parser, settings: { DRAIN_WAIT: 0 } });
    const { job } = await line.upload('one');
    await line.drain();
    const [attempt] = await attemptsOfJob(line.store.db, job.job_id);
    await cancelJob(line.deps, job.job_id, () => {}, never);
    expect(stopped).toEqual([attempt?.remote_id]);
  });

  it('is cancelled even when the service cannot be asked', async () => {
    const parser = memoryParser({
      runsHere: false,
      async poll() {
        return { state: 'running' };
      },
      async cancel() {
        throw new Error('no route to host');
      },
    });
    const line = pipeline({ parser, settings: { DRAIN_WAIT: 0 } });
    const { job } = await line.upload('one');
    await line.drain();
    expect(await cancelJob(line.deps, job.job_id, () => {}, never)).toMatchObject({ job: { status: 'cancelled' } });
  });

  it('changes nothing about a job that has ended, and is undefined for an unknown one', async () => {
    const line = pipeline();
    const { job } = await line.upload('one');
    await line.drain();
    const [before] = await line.jobs();
    const events = (await eventsOfJob(line.store.db, job.job_id)).length;
    expect(await cancelJob(line.deps, job.job_id, () => {}, never)).toMatchObject({
      outcome: { state: 'ended', was: 'complete' },
    });
    expect((await line.jobs())[0]).toEqual(before);
    expect(await eventsOfJob(line.store.db, job.job_id)).toHaveLength(events);
    expect(await cancelJob(line.deps, 'unknown', () => {}, never)).toBeUndefined();
  });

  it('lets the same document be uploaded again at once', async () => {
    const line = pipeline();
    const first = await line.upload('one');
    await cancelJob(line.deps, first.job.job_id, () => {}, never);
    const second = await line.upload('one');
    expect(second.state).toBe('accepted');
    await line.drain();
    expect((await line.jobs()).map((job) => job.status).sort()).toEqual(['cancelled', 'complete']);
  });
});
