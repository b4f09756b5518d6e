/**
 * A LlamaCloud and an OpenAI on this machine: one server on the loopback address that the official SDKs work against
 * unchanged, strict about requests, with faults on demand, its own log and its own bill. For development and tests.
 */
import { setMaxListeners } from 'node:events';
import type { AddressInfo } from 'node:net';
import { TvdbError } from '../base/errors.ts';
import { systemIds } from '../base/ids.ts';
import { createBatchEndpoints } from './batch-endpoints.ts';
import { createBatchFiles } from './batch-files.ts';
import { type Bill, createBiller } from './bill.ts';
import { answerControl, type Control, createControl } from './control.ts';
import { createEmbeddings } from './embeddings-endpoint.ts';
import { endpointRoutes } from './endpoint-routes.ts';
import { createFaultBook } from './faults.ts';
import { createFiles } from './files-endpoints.ts';
import { createKeyCheck } from './key-check.ts';
import { DEFAULT_LIMITS, NO_LATENCY, type SimulatorOptions } from './options.ts';
import { createParseEndpoints } from './parse-endpoints.ts';
import { createParseJobs } from './parse-jobs.ts';
import { createRateWindows } from './rate-limits.ts';
import { createRequestLog, type LoggedRequest } from './request-log.ts';
import { seededRandom } from './seeded-random.ts';
import { createSimulatorServer } from './server.ts';

export interface Simulator {
  /** `http://127.0.0.1:<port>` */
  readonly url: string;
  /** What goes into LLAMA_CLOUD_BASE_URL. */
  readonly llamaUrl: string;
  /** What goes into OPENAI_BASE_URL. */
  readonly openaiUrl: string;
  readonly control: Control;
  /** Every request so far, in the order of their decisions. */
  log(): LoggedRequest[];
  /** What both services would charge, up to date. */
  bill(): Bill;
  /** Cuts what is open and stops listening. */
  close(): Promise<void>;
}

/** Starts listening on 127.0.0.1. Throws E601 when the port is taken, `FaultSyntaxError` for faults not understood. */
export async function startSimulator(options: SimulatorOptions): Promise<Simulator> {
  const { clock, ids = systemIds, listDelay = 0 } = options;
  const latency = { ...NO_LATENCY, ...options.latency };
  const closing = new AbortController();
  // Every job and every delivery listens to it; Node would warn of the eleventh.
  setMaxListeners(0, closing.signal);
  const biller = createBiller();
  const faults = createFaultBook(seededRandom(options.seed ?? 1));
  faults.add(options.faults ?? '');
  const keys = createKeyCheck(options.keys ?? {});
  const rates = { ...DEFAULT_LIMITS, ...options.limits };
  const limits = createRateWindows(clock, rates);
  const log = createRequestLog(() => clock.now(), options.logFile);
  const files = createFiles({ clock, ids, listDelay });
  const { pagesOf } = options;
  const jobs = createParseJobs({ clock, ids, biller, faults, log, latency, pagesOf, closing: closing.signal });
  const parse = createParseEndpoints({
    clock,
    files,
    jobs,
    lagging: options.lagging ?? false,
    fastMarkdown: options.fastMarkdown ?? false,
    creditsNullPolls: options.creditsNullPolls ?? 0,
    listDelay,
  });
  const embeddings = createEmbeddings(biller, latency.embed, (tokens) => limits.openai(tokens));
  const batchFiles = createBatchFiles(clock, ids);
  const batches = createBatchEndpoints({
    clock,
    ids,
    biller,
    faults,
    files: batchFiles,
    embeddings,
    duration: latency.batch,
    mostTokens: rates.batchTokens,
  });

  const controlParts = {
    faults,
    keys,
    log,
    biller,
    update() {
      jobs.all();
      batches.update();
    },
    forget() {
      files.clear();
      jobs.clear();
      batchFiles.clear();
      batches.clear();
    },
  };
  const control = createControl(controlParts);
  const server = createSimulatorServer({
    clock,
    ids,
    faults,
    keys,
    limits,
    log,
    routes: endpointRoutes({ files, parse, embeddings, batchFiles, batches }),
    control: (method, path, body) => answerControl(control, controlParts, method, path, body),
    closing: closing.signal,
  });

  const { port = 0 } = options;
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(cannotListen(port, error)));
    server.listen(port, '127.0.0.1', resolve);
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url,
    llamaUrl: url,
    openaiUrl: `${url}/v1`,
    control,
    log: () => log.requests(),
    bill() {
      controlParts.update();
      return biller.bill();
    },
    async close() {
      closing.abort(new Error('the simulator is closed'));
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
    },
  };
}

function cannotListen(port: number, error: Error): TvdbError {
  return new TvdbError('E601', {
    message: `The simulator cannot listen on port ${port}`,
    why: error.message,
    facts: { port, host: '127.0.0.1' },
    cause: error,
  });
}
