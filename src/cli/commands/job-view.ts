/** One job as every command shows it: its status word, its place among the five steps, its cost, its JSON form. */
import { iso } from '../../base/clock.ts';
import type { StoredError } from '../../base/errors.ts';
import { isEnded, isFailed, STEPS, stepOf } from '../../domain/job-state.ts';
import { decisionOf } from '../../pipeline/route.ts';
import type { JobRequests } from '../../store/attempt-totals.ts';
import type { JobCost } from '../../store/job-spend.ts';
import type { ListedJob } from '../../store/jobs/find.ts';
import type { JobRow } from '../../store/schema.ts';
import { usd } from '../ui/format.ts';
import type { StatusWord } from '../ui/text.ts';
import { routesJson } from './route-text.ts';

/** What a job's row alone does not say. */
export interface JobSurroundings {
  readonly now: number;
  /** Workers whose process is gone: what they hold is up for takeover. */
  readonly deadWorkers: readonly string[];
  /** What jobs that asked paid services have cost; those that are missing were free. */
  readonly costs: ReadonlyMap<string, JobCost>;
  /** What each job asked of services; jobs that asked nothing are missing. */
  readonly requests: ReadonlyMap<string, JobRequests>;
}

/** Whether a living worker has the job in hand. */
function isHeld(job: JobRow, { now, deadWorkers }: Pick<JobSurroundings, 'now' | 'deadWorkers'>): boolean {
  return job.lease_owner !== null && (job.lease_until ?? 0) > now && !deadWorkers.includes(job.lease_owner);
}

/** `warn` is complete with a fallback; `skip` is a duplicate or cancelled. */
export function jobWord(job: JobRow, around: Pick<JobSurroundings, 'now' | 'deadWorkers'>): StatusWord {
  if (job.status === 'complete') return job.fallback_triggered === 1 ? 'warn' : 'ok';
  if (isFailed(job.status)) return 'fail';
  if (isEnded(job.status)) return 'skip';
  return isHeld(job, around) ? 'run' : 'wait';
}

/** Time from the first claim to the end; `null` while the job is not ended or was never worked on. */
export function processingMs(job: JobRow): number | null {
  if (!isEnded(job.status) || job.processing_started_at === null) return null;
  return Math.max(0, (job.processing_completed_at ?? job.updated_at) - job.processing_started_at);
}

/**
 * Nano-USD a job has cost, with what is reserved or of unknown outcome as if it were spent; `null` where a request has no
 * price. Mock work is free.
 */
export function jobCost(job: Pick<JobRow, 'job_id'>, { costs }: Pick<JobSurroundings, 'costs'>): number | null {
  const cost = costs.get(job.job_id);
  if (cost === undefined) return 0;
  return cost.unpriced > 0 ? null : cost.charged + cost.open;
}

/** The same for people: `up to $0.0450` while a part of it is not settled. */
export function jobCostText(job: Pick<JobRow, 'job_id'>, around: Pick<JobSurroundings, 'costs'>): string {
  const cost = jobCost(job, around);
  return `${cost !== null && (around.costs.get(job.job_id)?.open ?? 0) > 0 ? 'up to ' : ''}${usd(cost)}`;
}

/** Money as JSON has it: the exact integer and a number for people. */
export function moneyJson(nano: number | null): { nano_usd: number | null; usd: number | null } {
  return { nano_usd: nano, usd: nano === null ? null : nano / 1e9 };
}

/** 1 to 5. */
export function stepNumber(job: JobRow): number {
  return STEPS.indexOf(stepOf(job.status)) + 1;
}

/** What the newest failure of the job was; `null` when nothing failed since it last succeeded. */
export function lastError(job: JobRow): StoredError | null {
  return job.last_error === null ? null : (JSON.parse(job.last_error) as StoredError);
}

/** Why a job rests, as a sentence without its end time; `null` when it does not. */
export function parkText(job: JobRow): string | null {
  return job.park_reason === null ? null : (job.park_note ?? PARK_TEXTS[job.park_reason]);
}

/** What each reason to rest means. */
const PARK_TEXTS: Readonly<Record<NonNullable<JobRow['park_reason']>, string>> = {
  awaiting_result: 'waiting for the parse service',
  retry: 'trying again after a failure',
  rate_limit: 'a service is limiting requests',
  service_unavailable: 'no service may be used',
  budget: 'the budget is used up',
  unknown_outcome: 'it is not known whether a request arrived',
  maintenance: 'maintenance',
  held_by_user: 'held',
};

/** Why jobs rest until a time; what waits for a budget and has none waits for somebody to see an overrun. */
export function restText(reason: NonNullable<JobRow['park_reason']>, until: number | null): string {
  return reason === 'budget' && until === null ? 'a budget is stopped by an overrun' : PARK_TEXTS[reason];
}

/** The JSON form of a job, without what only `trace` adds. */
export function jobJson(job: ListedJob, around: JobSurroundings) {
  const error = lastError(job);
  return {
    job_id: job.job_id,
    document_id: job.document_id,
    correlation_id: job.correlation_id,
    run_id: job.run_id,
    status: job.status,
    state: jobWord(job, around),
    stage: stepOf(job.status),
    stage_index: stepNumber(job),
    stages: STEPS.length,
    filename: job.filename,
    path: job.source_path,
    service_mode: job.service_mode,
    fallback: job.fallback_triggered === 1,
    created_at: iso(job.created_at),
    started_at: iso(job.processing_started_at),
    ended_at: iso(job.processing_completed_at),
    ms: processingMs(job),
    ...moneyJson(jobCost(job, around)),
    services: routesJson(decisionOf(job).services),
    retries: job.retry_count,
    requests: around.requests.get(job.job_id)?.requests ?? 0,
    remote_id: around.requests.get(job.job_id)?.remoteId ?? null,
    request_id: around.requests.get(job.job_id)?.requestId ?? null,
    parked:
      job.park_reason === null ? null : { reason: job.park_reason, until: iso(job.run_after), note: job.park_note },
    duplicate_of: job.duplicate_of,
    error_code: error?.code ?? null,
    error,
  };
}
