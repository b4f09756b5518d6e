import { rmSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { TvdbError } from '../../src/base/errors.ts';
import { retryJob } from '../../src/pipeline/retry.ts';
import { eventsOfJob } from '../../src/store/events.ts';
import { jobById } from '../../src/store/jobs/find.ts';
import { memoryEmbedder, memoryParser, passing, pipeline } from './harness.ts';

const broken = () => new TvdbError('E405', { message: 'the PDF is damaged' });

/** A parser that fails for good until `mend` is called. */
function breakableParser() {
  const sound = memoryParser();
  let healthy = false;
  const parser = memoryParser({
    async submit(request, attempt, signal) {
      if (!healthy) throw broken();
      return sound.submit(request, attempt, signal);
    },
    poll: (...given) => sound.poll(...given),
    fetchResult: (...given) => sound.fetchResult(...given),
  });
  const mend = () => {
    healthy = true;
  };
  return { parser, mend, submits: sound.submits };
}

const quiet = () => {};

describe('taking up a failed job', () => {
  it('goes on from the failed step, keeps its error until it succeeds, and is driven by the run that asked', async () => {
    const { parser, mend } = breakableParser();
    const line = pipeline({ parser });
    const { job } = await line.upload('one');
    await line.drain();
    expect(await line.jobs()).toMatchObject([{ status: 'failed_parse' }]);
    mend();
    const taken = await retryJob(line.deps, job.job_id, 'again', quiet);
    expect(taken).toMatchObject({ outcome: { state: 'retried', was: 'failed_parse', to: 'uploaded' } });
    expect(taken?.job).toMatchObject({ status: 'uploaded', retry_count: 0, processing_completed_at: null });
    expect(JSON.parse(taken?.job.last_error ?? '{}')).toMatchObject({ code: 'TVDB-E405' });
    await line.drain({ scope: { runId: 'again' } });
    expect(await line.jobs()).toMatchObject([{ status: 'complete', last_error: null }]);
    const resumed = (await eventsOfJob(line.store.db, job.job_id)).filter(({ code }) => code === 'RESUMED');
    expect(resumed).toMatchObject([{ from_status: 'failed_parse', to_status: 'uploaded' }]);
  });

  it('parses nothing a second time when embedding had failed', async () => {
    let healthy = false;
    const parser = memoryParser();
    const embedder = memoryEmbedder({
      async embed(texts, attempt, signal) {
        if (!healthy) throw new TvdbError('E418', { message: 'unusable' });
        return memoryEmbedder().embed(texts, attempt, signal);
      },
    });
    const line = pipeline({ parser, embedder });
    const { job } = await line.upload('one');
    await line.drain();
    expect(await line.jobs()).toMatchObject([{ status: 'failed_embedding' }]);
    healthy = true;
    expect(await retryJob(line.deps, job.job_id, 'again', quiet)).toMatchObject({ outcome: { to: 'chunks_stored' } });
    await line.drain();
    expect(await line.jobs()).toMatchObject([{ status: 'complete' }]);
    expect(parser.submits).toHaveLength(1);
  });

  it('stays failed with E417 when its bytes are gone', async () => {
    const { parser } = breakableParser();
    const line = pipeline({ parser });
    const { job, document } = await line.upload('one');
    await line.drain();
    rmSync(line.deps.storage.pathOf(document.raw_path));
    const taken = await retryJob(line.deps, job.job_id, 'again', quiet);
    expect(taken).toMatchObject({
      outcome: { state: 'refused', error: { code: 'E417' } },
      job: { status: 'failed_parse' },
    });
    expect(JSON.parse((await jobById(line.store.db, job.job_id))?.last_error ?? '{}')).toMatchObject({
      code: 'TVDB-E417',
    });
  });

  it('is refused with E010, naming the other job, while a live job does the same work', async () => {
    const { parser } = breakableParser();
    const line = pipeline({ parser });
    const first = await line.upload('one');
    await line.drain();
    const second = await line.upload('one');
    expect(second.state).toBe('accepted');
    const taken = await retryJob(line.deps, first.job.job_id, 'again', quiet);
    expect(taken).toMatchObject({ outcome: { state: 'refused', error: { code: 'E010' } } });
    const error = taken?.outcome.state === 'refused' ? taken.outcome.error : undefined;
    expect(error?.facts.live_job_id).toBe(second.job.job_id);
    expect((await jobById(line.store.db, first.job.job_id))?.status).toBe('failed_parse');
  });

  it('has nothing to do when a later job of the same work is complete', async () => {
    const { parser, mend, submits } = breakableParser();
    const line = pipeline({ parser });
    const first = await line.upload('one');
    await line.drain();
    mend();
    await line.upload('one');
    await line.drain();
    expect(await retryJob(line.deps, first.job.job_id, 'again', quiet)).toMatchObject({
      outcome: { state: 'already_complete' },
    });
    expect(submits).toHaveLength(1);
  });
});

describe('taking up a job that has not failed', () => {
  it.each(['held_by_user', 'retry', 'service_unavailable'] as const)('wakes one parked for %s', async (reason) => {
    const line = pipeline();
    const { job } = await line.upload('one');
    await line.store.write((trx) =>
      trx.updateTable('upload_jobs').set({ park_reason: reason, run_after: null, recoveries: 3 }).execute(),
    );
    await line.drain();
    expect(await line.jobs()).toMatchObject([{ status: 'uploaded' }]);
    expect(await retryJob(line.deps, job.job_id, 'again', quiet)).toMatchObject({
      outcome: { state: 'woken', reason },
      job: { park_reason: null, recoveries: 0 },
    });
    await line.drain({ scope: { runId: 'again' } });
    expect(await line.jobs()).toMatchObject([{ status: 'complete' }]);
  });

  it('leaves alone what waits for a result, runs, is queued or has ended', async () => {
    const line = pipeline();
    const { job } = await line.upload('one');
    const state = async () => (await retryJob(line.deps, job.job_id, 'again', quiet))?.outcome.state;
    const set = (values: Record<string, unknown>) =>
      line.store.write((trx) => trx.updateTable('upload_jobs').set(values).execute());
    expect(await state()).toBe('already_queued');
    await set({ park_reason: 'awaiting_result', run_after: 5 });
    expect(await state()).toBe('already_waiting');
    await set({ park_reason: null, run_after: null, lease_owner: 'w', lease_until: Date.now() + 60_000 });
    expect(await state()).toBe('already_running');
    await set({ lease_owner: null, lease_until: null, status: 'cancelled' });
    expect(await state()).toBe('already_cancelled');
    expect(await retryJob(line.deps, 'unknown', 'again', quiet)).toBeUndefined();
    const links = await line.store.db.selectFrom('run_jobs').selectAll().where('run_id', '=', 'again').execute();
    expect(links).toEqual([]);
  });

  it('gives a job parked after a passing failure all its tries again once it failed', async () => {
    const line = pipeline({
      parser: memoryParser({ submit: async () => Promise.reject(passing()) }),
      settings: { MAX_RETRIES: 1 },
    });
    const { job } = await line.upload('one');
    await line.drain();
    expect(await line.jobs()).toMatchObject([{ status: 'failed_parse', retry_count: 1 }]);
    await retryJob(line.deps, job.job_id, 'again', quiet);
    expect(await line.jobs()).toMatchObject([{ status: 'uploaded', retry_count: 0 }]);
  });
});
