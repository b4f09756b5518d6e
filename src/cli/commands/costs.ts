/** `tvdb costs`: what was sent to which service, and what it cost. */
import { EXIT } from '../../base/error-codes.ts';
import { type CommandContext, type CommandResult, defineCommand } from '../command.ts';
import type { CostAnswer } from './costs-answer.ts';

const GROUPINGS = ['service', 'mode', 'origin', 'job', 'document', 'run', 'cost-center', 'tag'] as const;

/** How often --watch looks. */
const INTERVAL_MS = 2_000;

export const costsCommand = defineCommand({
  name: 'costs',
  summary: 'requests, units and money, by service, time or job',
  description:
    'Without flags: today. Days and months are those of TVDB_TIMEZONE. Money is what the ledger of this machine says; mock requests are listed at zero. ' +
    'A sum that is not known is never shown as zero.',
  args: [],
  options: [
    { name: 'today', summary: 'only today (default)', excludes: ['since', 'until', 'daily', 'monthly'], common: true },
    {
      name: 'since',
      value: 'text',
      valueName: 'when',
      summary: 'from then on: 2026-11-22, yesterday, 7d',
      common: true,
    },
    { name: 'until', value: 'text', valueName: 'when', summary: 'up to then; a day is included' },
    { name: 'daily', summary: 'one row a day (default: the last 7)', excludes: ['monthly', 'by'] },
    { name: 'monthly', summary: 'one row a month (default: the last 6)', excludes: ['by'] },
    { name: 'by', value: GROUPINGS, valueName: 'what', summary: `one row for each ${GROUPINGS.join(', ')}` },
    { name: 'breakdown', summary: 'with --by: apart for each service and origin', requires: 'by' },
    { name: 'csv', summary: 'the table as CSV, safe to open in a spreadsheet' },
    { name: 'fail-over', value: 'money', valueName: 'usd', summary: 'exit 9 if more than this is spent or reserved' },
    {
      name: 'compare',
      value: 'text',
      valueName: 'period',
      summary: 'with another time: previous, yesterday, 2026-11-21, 2026-10',
    },
    { name: 'watch', short: 'w', summary: 'keep the page up to date until Ctrl-C', excludes: ['csv'] },
  ],
  examples: [
    ['tvdb costs --today', 'today, by service'],
    ['tvdb costs --daily --since 30d', 'a row for each of the last 30 days'],
    ['tvdb costs --since 2026-11-01 --until 2026-11-30 --by document --json', 'November by document, for a script'],
    ['tvdb costs --fail-over 2.50', 'a gate for CI: exit 9 above $2.50 today'],
  ],
  needs: 'world',
  exitCodes: [0, 2, 6, [9, 'with --fail-over: the sum is higher, or not known']],
  json: 'tvdb.costs/v1',
  ndjson: false,
  async handler({ options }, ctx) {
    const [{ costAnswer }, { comparedPeriod, periodOf }] = await Promise.all([
      import('./costs-answer.ts'),
      import('./costs-period.ts'),
    ]);
    const unit: CostAnswer['unit'] = options.daily ? 'day' : options.monthly ? 'month' : undefined;
    const { TVDB_TIMEZONE: timezone } = ctx.config.settings;
    const { by, breakdown, since, until, compare, failOver } = options;
    const asked = (now: number) => {
      const period = periodOf({ since, until, unit }, now, timezone);
      return {
        ...{ period, by, unit, breakdown },
        compare: compare === undefined ? undefined : comparedPeriod(compare, period, now),
      };
    };
    // Wrong times are refused before the store is opened.
    asked(ctx.clock.now());
    const world = await ctx.openWorld();
    const { store, pipeline } = world;
    await (await import('./budgets-in-line.ts')).bringBudgetsInLine(world);
    const look = () => {
      const now = ctx.clock.now();
      return costAnswer({ db: store.db, prices: pipeline.prices, now }, asked(now));
    };
    const place = { priceVersion: pipeline.prices.version, ci: ctx.ui.ci, date: ctx.ui.date };
    const answer = options.watch ? await watched(look, ctx, place) : await look();
    return result(answer, { failOver, csv: options.csv, place });
  },
});

type Place = import('./costs-view.ts').CostsPlace;

async function result(
  answer: CostAnswer,
  { failOver, csv, place }: { failOver: number | undefined; csv: boolean; place: Place },
): Promise<CommandResult> {
  const [{ costRows, costsPage }, { costsJson }, { costOf }] = await Promise.all([
    import('./costs-view.ts'),
    import('./costs-json.ts'),
    import('./costs-answer.ts'),
  ]);
  const spent = costOf(answer.real);
  // What is reserved may be spent, and what has no price may be anything.
  const over = failOver !== undefined && (spent === null || spent + answer.real.held > failOver);
  return {
    exitCode: over ? EXIT.gate : EXIT.ok,
    data: costsJson(answer, place.priceVersion),
    render: (page) => costsPage(page, answer, place),
    plain: () => costRows(answer),
    quiet: () => (spent === null ? [] : [(spent / 1e9).toFixed(4)]),
    ...(csv && { text: (await import('./costs-csv.ts')).costsCsv(answer) }),
  };
}

/** The page again and again until Ctrl-C; where nothing can be redrawn, one look. Returns the last look. */
async function watched(
  look: () => Promise<CostAnswer>,
  { ui, clock, interrupt }: CommandContext,
  place: Place,
): Promise<CostAnswer> {
  const view = ui.startWatch();
  if (view === null) return look();
  const { costsPage } = await import('./costs-view.ts');
  try {
    for (;;) {
      const answer = await look();
      await view.draw((page) => costsPage(page, answer, place));
      await clock.sleep(INTERVAL_MS, interrupt.stopping).catch(() => {});
      if (interrupt.stopping.aborted) return answer;
    }
  } finally {
    view.close();
  }
}
