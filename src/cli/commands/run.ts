/** `tvdb run`: works on the queue until it is drained, or for as long as it is asked to. */
import { SERVICE_MODES } from '../../domain/service-mode.ts';
import { type CommandContext, type CommandResult, defineCommand } from '../command.ts';
import { RESULTS_OPTION } from './listening.ts';
import { MAX_COST_OPTION } from './max-cost.ts';
import type { RunAnswer } from './run-answer.ts';

export const runCommand = defineCommand({
  name: 'run',
  summary: 'work on the queue',
  description:
    'Takes jobs by priority, then age, until nothing can go on soon (--drain, the default). ' +
    'Jobs that rest for longer stay, with their reason. ' +
    'Any number of processes may run on one store.',
  args: [],
  options: [
    { name: 'drain', summary: 'end when nothing can go on soon (the default)', excludes: ['watch', 'once'] },
    {
      name: 'watch',
      short: 'w',
      summary: 'keep running and wait for new jobs until Ctrl-C',
      common: true,
      excludes: ['once'],
    },
    { name: 'once', summary: 'take one job to its end, or to where it has to wait, then end', common: true },
    {
      name: 'mode',
      short: 'm',
      value: SERVICE_MODES,
      valueName: 'mode',
      summary: 'only jobs of this mode: mock, real or hybrid',
      common: true,
    },
    RESULTS_OPTION,
    { name: 'only-run', value: 'id', valueName: 'run', summary: 'only the jobs of one upload' },
    {
      name: 'concurrency',
      value: 'integer',
      min: 1,
      max: 64,
      valueName: 'n',
      summary: 'jobs worked on at a time',
      setting: 'WORKER_CONCURRENCY',
    },
    {
      name: 'idle-timeout',
      value: 'duration',
      valueName: 'dur',
      summary: 'with --watch: end after this long without work',
      requires: 'watch',
    },
    MAX_COST_OPTION,
    { name: 'yes', short: 'y', summary: 'answer yes to every question' },
  ],
  examples: [
    ['tvdb run', 'finish what is in the queue'],
    ['tvdb run --watch', 'a worker that stays'],
    ['tvdb run --only-run 3fa85f64', 'the rest of one upload'],
    ['tvdb run --max-cost 1', 'end when this run has spent $1; the rest stays in the queue'],
    ['tvdb run --watch --idle-timeout 10m --json', 'in CI, beside other steps'],
  ],
  needs: 'world',
  exitCodes: [
    0,
    [1, 'every job it took failed'],
    2,
    4,
    [5, 'the cap of the run was reached, money was refused, or an account has no credit left'],
    6,
    7,
  ],
  json: 'tvdb.run/v1',
  ndjson: true,
  async handler({ options }, ctx) {
    const world = await ctx.openWorld();
    const [{ runQueue }, { runError, runExit, runJson }, view] = await Promise.all([
      import('./run-work.ts'),
      import('./run-answer.ts'),
      import('./run-view.ts'),
    ]);
    const answer = await runQueue(
      {
        mode: options.mode,
        onlyRun: options.onlyRun,
        watch: options.watch,
        once: options.once,
        idleTimeout: options.idleTimeout,
        maxCost: options.maxCost,
      },
      world,
      ctx,
    );
    return toResult(answer, { runError, runExit, runJson, ...view }, ctx);
  },
});

type Shown = Pick<typeof import('./run-answer.ts'), 'runError' | 'runExit' | 'runJson'> &
  Pick<typeof import('./run-view.ts'), 'runPage' | 'summaryLine' | 'parkedWarnings' | 'fallbackWarnings'>;

function toResult(answer: RunAnswer, shown: Shown, { ui, clock }: CommandContext): CommandResult {
  const error = shown.runError(answer);
  if (ui.format === 'plain') ui.note((page) => page.line(shown.summaryLine(answer)));
  return {
    exitCode: shown.runExit(answer),
    data: shown.runJson(answer),
    warnings: [...shown.fallbackWarnings(answer), ...shown.parkedWarnings(answer, ui, clock.now())],
    ...(error !== undefined && { error }),
    render: (page) => shown.runPage(page, answer),
    // The activity is out already, a row each.
    plain: () => [],
    quiet: () => answer.jobs.map((job) => job.job_id),
  };
}
