/** Overruns that wait to be seen, and what happens when one is. */
import { iso } from '../../base/clock.ts';
import { TvdbError } from '../../base/errors.ts';
import { shortId } from '../../base/ids.ts';
import { acknowledge } from '../../ledger/acknowledge.ts';
import { wakeBudgetWaiters } from '../../store/jobs/wake.ts';
import type { Db } from '../../store/open.ts';
import { type Overrun, openOverruns } from '../../store/overruns.ts';
import type { World } from '../../world.ts';
import { plural, usd } from '../ui/format.ts';
import { accent } from '../ui/text.ts';
import type { CommandResult } from '../ui/ui.ts';
import { budgetName, serviceTitle } from './budget-view.ts';

/** The overruns nobody has acknowledged. */
export async function overrunsResult(db: Db): Promise<CommandResult> {
  const overruns = await openOverruns(db);
  return {
    data: { acknowledged: null, budgets_released: [], jobs_woken: 0, overruns: overruns.map(overrunJson) },
    render: (page) => {
      if (overruns.length === 0) page.line('No overrun waits to be acknowledged.');
      else {
        page.table({
          columns: [
            { head: 'REQUEST' },
            { head: 'SERVICE' },
            { head: 'JOB' },
            { head: 'RESERVED', align: 'right' },
            { head: 'CHARGED ON TOP', align: 'right' },
            { head: 'WHAT', flex: true },
          ],
          rows: overruns.map((one) => [
            accent(shortId(one.attempt_id)),
            serviceTitle(one.service),
            one.job_id === null ? null : shortId(one.job_id),
            one.twin_of === null ? usd(one.hold_amount) : null,
            usd(one.amount),
            whatText(one),
          ]),
        });
        if (overruns.some(({ twin_of: of }) => of !== null))
          page.line('A twin is what the service did a second time of one request.');
      }
    },
    plain: () =>
      overruns.map((one) => [one.attempt_id, one.service, one.job_id, one.hold_amount / 1e9, one.amount / 1e9]),
    quiet: () => overruns.map(({ attempt_id }) => attempt_id),
    ...(overruns[0] !== undefined && { next: `tvdb costs acknowledge ${shortId(overruns[0].attempt_id)}` }),
  };
}

/** Records that somebody has seen an overrun. Throws E006 when none of that id waits, E007 when the id fits several. */
export async function seen(typed: string, { store, clock }: World): Promise<CommandResult> {
  const found = (await openOverruns(store.db)).filter((one) => one.attempt_id.startsWith(typed.toLowerCase()));
  const [one, ...more] = [...new Map(found.map((overrun) => [overrun.attempt_id, overrun])).values()];
  if (one === undefined || more.length > 0) {
    throw new TvdbError(one === undefined ? 'E006' : 'E007', {
      message:
        one === undefined ? `No overrun of "${typed}" waits to be acknowledged` : `"${typed}" fits several overruns`,
      fix: '',
      commands: ['tvdb costs acknowledge'],
      facts: { value: typed, command: 'costs acknowledge' },
    });
  }
  const { released, woken } = await store.write(async (trx) => {
    const done = await acknowledge(trx, { attemptId: one.attempt_id, by: 'tvdb costs acknowledge', now: clock.now() });
    return {
      released: done.state === 'acknowledged' ? done.released : [],
      woken: await wakeBudgetWaiters(trx, clock.now()),
    };
  });
  return {
    data: {
      acknowledged: one.attempt_id,
      budgets_released: released.map(budgetName),
      jobs_woken: woken,
      overruns: (await openOverruns(store.db)).map(overrunJson),
    },
    render: (page) => {
      page.status('ok', `the overrun of ${usd(one.amount)} by request ${shortId(one.attempt_id)} is acknowledged`);
      if (released.length > 0) page.line(`        goes on: ${released.map(budgetName).join(', ')}`);
      if (woken > 0) page.line(`        ${plural(woken, 'job')} that waited for money may go on`);
    },
    plain: () => [[one.attempt_id, one.amount / 1e9]],
    quiet: () => [one.attempt_id],
    ...(woken > 0 && { next: 'tvdb run' }),
  };
}

/** In so few words that none is cut at 80 columns. */
function whatText({ twin_of: of, amount }: Overrun): string {
  if (of === null) return 'more than reserved';
  return `twin of ${shortId(of)}${amount === 0 ? ', free' : ''}`;
}

function overrunJson(one: Overrun) {
  return {
    attempt_id: one.attempt_id,
    twin_of: one.twin_of,
    job_id: one.job_id,
    service: one.service,
    at: iso(one.at),
    reserved_nano_usd: one.hold_amount,
    overrun_nano_usd: one.amount,
  };
}
