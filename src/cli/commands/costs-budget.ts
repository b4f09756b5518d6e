/** `tvdb costs budget list|set|remove`: what may be spent, and who said so. */
import { TvdbError } from '../../base/errors.ts';
import { type CommandContext, type CommandResult, defineCommand, defineGroup } from '../command.ts';
import type { BudgetWish } from './budget-change.ts';

export const costsBudgetGroup = defineGroup('costs budget', 'limits of what is spent');

export const costsBudgetListCommand = defineCommand({
  name: 'costs budget list',
  summary: 'every limit in force: how much, who set it, what is left',
  args: [],
  options: [],
  examples: [
    ['tvdb costs budget list', 'what may still be spent, and until when'],
    ['tvdb costs budget list --json', 'the same for a script'],
  ],
  needs: 'world',
  exitCodes: [0, 2, 6],
  json: 'tvdb.costs.budget.list/v1',
  ndjson: false,
  async handler(_input, ctx) {
    const [{ budgetList }, world] = await Promise.all([import('./budget-list.ts'), ctx.openWorld()]);
    return budgetList(world, ctx.ui);
  },
});

/** Which budget is meant; shared by `set` and `remove`. */
const WHICH = [
  {
    name: 'per',
    value: ['run', 'hour', 'day', 'month'],
    valueName: 'time',
    summary: 'for each run, hour, day or month (default day)',
    common: true,
  },
  {
    name: 'service',
    value: ['llamaparse', 'openai'],
    valueName: 'name',
    summary: 'only what goes to this service',
    excludes: ['cost-center'],
  },
  { name: 'cost-center', value: 'text', valueName: 'name', summary: 'only what is for this cost center' },
] as const;

const YES = { name: 'yes', short: 'y', summary: 'do not ask before more may be spent', common: true } as const;

export const costsBudgetSetCommand = defineCommand({
  name: 'costs budget set',
  summary: 'limit what may be spent',
  description:
    'A limit is stored with the data. Every limit that counts a request must have room for it. A variable of the same meaning ' +
    '(DAILY_COST_LIMIT_USD and so on) goes before what is set here. Lowering a limit below what is spent stops new requests; those under way finish. ' +
    'Jobs that wait for money look again at once.',
  args: [{ name: 'usd', value: 'money', summary: 'US dollars: 5, 0.25', optional: true }],
  options: [
    ...WHICH,
    {
      name: 'requests',
      value: 'integer',
      min: 0,
      max: 1_000_000_000,
      valueName: 'n',
      summary: 'limit the number of paid requests instead of their cost',
    },
    { name: 'soft', summary: 'only count and show; refuse nothing' },
    YES,
  ],
  examples: [
    ['tvdb costs budget set 5 --per day', 'at most $5.00 a day in all'],
    ['tvdb costs budget set 20 --per month --service openai', 'at most $20.00 a month for OpenAI'],
    ['tvdb costs budget set --requests 100 --per hour', 'at most 100 paid requests an hour'],
  ],
  needs: 'world',
  exitCodes: [0, [2, 'no limit, two limits, or nobody can be asked and --yes is missing'], 6],
  json: 'tvdb.costs.budget.set/v1',
  ndjson: false,
  async handler({ args, options }, ctx) {
    const { usd } = args;
    const { requests } = options;
    if ((usd === undefined) === (requests === undefined)) {
      throw new TvdbError(usd === undefined ? 'E002' : 'E009', {
        message: usd === undefined ? 'The limit is missing' : 'A sum and --requests are two limits',
        why: 'a budget limits either US dollars or, with --requests, the number of paid requests',
        facts: { command: 'costs budget set' },
      });
    }
    const limit = usd ?? requests ?? 0;
    const wish = wishOf(options, requests === undefined ? 'cost' : 'requests');
    return change({ ...wish, limit, hard: !options.soft }, options.yes, ctx);
  },
});

export const costsBudgetRemoveCommand = defineCommand({
  name: 'costs budget remove',
  summary: 'take a limit away that `set` has stored',
  description: 'What a variable or a default says is in force again.',
  args: [],
  options: [...WHICH, { name: 'requests', summary: 'the limit of requests, not that of cost' }, YES],
  examples: [
    ['tvdb costs budget remove --per month --service openai', 'no limit of its own for OpenAI any more'],
    ['tvdb costs budget remove --per day --yes', 'back to the default of a day, from a script'],
  ],
  needs: 'world',
  exitCodes: [0, [2, 'there is no such limit, or nobody can be asked and --yes is missing'], 6],
  json: 'tvdb.costs.budget.remove/v1',
  ndjson: false,
  async handler({ options }, ctx) {
    const wish = wishOf(options, options.requests ? 'requests' : 'cost');
    return change({ ...wish, limit: null, hard: true }, options.yes, ctx);
  },
});

function wishOf(
  {
    per = 'day',
    service,
    costCenter,
  }: {
    per?: 'run' | 'hour' | 'day' | 'month' | undefined;
    service?: string | undefined;
    costCenter?: string | undefined;
  },
  measure: 'cost' | 'requests',
): Omit<BudgetWish, 'limit' | 'hard'> {
  if (costCenter === '') throw new TvdbError('E003', { message: '--cost-center must be a name', facts: { value: '' } });
  if (service !== undefined) return { scope: 'service', scope_value: service, span: per, measure };
  if (costCenter !== undefined) return { scope: 'cost_center', scope_value: costCenter, span: per, measure };
  return { scope: per === 'run' ? 'run' : 'all', scope_value: '', span: per, measure };
}

async function change(wish: BudgetWish, yes: boolean, ctx: CommandContext): Promise<CommandResult> {
  const [{ changeBudget }, world] = await Promise.all([import('./budget-change.ts'), ctx.openWorld()]);
  return changeBudget(wish, yes, world, ctx);
}
