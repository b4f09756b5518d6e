/** A pipeline over a real store and storage, with services that answer from memory and can be told to fail. */
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { TvdbError } from '../../src/base/errors.ts';
import { sha256 } from '../../src/base/hash.ts';
import { loadConfig } from '../../src/config/load.ts';
import type { Settings } from '../../src/config/variables.ts';
import { BUILT_IN_PRICES } from '../../src/domain/price-book.ts';
import type { ServiceMode } from '../../src/domain/service-mode.ts';
import { unit } from '../../src/domain/vector.ts';
import type { UploadDeps } from '../../src/pipeline/staging.ts';
import { type AcceptOptions, acceptDocument } from '../../src/pipeline/upload.ts';
import { type WorkOptions, work } from '../../src/pipeline/worker.ts';
import type { EmbedService } from '../../src/services/embed/port.ts';
import type { ParseService } from '../../src/services/parse/port.ts';
import { createRouter, type RouterOptions } from '../../src/services/router.ts';
import { openStorage } from '../../src/storage/local.ts';
import { openStore } from '../../src/store/open.ts';
import type { JobEventRow } from '../../src/store/schema.ts';
import { USER } from '../setup/jobs.ts';
import { assertLedger } from '../setup/ledger.ts';
import { countingIds, seededRandom } from '../setup/seeded.ts';
import { silentLog } from '../setup/silent-log.ts';
import { tempDirectory } from '../setup/temp.ts';

export const DIMENSIONS = 8;
export const SPACE = `mock/test@1/${DIMENSIONS}`;

/** A parser that answers at once with pages made of the request, and counts what it was asked. */
export function memoryParser(changes: Partial<ParseService> = {}): ParseService & { submits: string[] } {
  const known = new Map<string, number>();
  const submits: string[] = [];
  return {
    origin: 'mock',
    parserName: 'memory',
    parserVersion: '1',
    runsHere: true,
    submits,
    async submit({ pages }, { attemptId, leaving }) {
      await leaving?.();
      submits.push(attemptId);
      known.set(`remote-${attemptId}`, pages);
      return { remoteId: `remote-${attemptId}` };
    },
    async poll(remoteId) {
      return { state: known.has(remoteId) ? 'done' : 'gone' };
    },
    async fetchResult(remoteId) {
      const pages = Array.from({ length: known.get(remoteId) ?? 0 }, (_, index) => ({
        number: index + 1,
        markdown: `# Part ${index + 1}\n\nText of page ${index + 1}, about topic ${(index * 7) % 5}.`,
      }));
      return { pages, creditsBilled: 0 };
    },
    async findByAttempt() {
      return [];
    },
    async cancel() {},
    async health() {
      return { ok: true, latencyMs: 0, detail: '' };
    },
    ...changes,
  };
}

/** An embedder whose vectors depend on the text alone. */
export function memoryEmbedder(changes: Partial<EmbedService> = {}): EmbedService {
  return {
    origin: 'mock',
    space: { name: SPACE, model: 'test', version: '1', dimensions: DIMENSIONS },
    async embed(texts, { leaving }) {
      await leaving?.();
      const vectors = texts.map((text) =>
        unit(Float32Array.from(Buffer.from(sha256(text), 'hex').subarray(0, DIMENSIONS), (byte) => byte + 1)),
      );
      return { vectors, tokensBilled: texts.length, model: 'test' };
    },
    async health() {
      return { ok: true, latencyMs: 0, detail: '' };
    },
    ...changes,
  };
}

/** The list prices, and one for the models of the embedders from memory. */
const PRICES = {
  ...BUILT_IN_PRICES,
  rows: [
    ...BUILT_IN_PRICES.rows,
    ...BUILT_IN_PRICES.rows
      .filter(({ item }) => item === 'openai/text-embedding-3-small')
      .flatMap((row) => ['test', 'paid'].map((model) => ({ ...row, item: `openai/${model}` }))),
  ],
};

export interface HarnessOptions {
  parser?: ParseService;
  embedder?: EmbedService;
  /** The paid services, each with its key; absent: neither is there. */
  real?: { parser?: ParseService; embedder?: EmbedService; keys?: Partial<RouterOptions['keys']> };
  /** What stops a paid service now. */
  stateOf?: NonNullable<RouterOptions['stateOf']>;
  retryAllowed?: NonNullable<RouterOptions['retryAllowed']>;
  settings?: Partial<Settings>;
  home?: string;
  seed?: number;
  clock?: UploadDeps['clock'];
}

