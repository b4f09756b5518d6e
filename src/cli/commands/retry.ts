/** `tvdb retry`: takes up what failed or is held, at the step it stopped at, and follows it to its end. */
import { TvdbError } from '../../base/errors.ts';
import { shortId } from '../../base/ids.ts';
import type { OnEvent } from '../../pipeline/step.ts';
import type { World } from '../../world.ts';
import { type CommandContext, defineCommand } from '../command.ts';
import { commandLine } from '../command-line.ts';
import { plural } from '../ui/format.ts';
import type { RetryAnswer, RetryLine } from './retry-view.ts';

/** Far more jobs than anybody retries by hand. */
const MOST_JOBS = 100_000;

export const retryCommand = defineCommand({
  name: 'retry',
  summary: 'take up failed or held jobs at the step they stopped at',
  description:
    'With ids of jobs, documents or runs: their failed jobs, and those that are held or wait for another try. ' +
    'With --failed: only failed ones; without ids then all of them, after asking. Finished steps are not repeated.',
  args: [{ name: 'id', summary: 'job, document, run or correlation id, or its first 4 or more characters', value: 'id', optional: true, repeat: true }],
  options: [
    { name: 'failed', summary: 'only jobs that failed; without ids: every one of them', common: true },
    { name: 'no-wait', summary: 'put them back into the queue and return' },
    { name: 'yes', short: 'y', summary: 'do not ask before retrying every failed job' },
  ],
  examples: [
    ['tvdb retry 3fa85f64', 'one job, or all failed jobs of a document or run'],
    ['tvdb retry --failed --yes', 'everything that failed, for a script'],
    ['tvdb retry 3fa85f64 --no-wait', 'only into the queue; `tvdb run` works on it'],
  ],
  needs: 'world',
  exitCodes: [0, [1, 'all of them failed again'], [2, 'unknown id, or not possible in this state'], 6, [7, 'some were done, some not'], [8, 'some still wait']],
  json: 'tvdb.retry/v1',
  ndjson: true,
  async handler({ args, options }, ctx) {
    if (args.id.length === 0 && !options.failed) {
      throw new TvdbError('E002', { message: 'What is to be retried is missing', why: 'give ids, or --failed for every failed job', facts: { command: 'retry' } });
    }
    const world = await ctx.openWorld();
    const { retryResult } = await import('./retry-view.ts');
    const chosen = await choose(world, args.id, options.failed);
    const empty: RetryAnswer = { runId: null, lines: [], waited: false };
    if (chosen.size === 0) return retryResult(empty);
    if (args.id.length === 0 && !options.yes) {
      const question = `Retry ${plural(chosen.size, 'failed job')}?`;
      if (!(await ctx.ui.confirm(question, { flag: '--yes', why: 'every failed job would be retried' }))) return retryResult(empty);
    }
    return retryResult(await takeUp(world, ctx, chosen, options.wait));
  },
});

/** Ids of the jobs in question, and whether each was named as a job rather than through its document or run. */
async function choose({ store }: World, typed: readonly string[], failedOnly: boolean): Promise<Map<string, boolean>> {
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
  const failed = await listJobs(store.db, { ...(typed.length > 0 && { jobIds: [...named.keys()] }), failedOnly: true, limit: MOST_JOBS });
  return new Map(failed.map(({ job_id: id }) => [id, named.get(id) ?? false]));
}

/** One run around it all: takes the jobs up and, unless told otherwise, works until they are done. */
async function takeUp(world: World, ctx: CommandContext, chosen: ReadonlyMap<string, boolean>, wait: boolean): Promise<RetryAnswer> {
  const { ui, ids } = ctx;
  const [{ withRun }, { retryJob }, { exitOfRetry, lineOf }, { jobById }, { documentById }] = await Promise.all([
    import('../../pipeline/run.ts'),
    import('../../pipeline/retry.ts'),
    import('./retry-view.ts'),
    import('../../store/jobs/find.ts'),
    import('../../store/documents.ts'),
  ]);
  const runId = ids.uuid();
  ui.setRun(runId);
  const ended = await withRun(world.pipeline, { runId, command: 'retry', mode: null }, async () => {
    const lines: RetryLine[] = [];
    for (const [jobId, named] of chosen) {
      const retried = await retryJob(world.pipeline, jobId, runId, () => {});
      if (retried === undefined) continue;
      const document = await documentById(world.store.db, retried.job.document_id);
      lines.push(lineOf(retried, document?.filename ?? null, named));
    }
    const taken = lines.filter(({ taken: one }) => one);
    const answer = { runId, lines, waited: wait && taken.length > 0 };
    if (!answer.waited) return { answer, exitCode: exitOfRetry(answer) };
    await work(world, ctx, runId, taken);
    const after = await Promise.all(lines.map(async (line) => ({ ...line, job: (await jobById(world.store.db, line.job.job_id)) ?? line.job })));
    const worked = { ...answer, lines: after };
    return { answer: worked, exitCode: exitOfRetry(worked) };
  });
  return ended.answer;
}

async function work(world: World, { ui, clock, interrupt }: CommandContext, runId: string, taken: readonly RetryLine[]): Promise<void> {
  const [{ drive }, { followJobs }, { jobsOfRun }] = await Promise.all([
    import('../../pipeline/run.ts'),
    import('./job-progress.ts'),
    import('../../store/runs.ts'),
  ]);
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
