/** `tvdb status`: what the tool has, what waits, and how each job stands. */
import { EXIT } from '../../base/error-codes.ts';
import { shortId } from '../../base/ids.ts';
import { isEnded, isFailed } from '../../domain/job-state.ts';
import { type CommandContext, type CommandResult, defineCommand, type ExitCode } from '../command.ts';
import { jobWord } from './job-view.ts';
import type { StatusAnswer, StatusRequest } from './status-answer.ts';

const DEFAULT_INTERVAL_MS = 2_000;
/** Looking more often costs a processor and shows nothing new. */
const LEAST_INTERVAL_MS = 100;
const DEFAULT_LIMIT = 20;

export const statusCommand = defineCommand({
  name: 'status',
  summary: 'services, queue and jobs',
  description:
    'Without ids: the newest jobs. With ids of jobs, documents or runs: their jobs. Reading the status starts no service and costs nothing.',
  args: [
    {
      name: 'id',
      summary: 'job, document, run, correlation or upstream id, or its first 4 or more characters',
      value: 'id',
      optional: true,
      repeat: true,
    },
  ],
  options: [
    {
      name: 'watch',
      short: 'w',
      summary: 'keep the page up to date until Ctrl-C, or until the named jobs have ended',
      common: true,
    },
    {
      name: 'interval',
      value: 'duration',
      valueName: 'dur',
      summary: 'how often --watch looks (default 2s)',
      requires: 'watch',
    },
    { name: 'failed', summary: 'only jobs that failed' },
    {
      name: 'limit',
      value: 'integer',
      min: 1,
      max: 10_000,
      valueName: 'n',
      summary: `most jobs shown (default ${DEFAULT_LIMIT})`,
    },
    { name: 'since', value: 'time', valueName: 'when', summary: 'only jobs made since: 2026-11-22, today, 7d' },
    { name: 'exit-status', summary: 'exit 1 if a job failed, 8 if one is still going' },
  ],
  examples: [
    ['tvdb status', 'everything'],
    ['tvdb status 3fa85f64 --watch', 'follow one upload to its end'],
    ['tvdb status --failed --since today --json', 'what went wrong today, for a script'],
    ['tvdb status 3fa85f64 --exit-status', 'whether a run is complete, for CI'],
  ],
  needs: 'world',
  exitCodes: [
    0,
    [1, 'with --exit-status: a job failed or was cancelled'],
    2,
    6,
    [8, 'with --exit-status: a job is still going'],
  ],
  json: 'tvdb.status/v1',
  ndjson: true,
  async handler({ args, options }, ctx) {
    const world = await ctx.openWorld();
    const [{ statusAnswer }, { resolveJobs }] = await Promise.all([import('./status-answer.ts'), import('../ids.ts')]);
    const named = args.id.length > 0;
    const request: StatusRequest = {
      jobIds: named ? await resolveJobs(world.store.db, args.id, { command: ['status'] }) : undefined,
      failedOnly: options.failed,
      since: options.since,
      limit: options.limit ?? DEFAULT_LIMIT,
    };
    const look = () => statusAnswer(world, request);
    const answer = options.watch
      ? await (await import('./status-watch.ts')).watched(look, ctx, {
          named,
          interval: Math.max(LEAST_INTERVAL_MS, options.interval ?? DEFAULT_INTERVAL_MS),
        })
      : await look();
    const result = await toResult(answer, ctx, named);
    // The rows of a watch in a pipe are out already.
    const plain = options.watch ? { plain: () => [] } : {};
    return { ...result, ...plain, exitCode: options.exitStatus ? exitStatus(answer) : EXIT.ok };
  },
});

async function toResult(answer: StatusAnswer, { ui }: CommandContext, jobsOnly: boolean): Promise<CommandResult> {
  const [{ statusJson }, { jobRow, statusPage }] = await Promise.all([
    import('./status-answer.ts'),
    import('./status-view.ts'),
  ]);
  const next = nextStep(answer);
  return {
    data: statusJson(answer),
    render: (page) => statusPage(page, answer, ui, { jobsOnly }),
    plain: () => answer.jobs.map((job) => jobRow(job, answer)),
    quiet: () => answer.jobs.map((job) => job.job_id),
    ...(next !== undefined && { next }),
  };
}

function nextStep({ queue, jobs, around }: StatusAnswer): string | undefined {
  const failed = jobs.find((job) => jobWord(job, around) === 'fail');
  if (failed !== undefined) return `tvdb trace ${shortId(failed.job_id)}`;
  if (queue.waiting > 0 && queue.liveWorkers === 0) return 'tvdb run';
  const redone = new Set(jobs.map((job) => job.upgrades_job));
  const degraded = jobs.find((job) => jobWord(job, around) === 'warn' && !redone.has(job.job_id));
  return degraded === undefined ? undefined : `tvdb retry --fallbacks ${shortId(degraded.job_id)}`;
}

function exitStatus({ statuses }: StatusAnswer): ExitCode {
  const all = [...statuses.keys()];
  if (all.some((status) => isFailed(status) || status === 'cancelled')) return EXIT.failed;
  return all.some((status) => !isEnded(status)) ? EXIT.pending : EXIT.ok;
}
