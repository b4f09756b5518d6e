/** Asks for consent to spend, under the same rule for every command; and says how limits stand. */
import { TvdbError } from '../../base/errors.ts';
import { type ConsentGiver, type ConsentVerdict, consentFor } from '../../domain/consent.ts';
import { formatUsd } from '../../domain/money.ts';
import { capRun } from '../../ledger/budget-settings.ts';
import { budgetStates } from '../../ledger/headroom.ts';
import { spentByJobs } from '../../store/job-spend.ts';
import { raiseConsent } from '../../store/jobs/money.ts';
import type { World } from '../../world.ts';
import type { CommandContext } from '../command.ts';
import { commandLine } from '../command-line.ts';
import { usd } from '../ui/format.ts';
import { bad, dim, type Text } from '../ui/text.ts';

/** What was agreed to, by whom. */
export interface Consent {
  readonly by: ConsentGiver;
  readonly limitNanoUsd: number;
}

export interface SpendAsk {
  /** Nano-USD it may cost at most. */
  readonly mostNanoUsd: number;
  readonly maxCost: number | undefined;
  readonly yes: boolean;
  /** The command line as it may be pasted, without `--max-cost`. */
  readonly again: string;
}

/**
 * Consent to spend, or E202 when it is not given: by a small sum, a flag, or a person at a terminal (default no). Nobody is
 * asked who cannot answer: a `y` that comes through a pipe agrees to nothing.
 */
export async function obtainConsent(
  { mostNanoUsd, maxCost, yes, again }: SpendAsk,
  { ui, config }: Pick<CommandContext, 'ui' | 'config'>,
): Promise<Consent> {
  const autoNanoUsd = config.settings.COST_AUTO_APPROVE_USD;
  const verdict = verdictOn({ mostNanoUsd, maxCost, yes }, { ui, config });
  const limitNanoUsd = mostNanoUsd === 0 ? 0 : (maxCost ?? mostNanoUsd);
  if (verdict.state === 'given') return { by: verdict.by, limitNanoUsd };
  const most = formatUsd(mostNanoUsd, 'up');
  const refused = (message: string, why: string) =>
    new TvdbError('E202', {
      message,
      why,
      fix: '',
      commands: [`${again} --max-cost ${enough(mostNanoUsd)}`],
      chargedNanoUsd: 0,
      facts: { asked_nano_usd: mostNanoUsd, auto_approve_nano_usd: autoNanoUsd },
    });
  if (verdict.state === 'missing') {
    if (verdict.why === 'ci') {
      const why = `CI is set: each runner has a ledger of its own, so daily limits mean nothing there; up to ${most} could be spent`;
      throw refused('Paid work in CI needs --max-cost; nothing was sent', why);
    }
    const why = `standard input or error is not a terminal, or asking is switched off; up to ${most} is above auto-approve ${formatUsd(autoNanoUsd)}`;
    throw refused('Spending needs your consent and this session cannot ask; nothing was sent', why);
  }
  const question = `Spend up to ${most} on real APIs?`;
  if (await ui.confirm(question, { flag: '--yes', why: `it could cost up to ${most}` }))
    return { by: 'answer', limitNanoUsd };
  throw refused(`Nothing was sent: you did not agree to spend up to ${most}`, 'the question was answered with no');
}

/** Whether a sum may be spent, or somebody is to be asked, before anybody is. */
export function verdictOn(
  ask: Omit<SpendAsk, 'again'>,
  { ui: { ci, interactive }, config }: Pick<CommandContext, 'ui' | 'config'>,
): ConsentVerdict {
  return consentFor({ ...ask, autoNanoUsd: config.settings.COST_AUTO_APPROVE_USD, ci, interactive });
}

/** A sum in whole cents that covers `nano`: what can be given to `--max-cost`. */
export function enough(nano: number): string {
  return (Math.ceil(nano / 10_000_000) / 100).toFixed(2);
}

/** The limits of a command as people and programs see them before and after it spends. */
export interface BudgetView {
  /** `2026-11-27`; the day of the budgets. */
  readonly day: string;
  /** Nano-USD of the daily limit for everything; `null` when there is none. */
  readonly capNanoUsd: number | null;
  readonly spentNanoUsd: number;
  readonly heldNanoUsd: number;
  /** Smallest headroom of all limits of money; `null` when there is none. */
  readonly leftNanoUsd: number | null;
  readonly runCapNanoUsd: number | null;
}

