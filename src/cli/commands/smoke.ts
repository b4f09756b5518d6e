/** `tvdb smoke`: takes one built-in page through everything, with the services of a mode, and proves each step. */
import { SERVICE_MODES } from '../../domain/service-mode.ts';
import { defineCommand } from '../command.ts';
import { RESULTS_OPTION } from './listening.ts';
import { MAX_COST_OPTION } from './max-cost.ts';
import { SMOKE_STEPS } from './smoke-step-names.ts';

export const smokeCommand = defineCommand({
  name: 'smoke',
  summary: 'take one built-in page through every step and check the result of each',
  description:
    'Uploads a page of its own, parses, chunks, embeds, stores and finds it, compares the ledger with what the services ' +
    'say they counted, and deletes the page again. Nothing comes from a cache. For CI: exit codes tell our failure from ' +
    'an outage, and results come as JSON, JUnit, a step summary and annotations.',
  args: [],
  options: [
    {
      name: 'mode',
      short: 'm',
      value: SERVICE_MODES,
      valueName: 'mode',
      summary: 'mock, real or hybrid',
      setting: 'SERVICE_MODE',
      common: true,
    },
    { ...MAX_COST_OPTION, common: true },
    { name: 'yes', short: 'y', summary: 'agree to spend what is foreseen; no limit is lifted' },
    RESULTS_OPTION,
    { name: 'timeout', value: 'duration', valueName: 'dur', summary: 'give up after this long (default 5m)' },
    { name: 'only', value: SMOKE_STEPS, valueName: 'step', summary: 'go no further than this step, then clean up' },
    {
      name: 'on-fallback',
      value: ['warn', 'fail'],
      valueName: 'what',
      summary: 'fail (the default) exits 9 when a mock stood in for a real service',
    },
    { name: 'skip-without-key', summary: 'exit 0 with a notice where a key is missing: forks have no secrets' },
    { name: 'keep', summary: 'leave the page in the store' },
    { name: 'junit', value: 'path', valueName: 'file', summary: 'also write the result as JUnit XML' },
    { name: 'github-output', summary: 'write run_id, status and cost_usd to the file GITHUB_OUTPUT names' },
    { name: 'no-github', summary: 'no step summary and no annotations in GitHub Actions' },
  ],
  examples: [
    ['tvdb smoke', 'everything with the mocks, for free'],
    ['tvdb smoke --mode real --max-cost 0.05', 'the real services, for about half a cent'],
    ['tvdb smoke -m real --max-cost 0.05 --skip-without-key --junit smoke.xml', 'in CI, also for forks'],
  ],
  needs: 'world',
  exitCodes: [
    [0, 'every step passed, or was skipped for want of a key with --skip-without-key'],
    [1, 'a step does not do what it must'],
    2,
    4,
    5,
    6,
    [8, '--timeout was reached'],
    [9, 'a mock stood in for a real service'],
  ],
  json: 'tvdb.smoke/v1',
  ndjson: true,
  async handler({ options }, ctx) {
    const [{ smoke }, { smokeResult }, { writeReports }] = await Promise.all([
      import('./smoke-work.ts'),
      import('./smoke-view.ts'),
      import('./smoke-reports.ts'),
    ]);
    const answer = await smoke(
      {
        maxCost: options.maxCost,
        yes: options.yes,
        timeout: options.timeout ?? 300_000,
        only: options.only,
        refuseFallback: options.onFallback !== 'warn',
        skipWithoutKey: options.skipWithoutKey,
        keep: options.keep,
      },
      ctx,
    );
    const github = options.github && ctx.ui.actions;
    writeReports(answer, { junit: options.junit, githubOutput: options.githubOutput, github }, ctx);
    return smokeResult(answer, { github, ui: ctx.ui });
  },
});
