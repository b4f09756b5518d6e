/** What a `run` did, gathered from the jobs it touched and the queue it left. */

import { iso } from '../../base/clock.ts';
import { ERROR_CODES, type ErrorCode, EXIT } from '../../base/error-codes.ts';
import { TvdbError } from '../../base/errors.ts';
import { isFailed, type JobStatus, type ParkReason } from '../../domain/job-state.ts';
import type { DriveSummary } from '../../pipeline/run.ts';
import { documentById } from '../../store/documents.ts';
import { costsOfJobs } from '../../store/job-spend.ts';
import { jobById } from '../../store/jobs/find.ts';
import { refusedMoney } from '../../store/jobs/money.ts';
import type { JobRow } from '../../store/schema.ts';
import type { World } from '../../world.ts';
import type { ExitCode } from '../command.ts';
import { plural } from '../ui/format.ts';
import { type JobSurroundings, jobCost, lastError, moneyJson, restText } from './job-view.ts';
import { moneyWait } from './upload-waits.ts';

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
  /** Jobs it took that rest because money was refused. */
  readonly refused: readonly JobRow[];
  /** The refusal of the cap of this run. */
  readonly cap: TvdbError | null;
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
  const waiting = await refusedMoney(store.db, run.touched);
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
    parked: run.parked.map((group) => ({ ...group, text: restText(group.reason, group.until) })),
    ms: run.ms,
    refused: jobs.filter(({ job_id: id }) => waiting.has(id)),
    cap: summary.cap ?? null,
  };
}

/**
 * 0 drained; 5 the cap of the run was reached with work left, or money is all that the work left waits for; before partly
 * done (7) and all failed (1), what a job failed of: a bug, a refused key, an empty account, a service that is down.
 */
export function runExit(answer: RunAnswer): ExitCode {
  const { failed, byStatus } = answer;
  if (answer.cap !== null && answer.leftInQueue > 0) return EXIT.budget;
  if (failed.length === 0) return restsForMoney(answer) ? EXIT.budget : EXIT.ok;
  for (const exit of [EXIT.internal, EXIT.credentials, EXIT.budget, EXIT.upstream])
    if (failed.some(({ job }) => exitOfJob(job) === exit)) return exit;
  return (byStatus.complete ?? 0) > 0 ? EXIT.partial : EXIT.failed;
}

/** Whether everything that rests does so for money: refused to jobs of this run, or to others before. */
function restsForMoney({ parked, refused }: RunAnswer): boolean {
  const consent = refused.filter(({ park_reason: reason }) => reason === 'held_by_user').length;
  const rests = parked.filter(({ reason, jobs }) => jobs > 0 && !(reason === 'held_by_user' && jobs > consent));
  return rests.length > 0 && rests.every(({ reason }) => reason === 'budget' || reason === 'held_by_user');
}

function exitOfJob(job: JobRow): number | null {
  const code = lastError(job)?.code.replace(/^TVDB-/, '') ?? '';
  return code in ERROR_CODES ? ERROR_CODES[code as ErrorCode].exit : null;
}

/** Why the exit code is what it is; the failed jobs are named. */
export function runError(answer: RunAnswer): TvdbError | undefined {
  const { failed, jobs, refused, cap, parked } = answer;
  if (runExit(answer) === EXIT.budget) {
    if (cap !== null) return cap;
    const waiting = parked.reduce((sum, group) => sum + group.jobs, 0);
    return moneyWait(refused, Math.max(jobs.length, waiting), 'job', waiting);
  }
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
