/** How the results of remote parses are learnt of while a command works: a listener for webhooks, or polling alone. */
import { TvdbError } from '../../base/errors.ts';
import type { World } from '../../world.ts';
import type { CommandContext } from '../command.ts';

/** The flag, for every command that works on jobs. */
export const RESULTS_OPTION = {
  name: 'results',
  value: ['auto', 'webhook', 'poll'],
  valueName: 'how',
  summary: 'learn of parse results by webhook (with polling behind it) or by polling alone',
  setting: 'TVDB_RESULTS',
} as const;

/**
 * Refuses webhooks that could not arrive: E602 when they were asked for, a paid parse may be waited for (`paid`), and no
 * service could reach the listener. To be asked before anything is accepted.
 */
export function refuseUnreachable({ reachesHere }: World, { config }: CommandContext, paid: boolean): void {
  const { TVDB_RESULTS: way, TVDB_PUBLIC_URL: publicUrl } = config.settings;
  if (way !== 'webhook' || !paid || publicUrl !== undefined || reachesHere) return;
  throw new TvdbError('E602', {
    message: 'Webhooks were asked for, but LlamaParse cannot reach a listener on this machine',
    why: 'TVDB_PUBLIC_URL is not set',
    fix: 'Set TVDB_PUBLIC_URL to the https address of a tunnel, or use --results poll.',
    chargedNanoUsd: 0,
  });
}

/**
 * Starts the webhook listener where results may come that way: always with `webhook`, with `auto` when a public address
 * is set and a paid parse may be waited for. Throws like `refuseUnreachable`, and E601 when the port cannot be had.
 */
export async function listenForResults(world: World, ctx: CommandContext, paid: boolean): Promise<void> {
  const { TVDB_RESULTS: way, TVDB_PUBLIC_URL: publicUrl } = ctx.config.settings;
  if (way === 'poll' || (way === 'auto' && (publicUrl === undefined || !paid))) return;
  refuseUnreachable(world, ctx, paid);
  const listener = await world.listen();
  ctx.ui.note((page) => page.field('Webhook', `${listener.url}   signed; listening on 127.0.0.1:${listener.port}`));
}

/** Whether an unfinished job may wait for a paid parse, or a new one may come while a worker stays (`staying`). */
export async function mayWaitForPaid(
  { store, router }: World,
  { config }: CommandContext,
  staying = false,
): Promise<boolean> {
  if (!router.usable('llamaparse')) return false;
  const { SERVICE_MODE: mode, SERVICE_MODE_LLAMAPARSE: own } = config.settings;
  if (staying && (own ?? mode) !== 'mock') return true;
  const { liveRealParses } = await import('../../store/jobs/live.ts');
  return (await liveRealParses(store.db)) > 0;
}
