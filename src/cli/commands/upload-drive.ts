/** Takes the jobs of an upload to their end while people and programs watch; and takes up an earlier run again. */
import { basename } from 'node:path';
import type { TvdbError } from '../../base/errors.ts';
import { resumeRun } from '../../pipeline/resume.ts';
import { decisionOf } from '../../pipeline/route.ts';
import { drive, withRun } from '../../pipeline/run.ts';
import { documentById } from '../../store/documents.ts';
import { refusedMoney } from '../../store/jobs/money.ts';
import { jobsOfRun } from '../../store/runs.ts';
import type { World } from '../../world.ts';
import type { CommandContext } from '../command.ts';
import { resolveId } from '../ids.ts';
import { agreeForJobs, capThisRun } from './consent.ts';
import { followJobs } from './job-progress.ts';
import { listenForResults, mayWaitForPaid } from './listening.ts';
import { type PendingResult, type Told, withOutcomes } from './upload-documents.ts';
import { documentStatus, type ExitRules, resumeCommand, type UploadAnswer } from './upload-result.ts';
import { cutShort, endOf, type Uploaded } from './upload-stop.ts';

export interface DriveRequest {
  /** `false`: the jobs stay in the queue. */
  readonly wait: boolean;
  readonly timeout: number | undefined;
  readonly failFast: boolean;
  /** With `wait: false`, exit 8 while anything is in the queue. */
  readonly exitStatus: boolean;
}

export interface Covered {
  readonly runId: string;
  /** What people call each job. */
  readonly labels: ReadonlyMap<string, string>;
  /** What happened so far. */
  readonly events: readonly Told[];
}

/** Works on the jobs of a run until they end, rest, or the time is up. Follows those that other processes work on. */
export async function driveUpload(
  { runId, labels, events }: Covered,
  request: DriveRequest,
  world: World,
  ctx: CommandContext,
): Promise<void> {
  const { ui, clock, interrupt } = ctx;
  const { pipeline, store } = world;
  ui.resumeWith(resumeCommand(runId));
  const view = await ui.startProgress();
  let looking: Promise<void> | undefined;
  try {
    const follower = followJobs({
      ui,
      clock,
      view,
      stopping: interrupt.stopping,
      // A line of live progress has room for a name, not for a path.
      labelOf: (job) => (ui.progress === 'tty' ? basename : String)(labels.get(job.job_id) ?? ''),
      jobIds: [...labels.keys()],
      keepSteps: labels.size === 1 && ui.progress === 'tty',
    });
    for (const told of events) follower.onEvent(...told);
    if (!request.wait) return;
    // Jobs in the hands of another process send no events here; the store is asked instead.
    const look = () => {
      looking ??= jobsOfRun(store.db, runId)
        .then(follower.show)
        .finally(() => {
          looking = undefined;
        });
    };
    await listenForResults(world, ctx, await mayWaitForPaid(world, ctx));
    await drive(pipeline, {
      scope: { runId },
      runId,
      news: world.news,
      concurrency: world.concurrency,
      until: 'drain',
      waitForOthers: true,
      timeoutMs: request.timeout,
      failFast: request.failFast,
      onEvent: follower.onEvent,
      onIdle: look,
      signals: { stopping: interrupt.stopping, abort: interrupt.abort },
    });
    await looking;
  } finally {
    await looking?.catch(() => {});
    view.close();
  }
}

/** `--resume`: retries what failed in a run and finishes what it left. Throws E006 or E007 for the id. */
export async function resumeUpload(
  typed: string,
  request: DriveRequest & { onFallback: 'warn' | 'fail'; maxCost: number | undefined },
  ctx: CommandContext,
): Promise<Uploaded> {
  const started = ctx.clock.monotonic();
  const world = await ctx.openWorld();
  const { store, pipeline } = world;
  const { id: earlier } = await resolveId(store.db, typed, ['run'], { command: ['upload', '--resume'] });
  const before = await jobsOfRun(store.db, earlier);
  const first = before[0];
  const decision = first === undefined ? world.router.decide(ctx.config.settings.SERVICE_MODE) : decisionOf(first);
  const runId = ctx.ids.uuid();
  ctx.ui.setRun(runId);
  const rulesFor = (jobs: number): ExitRules => ({
    refuseFallback: request.onFallback === 'fail' && jobs > 0,
    pendingCounts: request.wait || request.exitStatus,
  });
  let results: PendingResult[] = [];
  const answerOf = (documents: UploadAnswer['documents'], failure?: TvdbError): UploadAnswer => {
    const ms = ctx.clock.monotonic() - started;
    return {
      runId,
      documents,
      decision,
      modeSource: 'run',
      skipped: [],
      ms,
      ...(failure !== undefined && { failure }),
    };
  };
  try {
    return await withRun(pipeline, { runId, command: 'upload', mode: decision.mode }, async () => {
      const events: Told[] = [];
      const { maxCost } = request;
      await capThisRun(world, runId, maxCost);
      if (maxCost !== undefined) await agreeForJobs(world, new Map(before.map(({ job_id: id }) => [id, maxCost])));
      const jobIds = await resumeRun(pipeline, earlier, runId, (...told) => events.push(told));
      const jobs = (await jobsOfRun(store.db, runId)).filter((job) => jobIds.includes(job.job_id));
      results = await Promise.all(jobs.map((job) => pendingResult(job, world)));
      const labels = new Map(results.map(({ jobId, shown }) => [jobId ?? '', shown]));
      if (jobs.length > 0) await driveUpload({ runId, labels, events }, request, world, ctx);
      const answer = answerOf(await withOutcomes(results, world));
      const refused = await refusedMoney(store.db, jobIds);
      return endOf({ ...answer, refusedMoney: refused }, rulesFor(jobs.length), ctx);
    });
  } catch (thrown) {
    if (results.length === 0) throw thrown;
    const documents = await withOutcomes(results, world, { lenient: true });
    return endOf(answerOf(documents, cutShort(thrown, documents)), rulesFor(results.length), ctx);
  }
}

async function pendingResult(
  job: Awaited<ReturnType<typeof jobsOfRun>>[number],
  { store }: World,
): Promise<PendingResult> {
  const document = await documentById(store.db, job.document_id);
  return {
    shown: document?.source_path ?? document?.filename ?? job.job_id,
    status: documentStatus(job),
    sha256: document?.file_sha256 ?? null,
    bytes: document?.bytes_len ?? null,
    pages: document?.pages ?? null,
    error: null,
    outcome: null,
    attached: false,
    sameAs: null,
    jobId: job.job_id,
  };
}
