/** Takes up an earlier run again: what failed is tried once more from the step it failed at, what rests is woken. */
import { isEnded, isFailed, retryTarget } from '../domain/job-state.ts';
import { appendEvent } from '../store/events.ts';
import { coverJobs, sameWork } from '../store/jobs/cover.ts';
import { jobById } from '../store/jobs/find.ts';
import { moveJob } from '../store/jobs/move.ts';
import { wakeJobs } from '../store/jobs/park.ts';
import type { Trx } from '../store/open.ts';
import { jobsOfRun } from '../store/runs.ts';
import type { JobEventRow, JobRow } from '../store/schema.ts';
import type { PipelineDeps } from './stage.ts';
import type { OnEvent } from './step.ts';

/**
 * Puts the unfinished jobs of `earlier` under `runId`, ready to be claimed, and returns them in the order they were made.
 * For a failed job whose work another job did or is doing since then, that other job is covered instead.
 */
export async function resumeRun(deps: PipelineDeps, earlier: string, runId: string, onEvent: OnEvent): Promise<JobRow[]> {
  const { store, clock } = deps;
  const { jobs, events } = await store.write(async (trx) => {
    const unfinished = (await jobsOfRun(trx, earlier)).filter((job) => !isEnded(job.status) || isFailed(job.status));
    const resumed: JobRow[] = [];
    const told: { event: JobEventRow; job: JobRow }[] = [];
    for (const job of unfinished) {
      const other = isFailed(job.status) ? await sameWork(trx, job) : undefined;
      if (other !== undefined) {
        resumed.push(other);
        continue;
      }
      if (isFailed(job.status)) told.push(await restart(trx, job, deps));
      else if (job.lease_owner === null) await wakeJobs(trx, [job.job_id], clock.now());
      resumed.push(job);
    }
    const unique = [...new Map(resumed.map((job) => [job.job_id, job])).values()];
    await coverJobs(trx, runId, unique.map((job) => job.job_id));
    return { jobs: unique, events: told };
  });
  for (const { event, job } of events) onEvent(event, job);
  return jobs;
}

/** Moves a failed job back to the step it failed at, with all its tries again. */
async function restart(trx: Trx, job: JobRow, { clock, ids }: PipelineDeps): Promise<{ event: JobEventRow; job: JobRow }> {
  if (!isFailed(job.status)) throw new Error(`job ${job.job_id} has not failed`);
  const to = retryTarget(job.status);
  const now = clock.now();
  const set = { last_error: null, processing_completed_at: null };
  await moveJob(trx, { jobId: job.job_id, from: job.status, to, fence: job.fence, now, takeOver: true, set });
  const event = await appendEvent(trx, { code: 'RESUMED', eventId: ids.uuid(), at: now, subject: job, from: job.status, to });
  return { event, job: (await jobById(trx, job.job_id)) ?? job };
}
