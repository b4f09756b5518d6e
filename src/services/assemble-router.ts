/** The router of a process over its mock and real services, each made when it is first used. */
import type { Clock } from '../base/clock.ts';
import type { Random } from '../base/ids.ts';
import { lazy } from '../base/lazy.ts';
import type { Settings } from '../config/variables.ts';
import type { WebhookTarget } from './parse/port.ts';
import type { PdfExtractor } from './pdf/pool.ts';
import { keysOf, type RealServices } from './real-services.ts';
import { createRouter, type Router } from './router.ts';

export interface RouterParts {
  settings: Settings;
  clock: Clock;
  random: Random;
  /** Reads a PDF in a process of its own. */
  extract: PdfExtractor['extract'];
  real: RealServices;
  /** Where something on this machine may deliver webhooks now; `null` while nobody listens. */
  local: () => WebhookTarget | null;
  /** Given what is to be released at the end. */
  onRelease: (release: () => Promise<void>) => void;
}

/** Puts the router together. */
export function assembleRouter({ settings, clock, random, extract, real, local, onRelease }: RouterParts): Router {
  return createRouter({
    keys: { llamaparse: keysOf('llamaparse', settings)[0], openai: keysOf('openai', settings)[0] },
    stateOf: real.stateOf,
    retryAllowed: real.retryAllowed,
    parse: {
      real: real.parse,
      mock: lazy(async () => {
        const { createMockParse } = await import('./parse/mock.ts');
        const service = createMockParse({
          pool: { extract },
          clock,
          random,
          latencyMs: settings.MOCK_PARSE_LATENCY,
          perPageLatencyMs: settings.MOCK_PARSE_PAGE_LATENCY,
          failureRate: settings.MOCK_PARSE_FAILURE_RATE,
          remote: settings.TVDB_RESULTS === 'webhook',
          webhook: local,
        });
        onRelease(() => service.close());
        return service;
      }),
    },
    embed: {
      real: real.embed,
      mock: lazy(async () => {
        const { createMockEmbed } = await import('./embed/mock.ts');
        return createMockEmbed({
          clock,
          random,
          latencyMs: settings.MOCK_EMBED_LATENCY,
          failureRate: settings.MOCK_EMBED_FAILURE_RATE,
        });
      }),
    },
  });
}
