/** Takes up an earlier run again: what failed is tried once more from the step it failed at, what rests is woken. */
import { isEnded, isFailed } from '../domain/job-state.ts';
import { finishedJob } from '../store/jobs/find.ts';
import { liveJob } from '../store/jobs/live.ts';
import { coverJobs } from '../store/run-jobs.ts';
import { jobsOfRun } from '../store/runs.ts';
import type { JobRow } from '../store/schema.ts';
import { retryJob } from './retry.ts';
import type { PipelineDeps } from './stage.ts';
import type { OnEvent } from './step.ts';

/**
 * Puts the unfinished jobs of the run `earlier` under `runId`, ready to be claimed, and returns their ids in the order they
 * were made. For a failed job whose work another job did or is doing since then, that other job is covered instead.
 */
export async function resumeRun(
  deps: PipelineDeps,
  earlier: string,
  runId: string,
  onEvent: OnEvent,
): Promise<string[]> {
  const jobs = await jobsOfRun(deps.store.db, earlier);
  const covered = new Set<string>();
  for (const job of jobs.filter(({ status }) => !isEnded(status) || isFailed(status))) {
    const retried = await retryJob(deps, job.job_id, runId, onEvent);
    const outcome = retried?.outcome;
    const elsewhere =
      outcome?.state === 'already_complete' || (outcome?.state === 'refused' && outcome.error.code === 'E010');
    covered.add((elsewhere ? await sameWork(deps, job) : undefined) ?? job.job_id);
  }
  await deps.store.write((trx) => coverJobs(trx, runId, [...covered]));
  return [...covered];
}

/** The job in flight, or else complete, that does the same work as a failed one. */
async function sameWork({ store }: PipelineDeps, job: JobRow): Promise<string | undefined> {
  const key = { userId: job.user_id, documentId: job.document_id, configKey: job.config_key };
  const other = (await liveJob(store.db, key)) ?? (await finishedJob(store.db, key));
  return other?.job_id;
}
