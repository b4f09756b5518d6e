/** `tvdb retry`: takes up what failed or is held, at the step it stopped at, and follows it to its end. */
import { TvdbError } from '../../base/errors.ts';
import { defineCommand } from '../command.ts';
import { plural } from '../ui/format.ts';
import type { RetryAnswer } from './retry-view.ts';

export const retryCommand = defineCommand({
  name: 'retry',
  summary: 'take up failed or held jobs at the step they stopped at',
  description:
    'With ids of jobs, documents or runs: their failed jobs, and those that are held or wait for another try. ' +
    'With --failed: only failed ones; without ids then all of them, after asking. Finished steps are not repeated.',
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
    { name: 'no-wait', summary: 'put them back into the queue and return' },
    { name: 'yes', short: 'y', summary: 'do not ask before retrying every failed job' },
  ],
  examples: [
    ['tvdb retry 3fa85f64', 'one job, or all failed jobs of a document or run'],
    ['tvdb retry --failed --yes', 'everything that failed, for a script'],
    ['tvdb retry 3fa85f64 --no-wait', 'only into the queue; `tvdb run` works on it'],
  ],
  needs: 'world',
  exitCodes: [
    0,
    [1, 'all of them failed again'],
    [2, 'unknown id, or not possible in this state'],
    6,
    [7, 'some were done, some not'],
    [8, 'some still wait'],
  ],
  json: 'tvdb.retry/v1',
  ndjson: true,
  async handler({ args, options }, ctx) {
    if (args.id.length === 0 && !options.failed) {
      throw new TvdbError('E002', {
        message: 'What is to be retried is missing',
        why: 'give ids, or --failed for every failed job',
        facts: { command: 'retry' },
      });
    }
    const world = await ctx.openWorld();
    const [{ retryResult }, { chooseJobs, takeUpJobs }] = await Promise.all([
      import('./retry-view.ts'),
      import('./retry-work.ts'),
    ]);
    const chosen = await chooseJobs(world, args.id, options.failed);
    const empty: RetryAnswer = { runId: null, lines: [], waited: false };
    if (chosen.size === 0) return retryResult(empty);
    if (args.id.length === 0 && !options.yes) {
      const question = `Retry ${plural(chosen.size, 'failed job')}?`;
      if (!(await ctx.ui.confirm(question, { flag: '--yes', why: 'every failed job would be retried' })))
        return retryResult(empty);
    }
    return retryResult(await takeUpJobs(world, ctx, chosen, options.wait));
  },
});
