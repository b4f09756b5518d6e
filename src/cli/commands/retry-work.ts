/** The work of `retry`: which jobs are meant, and one run that takes them up and drives them. */
import { shortId } from '../../base/ids.ts';
import type { OnEvent } from '../../pipeline/step.ts';
import type { World } from '../../world.ts';
import type { CommandContext } from '../command.ts';
import { commandLine } from '../command-line.ts';
import type { RetryAnswer, RetryLine } from './retry-view.ts';

/** Far more jobs than anybody retries by hand. */
const MOST_JOBS = 100_000;

/** Ids of the jobs in question, and whether each was named as a job rather than through its document or run. */
export async function chooseJobs(
  { store }: World,
  typed: readonly string[],
  failedOnly: boolean,
): Promise<Map<string, boolean>> {
  const [{ JOB_KINDS, resolveId }, { listJobs }, { jobIdsOf }] = await Promise.all([
    import('../ids.ts'),
    import('../../store/jobs/find.ts'),
    import('../../store/jobs/of-id.ts'),
  ]);
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
export async function retryLines(
  world: World,
  chosen: ReadonlyMap<string, boolean>,
  runId: string,
  maxCost?: number,
): Promise<RetryLine[]> {
  const [{ retryJob }, { lineOf }, { documentById }] = await Promise.all([
    import('../../pipeline/retry.ts'),
    import('./retry-view.ts'),
    import('../../store/documents.ts'),
  ]);
  const { agreeForJobs } = await import('./consent.ts');
  // Before they are taken up: another worker may have them a moment later.
  await agreeForJobs(world, [...chosen.keys()], maxCost);
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
export async function takeUpJobs(
  world: World,
  ctx: CommandContext,
  take: (runId: string) => Promise<RetryLine[]>,
  { wait, fallbacks, maxCost }: { wait: boolean; fallbacks: boolean; maxCost: number | undefined },
): Promise<RetryAnswer> {
  const { ui, ids } = ctx;
  const [{ withRun }, { exitOfRetry }, { jobById }, { refusedMoney }, { agreeForJobs, capThisRun }] = await Promise.all(
    [
      import('../../pipeline/run.ts'),
      import('./retry-view.ts'),
      import('../../store/jobs/find.ts'),
      import('../../store/jobs/money.ts'),
      import('./consent.ts'),
    ],
  );
  const runId = ids.uuid();
  ui.setRun(runId);
  const ended = await withRun(world.pipeline, { runId, command: 'retry', mode: null }, async () => {
    await capThisRun(world, runId, maxCost);
    const lines = await take(runId);
    const taken = lines.filter(({ taken: one }) => one);
    if (fallbacks)
      await agreeForJobs(
        world,
        taken.map(({ job }) => job.job_id),
        maxCost,
      );
    const answer = { runId, lines, waited: wait && taken.length > 0, fallbacks };
    if (!answer.waited) return { answer, exitCode: exitOfRetry(answer) };
    await work(world, ctx, runId, taken);
    const after = await Promise.all(
      lines.map(async (line) => ({ ...line, job: (await jobById(world.store.db, line.job.job_id)) ?? line.job })),
    );
    const refused = await refusedMoney(
      world.store.db,
      after.map(({ job }) => job.job_id),
    );
    const worked = { ...answer, lines: after, refusedMoney: refused };
    return { answer: worked, exitCode: exitOfRetry(worked) };
  });
  return ended.answer;
}

async function work(world: World, ctx: CommandContext, runId: string, taken: readonly RetryLine[]): Promise<void> {
  const { ui, clock, interrupt } = ctx;
  const [{ drive }, { followJobs }, { jobsOfRun }, { listenForResults, mayWaitForPaid }] = await Promise.all([
    import('../../pipeline/run.ts'),
    import('./job-progress.ts'),
    import('../../store/runs.ts'),
    import('./listening.ts'),
  ]);
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
