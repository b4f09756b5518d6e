/** `tvdb health`: how the paid services stand: breaker, latency, errors, limits. Never spends. */
import { TvdbError } from '../../base/errors.ts';
import { SERVICES } from '../../domain/service-mode.ts';
import { defineCommand } from '../command.ts';

/** Samples older than this say little about now. */
const DEFAULT_WINDOW_MS = 86_400_000;

export const healthCommand = defineCommand({
  name: 'health',
  summary: 'how the paid services stand: pauses, latency, errors, limits',
  description:
    'Reads what the requests of all processes of this store have met; asks no service unless --check is given, and never spends. ' +
    '--reset lets requests through again at once: after a refused key or an account without credit was put right.',
  args: [{ name: 'service', summary: 'only this one', value: SERVICES, optional: true }],
  options: [
    { name: 'check', summary: 'ask the services in effect, by requests that are free', common: true },
    { name: 'reset', summary: 'end a pause: the next request goes out', common: true },
    { name: 'since', value: 'time', valueName: 'when', summary: 'figures since then (default 1d): today, 1h' },
  ],
  examples: [
    ['tvdb health', 'both services'],
    ['tvdb health openai --reset', 'after the plan was raised'],
    ['tvdb health --check --json', 'for a monitor'],
  ],
  needs: 'world',
  exitCodes: [0, 2, [6, 'with --check: a service did not answer; or the store cannot be used']],
  json: 'tvdb.health/v1',
  ndjson: false,
  async handler({ args, options }, ctx) {
    const world = await ctx.openWorld();
    const [{ healthAnswer, healthJson, resetServices }, { healthPage, healthRows }] = await Promise.all([
      import('./health-answer.ts'),
      import('./health-view.ts'),
    ]);
    const names = args.service === undefined ? SERVICES : [args.service];
    const reset = options.reset ? await resetServices(world, names) : undefined;
    const answer = await healthAnswer(world, {
      names,
      reset,
      since: options.since ?? ctx.clock.now() - DEFAULT_WINDOW_MS,
      check: options.check ? ctx.interrupt.stopping : undefined,
    });
    const silent = answer.services.filter(({ check }) => check?.ok === false);
    const stopped = answer.services.find(({ view }) => view.why === 'key_refused' || view.why === 'no_credit');
    return {
      data: healthJson(answer),
      render: (page) => healthPage(page, answer, ctx.ui),
      plain: () => healthRows(answer),
      quiet: () => answer.services.filter(({ view }) => view.why !== 'ok').map(({ name }) => name),
      ...(silent.length > 0 && {
        error: new TvdbError('E303', {
          message: `${silent.map(({ title }) => title).join(' and ')} did not answer the check`,
          facts: { items: silent.map(({ name, check }) => ({ name, reason: check?.detail ?? '' })) },
        }),
      }),
      ...(stopped !== undefined && { next: `tvdb health ${stopped.name} --reset` }),
    };
  },
});
