/** The paid services of a process, made when first used: one transport, one governor and one key ring for each. */
import type { Clock } from '../base/clock.ts';
import { TvdbError } from '../base/errors.ts';
import type { Ids, Random } from '../base/ids.ts';
import type { Log } from '../base/log.ts';
import type { Settings } from '../config/variables.ts';
import type { ParseOptions } from '../domain/parse-options.ts';
import type { ServiceName, ServiceState } from '../domain/service-mode.ts';
import { appendKeyAudit } from '../store/key-audit.ts';
import type { Store } from '../store/open.ts';
import { createRemoteFiles } from '../store/remote-files.ts';
import type { EmbedService } from './embed/port.ts';
import type { ServiceGovernor } from './governor.ts';
import type { Http } from './http/client.ts';
import type { KeyRing } from './key-ring.ts';
import type { ParseService, WebhookTarget } from './parse/port.ts';
import { KEY_VARIABLES } from './router.ts';

export interface RealServicesOptions {
  settings: Settings;
  store: Store;
  clock: Clock;
  ids: Ids;
  random: Random;
  log: Log;
  /** Where news of parses may be delivered now; `null` for polling alone. */
  webhook: () => WebhookTarget | null;
  /** Told when a service refused the first key of two and the second is used from now on; by its fingerprint. */
  onKeySwitch?: ((service: ServiceName, fingerprint: string) => void) | undefined;
  /** Called once before the first client is made: until then nothing may leave the machine. */
  onFirstUse: () => void;
}

export interface RealServices {
  parse(options: ParseOptions): Promise<ParseService>;
  embed(): Promise<EmbedService>;
  /** What stands in the way of a service, as all processes know it. Reads only. */
  stateOf(service: ServiceName): Promise<ServiceState>;
  retryAllowed(service: ServiceName): Promise<boolean>;
  close(): Promise<void>;
}

/** The keys of a service in the order they are tried; empty when none is set. */
export function keysOf(service: ServiceName, settings: Settings): string[] {
  const keys =
    service === 'llamaparse'
      ? [settings.LLAMAPARSE_API_KEY ?? settings.LLAMA_CLOUD_API_KEY, settings.LLAMAPARSE_API_KEY_SECONDARY]
      : [settings.OPENAI_API_KEY, settings.OPENAI_API_KEY_SECONDARY];
  return keys.flatMap((key) => key ?? []);
}

/** The real services of one process; `close` ends their connections. */
export function createRealServices(options: RealServicesOptions): RealServices {
  const { settings, store, clock, ids, onFirstUse } = options;
  // Taken when it is first needed: most commands never ask a paid service.
  let owner: string | undefined;
  const closers: (() => Promise<void>)[] = [];
  const governors = once(async (service: ServiceName) => {
    const { createGovernor } = await import('./create-governor.ts');
    const keys = await rings(service);
    const fingerprint = () => keys?.currentFingerprint() ?? null;
    owner ??= ids.uuid();
    return createGovernor({ ...options, service, owner, fingerprint }) satisfies ServiceGovernor;
  });
  const rings = once(async (service: ServiceName): Promise<KeyRing | null> => {
    const { createKeyRing } = await import('./key-ring.ts');
    const keys = keysOf(service, settings);
    return keys.length === 0 ? null : createKeyRing({ service, keys, audit: auditor(service, options) });
  });
  const transport = once(async (_one: 'transport'): Promise<Http> => {
    onFirstUse();
    const [{ createDispatcher }, { createHttp }] = await Promise.all([
      import('./http/dispatcher.ts'),
      import('./http/client.ts'),
    ]);
    const limits = {
      connectMs: settings.CONNECT_TIMEOUT,
      headersMs: settings.HEADERS_TIMEOUT,
      bodyMs: settings.BODY_TIMEOUT,
      requestMs: settings.REQUEST_TIMEOUT,
      responseBytes: settings.RESPONSE_LIMIT_MB * 1_000_000,
    };
    const dispatcher = createDispatcher(limits);
    closers.push(() => dispatcher.destroy());
    return createHttp({ dispatcher, limits, clock, boundary: () => ids.uuid() });
  });
  const parsers = once(async (key: string): Promise<ParseService> => {
    const { tier, version } = JSON.parse(key) as ParseOptions;
    const { createLlamaParse } = await import('./parse/llamaparse.ts');
    const [http, governor, keys] = [
      await transport('transport'),
      await governors('llamaparse'),
      await ring('llamaparse'),
    ];
    const { LLAMA_CLOUD_BASE_URL: baseUrl } = settings;
    const { webhook } = options;
    return createLlamaParse({
      baseUrl,
      tier,
      version,
      http,
      governor,
      keys,
      clock,
      webhook,
      files: createRemoteFiles(store, clock),
    });
  });
  const embedders = once(async (model: Settings['OPENAI_EMBED_MODEL']): Promise<EmbedService> => {
    const { createOpenAiEmbed } = await import('./embed/openai.ts');
    const [http, governor, keys] = [await transport('transport'), await governors('openai'), await ring('openai')];
    const answerBytes = settings.RESPONSE_LIMIT_MB * 1_000_000;
    return createOpenAiEmbed({ baseUrl: settings.OPENAI_BASE_URL, model, http, governor, keys, clock, answerBytes });
  });
  const ring = async (service: ServiceName): Promise<KeyRing> => {
    const keys = await rings(service);
    if (keys !== null) return keys;
    throw new TvdbError('E101', { message: `${KEY_VARIABLES[service]} is not set`, chargedNanoUsd: 0 });
  };
  return {
    parse: ({ tier, version }) => parsers(JSON.stringify({ tier, version })),
    embed: () => embedders(settings.OPENAI_EMBED_MODEL),
    stateOf: async (service) => (await governors(service)).state(),
    retryAllowed: async (service) => (await governors(service)).retryAllowed(),
    async close() {
      for (const close of closers.splice(0)) await close();
    },
  };
}

/** Makes the thing of a key at its first request; one whose making failed is tried again. */
function once<K extends string, T>(make: (key: K) => Promise<T>): (key: K) => Promise<T> {
  const made = new Map<K, Promise<T>>();
  return (key) => {
    const known = made.get(key);
    if (known !== undefined) return known;
    const fresh = make(key).catch((error: unknown) => {
      made.delete(key);
      throw error;
    });
    made.set(key, fresh);
    return fresh;
  };
}

/** Notes the use of keys in the store, beside the work; that a note is lost must not stop anything. */
function auditor(service: ServiceName, { store, clock, log, onKeySwitch }: RealServicesOptions) {
  return (event: 'first_use' | 'refused' | 'switched', fingerprint: string, detail: string): void => {
    log(event === 'first_use' ? 'info' : 'warn', `key.${event}`, { service, key_fingerprint: fingerprint, detail });
    if (event === 'switched') onKeySwitch?.(service, fingerprint);
    store
      .write((trx) => appendKeyAudit(trx, { at: clock.now(), service, fingerprint, event, detail }))
      .catch((error: unknown) => log('warn', 'key audit failed', { error: String(error) }));
  };
}
