/** The composition root: builds everything once, from the configuration, and releases it in reverse order. */
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import type { Clock } from './base/clock.ts';
import type { Ids, Random } from './base/ids.ts';
import { lazy } from './base/lazy.ts';
import { createLog, type Log } from './base/log.ts';
import { createNudge, type Nudge } from './base/nudge.ts';
import { packageRoot } from './base/package-root.ts';
import { createScrubber, type Scrub } from './base/scrub.ts';
import type { Config } from './config/load.ts';
import type { ServiceName } from './domain/service-mode.ts';
import { budgetSettings } from './ledger/budget-settings.ts';
import { loadPrices } from './ledger/load-prices.ts';
import type { UploadDeps } from './pipeline/staging.ts';
import type { Listener } from './server/listener.ts';
import { assembleRouter } from './services/assemble-router.ts';
import type { WebhookTarget } from './services/parse/port.ts';
import type { PdfPool } from './services/pdf/pool.ts';
import { createRealServices } from './services/real-services.ts';
import type { Router } from './services/router.ts';
import { lockTransport } from './services/transport-lock.ts';
import { openStorage, type Storage } from './storage/local.ts';
import { localUserId, signingKey } from './store/meta.ts';
import { openStore, type Store } from './store/open.ts';
import { thisProcess } from './store/workers.ts';

/** What the machine gives; tests pass their own. */
export interface WorldDeps {
  clock: Clock;
  ids: Ids;
  random: Random;
  /** `--log-file`: write the log there instead of under the home directory. */
  logFile?: string | undefined;
  /** Told when a service refused the first of two keys, and the fingerprint of the one that is used instead. */
  onKeySwitch?: ((service: ServiceName, fingerprint: string) => void) | undefined;
  /** Takes the keys out of everything that is written; default: a scrubber of the secrets of the configuration. */
  scrub?: Scrub;
}

export interface World {
  readonly config: Config;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly log: Log;
  /** Takes the keys out of a text. */
  readonly scrub: Scrub;
  readonly store: Store;
  readonly storage: Storage;
  readonly router: Router;
  readonly userId: string;
  /** Jobs this process works on at a time. */
  readonly concurrency: number;
  /** Everything the pipeline needs. */
  readonly pipeline: UploadDeps;
  /** Given when a webhook arrived: the worker looks at once. */
  readonly news: Nudge;
  /**
   * Starts the public-facing listener, or returns the one that runs; from then on parsers are told where to deliver.
   * Throws E601 when its port cannot be had.
   */
  listen(): Promise<Listener>;
  /** The parse service is on this machine (the simulator) and reaches the listener without a public address. */
  readonly reachesHere: boolean;
  /** Releases everything, the last made first. Safe to call twice. */
  close(): Promise<void>;
}

/** Opens the world. Services and child processes start when they are first used; a status query starts none. */
export async function openWorld(config: Config, deps: WorldDeps): Promise<World> {
  const { clock, ids, random, logFile, onKeySwitch, scrub = createScrubber(config.secrets) } = deps;
  const { settings, home } = config;
  const releasers: (() => void | Promise<void>)[] = [];
  const close = async () => {
    for (let release = releasers.pop(); release !== undefined; release = releasers.pop()) await release();
  };
  try {
    // Until a job needs a paid service, no connection of this process may leave the machine.
    const unlock = lockTransport();
    releasers.push(unlock);
    const store = openStore({ home, clock, scrub });
    releasers.push(() => store.close());
    const storage = openStorage(home, thisProcess());
    const log = createLog({
      target: logFile === undefined ? { directory: join(home, 'logs') } : { file: logFile },
      level: settings.LOG_LEVEL,
      clock,
      scrub,
    });
    // Twice the processors: while some documents are chunked and embedded here, the next are read in the child processes.
    const concurrency = settings.WORKER_CONCURRENCY ?? Math.min(8, 2 * availableParallelism());
    const pool = lazy(async () => {
      const { createPdfPool } = await import('./services/pdf/pool.ts');
      const made = createPdfPool({
        entry: join(packageRoot(), 'dist', 'pdf-child.cjs'),
        clock,
        size: Math.min(concurrency, availableParallelism()),
        inspectMs: settings.INSPECT_TIMEOUT,
        extractMs: settings.PARSE_TIMEOUT,
        memoryMb: settings.PARSE_MEMORY_MB,
      });
      releasers.push(() => made.close());
      return made;
    });
    const news = createNudge();
    let listener: Listener | undefined;
    const real = createRealServices({
      settings,
      store,
      clock,
      ids,
      random,
      log,
      webhook: () => (listener === undefined ? null : remoteTarget(listener, config)),
      onKeySwitch,
      onFirstUse: unlock,
    });
    releasers.push(() => real.close());
    const router = assembleRouter({
      settings,
      clock,
      random,
      extract: async (...task) => (await pool()).extract(...task),
      real,
      local: () => listener?.localTarget() ?? null,
      onRelease: (release) => void releasers.push(release),
    });
    const listen = lazy(async () => {
      const [{ startListener }, { freshSecret }] = await Promise.all([
        import('./server/listener.ts'),
        import('./server/fresh-secret.ts'),
      ]);
      listener = await startListener({
        store,
        storage,
        signingKey: await signingKey(store),
        clock,
        ids,
        log,
        // Lives as long as this process; what it signs is worth nothing to the next.
        secrets: [freshSecret()],
        publicUrl: settings.TVDB_PUBLIC_URL,
        port: settings.TVDB_WEBHOOK_PORT,
        onDelivery: () => news.now(),
      });
      const { close: closeListener } = listener;
      releasers.push(() => closeListener());
      return listener;
    });
    const userId = settings.TVDB_USER_ID ?? (await localUserId(store, () => ids.uuid()));
    const inspector: Pick<PdfPool, 'inspect'> = {
      inspect: async (path, signal) => (await pool()).inspect(path, signal),
    };
    const prices = loadPrices(settings.PRICE_BOOK_FILE, config.cwd);
    const budgets = budgetSettings(config);
    const pipeline: UploadDeps = {
      prices,
      budgets,
      store,
      storage,
      router,
      settings,
      clock,
      ids,
      random,
      log,
      userId,
      inspector,
    };
    return {
      config,
      clock,
      ids,
      log,
      scrub,
      store,
      storage,
      router,
      userId,
      concurrency,
      pipeline,
      news,
      listen,
      reachesHere: isHere(config),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/**
 * Where a paid service delivers to: the public address. Without one only a service on this machine could reach the
 * listener: the simulator.
 */
function remoteTarget(listener: Listener, config: Config): WebhookTarget | null {
  return listener.publicUrl !== undefined || isHere(config) ? listener.target() : null;
}

function isHere({ settings }: Config): boolean {
  return ['localhost', '127.0.0.1', '[::1]'].includes(new URL(settings.LLAMA_CLOUD_BASE_URL).hostname);
}
