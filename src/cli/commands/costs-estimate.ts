/** `tvdb costs estimate`: what documents would cost. They are read and counted; none is accepted, sent or kept. */
import { PARSE_TIERS, type ParseTier } from '../../domain/parse-options.ts';
import { defineCommand } from '../command.ts';

export const costsEstimateCommand = defineCommand({
  name: 'costs estimate',
  summary: 'what documents would cost for real, by tier, before anything is sent',
  description:
    'Counts the pages of each document here and prices them: a likely figure, and a ceiling that is never exceeded. What a cache has costs nothing. ' +
    'The figures are those of real services, whatever the mode is.',
  args: [{ name: 'path', summary: 'files, quoted patterns, directories with --recursive', repeat: true }],
  options: [
    {
      name: 'tier',
      value: PARSE_TIERS,
      valueName: 'tier',
      summary: 'only this tier (default: all; documents one by one are shown for the one in force)',
      common: true,
    },
    { name: 'recursive', summary: 'take the PDFs below the directories named', common: true },
    { name: 'no-cache', summary: 'as if nothing had been paid for before' },
    { name: 'cost-center', value: 'text', valueName: 'name', summary: 'whose budget would count it' },
  ],
  examples: [
    ['tvdb costs estimate report.pdf', 'likely cost and ceiling in each tier, and whether it fits the budgets'],
    ["tvdb costs estimate 'claims/*.pdf' --tier agentic --json", 'one tier, for a script'],
  ],
  needs: 'world',
  exitCodes: [0, [1, 'no document can be read'], [2, 'no file matched'], [5, 'it does not fit a budget'], 6],
  json: 'tvdb.costs.estimate/v1',
  ndjson: false,
  async handler({ args, options }, ctx) {
    const [{ estimateFiles }, world] = await Promise.all([import('./estimate-files.ts'), ctx.openWorld()]);
    const tiers: readonly ParseTier[] = options.tier === undefined ? PARSE_TIERS : [options.tier];
    const { recursive, costCenter = null, cache } = options;
    return estimateFiles({ paths: args.path, recursive, costCenter, noCache: !cache, tiers }, world, ctx);
  },
});
