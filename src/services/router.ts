/** Which provider serves a job: decides by the pure rule of `domain/service-mode.ts` and hands out the service. */
import { TvdbError } from '../base/errors.ts';
import {
  choose,
  type Origin,
  type Route,
  SERVICES,
  type ServiceMode,
  type ServiceName,
} from '../domain/service-mode.ts';
import type { EmbedService } from './embed/port.ts';
import type { ParseService } from './parse/port.ts';

/** Per-service wishes of the user (`--service openai=mock`). */
export type Overrides = Partial<Record<ServiceName, ServiceMode>>;

/** What was decided for a job, and why; stored with it. */
export interface RouterDecision {
  mode: ServiceMode;
  services: Record<ServiceName, Route>;
}

export interface RouterOptions {
  keys: Record<ServiceName, string | undefined>;
  parse: Partial<Record<Origin, () => Promise<ParseService>>>;
  embed: Partial<Record<Origin, () => Promise<EmbedService>>>;
}

/** The variable that holds the key of a service. */
export const KEY_VARIABLES: Record<ServiceName, string> = {
  llamaparse: 'LLAMAPARSE_API_KEY',
  openai: 'OPENAI_API_KEY',
};

export type Router = ReturnType<typeof createRouter>;

/** The router over the services of this build. Services are made when first asked for. */
export function createRouter({ keys, parse, embed }: RouterOptions) {
  const built: Record<ServiceName, Partial<Record<Origin, unknown>>> = { llamaparse: parse, openai: embed };

  const decide = (mode: ServiceMode, overrides: Overrides = {}): RouterDecision => {
    const route = (service: ServiceName): Route =>
      choose({
        mode,
        override: overrides[service],
        keyPresent: keys[service] !== undefined,
        realAvailable: built[service].real !== undefined,
      });
    const llamaparse = route('llamaparse');
    const wanted = route('openai');
    // A mock-parsed document is embedded in the mock space: real vectors of made-up text would be paid for nothing.
    const openai: Route =
      llamaparse.use === 'mock' && wanted.use === 'real'
        ? { ...wanted, use: 'mock', fallback: mode === 'hybrid' }
        : wanted;
    return { mode, services: { llamaparse, openai } };
  };

  return {
    decide,

    /** Throws E101 (key missing) or E102 (not built) when the decision leaves a service without a provider. */
    refuseUnusable(decision: RouterDecision): void {
      for (const service of SERVICES) {
        const { use, why } = decision.services[service];
        if (use !== null) continue;
        if (why === 'key_missing') {
          throw new TvdbError('E101', {
            message: `Mode ${decision.mode} needs ${KEY_VARIABLES[service]} and it is not set`,
            why: 'looked in: the environment, .env.tvdb001 and .env in this directory, the saved preferences',
            commands: [`echo '${KEY_VARIABLES[service]}=...' >> .env`],
            chargedNanoUsd: 0,
          });
        }
        throw new TvdbError('E102', {
          message: `Mode ${decision.mode} would use the real ${service} service, which is not built into this version`,
          why: 'nothing was accepted and nothing was sent',
          fix: 'Use --mode mock (or unset the keys: hybrid then falls back to mock, labelled).',
          chargedNanoUsd: 0,
        });
      }
    },

    async parseService(origin: Origin): Promise<ParseService> {
      return provider(parse, origin, 'parse');
    },

    async embedService(origin: Origin): Promise<EmbedService> {
      return provider(embed, origin, 'embed');
    },
  };
}

async function provider<T>(
  providers: Partial<Record<Origin, () => Promise<T>>>,
  origin: Origin,
  kind: string,
): Promise<T> {
  const make = providers[origin];
  if (make === undefined)
    throw new TvdbError('E102', { message: `There is no ${origin} ${kind} service in this version` });
  return make();
}
