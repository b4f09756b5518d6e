/** Checks of the paid services by their free requests: reachable, key accepted, what is to be used is offered. Nothing is billed. */
import type { TvdbError } from '../../base/errors.ts';
import { systemIds } from '../../base/ids.ts';
import type { Settings } from '../../config/variables.ts';
import type { ServiceName } from '../../domain/service-mode.ts';
import { createOpenAiEmbed } from '../../services/embed/openai.ts';
import type { Governor } from '../../services/governor.ts';
import { createHttp, type Http } from '../../services/http/client.ts';
import { createDispatcher } from '../../services/http/dispatcher.ts';
import { createKeyRing } from '../../services/key-ring.ts';
import { createLlamaParse } from '../../services/parse/llamaparse.ts';
import type { ServiceHealth } from '../../services/parse/port.ts';
import { keysOf } from '../../services/real-services.ts';
import { KEY_VARIABLES } from '../../services/router.ts';
import { parseOptions } from '../route.ts';
import { type Check, type CheckContext, type Finding, ok, skipped } from './check.ts';

const NAMES: Record<ServiceName, string> = { llamaparse: 'LlamaParse', openai: 'OpenAI' };
const BASE_URLS = { llamaparse: 'LLAMA_CLOUD_BASE_URL', openai: 'OPENAI_BASE_URL' } as const;

export const llamaparse: Check = (context) => provider('llamaparse', context);
export const openai: Check = (context) => provider('openai', context);

/** One look with one key. */
interface Look {
  health: ServiceHealth;
  /** What the service or the way to it answered, when that was an error. */
  error: TvdbError | null;
}

async function provider(service: ServiceName, context: CheckContext): Promise<Finding> {
  const { config, offline } = context;
  if (offline) return skipped('--offline');
  const { settings } = config;
  const [first, second] = keysOf(service, settings);
  if (first === undefined) return skipped(`${KEY_VARIABLES[service]} is not set`);
  const limits = {
    connectMs: settings.CONNECT_TIMEOUT,
    headersMs: settings.HEADERS_TIMEOUT,
    bodyMs: settings.BODY_TIMEOUT,
    requestMs: settings.REQUEST_TIMEOUT,
    responseBytes: settings.RESPONSE_LIMIT_MB * 1_000_000,
  };
  const dispatcher = createDispatcher(limits);
  const http = createHttp({ dispatcher, limits, clock: context.clock, boundary: () => systemIds.uuid() });
  try {
    const one = await look(service, first, http, context);
    const two = second === undefined || second === first ? null : await look(service, second, http, context);
    return judged(service, settings, one, two);
  } finally {
    await dispatcher.destroy();
  }
}

/** Asks by the free request of the client itself. Each key by a ring of its own, so that a refusal is seen and not switched past. */
async function look(
  service: ServiceName,
  key: string,
  http: Http,
  { config, clock, signal }: CheckContext,
): Promise<Look> {
  let error: TvdbError | null = null;
  // Straight through: what doctor asks must neither wait for a limit nor open or close a breaker.
  const governor: Governor = {
    admit: async () => {},
    report: async (exchange) => {
      error = exchange.error;
    },
  };
  const { settings } = config;
  const common = { http, governor, clock, keys: createKeyRing({ service, keys: [key], audit: () => {} }) };
  const client =
    service === 'openai'
      ? createOpenAiEmbed({ ...common, baseUrl: settings.OPENAI_BASE_URL, model: settings.OPENAI_EMBED_MODEL })
      : createLlamaParse({
          ...common,
          ...parseOptions(settings),
          baseUrl: settings.LLAMA_CLOUD_BASE_URL,
          webhook: () => null,
          files: { get: async () => null, put: async () => {}, forget: async () => {} },
        });
  const health = await client.health(signal);
  return { health, error };
}

function judged(service: ServiceName, settings: Settings, first: Look, second: Look | null): Finding {
  const at = settings[BASE_URLS[service]];
  const offered =
    service === 'openai'
      ? `${settings.OPENAI_EMBED_MODEL} is offered`
      : (({ tier, version }) => `${tier} ${version} is offered`)(parseOptions(settings));
  const took = `${(first.health.latencyMs / 1000).toFixed(1)}s`;
  if (first.health.ok) {
    const more =
      second === null ? '' : second.health.ok ? '; second key set, accepted' : '; second key set, and not accepted';
    const detail = `${at}  key accepted, ${offered}, ${took}${more}`;
    if (second === null || second.health.ok) return ok(detail);
    return { status: 'warn', detail, why: second.health.detail, fix: keyFix(service, true) };
  }
  const failure = failed(service, settings, first);
  if (second?.health.ok !== true || first.error?.code !== 'E112') return failure;
  return { ...failure, status: 'warn', detail: `${failure.detail}; the second key is accepted and used instead` };
}

function failed(service: ServiceName, settings: Settings, { health, error }: Look): Finding {
  const at = settings[BASE_URLS[service]];
  const base = { status: 'fail', why: health.detail } as const;
  const name = NAMES[service];
  if (error === null) {
    return {
      ...base,
      detail: `${at}  key accepted, but what is to be used is not offered`,
      fix:
        service === 'openai'
          ? { text: 'choose another model', commands: ['export OPENAI_EMBED_MODEL=text-embedding-3-small'] }
          : { text: 'use the version that this tvdb was made for', commands: ['unset LLAMAPARSE_VERSION'] },
    };
  }
  switch (error.code) {
    case 'E112':
      return { ...base, detail: `${name} at ${at} does not accept the key`, fix: keyFix(service, false) };
    case 'E302':
      return { ...base, detail: `the account at ${name} has no credit left`, fix: { text: error.fix, commands: [] } };
    case 'E303':
      return {
        ...base,
        detail: `${name} cannot be reached at ${at}`,
        fix: { text: `check the network and ${BASE_URLS[service]}`, commands: ['tvdb health --check'] },
      };
    default:
      return {
        ...base,
        detail: `${name} at ${at} does not answer as it should`,
        fix: { text: error.fix, commands: error.commands },
      };
  }
}

/** A key of LlamaCloud belongs to one region, and another region refuses it like a wrong one. */
function keyFix(service: ServiceName, second: boolean): NonNullable<Finding['fix']> {
  const variable = `${KEY_VARIABLES[service]}${second ? '_SECONDARY' : ''}`;
  const region = service === 'llamaparse' ? '; a key belongs to one region: LLAMA_CLOUD_BASE_URL=us or eu' : '';
  return { text: `check ${variable}${region}`, commands: [] };
}
