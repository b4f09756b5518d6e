/** `tvdb costs verify`: proves that the ledger is whole and that every total is what its rows add up to. */
import { EXIT } from '../../base/error-codes.ts';
import { TvdbError } from '../../base/errors.ts';
import { defineCommand } from '../command.ts';
import { plural } from '../ui/format.ts';

export const costsVerifyCommand = defineCommand({
  name: 'costs verify',
  summary: 'prove the ledger: every row, every hold, every total',
  description:
    'Each row carries a hash over itself and the row before, so that a change of any of them shows. Holds and the totals of budgets are ' +
    'added up anew. Reads only. 100,000 rows take about two seconds.',
  args: [],
  options: [],
  examples: [
    ['tvdb costs verify', 'exit 0 when everything adds up'],
    ['tvdb costs verify --json', 'the findings for a script'],
  ],
  needs: 'world',
  exitCodes: [0, [1, 'something does not add up'], 2, 6],
  json: 'tvdb.costs.verify/v1',
  ndjson: false,
  async handler(_input, ctx) {
    const [{ store }, { ledgerFindings }] = await Promise.all([ctx.openWorld(), import('../../ledger/verify.ts')]);
    const started = ctx.clock.monotonic();
    const { rows, findings, over } = await ledgerFindings(store.db);
    const ms = Math.round(ctx.clock.monotonic() - started);
    const error =
      findings.length === 0
        ? undefined
        : new TvdbError('E205', {
            message: `The ledger does not add up: ${plural(findings.length, 'finding')}`,
            why: findings[0]?.what ?? '',
            fix: 'Stop all workers and restore a backup of the home directory; see docs/COSTS.md.',
          });
    return {
      exitCode: error === undefined ? EXIT.ok : EXIT.failed,
      data: { rows, findings, over_limit: over, ms },
      ...(error !== undefined && { error }),
      render: (page) => {
        page.status(findings.length === 0 ? 'ok' : 'fail', `${plural(rows, 'row')} of the ledger read`);
        for (const { kind, id, what } of findings) page.status('fail', `${kind} ${id}: ${what}`);
        for (const { id } of over)
          page.status('warn', `budget ${id} is above its limit: after an overrun, a lowered limit or a new time zone`);
      },
      plain: () => findings.map(({ kind, id, what }) => [kind, id, what]),
    };
  },
});
