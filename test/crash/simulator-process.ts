/** The simulator as a process of its own: its log is written line by line by it alone, and survives whatever dies here. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Bill } from '../../src/simulator/bill.ts';
import type { LoggedDelivery, LoggedRequest } from '../../src/simulator/request-log.ts';
import { BINARY, type Ended, PATIENT, type Running, start } from './processes.ts';

export interface SimulatorProcess {
  /** Settings under which tvdb pays this simulator, and waits briefly. */
  readonly env: Readonly<Record<string, string>>;
  requests(operation?: string): LoggedRequest[];
  deliveries(): LoggedDelivery[];
  bill(): Promise<Bill>;
  /** `POST /_control/<path>`. */
  control(path: string, body: unknown): Promise<void>;
  stop(): Promise<void>;
}

/**
 * Short waits, so that a case takes seconds. The window is longer than the simulator may be held up on a busy machine: a
 * request that arrives after it would be a second one, as the setting says.
 */
const SHORT: Readonly<Record<string, string>> = {
  LLAMAPARSE_API_KEY: 'llx-first-of-the-crash-tests',
  OPENAI_API_KEY: 'sk-first-of-the-crash-tests',
  LLAMAPARSE_REQUESTS_PER_MINUTE: '100000',
  COST_AUTO_APPROVE_USD: '100',
  DAILY_COST_LIMIT_USD: '1000',
  UNKNOWN_OUTCOME_WINDOW: '3s',
  EMBED_UNKNOWN_WAIT: '300ms',
  POLL_FIRST: '60ms',
  POLL_CAP: '200ms',
  POLL_INTERVAL: '25ms',
  RETRY_BASE: '50ms',
  RETRY_CAP: '400ms',
  EMBED_LINGER: '50ms',
  // Small batches, so that one document has several.
  EMBED_BATCH_SIZE: '1',
  CHUNK_TARGET_TOKENS: '80',
  CHUNK_MAX_TOKENS: '120',
  CHUNK_OVERLAP_TOKENS: '10',
};

const running = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

export interface SimulatorFlags {
  faults?: string;
  latency?: string;
  seed?: number;
}

/** Starts `tvdb simulate` on a free port, its log in `directory`. */
export async function startSimulator(directory: string, flags: SimulatorFlags = {}): Promise<SimulatorProcess> {
  const log = join(directory, 'simulator.jsonl');
  const { faults = '', latency = 'parse=60ms,page=5ms,embed=10ms', seed = 1 } = flags;
  const args = ['simulate', '--faults', faults, '--latency', latency, '--log', log, '--seed', String(seed)];
  const child = spawn(process.execPath, [BINARY, ...args], {
    cwd: directory,
    env: { PATH: process.env.PATH ?? '', HOME: directory, TVDB_HOME: join(directory, 'simulator'), ...PATIENT },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  running.add(child);
  const urls = await addresses(child);
  const base = new URL(urls.openai).origin;
  const lines = () => (existsSync(log) ? readFileSync(log, 'utf8').split('\n').filter(Boolean) : []);
  const entries = () => lines().map((line) => JSON.parse(line) as LoggedRequest | LoggedDelivery);
  return {
    env: { ...SHORT, ...PATIENT, LLAMA_CLOUD_BASE_URL: urls.llamaparse, OPENAI_BASE_URL: urls.openai },
    requests: (operation) =>
      entries().filter(
        (entry): entry is LoggedRequest =>
          entry.kind === 'request' && (operation === undefined || entry.operation === operation),
      ),
    deliveries: () => entries().filter((entry): entry is LoggedDelivery => entry.kind === 'webhook'),
    bill: async () => (await (await fetch(`${base}/_control/bill`)).json()) as Bill,
    async control(path, body) {
      const answer = await fetch(`${base}/_control/${path}`, { method: 'POST', body: JSON.stringify(body) });
      if (!answer.ok) throw new Error(`the simulator answered ${answer.status}: ${await answer.text()}`);
    },
    async stop() {
      const { exitCode, signalCode } = child;
      running.delete(child);
      // It is the witness: what was seen after its death proves nothing.
      if (exitCode !== null || signalCode !== null)
        throw new Error(`the simulator ended by itself (${exitCode ?? signalCode}): ${urls.said()}`);
      const ended = once(child, 'close');
      child.kill('SIGKILL');
      await ended;
    },
  };
}

/** What it prints first: a line for each service, its name and its address. */
async function addresses(child: ChildProcess): Promise<{ llamaparse: string; openai: string; said: () => string }> {
  let said = '';
  child.stderr?.on('data', (part: Buffer) => {
    said += String(part);
  });
  return new Promise((resolve, reject) => {
    child.once('close', () => reject(new Error(`the simulator ended: ${said}`)));
    child.stdout?.on('data', (part: Buffer) => {
      said += String(part);
      const [llamaparse, openai] = ['llamaparse', 'openai'].map(
        (name) => new RegExp(`^${name}\\t(\\S+)$`, 'm').exec(said)?.[1],
      );
      if (llamaparse !== undefined && openai !== undefined) resolve({ llamaparse, openai, said: () => said });
    });
  });
}

export interface PaidCase {
  /** Where the store is; `store/` in it. */
  readonly home: string;
  readonly documents: string;
  readonly simulator: SimulatorProcess;
  /** Starts tvdb against the simulator. */
  start(args: readonly string[], env?: Record<string, string>): Running;
  /** Runs it to its end. */
  run(args: readonly string[], env?: Record<string, string>): Promise<Ended>;
}

/**
 * A directory and a simulator for one case, gone when it ends. Takes the hook of the case, because cases run side by
 * side. `binary` is the build under test.
 */
export async function openCase(
  { onTestFinished }: { onTestFinished: (fn: () => Promise<void>) => void },
  flags: SimulatorFlags & { binary?: string } = {},
): Promise<PaidCase> {
  const home = mkdtempSync(join(realpathSync(tmpdir()), 'tvdb-paid-'));
  let simulator: SimulatorProcess | undefined;
  onTestFinished(async () => {
    await simulator?.stop();
    rmSync(home, { recursive: true, force: true, maxRetries: 3 });
  });
  const documents = join(home, 'documents');
  mkdirSync(documents);
  const started = await startSimulator(home, flags);
  simulator = started;
  const begin = (args: readonly string[], env: Record<string, string> = {}) =>
    start(home, [...args, '--no-input'], { ...started.env, ...env }, flags.binary ?? BINARY);
  return { home, documents, simulator, start: begin, run: (args, env) => begin(args, env).ended };
}

/** The arguments of an upload that pays. */
export function upload(documents: string, ...more: string[]): string[] {
  return ['upload', documents, '--recursive', '--mode', 'real', ...more];
}
