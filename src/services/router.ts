/** Which provider serves a job: decides by the pure rule of `domain/service-mode.ts` and hands out the service. */
import { TvdbError } from '../base/errors.ts';
import type { ParseOptions } from '../domain/parse-options.ts';
import {
  choose,
  type Origin,
  type Route,
  SERVICES,
  type ServiceMode,
  type ServiceName,
  type ServiceState,
} from '../domain/service-mode.ts';
import type { EmbedService } from './embed/port.ts';
import type { ParseService } from './parse/port.ts';

/** Per-service wishes of the user (`--service openai=mock`). */
export type Overrides = Partial<Record<ServiceName, ServiceMode>>;

/** What was decided for a job, and why; stored with it. */
export interface RouterDecision {
  mode: ServiceMode;
  /** What the user wants for single services. */
  overrides?: Overrides;
  services: Record<ServiceName, Route>;
}

export interface RouterOptions {
  keys: Record<ServiceName, string | undefined>;
  parse: { mock?: () => Promise<ParseService>; real?: (options: ParseOptions) => Promise<ParseService> };
  embed: Partial<Record<Origin, () => Promise<EmbedService>>>;
  /** What stops a real service from being used now; absent where there are no real services. */
  stateOf?: (service: ServiceName) => Promise<ServiceState>;
  /** Whether one more retry is within what all processes together may retry. */
  retryAllowed?: (service: ServiceName) => Promise<boolean>;
}

/** The variable that holds the key of a service. */
export const KEY_VARIABLES: Record<ServiceName, string> = {
  llamaparse: 'LLAMAPARSE_API_KEY',
  openai: 'OPENAI_API_KEY',
};

export type Router = ReturnType<typeof createRouter>;

/** The router over the services of this build. Services are made when first asked for. */
export function createRouter({ keys, parse, embed, stateOf, retryAllowed }: RouterOptions) {
  const built: Record<ServiceName, boolean> = {
    llamaparse: parse.real !== undefined,
    openai: embed.real !== undefined,
  };

  const choice = (service: ServiceName, { mode, overrides = {} }: Wish, state?: ServiceState): Route =>
    choose({
      mode,
      override: overrides[service],
      keyPresent: keys[service] !== undefined,
      realAvailable: built[service],
      state,
    });

  const decide = (mode: ServiceMode, overrides: Overrides = {}, states: States = {}): RouterDecision => {
    const wish = { mode, overrides };
    const llamaparse = choice('llamaparse', wish, states.llamaparse);
    const openai = embedRoute(choice('openai', wish, states.openai), llamaparse, wish);
    const set = Object.keys(overrides).length > 0;
    return { mode, ...(set && { overrides }), services: { llamaparse, openai } };
  };

  const now = async (service: ServiceName): Promise<ServiceState | undefined> =>
    built[service] && keys[service] !== undefined ? stateOf?.(service) : undefined;

  return {
    /** What would be decided if nothing but the mode and the keys counted. */
    decide,

    /** What is decided as things stand: breakers and refused accounts count. Reads only. */
    async decideNow(mode: ServiceMode, overrides: Overrides = {}): Promise<RouterDecision> {
      return decide(mode, overrides, { llamaparse: await now('llamaparse'), openai: await now('openai') });
    },

    /**
     * The route of one service for a job that is about to use it. `parsed` is how the document was parsed, for the route
     * of its embedding.
     */
    async route(service: ServiceName, wish: Wish, parsed?: Route): Promise<Route> {
      const route = choice(service, wish, await now(service));
      return service === 'openai' && parsed !== undefined ? embedRoute(route, parsed, wish) : route;
    },

    /** What stands in the way of the real service now; `undefined` where there is none here. Reads only. */
    stateOf: now,

    /** Whether this process can ask the real service at all. */
    usable: (service: ServiceName): boolean => built[service] && keys[service] !== undefined,

    /** Whether one more try after a failure may be made; takes it from what all processes share. Always for mocks. */
    retryAllowed: async (service: ServiceName): Promise<boolean> => (await retryAllowed?.(service)) ?? true,

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
          message: `Mode ${decision.mode} would use the real ${service} service, which this process does not have`,
          why: 'nothing was accepted and nothing was sent',
          fix: 'Use --mode mock.',
          chargedNanoUsd: 0,
        });
      }
    },

    /** The parser of an origin; the real one for these options. */
    async parseService(origin: Origin, options: ParseOptions): Promise<ParseService> {
      const { mock, real } = parse;
      return provider(origin === 'mock' ? mock : real && (() => real(options)), origin, 'parse');
    },

    /** The embedder of an origin. */
    async embedService(origin: Origin): Promise<EmbedService> {
      return provider(embed[origin], origin, 'embed');
    },
  };
}

interface Wish {
  mode: ServiceMode;
  overrides?: Overrides | undefined;
}

type States = Partial<Record<ServiceName, ServiceState | undefined>>;

/**
 * A document whose parse fell back is embedded in the mock space: real vectors of a stand-in's text would be paid for
 * nothing. Who asks for a mock parse and real vectors in so many words gets them.
 */
function embedRoute(wanted: Route, parsed: Route, { mode, overrides = {} }: Wish): Route {
  if (parsed.use !== 'mock' || wanted.use !== 'real') return wanted;
  if (!parsed.fallback && overrides.openai !== undefined && overrides.openai !== 'mock') return wanted;
  // Also when the mode was changed after the parse: real vectors were asked for and are not made.
  const asked = (overrides.llamaparse ?? mode) === 'mock';
  return { use: 'mock', why: 'parse_is_mock', fallback: parsed.fallback || !asked };
}

async function provider<T>(make: (() => Promise<T>) | undefined, origin: Origin, kind: string): Promise<T> {
  if (make === undefined)
    throw new TvdbError('E102', { message: `There is no ${origin} ${kind} service in this version` });
  return make();
}
