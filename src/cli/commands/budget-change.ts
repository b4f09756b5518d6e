/** What `costs budget set` and `remove` do: ask where more may be spent, change the store, say what is in force now. */
import { TvdbError } from '../../base/errors.ts';
import { budgetVariable, setBudget } from '../../ledger/budget-settings.ts';
import { allBudgets, type BudgetKey } from '../../store/budgets.ts';
import { wakeBudgetWaiters } from '../../store/jobs/wake.ts';
import type { BudgetRow } from '../../store/money-schema.ts';
import type { Db } from '../../store/open.ts';
import type { World } from '../../world.ts';
import type { CommandContext, CommandResult } from '../command.ts';
import { plural } from '../ui/format.ts';
import { limitText } from './budget-list.ts';
import { budgetKeyJson, budgetName } from './budget-view.ts';
import { bringBudgetsInLine } from './budgets-in-line.ts';

/** A limit to be stored; `limit: null` takes the stored one away. */
export interface BudgetWish extends BudgetKey {
  limit: number | null;
  hard: boolean;
}

type InForce = Pick<BudgetRow, 'limit_value' | 'hard' | 'source' | 'user_limit'>;

/** Changes a budget. Throws E006 when there is none to remove, E011 when more could be spent and nobody can be asked. */
export async function changeBudget(
  wish: BudgetWish,
  yes: boolean,
  world: World,
  { ui }: CommandContext,
): Promise<CommandResult> {
  await bringBudgetsInLine(world);
  const { store, clock, pipeline } = world;
  const old = await inForce(store.db, wish);
  if (wish.limit === null && old?.user_limit == null) throw noSuchLimit(wish, old);
  const question = questionOf(wish, old, pipeline.budgets);
  if (question !== null && !yes) {
    const agreed = await ui.confirm(question, { flag: '--yes', why: 'more may be spent than before' });
    if (!agreed) return answer(wish, { old, now: old, woken: 0, changed: false });
  }
  const woken = await store.write(async (trx) => {
    await setBudget(trx, wish, pipeline.budgets, clock.now());
    return wakeBudgetWaiters(trx, clock.now());
  });
  return answer(wish, { old, now: await inForce(store.db, wish), woken, changed: true });
}

async function inForce(db: Db, wish: BudgetKey): Promise<InForce | null> {
  const row = (await allBudgets(db)).find(
    (one) =>
      one.scope === wish.scope &&
      one.scope_value === wish.scope_value &&
      one.span === wish.span &&
      one.measure === wish.measure,
  );
  return row ?? null;
}

/** What to ask before a change that lets more be spent; `null` where it does not, or where a variable hides it anyway. */
function questionOf(wish: BudgetWish, old: InForce | null, settings: World['pipeline']['budgets']): string | null {
  if (old === null || old.limit_value === null || old.source === 'variable') return null;
  const fallback = settings.find(
    (one) =>
      one.scope === wish.scope &&
      one.scope_value === wish.scope_value &&
      one.span === wish.span &&
      one.measure === wish.measure,
  );
  const limit = wish.limit ?? fallback?.limit ?? null;
  const softer = old.hard === 1 && !wish.hard;
  if (!softer && limit !== null && limit <= old.limit_value) return null;
  const from = limitText(wish, old.limit_value);
  if (limit === null) return `Remove the limit of ${from} for ${budgetName(wish)}?`;
  if (softer) return `Let the limit for ${budgetName(wish)} only alert, at ${limitText(wish, limit)}?`;
  return `Raise the limit for ${budgetName(wish)} from ${from} to ${limitText(wish, limit)}?`;
}

function noSuchLimit(wish: BudgetWish, old: InForce | null): TvdbError {
  const variable = budgetVariable(wish);
  const from =
    old?.limit_value == null
      ? 'there is none in force either'
      : `what is in force is ${old.source === 'variable' ? `set by ${variable}` : 'the default'}; set another with \`tvdb costs budget set\``;
  return new TvdbError('E006', {
    message: `No limit is stored for ${budgetName(wish)}`,
    why: from,
    fix: '',
    commands: ['tvdb costs budget list'],
    facts: { command: 'costs budget remove', value: budgetName(wish) },
  });
}

interface Change {
  old: InForce | null;
  now: InForce | null;
  woken: number;
  changed: boolean;
}

function answer(wish: BudgetWish, { old, now, woken, changed }: Change): CommandResult {
  const variable = now?.source === 'variable' ? (budgetVariable(wish) ?? null) : null;
  const side = (one: InForce | null) =>
    one === null || one.limit_value === null
      ? null
      : {
          nano_usd: wish.measure === 'cost' ? one.limit_value : null,
          requests: wish.measure === 'requests' ? one.limit_value : null,
          hard: one.hard === 1,
          source: one.source,
        };
  const text = (one: InForce | null) =>
    one === null || one.limit_value === null
      ? 'no limit'
      : `${limitText(wish, one.limit_value)} (${one.source}${one.hard === 1 ? '' : ', alerts only'})`;
  return {
    data: {
      ...budgetKeyJson(wish),
      changed,
      old: side(old),
      new: side(now),
      hidden_by: changed ? variable : null,
      jobs_woken: woken,
    },
    render: (page) => {
      if (!changed) {
        page.line('Nothing was changed.');
        return;
      }
      page.line(`${budgetName(wish)}: ${text(old)} -> ${text(now)}`);
      if (variable !== null) {
        const stored = wish.limit === null ? 'The stored limit is gone' : `${limitText(wish, wish.limit)} is stored`;
        page.line(`${stored}; ${variable} goes before it.`);
      }
      if (woken > 0) page.line(`${plural(woken, 'job')} that waited for money may go on.`);
    },
    plain: () => [
      [budgetName(wish), now?.limit_value == null ? null : limitText(wish, now.limit_value), now?.source ?? null],
    ],
    ...(woken > 0 && { next: 'tvdb run' }),
  };
}
