/** `tvdb retry`: takes up what failed or is held, or redoes for real what fell back, and follows it to its end. */
import { TvdbError } from '../../base/errors.ts';
import { defineCommand } from '../command.ts';
import { RESULTS_OPTION } from './listening.ts';
import { MAX_COST_OPTION } from './max-cost.ts';

export const retryCommand = defineCommand({
  name: 'retry',
  summary: 'take up failed or held jobs at the step they stopped at',
  description:
    'With ids of jobs, documents or runs: their failed jobs, and those that are held or wait for another try. ' +
    'With --failed: only failed ones; without ids then all of them, after asking. Finished steps are not repeated. ' +
    'With --fallbacks: complete documents in which a mock stood in for a real service; exactly those parts are made for real, ' +
    'and what was real already is used again and not paid for again. ' +
    'What has to be paid again is foreseen and agreed to as in `tvdb upload`; what was agreed to before is not asked for again.',
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
    MAX_COST_OPTION,
    { name: 'yes', short: 'y', summary: 'take up every job, and agree to spend what is foreseen; no limit is lifted' },
  ],
  examples: [
    ['tvdb retry 3fa85f64', 'one job, or all failed jobs of a document or run'],
    ['tvdb retry --failed --yes', 'everything that failed, for a script'],
    ['tvdb retry --fallbacks 3fa85f64', 'redo for real what fell back in a document, or in a run'],
    ['tvdb retry --failed --yes --max-cost 0.50', 'paid work in CI'],
    ['tvdb retry 3fa85f64 --no-wait', 'only into the queue; `tvdb run` works on it'],
  ],
  needs: 'world',
  exitCodes: [
    0,
    [1, 'all of them failed again'],
    [2, 'unknown id, or not possible in this state'],
    [5, 'refused before spending: a limit, no consent; or what still waits, waits because money was refused'],
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
    const { retry } = await import('./retry-work.ts');
    const { failed, fallbacks, wait, yes, maxCost } = options;
    return retry({ ids: args.id, failed, fallbacks, wait, yes, maxCost }, ctx);
  },
});
