/** The check of the ledger: its chain, that holds and totals are what its rows add up to, and that no overrun waits. */
import { ledgerFindings } from '../../ledger/verify.ts';
import { openOverruns } from '../../store/overruns.ts';
import { type Check, ok, onStore, RESTORE } from './check.ts';

export const ledger: Check = (context) =>
  onStore(context, async ({ db }) => {
    const { rows, findings, over } = await ledgerFindings(db);
    const [first, ...more] = findings;
    if (first !== undefined) {
      const others = more.length === 0 ? '' : `; ${more.length} more findings`;
      return {
        status: 'fail',
        detail: `the ledger does not add up: ${first.kind} ${first.id}: ${first.what}${others}`,
        why: 'nobody can say what was spent, and nothing more is',
        fix: { ...RESTORE, commands: ['tvdb costs verify'] },
      };
    }
    const overruns = await openOverruns(db);
    if (overruns.length > 0) {
      const count = overruns.length === 1 ? '1 overrun waits' : `${overruns.length} overruns wait`;
      return {
        status: 'warn',
        detail: `${rows} rows add up; ${count} to be acknowledged`,
        why: 'a service charged what was not reserved; the budgets that count it take nothing more until somebody has seen it',
        fix: { text: 'see them', commands: ['tvdb costs acknowledge'] },
      };
    }
    if (over.length === 0) return ok(`${rows} rows add up`);
    return {
      status: 'warn',
      detail: `${rows} rows add up; ${over.length} budgets are above their limit`,
      why: 'after an overrun, a lowered limit or a new time zone',
      fix: { text: 'see which', commands: ['tvdb costs budget list'] },
    };
  });
