/** `tvdb costs reconcile`: the ledger beside what the services say they billed. */
import { EXIT } from '../../base/error-codes.ts';
import { TvdbError } from '../../base/errors.ts';
import { defineCommand } from '../command.ts';

const DAYS_BY_DEFAULT = 7;
export const costsReconcileCommand = defineCommand({
  name: 'costs reconcile',
  summary: 'compare the ledger with what the services billed, and settle what was not known',
  description:
    'Asks LlamaParse what it billed for each parse (free requests), posts corrections, settles or gives back what was of unknown outcome where ' +
    'the answer proves it, and lists every request that still differs. For OpenAI the tokens it reported with each answer are compared; ' +
    'its own record comes with --provider-log.',
  args: [],
  options: [
    {
      name: 'since',
      value: 'time',
      valueName: 'when',
      summary: `only requests since then (default ${DAYS_BY_DEFAULT}d; with --provider-log everything)`,
      common: true,
    },
    {
      name: 'provider-log',
      value: 'path',
      valueName: 'file',
      summary: "compare with a service's own record: JSON, JSON lines or CSV; asks no service",
    },
  ],
  examples: [
    ['tvdb costs reconcile', 'the last 7 days'],
    ['tvdb costs reconcile --provider-log usage.json', 'beside an export; exit 1 when something differs'],
  ],
  needs: 'world',
  exitCodes: [
    0,
    [1, 'something differs, or the file cannot be read'],
    2,
    [6, 'a service or the store cannot be asked'],
  ],
  json: 'tvdb.costs.reconcile/v1',
  ndjson: false,
  async handler({ options }, ctx) {
    const { providerLog: file, since } = options;
    const [{ reconcile }, { readLog, reconcileResult }, world] = await Promise.all([
      import('../../pipeline/reconcile.ts'),
      import('./reconcile-view.ts'),
      ctx.openWorld(),
    ]);
    const now = ctx.clock.now();
    const theirs = file === undefined ? undefined : await readLog(file, ctx.cwd, world.pipeline.prices, now);
    const found = await reconcile(world.pipeline, {
      since: since ?? (file === undefined ? now - DAYS_BY_DEFAULT * 86_400_000 : 0),
      theirs,
      signal: ctx.interrupt.stopping,
    });
    const result = reconcileResult(found, file);
    if (found.error !== null) {
      const error = new TvdbError('E303', {
        message: 'Not everything could be compared',
        why: found.error,
        retry: { kind: 'later' },
        chargedNanoUsd: 0,
      });
      return { ...result, error };
    }
    return { ...result, exitCode: found.comparison.differences.length > 0 ? EXIT.failed : EXIT.ok };
  },
});
