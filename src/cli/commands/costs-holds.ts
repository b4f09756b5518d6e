/** `tvdb costs holds`: money that is reserved, what is known of each request, and what can be given back. */
import { defineCommand } from '../command.ts';

export const costsHoldsCommand = defineCommand({
  name: 'costs holds',
  summary: 'what is reserved for requests that have not ended, and why',
  description:
    'Money is reserved before a request leaves and counts against budgets as if it were spent. A hold whose outcome nobody knows stays until ' +
    'the service is asked (`tvdb costs reconcile`).',
  args: [],
  options: [],
  examples: [
    ['tvdb costs holds', 'each with its age, its job and what is known'],
    ['tvdb costs holds --json', 'the same for a script'],
  ],
  needs: 'world',
  exitCodes: [0, 2, 6],
  json: 'tvdb.costs.holds/v1',
  ndjson: false,
  async handler(_input, ctx) {
    const [{ store }, { holdsResult }] = await Promise.all([ctx.openWorld(), import('./holds-view.ts')]);
    return holdsResult(store.db, ctx.clock.now());
  },
});

export const costsHoldsReleaseCommand = defineCommand({
  name: 'costs holds release',
  summary: 'give back what is reserved for a request that was not sent',
  description:
    'Only what provably never left this machine. A request that may have arrived may be billed: its hold stays.',
  args: [{ name: 'hold', summary: 'id of the hold (of its request), or its first 4 or more characters', value: 'id' }],
  options: [],
  examples: [['tvdb costs holds release 5e91c0aa', 'the money of a worker that was killed before it sent anything']],
  needs: 'world',
  exitCodes: [0, [2, 'unknown id, or the request may have been sent'], 6],
  json: 'tvdb.costs.holds.release/v1',
  ndjson: false,
  async handler({ args }, ctx) {
    const [{ pipeline, store }, { holdId, releasedResult }, { releaseHold }] = await Promise.all([
      ctx.openWorld(),
      import('./holds-view.ts'),
      import('../../pipeline/release-hold.ts'),
    ]);
    const attemptId = await holdId(store.db, args.hold);
    return releasedResult(attemptId, await releaseHold(pipeline, attemptId));
  },
});