/** How the limits stand now, for a run that may have a cap of its own. */
export async function budgetView(
  { store, config: { settings } }: World,
  { runId, maxCost, now }: { runId: string; maxCost: number | undefined; now: number },
): Promise<BudgetView> {
  const states = await budgetStates(store.db, { now, timeZone: settings.TVDB_TIMEZONE, runId });
  const money = states.filter(({ budget }) => budget.measure === 'cost' && budget.hard === 1);
  const today = money.find(({ budget }) => budget.scope === 'all' && budget.span === 'day');
  const caps = [maxCost, settings.RUN_COST_LIMIT_USD].filter((cap) => cap !== undefined);
  const lefts = money.filter(({ budget }) => budget.scope !== 'cost_center').map(({ left }) => left);
  if (maxCost !== undefined) {
    const spent = money.find(({ budget }) => budget.scope === 'run' && budget.scope_value === runId);
    lefts.push(spent?.left ?? maxCost);
  }
  return {
    day: new Intl.DateTimeFormat('sv-SE', { timeZone: settings.TVDB_TIMEZONE }).format(now),
    capNanoUsd: today?.limit ?? null,
    spentNanoUsd: today?.spent ?? 0,
    heldNanoUsd: today?.held ?? 0,
    leftNanoUsd: lefts.length === 0 ? null : Math.min(...lefts),
    runCapNanoUsd: caps.length === 0 ? null : Math.min(...caps),
  };
}

/** Caps what this run may spend (`--max-cost`), before it holds anything. */
export async function capThisRun(
  { store, clock }: Pick<World, 'store' | 'clock'>,
  runId: string,
  maxCost: number | undefined,
): Promise<void> {
  if (maxCost === undefined) return;
  await store.write((trx) => capRun(trx, { runId, capNanoUsd: maxCost, now: clock.now() }));
}

/** Agrees to spend so many nano-USD more on each of some jobs. What was agreed to before is never lowered. */
export async function agreeForJobs(
  { store, clock }: Pick<World, 'store' | 'clock'>,
  more: ReadonlyMap<string, number>,
): Promise<void> {
  if (more.size === 0) return;
  await store.write(async (trx) => {
    const spent = await spentByJobs(trx, [...more.keys()]);
    for (const [id, nanoUsd] of more) await raiseConsent(trx, id, (spent.get(id) ?? 0) + nanoUsd, clock.now());
  });
}

/** `today $3.4120 of $5.0000   left $1.5880   run cap $0.2500   fits` */
export function budgetText(view: BudgetView, fits: boolean | null): Text {
  const { capNanoUsd: cap, spentNanoUsd: spent, heldNanoUsd: held, leftNanoUsd: left, runCapNanoUsd: run } = view;
  const parts = [
    cap === null ? `today ${usd(spent)}, no daily limit` : `today ${usd(spent)} of ${usd(cap)}`,
    ...(held > 0 ? [`reserved ${usd(held)}`] : []),
    ...(left === null ? [] : [`left ${usd(left)}`]),
    ...(run === null ? [] : [`run cap ${usd(run)}`]),
  ];
  return [parts.join('   '), fits === null ? '' : fits ? dim('   fits') : bad('   does not fit')];
}

/** `today_usd=3.4120 cap=5.0000 left=1.5880 fits=yes`: for a pipe, whose lines have 80 columns. */
export function budgetFields(view: BudgetView, fits: boolean): string {
  const text = (nano: number | null) => (nano === null ? 'none' : formatUsd(nano).replaceAll(/[$,]/g, ''));
  const run = view.runCapNanoUsd === null ? [] : [`run_cap=${text(view.runCapNanoUsd)}`];
  const left = `left=${text(view.leftNanoUsd)}`;
  return [
    `today_usd=${text(view.spentNanoUsd)}`,
    `cap=${text(view.capNanoUsd)}`,
    left,
    ...run,
    `fits=${fits ? 'yes' : 'no'}`,
  ].join(' ');
}

/** The limits as JSON has them; this machine's ledger alone. */
export function budgetJson(view: BudgetView | null): Record<string, unknown> | null {
  return (
    view && {
      scope: 'local',
      day: view.day,
      cap_nano_usd: view.capNanoUsd,
      spent_nano_usd: view.spentNanoUsd,
      reserved_nano_usd: view.heldNanoUsd,
      left_nano_usd: view.leftNanoUsd,
      run_cap_nano_usd: view.runCapNanoUsd,
    }
  );
}

/** Asks for consent to a query that is paid for, and caps it with `--max-cost`: a query is a run of its own to the budgets. */
export function askForQuery(
  { maxCost, yes }: { maxCost: number | undefined; yes: boolean },
  query: string,
  world: World,
  ctx: CommandContext,
): (mostNanoUsd: number) => Promise<{ runId: string }> {
  return async (mostNanoUsd) => {
    const runId = ctx.ids.uuid();
    const again = commandLine(['search', query, '--mode', ctx.config.settings.SERVICE_MODE]);
    await obtainConsent({ mostNanoUsd, maxCost, yes, again }, ctx);
    await capThisRun(world, runId, maxCost);
    return { runId };
  };
}
