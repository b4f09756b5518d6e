/** How the results of remote parses are learnt of while a command works: a listener for webhooks, or polling alone. */
import { TvdbError } from '../../base/errors.ts';
import type { World } from '../../world.ts';
import type { CommandContext } from '../command.ts';

/** The flag, for every command that works on jobs. */
export const RESULTS_OPTION = {
  name: 'results',
  value: ['auto', 'webhook', 'poll'],
  placeholder: 'how',
  summary: 'learn of parse results by webhook (with polling behind it) or by polling alone',
  setting: 'TVDB_RESULTS',
} as const;

/**
 * Starts the webhook listener where results may come that way: always with `webhook`, with `auto` when a public address
 * is set and paid services may be used. Throws E602 when webhooks were asked for and no service could reach them.
 */
export async function listenForResults(world: World, { ui, config }: CommandContext): Promise<void> {
  const { TVDB_RESULTS: way, TVDB_PUBLIC_URL: publicUrl, SERVICE_MODE: mode } = config.settings;
  if (way === 'poll' || (way === 'auto' && (publicUrl === undefined || mode === 'mock'))) return;
  if (mode !== 'mock' && publicUrl === undefined && !world.reachesHere) {
    throw new TvdbError('E602', {
      message: 'Webhooks were asked for, but LlamaParse cannot reach a listener on this machine',
      why: 'TVDB_PUBLIC_URL is not set',
      fix: 'Set TVDB_PUBLIC_URL to the https address of a tunnel, or use --results poll.',
      chargedNanoUsd: 0,
    });
  }
  const listener = await world.listen();
  ui.note((page) => page.field('Webhook', `${listener.url}   signed; listening on 127.0.0.1:${listener.port}`));
}
