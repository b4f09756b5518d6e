/** The check of the ledger: its chain, and that holds and totals are what its rows add up to. */
import { ledgerFindings } from '../../ledger/verify.ts';
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
    if (over.length === 0) return ok(`${rows} rows add up`);
    return {
      status: 'warn',
      detail: `${rows} rows add up; ${over.length} budgets are above their limit`,
      why: 'after an overrun, a lowered limit or a new time zone',
      fix: { text: 'see which', commands: ['tvdb costs budget list'] },
    };
  });
