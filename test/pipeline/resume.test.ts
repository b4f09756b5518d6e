/** An earlier run taken up again: which of its jobs go on, and under which run. */
import { describe, expect, it } from 'vitest';
import { TvdbError } from '../../src/base/errors.ts';
import { outcomeOfJob } from '../../src/pipeline/job-outcome.ts';
import { resumeRun } from '../../src/pipeline/resume.ts';
import { jobsOfRun } from '../../src/store/runs.ts';
import { memoryEmbedder, passing, pipeline } from './harness.ts';

/** A pipeline whose embedder fails with `error` until it is mended. */
function failing(error: TvdbError, settings = {}) {
  const good = memoryEmbedder();
  let broken = true;
  const harness = pipeline({
    settings,
    embedder: memoryEmbedder({ embed: (...args) => (broken ? Promise.reject(error) : good.embed(...args)) }),
  });
  const mend = () => {
    broken = false;
  };
  return { ...harness, mend };
}

const refusal = new TvdbError('E418', { message: 'no vector' });

describe('resumeRun', () => {
  it('retries what failed at the step it failed at, and leaves what is complete alone', async () => {
    const harness = failing(refusal);
    const { deps, store, events } = harness;
    await harness.upload('bad', { runId: 'first' });
    await harness.drain();
    harness.mend();
    await harness.upload('good', { runId: 'first' });
    await harness.drain();
    const [bad, good] = await harness.jobs();
    expect([bad?.status, good?.status]).toEqual(['failed_embedding', 'complete']);

    expect(await resumeRun(deps, 'first', 'second', (event) => void events.push(event))).toEqual([bad?.job_id]);
    expect((await jobsOfRun(store.db, 'second')).map(({ job_id, status }) => [job_id, status])).toEqual([
      [bad?.job_id, 'chunks_stored'],
    ]);
    await harness.drain({ scope: { runId: 'second' } });
    expect((await harness.jobs()).map(({ status }) => status)).toEqual(['complete', 'complete']);
    expect(events.filter(({ code }) => code === 'PARSE_REQUESTED')).toHaveLength(2);
    expect(await resumeRun(deps, 'first', 'third', () => {})).toEqual([]);
  });

  it('wakes jobs that rest until a later try', async () => {
    const harness = failing(passing(), { RETRY_BASE: 3_600_000, RETRY_CAP: 3_600_000, DRAIN_WAIT: 0 });
    await harness.upload('one', { runId: 'first' });
    await harness.drain();
    expect(await harness.jobs()).toMatchObject([{ status: 'embedding_queued', park_reason: 'retry' }]);
    harness.mend();
    await resumeRun(harness.deps, 'first', 'second', () => {});
    await harness.drain({ scope: { runId: 'second' } });
    expect(await harness.jobs()).toMatchObject([{ status: 'complete' }]);
  });

  it('follows the job that does the same work by now instead of a failed one', async () => {
    const harness = failing(refusal);
    await harness.upload('one', { runId: 'first' });
    await harness.drain();
    harness.mend();
    const again = await harness.upload('one', { runId: 'other' });
    expect(again.state).toBe('accepted');
    expect(await resumeRun(harness.deps, 'first', 'second', () => {})).toEqual([again.job.job_id]);
    await harness.drain({ scope: { runId: 'second' } });
    expect(await resumeRun(harness.deps, 'first', 'third', () => {})).toEqual([again.job.job_id]);
    expect((await harness.jobs()).map(({ status }) => status)).toEqual(['failed_embedding', 'complete']);
  });
});

describe('outcomeOfJob', () => {
  it('adds up what was made, asked for and replaced', async () => {
    const harness = pipeline();
    await harness.upload('old', { path: '/docs/a.pdf' });
    await harness.drain();
    const { job } = await harness.upload('new', { path: '/docs/a.pdf' });
    await harness.drain();
    const [old] = await harness.jobs();
    const outcome = await outcomeOfJob(harness.store.db, job.job_id, harness.deps.clock.now());
    expect(outcome).toMatchObject({ pages: 3, chunks: 3, vectors: 3, dimensions: 8, superseded: [old?.document_id] });
    expect(outcome?.steps.map(({ name, status }) => `${name} ${status}`)).toEqual([
      'upload ok',
      'parse ok',
      'chunk ok',
      'embed ok',
      'store ok',
    ]);
    expect(outcome?.uses).toMatchObject([
      { service: 'parse', origin: 'mock', requests: 1, units: 3 },
      { service: 'embed', requests: 2 },
    ]);
  });

  it('shows for a duplicate what the job it points to made, and no use of its own', async () => {
    const harness = pipeline();
    const first = await harness.upload('same');
    await harness.drain();
    const second = await harness.upload('same');
    expect(await outcomeOfJob(harness.store.db, second.job.job_id, 0)).toMatchObject({
      maker: { job_id: first.job.job_id },
      chunks: 3,
      vectors: 3,
      uses: [],
    });
  });

  it('does not know what was not made', async () => {
    const harness = pipeline();
    const { job } = await harness.upload('one');
    expect(await outcomeOfJob(harness.store.db, job.job_id, 0)).toMatchObject({
      pages: 3,
      chunks: null,
      vectors: null,
      dimensions: null,
    });
    expect(await outcomeOfJob(harness.store.db, 'none', 0)).toBeUndefined();
  });
});
