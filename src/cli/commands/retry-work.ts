/** The work of `retry`: which jobs are meant, what they may cost, and one run that takes them up and drives them. */
import { TvdbError } from '../../base/errors.ts';
import { shortId } from '../../base/ids.ts';
import { planRetry, planUpgrades, type RetryPlan } from '../../pipeline/plan-retry.ts';
import { retryJob } from '../../pipeline/retry.ts';
import { drive, withRun } from '../../pipeline/run.ts';
import type { OnEvent } from '../../pipeline/step.ts';
import type { JobMoney } from '../../pipeline/upload.ts';
import { documentById } from '../../store/documents.ts';
import { jobById, listJobs } from '../../store/jobs/find.ts';
import { jobIdsOf } from '../../store/jobs/of-id.ts';
import { jobsOfRun } from '../../store/runs.ts';
import type { World } from '../../world.ts';
import type { CommandContext, CommandResult } from '../command.ts';
import { commandLine } from '../command-line.ts';
import { JOB_KINDS, resolveId } from '../ids.ts';
import { plural } from '../ui/format.ts';
import type { Page } from '../ui/ui.ts';
import { agreeForJobs, capThisRun } from './consent.ts';
import { NO_MONEY, type SpendMoney } from './foreseen-money.ts';
import { followJobs } from './job-progress.ts';
import { listenForResults, mayWaitForPaid } from './listening.ts';
import { chooseFallen, redoNote, upgradeLines } from './retry-fallbacks.ts';
import {
  consentToRetry,
  forecastRetry,
  goesUnasked,
  moneyOfRetry,
  noteMoney,
  type RetryForecast,
  type RetryRequest,
} from './retry-money.ts';
import { exitOfRetry, lineOf, type RetryAnswer, type RetryLine, retryResult } from './retry-view.ts';
import { afterwards } from './upload-waits.ts';

/** Far more jobs than anybody retries by hand. */
const MOST_JOBS = 100_000;

/** The jobs in question, and how they are taken up. */
interface Target {
  /** Jobs that were chosen, whether or not anything can be done about them. */
  readonly size: number;
  /** What is asked where no id was given, and why. */
  readonly question: string;
  readonly why: string;
  readonly note?: (page: Page) => void;
  plan(runId: string): Promise<RetryPlan>;
  /** Takes the jobs up into run `runId` with the money agreed for each; a line for each. */
  take(runId: string, money: ReadonlyMap<string, JobMoney>): Promise<RetryLine[]>;
}

/** Chooses, foresees, asks, and only then changes anything. */
export async function retry(request: RetryRequest, ctx: CommandContext): Promise<CommandResult> {
  const { ui, ids } = ctx;
  const world = await ctx.openWorld();
  const target = await (request.fallbacks ? fallenTarget : failedTarget)(request, world);
  const empty: RetryAnswer = { runId: null, lines: [], waited: false, fallbacks: request.fallbacks, money: NO_MONEY };
  if (target.size === 0) return retryResult(empty);
  if (target.note !== undefined) ui.note(target.note);
  const runId = ids.uuid();
  let money = NO_MONEY;
  let forecast: RetryForecast;
  try {
    forecast = await forecastRetry(await target.plan(runId), request, runId, world);
    ({ money } = forecast);
    noteMoney(forecast, ctx);
    if (forecast.refusal !== null) return retryResult({ ...empty, money, failure: forecast.refusal });
    // Who is asked for the money is not asked twice.
    const unasked = request.ids.length === 0 && !request.yes && goesUnasked(forecast, request, ctx);
    if (unasked && !(await ui.confirm(target.question, { flag: '--yes', why: target.why }))) return retryResult(empty);
    money = await consentToRetry(forecast, request, ctx);
  } catch (thrown) {
    if (!(thrown instanceof TvdbError) || thrown.category !== 'budget') throw thrown;
    return retryResult({ ...empty, money, failure: thrown });
  }
  const agreed = moneyOfRetry(forecast, request);
  return retryResult(await takeUp(request, { runId, money, take: () => target.take(runId, agreed) }, world, ctx));
}

async function fallenTarget({ ids }: RetryRequest, world: World): Promise<Target> {
  const chosen = await chooseFallen(world, ids);
  const redo = chosen.flatMap(({ job, found }) => (found.state === 'to_redo' ? [job] : []));
  return {
    size: chosen.length,
    question: `Redo ${plural(redo.length, 'document')} with the real services?`,
    why: 'everything that fell back would be redone with paid services',
    ...(redo.length > 0 && { note: (page) => redoNote(page, chosen) }),
    plan: (runId) => planUpgrades(world.pipeline, redo, runId),
    take: (runId, money) => upgradeLines(world, chosen, runId, money),
  };
}

