/** What a stage is: a function that takes a job in one status and returns what happened. It cannot write state itself. */
import type { Clock } from '../base/clock.ts';
import type { TvdbError } from '../base/errors.ts';
import type { Ids, Random } from '../base/ids.ts';
import type { Log } from '../base/log.ts';
import type { Settings } from '../config/variables.ts';
import type { JobStatus, ParkReason } from '../domain/job-state.ts';
import type { PriceBook } from '../domain/price-book.ts';
import type { BudgetSetting } from '../ledger/budget-settings.ts';
import type { Router } from '../services/router.ts';
import type { Storage } from '../storage/local.ts';
import type { EventCode } from '../store/events.ts';
import type { JobChanges } from '../store/jobs/move.ts';
import type { Store, Trx } from '../store/open.ts';
import type { JobEventRow, JobRow } from '../store/schema.ts';
import type { EmbedBatcher } from './embed-batcher.ts';

/** Everything the pipeline works with; built once by `world.ts`. */
export interface PipelineDeps {
  store: Store;
  storage: Storage;
  router: Router;
  settings: Settings;
  clock: Clock;
  ids: Ids;
  random: Random;
  log: Log;
  /** What paid work costs. */
  prices: PriceBook;
  /** The limits that variables set; brought into the store when a run begins. */
  budgets: readonly BudgetSetting[];
}

/** The event a stage reports; ids, statuses and duration are added by the step. */
export interface StageEvent {
  code: EventCode;
  severity?: JobEventRow['severity'];
  attemptId?: string;
  data?: Record<string, unknown>;
}

/** What happened. The step writes it, the move and the event in one short transaction. */
export type Outcome =
  | {
      kind: 'move';
      to: JobStatus;
      event: StageEvent;
      /** Events of the same commit that come before it: a decision that changed, a fallback. */
      before?: readonly StageEvent[];
      set?: JobChanges;
      /** Asked in the same transaction before anything is written; throws `InsteadError` to have something else committed. */
      check?: (trx: Trx) => Promise<void>;
      write?: (trx: Trx) => Promise<void>;
      /** Facts only the write knows; joined to the data of the event. */
      found?: () => Record<string, unknown>;
      /** Removes what the stage left outside the store, when the job turned out to be somebody else's. */
      takeBack?: () => Promise<void>;
    }
  | {
      kind: 'park';
      reason: ParkReason;
      until: number | null;
      note: string;
      /** Told instead of the general event: what was found out. */
      event?: StageEvent;
      set?: JobChanges;
      write?: (trx: Trx) => Promise<void>;
    }
  | { kind: 'fail'; error: TvdbError; write?: (trx: Trx) => Promise<void> }
  /** Stopped on request between two pieces of work: the lease goes back, nothing else changes. */
  | { kind: 'yield' };

/**
 * Thrown inside the write of an outcome that cannot be written as things stand now (all parse slots are taken, the mode
 * was changed): nothing of it is written, and `outcome` is committed instead.
 */
export class InsteadError extends Error {
  override readonly name = 'InsteadError';
  readonly outcome: Outcome;
  constructor(outcome: Outcome) {
    super('another outcome takes the place of this one');
    this.outcome = outcome;
  }
}

/** What the worker lends to a stage besides the services. */
export interface Hands {
  /** Aborts at once: second Ctrl-C, lost lease, failing heartbeat. */
  abort: AbortSignal;
  /** Asks to stop at the next safe place. */
  stopping: AbortSignal;
  /** The run this work is done in: what it spends is counted for it. */
  runId: string | null;
  /** Told when the cap of this run is reached: nothing more is taken up. */
  capReached(error: TvdbError): void;
  /** Gathers chunks of several documents into one request. */
  batcher: EmbedBatcher;
  /** Waits for `promise` without counting as work: another job may be taken up meanwhile. */
  idle<T>(promise: Promise<T>): Promise<T>;
}

/** What a running stage may use. */
export interface StageContext extends PipelineDeps, Hands {
  /**
   * Commits facts in the middle of a stage (an intent, a sent mark, a batch) under the lease: throws `LostLeaseError`
   * and writes nothing when the job belongs to somebody else by now. Events are returned to listeners after the commit.
   */
  record(write: (trx: Trx) => Promise<void>, options?: { event?: StageEvent; set?: JobChanges }): Promise<void>;
}

export type Stage = (job: JobRow, context: StageContext) => Promise<Outcome>;

/** Counts shown while a job runs. */
export interface Progress {
  pages: number;
  chunks_total: number;
  chunks_done: number;
  embeds_total: number;
  embeds_done: number;
}

/** The counts of a job; those not known yet are zero. */
export function progressOf(job: Pick<JobRow, 'progress'>): Progress {
  return {
    pages: 0,
    chunks_total: 0,
    chunks_done: 0,
    embeds_total: 0,
    embeds_done: 0,
    ...(JSON.parse(job.progress) as Partial<Progress>),
  };
}

/** The progress column with some counts changed. */
export function withProgress(job: Pick<JobRow, 'progress'>, changes: Partial<Progress>): string {
  return JSON.stringify({ ...progressOf(job), ...changes });
}
