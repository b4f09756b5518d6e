/** What a `run` did, gathered from the jobs it touched and the queue it left. */

import { iso } from '../../base/clock.ts';
import { ERROR_CODES, type ErrorCode, EXIT } from '../../base/error-codes.ts';
import { TvdbError } from '../../base/errors.ts';
import { isFailed, type JobStatus, type ParkReason } from '../../domain/job-state.ts';
import type { DriveSummary } from '../../pipeline/run.ts';
import { documentById } from '../../store/documents.ts';
import { costsOfJobs } from '../../store/job-spend.ts';
import { jobById } from '../../store/jobs/find.ts';
import type { JobRow } from '../../store/schema.ts';
import type { World } from '../../world.ts';
import type { ExitCode } from '../command.ts';
import { plural } from '../ui/format.ts';
import { type JobSurroundings, jobCost, lastError, moneyJson, PARK_TEXTS } from './job-view.ts';

export interface RunAnswer {
  readonly runId: string;
  readonly workerId: string;
  readonly stoppedBy: DriveSummary['endedBy'];
  /** Jobs it worked on, by the status they stand in now. */
  readonly byStatus: Readonly<Partial<Record<JobStatus, number>>>;
  readonly jobs: readonly JobRow[];
  readonly costs: JobSurroundings['costs'];
  readonly failed: readonly { readonly job: JobRow; readonly name: string }[];
  /** Complete with a stand-in for a service that was asked for. */
  readonly fallbacks: number;
  /** Jobs in scope that are not ended. */
  readonly leftInQueue: number;
  readonly parked: readonly {
    readonly reason: ParkReason;
    readonly text: string;
    readonly jobs: number;
    readonly until: number | null;
  }[];
  readonly ms: number;
}

/** Looks at the jobs a worker touched and at what rests in the queue, as of now. */
export async function runAnswer(
  { store }: World,
  run: Pick<RunAnswer, 'runId' | 'ms'> & {
    summary: DriveSummary;
    touched: readonly string[];
    parked: readonly { reason: ParkReason; jobs: number; until: number | null }[];
  },
): Promise<RunAnswer> {
  const { summary } = run;
  const rows = await Promise.all(run.touched.map((jobId) => jobById(store.db, jobId)));
  const jobs = rows.filter((row) => row !== undefined);
  const byStatus: Partial<Record<JobStatus, number>> = {};
  for (const { status } of jobs) byStatus[status] = (byStatus[status] ?? 0) + 1;
  const failed = await Promise.all(
    jobs
      .filter(({ status }) => isFailed(status))
      .map(async (job) => ({ job, name: (await documentById(store.db, job.document_id))?.filename ?? '(deleted)' })),
  );
  const { ready, parked, held, leased } = summary.left;
  return {
    runId: run.runId,
    workerId: summary.workerId,
    stoppedBy: summary.endedBy,
    byStatus,
    jobs,
    costs: await costsOfJobs(store.db, run.touched),
    failed,
    fallbacks: jobs.filter((job) => job.status === 'complete' && job.fallback_triggered === 1).length,
    leftInQueue: ready + parked + held + leased,
    parked: run.parked.map((group) => ({ ...group, text: PARK_TEXTS[group.reason] })),
    ms: run.ms,
  };
}

/** 0 drained; 7 some failed, 1 all; before that, what a job failed of: a bug, a refused key, an empty account, a service that is down. */
export function runExit({ failed, byStatus }: RunAnswer): ExitCode {
  if (failed.length === 0) return EXIT.ok;
  for (const exit of [EXIT.internal, EXIT.credentials, EXIT.budget, EXIT.upstream])
    if (failed.some(({ job }) => exitOfJob(job) === exit)) return exit;
  return (byStatus.complete ?? 0) > 0 ? EXIT.partial : EXIT.failed;
}

function exitOfJob(job: JobRow): number | null {
  const code = lastError(job)?.code.replace(/^TVDB-/, '') ?? '';
  return code in ERROR_CODES ? ERROR_CODES[code as ErrorCode].exit : null;
}

/** Why the exit code is what it is; the failed jobs are named. */
export function runError({ failed, jobs }: RunAnswer): TvdbError | undefined {
  if (failed.length === 0) return undefined;
  return new TvdbError('E401', {
    message: `${failed.length} of ${plural(jobs.length, 'job')} failed`,
    fix: '',
    commands: ['tvdb status --failed'],
    facts: { items: failed.slice(0, 20).map(({ job, name }) => ({ name, reason: reasonOf(job) })) },
  });
}

function reasonOf(job: JobRow): string {
  const error = lastError(job);
  return error === null ? job.status : `${error.code}  ${error.message}`;
}

/** `data` of `tvdb.run/v1`. */
export function runJson(answer: RunAnswer): Record<string, unknown> {
  const total = answer.jobs.reduce<number | null>((sum, job) => {
    const cost = jobCost(job, answer);
    return sum === null || cost === null ? null : sum + cost;
  }, 0);
  const { nano_usd, usd } = moneyJson(total);
  return {
    run_id: answer.runId,
    worker_id: answer.workerId,
    stopped_by: answer.stoppedBy,
    processed: answer.jobs.length,
    by_status: answer.byStatus,
    failed: answer.failed.length,
    fallbacks: answer.fallbacks,
    left_in_queue: answer.leftInQueue,
    parked: answer.parked.map(({ reason, jobs, until }) => ({ reason, jobs, until: iso(until) })),
    jobs: answer.jobs.map((job) => ({
      job_id: job.job_id,
      document_id: job.document_id,
      correlation_id: job.correlation_id,
      status: job.status,
      fallback: job.fallback_triggered === 1,
      error: lastError(job),
    })),
    cost: { total_nano_usd: nano_usd, total_usd: usd },
    ms: Math.round(answer.ms),
  };
}
