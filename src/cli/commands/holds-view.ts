/** Holds for people and programs: whose they are, how old, and what is known of their requests. */
import { iso } from '../../base/clock.ts';
import { TvdbError } from '../../base/errors.ts';
import { shortId } from '../../base/ids.ts';
import { matchHolds, type OpenHold, openHolds, provisionalSum } from '../../store/holds.ts';
import type { Db } from '../../store/open.ts';
import { age, plural, usd } from '../ui/format.ts';
import { accent, dim, strong, warn } from '../ui/text.ts';
import type { CommandResult } from '../ui/ui.ts';
import { serviceTitle } from './budget-view.ts';
import { moneyJson } from './job-view.ts';

/** What a hold stands at: not sent (can be released), on its way, or of unknown outcome. */
type HoldWord = 'not_sent' | 'sent' | 'unknown' | 'no_record';

/** Every hold without an ending, oldest first. */
export async function holdsResult(db: Db, now: number): Promise<CommandResult> {
  const holds = await openHolds(db);
  const provisional = await provisionalSum(db);
  const sum = (of: readonly OpenHold[]) => of.reduce((total, { amount }) => total + amount, 0);
  const unknown = holds.filter(({ state }) => state === 'unknown');
  return {
    data: {
      holds: holds.map((one) => holdJson(one, now)),
      reserved: moneyJson(sum(holds)),
      unknown: moneyJson(sum(unknown)),
      provisional: { settlements: provisional.holds, ...moneyJson(provisional.nano) },
    },
    render: (page) => {
      if (holds.length === 0) page.line('Nothing is reserved.');
      else {
        page.table({
          columns: [
            { head: 'HOLD' },
            { head: 'AGE', align: 'right' },
            { head: 'SERVICE' },
            { head: 'AMOUNT', align: 'right' },
            { head: 'JOB' },
            { head: 'STATE' },
            { head: 'WHAT IS KNOWN', flex: true },
          ],
          rows: holds.map((one) => [
            accent(shortId(one.attempt_id)),
            age(now - one.held_at),
            serviceTitle(one.service),
            usd(one.amount),
            one.job_id === null ? null : shortId(one.job_id),
            one.state === 'unknown' ? warn('unknown') : 'open',
            KNOWN[wordOf(one)](one),
          ]),
        });
        page.line(strong('Reserved'), `  ${usd(sum(holds))}, of which unknown ${usd(sum(unknown))}`);
        for (const [what, command] of waysOut(holds)) page.line(what, dim(`   ${command}`));
      }
      if (provisional.holds > 0)
        page.line(
          `${plural(provisional.holds, 'settlement')} not billed yet, provisional: ${usd(provisional.nano)}`,
          dim('   tvdb costs reconcile'),
        );
    },
    plain: () =>
      holds.map((one) => [
        one.attempt_id,
        one.state,
        iso(one.held_at),
        one.service,
        one.amount / 1e9,
        one.job_id,
        one.run_id,
        wordOf(one),
      ]),
    quiet: () => holds.map(({ attempt_id }) => attempt_id),
  };
}

function wordOf({ state, sent, outcome }: OpenHold): HoldWord {
  if (outcome === null) return 'no_record';
  if (state === 'unknown') return 'unknown';
  return sent === null ? 'not_sent' : 'sent';
}

/** In few words, so that none is cut at 80 columns; what can be done about it stands below the table. */
const KNOWN: Readonly<Record<HoldWord, (hold: OpenHold) => string>> = {
  not_sent: () => 'not sent',
  sent: ({ remote_id: remote }) => (remote === null ? 'sent, no answer yet' : 'accepted, at work'),
  unknown: ({ service, remote_id: remote, outcome }) => {
    if (service === 'openai') return 'may have arrived';
    if (outcome === 'failed') return 'failed, perhaps billed';
    return remote === null ? 'is looked for' : 'accepted, no figure';
  },
  no_record: () => 'not on record',
};

/** What ends holds such as these, each way once. */
function waysOut(holds: readonly OpenHold[]): [what: string, command: string][] {
  const unsent = holds.find((one) => wordOf(one) === 'not_sent');
  const isUnknown = (service: OpenHold['service']) =>
    holds.some((one) => wordOf(one) === 'unknown' && one.service === service);
  return [
    ...(unsent === undefined
      ? []
      : [way('What was not sent can be given back', `tvdb costs holds release ${shortId(unsent.attempt_id)}`)]),
    ...(isUnknown('llamaparse') ? [way('LlamaParse can be asked what it billed', 'tvdb costs reconcile')] : []),
    ...(isUnknown('openai') ? [way('Only the bill of OpenAI can tell', 'tvdb costs reconcile --provider-log')] : []),
  ];
}

const way = (what: string, command: string): [string, string] => [what, command];

function holdJson(hold: OpenHold, now: number) {
  return {
    attempt_id: hold.attempt_id,
    state: hold.state,
    known: wordOf(hold),
    service: hold.service,
    ...moneyJson(hold.amount),
    units: hold.units,
    job_id: hold.job_id,
    run_id: hold.run_id,
    cost_center: hold.cost_center,
    held_at: iso(hold.held_at),
    age_ms: Math.max(0, now - hold.held_at),
    sent_at: iso(hold.sent),
    remote_id: hold.remote_id,
    releasable: wordOf(hold) === 'not_sent',
  };
}

/** The hold that a prefix stands for. Throws E006 for none, E007 for several. */
export async function holdId(db: Db, typed: string): Promise<string> {
  const [only, ...more] = await matchHolds(db, typed, 6);
  if (only !== undefined && more.length === 0) return only;
  if (only !== undefined && only === typed) return only;
  const facts = { value: typed, command: 'costs holds' };
  const commands = ['tvdb costs holds'];
  throw only === undefined
    ? new TvdbError('E006', { message: `No hold begins with "${typed}"`, fix: '', commands, facts })
    : new TvdbError('E007', {
        message: `"${typed}" fits several holds`,
        why: [only, ...more].slice(0, 5).join(', '),
        facts,
      });
}

/** What `costs holds release` has given back. */
export function releasedResult(attemptId: string, nano: number): CommandResult {
  return {
    data: { attempt_id: attemptId, released: moneyJson(nano) },
    render: (page) => page.status('ok', `${usd(nano)} given back; request ${shortId(attemptId)} was not sent`),
    plain: () => [[attemptId, nano / 1e9]],
    quiet: () => [attemptId],
  };
}
