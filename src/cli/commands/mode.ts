/** `tvdb mode`: which services are used and why, the saved default, and the mode of jobs that are not finished. */
import { TvdbError } from '../../base/errors.ts';
import { SERVICE_MODES } from '../../domain/service-mode.ts';
import { defineCommand } from '../command.ts';
import { MODE_SERVICE_OPTION } from './service-wishes.ts';

export const modeCommand = defineCommand({
  name: 'mode',
  summary: 'show or save which services are used: mock, real or hybrid',
  description:
    'mock is free and offline; real uses the paid services only; hybrid uses the real ones and, when one cannot be used, the mock, visibly. ' +
    'A saved mode applies to new jobs where neither a flag, nor the environment, nor an .env file says otherwise. ' +
    'With --jobs nothing is saved: unfinished jobs follow the mode from their next step on, and a paid parse that exists is still collected.',
  args: [
    {
      name: 'mode',
      summary: 'save this as the default; with --jobs: what the jobs get',
      value: SERVICE_MODES,
      optional: true,
    },
  ],
  options: [
    MODE_SERVICE_OPTION,
    {
      name: 'jobs',
      value: 'text',
      repeat: true,
      valueName: 'id|all',
      summary: 'change unfinished jobs instead: of a job, document or run, or all; may be repeated',
      common: true,
    },
    { name: 'yes', short: 'y', summary: 'do not ask before all jobs are changed' },
  ],
  examples: [
    ['tvdb mode', 'what is in effect here, and why'],
    ['tvdb mode hybrid', 'save hybrid in the user configuration'],
    ['tvdb mode --service openai=mock', 'save another mode for one service; openai=default forgets it'],
    ['tvdb mode mock --jobs 3fa85f64', 'take a job, or what is left of a run, to the mock'],
  ],
  needs: 'world',
  exitCodes: [
    0,
    [2, 'unknown mode, service or id, or the job has ended'],
    [4, 'a key is missing; nothing is saved or changed'],
    [7, 'some jobs were changed, some had ended'],
  ],
  json: 'tvdb.mode/v1',
  ndjson: false,
  async handler({ args, options }, ctx) {
    const world = await ctx.openWorld();
    if (options.jobs.length > 0) {
      if (args.mode === undefined) throw jobsNeedMode();
      const { changeJobs } = await import('./mode-jobs.ts');
      return changeJobs(
        { mode: args.mode, services: options.service, typed: options.jobs, yes: options.yes },
        world,
        ctx,
      );
    }
    const [{ modeAnswer }, { saveWishes }, { modeResult }] = await Promise.all([
      import('./mode-answer.ts'),
      import('./mode-save.ts'),
      import('./mode-view.ts'),
    ]);
    const saved = await saveWishes({ mode: args.mode, services: options.service }, world, ctx);
    return modeResult(await modeAnswer(world, ctx.config, saved), ctx);
  },
});

function jobsNeedMode(): TvdbError {
  return new TvdbError('E002', {
    message: '--jobs needs the mode that the jobs are to get',
    why: `usage: tvdb mode ${SERVICE_MODES.join('|')} --jobs <id|all>`,
    facts: { command: 'mode', flag: '--jobs' },
  });
}
