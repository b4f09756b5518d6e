/** One invocation that drives jobs: its row in the store, and the loop with everything that may end it early. */
import { setMaxListeners } from 'node:events';
import { asTvdbError, type TvdbError } from '../base/errors.ts';
import { SERVICES, type ServiceMode } from '../domain/service-mode.ts';
import { ensureBudgets } from '../ledger/budget-settings.ts';
import { requireOpenWindows } from '../ledger/verify.ts';
import { pruneOld } from '../store/retention.ts';
import { endRun, startRun } from '../store/runs.ts';
import { isSameProcess } from '../store/workers.ts';
import { correctCharges } from './correct-charges.ts';
import { deleteBatchFiles } from './economy-files.ts';
import { settleBatchesLeft } from './economy-stop.ts';
import type { PipelineDeps } from './stage.ts';
import { type WorkOptions, type WorkSummary, work } from './worker.ts';

/** Time that work under way has to settle once the limit of time is reached, before it is cut off. */
const SETTLE_MS = 10_000;

/** Records a run around `body`: when it began, when it ended, with which exit code; also when it throws. */
export async function withRun<T extends { exitCode: number }>(
  { store, storage, clock, budgets, settings, router }: PipelineDeps,
  run: { runId: string; command: string; mode: ServiceMode | null },
  body: () => Promise<T>,
): Promise<T> {
  await store.write(async (trx) => {
    await ensureBudgets(trx, budgets, clock.now());
    await pruneOld(trx, { now: clock.now(), days: settings.RETENTION_DAYS });
    if (SERVICES.some(router.usable)) await requireOpenWindows(trx, clock.now());
    await startRun(trx, { ...run, now: clock.now() });
  });
  // Copies of documents that a killed upload had not placed yet.
  await storage.sweepIncoming(isSameProcess);
  const end = (exitCode: number) => store.write((trx) => endRun(trx, { runId: run.runId, now: clock.now(), exitCode }));
  try {
    const result = await body();
    await end(result.exitCode);
    return result;
  } catch (error) {
    // The first failure is the one to report; the store may be what failed.
    await end(asTvdbError(error).exit).catch(() => {});
    throw error;
  }
}

/** A worker that goes on for days asks this often what was billed in the end, and deletes what it left at a service. */
const TIDY_AGAIN_MS = 180_000;
/** Questions about charges at a time; each is one small request. */
const ASK_MOST = 20;
/** An older sum that a service never told the figure of is left to `tvdb costs reconcile`. */
const ASK_FOR_MS = 7 * 86_400_000;
/** A command that is done does not wait longer than this for the last figures and deletions. */
const TIDY_AT_END_MS = 5_000;

export interface DriveOptions extends WorkOptions {
  /** Stops after this long. */
  timeoutMs?: number | undefined;
  /** Stops when there was nothing to do for this long. */
  idleMs?: number | undefined;
  /** Stops at the first job that fails. */
  failFast?: boolean;
}

export interface DriveSummary extends WorkSummary {
  /** What ended it: the queue, the number of jobs asked for, time, a failure, the cap of the run, or the user. */
  endedBy: 'drained' | 'limit' | 'idle' | 'timeout' | 'failure' | 'cap' | 'stopped';
  /** The refusal that ended it, for `cap`. */
  cap?: TvdbError;
}

/**
 * Works like `work` until the queue is drained, time is up, a job failed or the user stops it. What it stops is not lost:
 * the jobs stay in the queue at the step they reached.
 */
export async function drive(deps: PipelineDeps, options: DriveOptions): Promise<DriveSummary> {
  const { clock } = deps;
  const { timeoutMs, idleMs, failFast = false, onEvent, onIdle } = options;
  const early = new AbortController();
  const cut = new AbortController();
  const over = new AbortController();
  const signals = {
    stopping: AbortSignal.any([options.signals.stopping, early.signal]),
    abort: AbortSignal.any([options.signals.abort, cut.signal]),
  };
  // Every job in flight listens; Node would warn of a leak at the eleventh.
  setMaxListeners(0, signals.stopping, signals.abort);
  let endedBy: DriveSummary['endedBy'] | undefined;
  let cap: TvdbError | undefined;
  const stop = (why: DriveSummary['endedBy']) => {
    endedBy ??= why;
    early.abort();
  };
  if (timeoutMs !== undefined) {
    const timeUp = async () => {
      await clock.sleep(timeoutMs, over.signal);
      stop('timeout');
      await clock.sleep(SETTLE_MS, over.signal);
      cut.abort();
    };
    timeUp().catch(() => {});
  }
  const left = settleLeft(deps, [signals.stopping, signals.abort]);
  const tidy = async (signal: AbortSignal) => {
    await correctCharges(deps, { limit: ASK_MOST, since: clock.now() - ASK_FOR_MS, signal });
    await deleteBatchFiles(deps, signal);
  };
  let tidying: Promise<void> | undefined;
  if (options.until === 'forever') {
    const now = AbortSignal.any([over.signal, signals.stopping]);
    const keepTidy = async () => {
      for (;;) {
        await clock.sleep(TIDY_AGAIN_MS, now);
        await tidy(now);
      }
    };
    tidying = keepTidy().catch((error: unknown) => {
      if (!now.aborted)
        deps.log('warn', 'charges cannot be corrected, or files not deleted', { error: asTvdbError(error).message });
    });
  }
  let idleSince: number | null = null;
  try {
    const summary = await work(deps, {
      ...options,
      onEvent: (event, job) => {
        idleSince = null;
        if (failFast && event.code === 'FAILED') stop('failure');
        onEvent(event, job);
      },
      onCap: (error) => {
        cap ??= error;
        stop('cap');
      },
      onIdle: (left) => {
        idleSince ??= clock.monotonic();
        if (idleMs !== undefined && clock.monotonic() - idleSince >= idleMs) stop('idle');
        onIdle?.(left);
      },
      signals,
    });
    if (!signals.stopping.aborted && !signals.abort.aborted) {
      const late = new AbortController();
      clock.sleep(TIDY_AT_END_MS, over.signal).then(
        () => late.abort(),
        () => {},
      );
      await tidy(AbortSignal.any([late.signal, signals.stopping, signals.abort]));
    }
    const byUser = options.signals.stopping.aborted || options.signals.abort.aborted;
    const limited = options.limit !== undefined && summary.claims >= options.limit;
    const why = cap !== undefined && { cap };
    return { ...summary, ...why, endedBy: endedBy ?? (byUser ? 'stopped' : limited ? 'limit' : 'drained') };
  } finally {
    over.abort();
    await left.end();
    await tidying;
  }
}

/** Looks at batches of ended jobs beside the work, and not much longer than it. */
function settleLeft(deps: PipelineDeps, ends: readonly AbortSignal[]): { end(): Promise<void> } {
  const late = new AbortController();
  const done = settleBatchesLeft(deps, AbortSignal.any([...ends, late.signal])).catch((error: unknown) =>
    deps.log('warn', 'batches left behind were not looked at', { error: String(error) }),
  );
  return {
    async end() {
      const settled = new AbortController();
      deps.clock.sleep(SETTLE_MS, settled.signal).then(
        () => late.abort(),
        () => {},
      );
      await done;
      settled.abort();
    },
  };
}
