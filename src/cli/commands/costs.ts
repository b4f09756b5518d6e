/** `tvdb costs`: what was sent to which service, and what it cost. */
import { defineCommand } from '../command.ts';

const GROUPINGS = ['service', 'mode', 'origin', 'job', 'document', 'run'] as const;

export const costsCommand = defineCommand({
  name: 'costs',
  summary: 'requests, units and money, by service, time or job',
  description: 'Without flags: today. Days and months are those of TVDB_TIMEZONE. Mock requests are listed at zero.',
  args: [],
  options: [
    { name: 'today', summary: 'only today (default)', excludes: ['since', 'until', 'daily', 'monthly'], common: true },
    {
      name: 'since',
      value: 'text',
      placeholder: 'when',
      summary: 'from then on: 2026-11-22, yesterday, 7d',
      common: true,
    },
    { name: 'until', value: 'text', placeholder: 'when', summary: 'up to then; a day is included' },
    { name: 'daily', summary: 'one row a day (default: the last 7)', excludes: ['monthly', 'by'] },
    { name: 'monthly', summary: 'one row a month (default: the last 6)', excludes: ['by'] },
    { name: 'by', value: GROUPINGS, placeholder: 'what', summary: `one row for each ${GROUPINGS.join(', ')}` },
  ],
  examples: [
    ['tvdb costs --today', 'today, by service'],
    ['tvdb costs --daily --since 30d', 'a row for each of the last 30 days'],
    ['tvdb costs --since 2026-11-01 --until 2026-11-30 --by document --json', 'November by document, for a script'],
  ],
  needs: 'world',
  exitCodes: [0, 2, 6],
  json: 'tvdb.costs/v1',
  ndjson: false,
  async handler({ options }, ctx) {
    const [{ costAnswer, costOf, costsJson }, { periodOf }] = await Promise.all([
      import('./costs-answer.ts'),
      import('./costs-period.ts'),
    ]);
    const unit = options.daily ? 'day' : options.monthly ? 'month' : undefined;
    const period = periodOf(
      { since: options.since, until: options.until, unit },
      ctx.clock.now(),
      ctx.config.settings.TVDB_TIMEZONE,
    );
    const { store } = await ctx.openWorld();
    const answer = await costAnswer(store.db, period, options.by, unit);
    const { costRows, costsPage } = await import('./costs-view.ts');
    const spent = costOf(answer.real);
    return {
      data: costsJson(answer),
      render: (page) => costsPage(page, answer),
      plain: () => costRows(answer),
      quiet: () => (spent === null ? [] : [(spent / 1e9).toFixed(4)]),
    };
  },
});
