/** What jobs that are taken up again would still cost: only the work that will really be asked for, and paid, again. */

import { type ActiveStatus, stepOf } from '../domain/job-state.ts';
import { add } from '../domain/money.ts';
import type { ParseOptions } from '../domain/parse-options.ts';
import type { Fit } from '../ledger/headroom.ts';
import type { RouterDecision } from '../services/router.ts';
import { latestAttempt } from '../store/attempts.ts';
import { documentById } from '../store/documents.ts';
import { openBatch } from '../store/embed-batches.ts';
import { spentByJobs } from '../store/job-spend.ts';
import { jobById } from '../store/jobs/find.ts';
import { liveJob } from '../store/jobs/live.ts';
import { bufferedTokensToEmbed } from '../store/known-text.ts';
import type { JobRow } from '../store/schema.ts';
import {
  type CountedDocument,
  estimateDocuments,
  type PlannedCost,
  type UploadEstimate,
  type WorkLeft,
} from './estimate-upload.ts';
import { fitOf, mayBePaid, withRoom } from './plan-spend.ts';
import { wouldGoOnAt } from './retry.ts';
import { decisionOf, parseOptionsOf, routeOf } from './route.ts';
import type { UploadDeps } from './staging.ts';
import { mayBeThere } from './submit-parse.ts';
import { planUpgrade } from './upgrade-fallbacks.ts';
import { pagesToRetry } from './validate-parse.ts';

/** A job that would be taken up, with what is foreseen for it. */
export interface PlannedJob {
  /** With `planUpgrades`: the job whose parts are redone. */
  readonly jobId: string;
  readonly cost: PlannedCost;
  /** Nano-USD it may spend more than it has: the ceiling, and room to ask for some pages once more. */
  readonly mostNanoUsd: number;
}

export interface RetryPlan {
  readonly jobs: readonly PlannedJob[];
  readonly estimate: { readonly likelyNanoUsd: number; readonly ceilingNanoUsd: number };
  readonly mostNanoUsd: number;
  /** What was agreed to before covers the ceiling of every job. */
  readonly agreed: boolean;
  readonly fit: Fit;
}

/** Foresees the cost of taking jobs up where they stopped. Sends nothing. Throws E203 where something has no price. */
export async function planRetry(deps: UploadDeps, jobIds: Iterable<string>, runId: string): Promise<RetryPlan> {
  const { store } = deps;
  const works: Work[] = [];
  for (const id of jobIds) {
    const job = await jobById(store.db, id);
    if (job === undefined) continue;
    const services = { llamaparse: await routeOf('llamaparse', job, deps), openai: await routeOf('openai', job, deps) };
    const decision = { ...decisionOf(job), services };
    // Whatever is left of it is free: thousands of mock jobs need no second look.
    if (!mayBePaid(decision)) continue;
    const at = await wouldGoOnAt(deps, job);
    if (at !== null) works.push(...(await workOf(deps, job, at, decision)));
  }
  const plan = await price(deps, works, runId);
  const consents = new Map(works.map(({ job }) => [job.job_id, job.consent_nano_usd ?? 0]));
  const spent = await spentByJobs(store.db, [...consents.keys()]);
  const agreed = plan.jobs.every(
    ({ jobId, cost: { ceilingNanoUsd: ceiling } }) =>
      ceiling === 0 || (spent.get(jobId) ?? 0) + ceiling <= (consents.get(jobId) ?? 0),
  );
  return { ...plan, agreed };
}

/** Foresees the cost of redoing what fell back in these jobs. What a new job cannot be made for costs nothing. */
export async function planUpgrades(deps: UploadDeps, jobs: readonly JobRow[], runId: string): Promise<RetryPlan> {
  const works: Work[] = [];
  for (const job of jobs) {
    const upgrade = await planUpgrade(deps, job);
    if ('error' in upgrade) continue;
    const { document, decision, parse, key } = upgrade;
    const same = { userId: document.user_id, documentId: document.document_id, configKey: key };
    // A job is at it, whose money was agreed to.
    if ((await liveJob(deps.store.db, same)) !== undefined) continue;
    const counted = { pages: document.pages, sha256: document.file_sha256 };
    works.push({ job, decision, options: parse, counted, noCache: false });
  }
  return { ...(await price(deps, works, runId)), agreed: works.length === 0 };
}

/** What is to be priced for one job. */
interface Work {
  job: JobRow;
  decision: RouterDecision;
  options: ParseOptions;
  counted: CountedDocument;
  noCache: boolean;
}

async function price(deps: UploadDeps, works: readonly Work[], runId: string): Promise<Omit<RetryPlan, 'agreed'>> {
  const estimates: UploadEstimate[] = [];
  for (const { job, decision, options, counted, noCache } of works) {
    const how = { costCenter: job.cost_center, economy: job.economy === 1, noCache };
    estimates.push(await estimateDocuments(deps, [counted], decision, options, how));
  }
  const jobs = works.flatMap(({ job }, index): PlannedJob[] => {
    const [cost] = estimates[index]?.perDocument ?? [];
    return cost === undefined ? [] : [{ jobId: job.job_id, cost, mostNanoUsd: withRoom(cost) }];
  });
  const asks = estimates.flatMap((one) => one.asks);
  return {
    jobs,
    estimate: {
      likelyNanoUsd: estimates.map((one) => one.likelyNanoUsd).reduce(add, 0),
      ceilingNanoUsd: estimates.map((one) => one.ceilingNanoUsd).reduce(add, 0),
    },
    mostNanoUsd: jobs.map((one) => one.mostNanoUsd).reduce(add, 0),
    fit: await fitOf(deps, { asks }, { runId }),
  };
}

/** What a job that goes on at `at` has still to ask for; empty where its document is gone. */
async function workOf(deps: UploadDeps, job: JobRow, at: ActiveStatus, decision: RouterDecision): Promise<Work[]> {
  const { store, settings } = deps;
  const document = await documentById(store.db, job.document_id);
  if (document === undefined) return [];
  const { pages, file_sha256: sha256 } = document;
  const left: WorkLeft = { parsePages: await pagesLeft(deps, job, at, pages), tokens: await tokensLeft(deps, job, at) };
  return [
    {
      job,
      decision,
      options: parseOptionsOf(job, settings),
      counted: { pages, sha256, left },
      noCache: job.no_cache === 1,
    },
  ];
}

/** Pages a new request would ask for. A parse that the service has, or may have, is waited for and not made anew. */
async function pagesLeft({ store, router }: UploadDeps, job: JobRow, at: ActiveStatus, pages: number): Promise<number> {
  if (stepOf(at) !== 'parse' || at === 'parsed' || !router.usable('llamaparse')) return 0;
  const attempt = await latestAttempt(store.db, job.job_id, 'parse');
  const isUnderWay =
    attempt !== undefined && (at === 'parse_queued' ? attempt.outcome !== 'failed' : mayBeThere(attempt));
  if (isUnderWay) return 0;
  return (await pagesToRetry(job, store.db))?.length ?? pages;
}

/** Tokens that would be embedded for money, where they are known. What stands in a batch under way is paid. */
async function tokensLeft({ store, router }: UploadDeps, job: JobRow, at: ActiveStatus): Promise<number | null> {
  const step = stepOf(at);
  if (step === 'store' || !router.usable('openai')) return 0;
  if (step !== 'embed') return null;
  if ((await openBatch(store.db, job.job_id)) !== undefined) return 0;
  const { space } = await router.embedService('real');
  const cachedSince = job.no_cache === 1 ? job.created_at : 0;
  return bufferedTokensToEmbed(store.db, { jobId: job.job_id, space: space.name, cachedSince });
}