/** A fresh pipeline; with `home`, another process's view of an existing one. */
export function pipeline(options: HarnessOptions = {}) {
  const { parser = memoryParser(), embedder = memoryEmbedder(), clock = systemClock, seed = 1 } = options;
  const home = options.home ?? join(tempDirectory(), 'home');
  const config = loadConfig({ env: { HOME: home }, cwd: home });
  const store = openStore({ home, clock });
  // A process that dies loses nothing of what was written, only a machine does; and tests need not wait for the disk.
  store.sqlite.pragma('synchronous = OFF');
  onTestFinished(async () => {
    // T17: whatever a test did, the totals are what the rows add up to.
    if (store.sqlite.open) await assertLedger(store);
    await store.close();
  });
  const { real } = options;
  const events: JobEventRow[] = [];
  const deps: UploadDeps = {
    store,
    storage: openStorage(home),
    router: createRouter({
      keys: {
        llamaparse: real?.parser && 'llx-test',
        openai: real?.embedder && 'sk-test',
        ...real?.keys,
      },
      parse: { mock: async () => parser, ...(real && { real: async () => real.parser ?? parser }) },
      embed: { mock: async () => embedder, ...(real && { real: async () => real.embedder ?? embedder }) },
      ...(options.stateOf && { stateOf: options.stateOf }),
      ...(options.retryAllowed && { retryAllowed: options.retryAllowed }),
    }),
    settings: {
      ...config.settings,
      RETRY_BASE: 1,
      RETRY_CAP: 1,
      POLL_INTERVAL: 10,
      EMBED_BATCH_SIZE: 2,
      ...options.settings,
    },
    clock,
    ids: countingIds(seed.toString(16).padStart(4, '0')),
    random: seededRandom(seed),
    log: silentLog,
    prices: PRICES,
    budgets: [],
    userId: USER,
    inspector: { inspect: async () => ({ pages: 3, encrypted: false }) },
  };
  const signals = { abort: new AbortController(), stopping: new AbortController() };
  const onEvent = (event: JobEventRow) => void events.push(event);
  return {
    home,
    deps,
    store,
    events,
    signals,
    /** Stages and accepts one document of some bytes. */
    async upload(
      content: string,
      accept: Partial<AcceptOptions> & { path?: string; pages?: number; mode?: ServiceMode } = {},
    ) {
      const { path = null, pages = 3, mode = 'mock', ...rest } = accept;
      const bytes = Buffer.from(`%PDF-1.7\n${content}`);
      const { path: temp, handle } = await deps.storage.openIncoming(deps.ids.uuid());
      await handle.writeFile(bytes);
      await handle.close();
      const staged = { path: temp, sha256: sha256(bytes), bytes: bytes.length, head: bytes };
      const document = { staged, filename: 'a.pdf', sourcePath: path, mime: 'application/pdf', ext: 'pdf', pages };
      const defaults = {
        runId: 'run',
        decision: await deps.router.decideNow(mode),
        priority: 0,
        tags: {},
        costCenter: null,
        force: false,
        keepOld: false,
      };
      return acceptDocument(deps, document, { ...defaults, ...rest }, onEvent);
    },
    /** Drains the queue. */
    drain(changes: Partial<WorkOptions> = {}) {
      return work(deps, {
        concurrency: 2,
        until: 'drain',
        waitForOthers: false,
        onEvent,
        signals: { abort: signals.abort.signal, stopping: signals.stopping.signal },
        ...changes,
      });
    },
    async rows() {
      const count = async (
        table:
          | 'document_chunks'
          | 'chunk_words'
          | 'vectors'
          | 'vector_bits'
          | 'chunk_buffer'
          | 'vector_buffer'
          | 'workers',
      ) =>
        (
          await store.db
            .selectFrom(table)
            .select((select) => select.fn.countAll<number>().as('rows'))
            .executeTakeFirstOrThrow()
        ).rows;
      return {
        chunks: await count('document_chunks'),
        words: await count('chunk_words'),
        vectors: await count('vectors'),
        bits: await count('vector_bits'),
        chunkBuffer: await count('chunk_buffer'),
        vectorBuffer: await count('vector_buffer'),
        workers: await count('workers'),
      };
    },
    async jobs() {
      return store.db.selectFrom('upload_jobs').selectAll().orderBy('created_at').orderBy('job_id').execute();
    },
  };
}

/** An error a service may be made to throw. */
export function passing(message = 'try again'): TvdbError {
  return new TvdbError('E306', { message, retry: { kind: 'later' } });
}
