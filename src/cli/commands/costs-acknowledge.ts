/** `tvdb costs acknowledge`: lets budgets go on that an overrun has stopped. */
import { defineCommand } from '../command.ts';

export const costsAcknowledgeCommand = defineCommand({
  name: 'costs acknowledge',
  summary: 'see overruns, and let the budgets they stopped go on',
  description:
    'A service that bills more than was reserved stops the budgets that count it, until somebody has seen it. Without an id: the overruns ' +
    'nobody has acknowledged. That somebody did is written into the ledger.',
  args: [
    {
      name: 'request',
      summary: 'id of the request that overran, or its first 4 or more characters',
      value: 'id',
      optional: true,
    },
  ],
  options: [],
  examples: [
    ['tvdb costs acknowledge', 'what was charged above its hold'],
    ['tvdb costs acknowledge 5e91c0aa', 'its budgets take requests again'],
  ],
  needs: 'world',
  exitCodes: [0, [2, 'no overrun of that id waits'], 6],
  json: 'tvdb.costs.acknowledge/v1',
  ndjson: false,
  async handler({ args }, ctx) {
    const [{ overrunsResult, seen }, world] = await Promise.all([import('./acknowledge-view.ts'), ctx.openWorld()]);
    return args.request === undefined ? overrunsResult(world.store.db) : seen(args.request, world);
  },
});
