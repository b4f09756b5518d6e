/** `tvdb retry`: takes up what failed or is held, or redoes for real what fell back, and follows it to its end. */
import { TvdbError } from '../../base/errors.ts';
import { defineCommand } from '../command.ts';
import { plural } from '../ui/format.ts';
import { RESULTS_OPTION } from './listening.ts';
import { MAX_COST_OPTION } from './max-cost.ts';
import type { RetryAnswer } from './retry-view.ts';

export const retryCommand = defineCommand({
  name: 'retry',
  summary: 'take up failed or held jobs at the step they stopped at',
  description:
    'With ids of jobs, documents or runs: their failed jobs, and those that are held or wait for another try. ' +
    'With --failed: only failed ones; without ids then all of them, after asking. Finished steps are not repeated. ' +
    'With --fallbacks: complete documents in which a mock stood in for a real service; exactly those parts are made for real, ' +
    'and what was real already is used again and not paid for again.',
  args: [
    {
      name: 'id',
      summary: 'job, document, run or correlation id, or its first 4 or more characters',
      value: 'id',
      optional: true,
      repeat: true,
    },
  ],
  options: [
    { name: 'failed', summary: 'only jobs that failed; without ids: every one of them', common: true },
    {
      name: 'fallbacks',
      summary: 'redo for real what a mock stood in for; without ids: everywhere, after asking',
      common: true,
      excludes: ['failed'],
    },
    RESULTS_OPTION,
    { name: 'no-wait', summary: 'put them back into the queue and return' },
    {
      ...MAX_COST_OPTION,
      summary: 'spend at most this; also the consent to spend up to that much more on each of these jobs',
    },
    { name: 'yes', short: 'y', summary: 'do not ask before taking up every job' },
  ],
  examples: [
    ['tvdb retry 3fa85f64', 'one job, or all failed jobs of a document or run'],
    ['tvdb retry --failed --yes', 'everything that failed, for a script'],
    ['tvdb retry --fallbacks 3fa85f64', 'redo for real what fell back in a document, or in a run'],
    ['tvdb retry 3fa85f64 --no-wait', 'only into the queue; `tvdb run` works on it'],
  ],
  needs: 'world',
  exitCodes: [
    0,
    [1, 'all of them failed again'],
    [2, 'unknown id, or not possible in this state'],
    [5, 'what still waits, waits because money was refused'],
    6,
    [7, 'some were done, some not'],
    [8, 'some still wait'],
    [9, 'with --fallbacks: a mock would stand in again, or did'],
  ],
  json: 'tvdb.retry/v1',
  ndjson: true,
  async handler({ args, options }, ctx) {
    if (args.id.length === 0 && !options.failed && !options.fallbacks) {
      throw new TvdbError('E002', {
        message: 'What is to be retried is missing',
        why: 'give ids, --failed for every failed job, or --fallbacks for everything that fell back',
        facts: { command: 'retry' },
      });
    }
    const world = await ctx.openWorld();
    const [{ retryResult }, { chooseJobs, retryLines, takeUpJobs }] = await Promise.all([
      import('./retry-view.ts'),
      import('./retry-work.ts'),
    ]);
    const { fallbacks } = options;
    const how = { wait: options.wait, fallbacks, maxCost: options.maxCost };
    const empty: RetryAnswer = { runId: null, lines: [], waited: false, fallbacks };
    const unasked = args.id.length === 0 && !options.yes;
    if (fallbacks) {
      const { chooseFallen, redoNote, upgradeLines } = await import('./retry-fallbacks.ts');
      const chosen = await chooseFallen(world, args.id);
      const redo = chosen.filter(({ found }) => found.state === 'to_redo').length;
      if (chosen.length === 0) return retryResult(empty);
      if (redo > 0) ctx.ui.note((page) => redoNote(page, chosen));
      const question = `Redo ${plural(redo, 'document')} with the real services?`;
      const why = 'everything that fell back would be redone with paid services';
      if (unasked && !(await ctx.ui.confirm(question, { flag: '--yes', why }))) return retryResult(empty);
      return retryResult(await takeUpJobs(world, ctx, (runId) => upgradeLines(world, chosen, runId), how));
    }
    const chosen = await chooseJobs(world, args.id, options.failed);
    if (chosen.size === 0) return retryResult(empty);
    const question = `Retry ${plural(chosen.size, 'failed job')}?`;
    if (unasked && !(await ctx.ui.confirm(question, { flag: '--yes', why: 'every failed job would be retried' })))
      return retryResult(empty);
    return retryResult(await takeUpJobs(world, ctx, (runId) => retryLines(world, chosen, runId, options.maxCost), how));
  },
});