async function failedTarget({ ids, failed }: RetryRequest, world: World): Promise<Target> {
  const chosen = await chooseJobs(world, ids, failed);
  return {
    size: chosen.size,
    question: `Retry ${plural(chosen.size, 'failed job')}?`,
    why: 'every failed job would be retried',
    plan: (runId) => planRetry(world.pipeline, chosen.keys(), runId),
    take: (runId, money) => retryLines(world, chosen, runId, money),
  };
}

/** Ids of the jobs in question, and whether each was named as a job rather than through its document or run. */
async function chooseJobs(
  { store }: World,
  typed: readonly string[],
  failedOnly: boolean,
): Promise<Map<string, boolean>> {
  const named = new Map<string, boolean>();
  for (const text of typed) {
    const match = await resolveId(store.db, text, JOB_KINDS, { command: ['retry'] });
    const single = match.kind !== 'document' && match.kind !== 'run';
    for (const id of await jobIdsOf(store.db, match)) named.set(id, single || named.get(id) === true);
  }
  if (!failedOnly) return named;
  const failed = await listJobs(store.db, {
    ...(typed.length > 0 && { jobIds: [...named.keys()] }),
    failedOnly: true,
    limit: MOST_JOBS,
  });
  return new Map(failed.map(({ job_id: id }) => [id, named.get(id) ?? false]));
}

/** Takes failed or held jobs up into run `runId`; a line for each. */
async function retryLines(
  world: World,
  chosen: ReadonlyMap<string, boolean>,
  runId: string,
  money: ReadonlyMap<string, JobMoney>,
): Promise<RetryLine[]> {
  // Before they are taken up: another worker may have them a moment later.
  await agreeForJobs(world, new Map([...money].map(([id, { consentNanoUsd }]) => [id, consentNanoUsd])));
  const lines: RetryLine[] = [];
  for (const [jobId, named] of chosen) {
    const retried = await retryJob(world.pipeline, jobId, runId, () => {});
    if (retried === undefined) continue;
    const document = await documentById(world.store.db, retried.job.document_id);
    lines.push(lineOf(retried, document?.filename ?? null, named));
  }
  return lines;
}

/** One run around it all: has the jobs taken up by `take` and, unless told otherwise, works until they are done. */
async function takeUp(
  { wait, fallbacks, maxCost }: RetryRequest,
  { runId, money, take }: { runId: string; money: SpendMoney; take: () => Promise<RetryLine[]> },
  world: World,
  ctx: CommandContext,
): Promise<RetryAnswer> {
  const { ui } = ctx;
  ui.setRun(runId);
  const { consent } = money;
  if (consent !== null && consent.by !== 'not_needed')
    ui.event('consent', { by: consent.by, limit_nano_usd: consent.limitNanoUsd });
  const ended = await withRun(world.pipeline, { runId, command: 'retry', mode: null }, async () => {
    await capThisRun(world, runId, maxCost);
    const lines = await take();
    const taken = lines.filter(({ taken: one }) => one);
    const answer = { runId, lines, waited: wait && taken.length > 0, fallbacks, money };
    if (!answer.waited) return { answer, exitCode: exitOfRetry(answer) };
    await work(world, ctx, runId, taken);
    const after = await Promise.all(
      lines.map(async (line) => ({ ...line, job: (await jobById(world.store.db, line.job.job_id)) ?? line.job })),
    );
    const jobIds = after.map(({ job }) => job.job_id);
    const worked = { ...answer, lines: after, ...(await afterwards(money, { runId, maxCost, jobIds }, world)) };
    return { answer: worked, exitCode: exitOfRetry(worked) };
  });
  return ended.answer;
}

async function work(world: World, ctx: CommandContext, runId: string, taken: readonly RetryLine[]): Promise<void> {
  const { ui, clock, interrupt } = ctx;
  await listenForResults(world, ctx, await mayWaitForPaid(world, ctx));
  ui.resumeWith(commandLine(['run', '--only-run', shortId(runId)]));
  const view = await ui.startProgress();
  const names = new Map(taken.map(({ job, filename }) => [job.job_id, filename]));
  const follower = followJobs({
    ui,
    clock,
    view,
    stopping: interrupt.stopping,
    labelOf: (job) => names.get(job.job_id) ?? shortId(job.job_id),
    jobIds: taken.map(({ job }) => job.job_id),
    keepSteps: taken.length === 1 && ui.progress === 'tty',
  });
  const onEvent: OnEvent = (event, job) => {
    if (names.has(job.job_id)) follower.onEvent(event, job);
  };
  try {
    await drive(world.pipeline, {
      scope: { runId },
      runId,
      news: world.news,
      concurrency: world.concurrency,
      until: 'drain',
      waitForOthers: true,
      onEvent,
      onIdle: () => void jobsOfRun(world.store.db, runId).then(follower.show, () => {}),
      signals: interrupt,
    });
  } finally {
    view.close();
  }
}
