/** Asks the services what they billed and brings the ledger in line with it, row by row. */
import { asTvdbError } from '../base/errors.ts';
import { isEnded } from '../domain/job-state.ts';
import { creditPrice, creditsCost } from '../domain/price-book.ts';
import { type Comparison, compareCharges, type OurCharge, type TheirCharge } from '../ledger/reconcile.ts';
import type { ParseService } from '../services/parse/port.ts';
import { attemptById, searchWindow, updateAttempt } from '../store/attempts.ts';
import { type BilledAttempt, billedAttempts } from '../store/billed-attempts.ts';
import { jobById } from '../store/jobs/find.ts';
import { deadWorkers } from '../store/workers.ts';
import { endAttempt } from './attempt-money.ts';
import { correctCharges } from './correct-charges.ts';
import { parseOptions } from './route.ts';
import type { PipelineDeps } from './stage.ts';
import { chooseOne } from './twins.ts';
import { unleased } from './unleased.ts';

type Deps = Pick<PipelineDeps, 'store' | 'clock' | 'ids' | 'router' | 'settings' | 'prices' | 'log'>;

export interface ReconcileOptions {
  /** Requests made since then. */
  since: number;
  /** What a service says it billed, from a file; then no service is asked. */
  theirs?: readonly TheirCharge[] | undefined;
  signal: AbortSignal;
  /** Told after each request that was asked about. */
  onAsked?: ((done: number, of: number) => void) | undefined;
}

/** What became of a hold that had no ending, or a provisional one. */
export interface Resolution {
  readonly attemptId: string;
  /** `corrected`: a provisional sum was. `settled`, `released`: an unknown one was. `adopted`: the remote job was found. */
  readonly as: 'corrected' | 'settled' | 'released' | 'adopted';
  readonly nanoUsd: number;
}

export interface Reconciliation {
  readonly comparison: Comparison;
  readonly resolved: readonly Resolution[];
  /** Requests a service was asked about. */
  readonly asked: number;
  /** Requests that a service has no figure for (any more). */
  readonly withoutFigure: number;
  /** Why nothing more was asked; `null` when everything was. */
  readonly error: string | null;
}

/** Settlements corrected in one go; far more than there are. */
const ALL = 100_000;

/**
 * First what can be resolved is: provisional sums get the service's figure, unknown holds of parses are looked for, settled
 * with what was billed, or released when the service provably has none; what it made besides of one request is booked. Then every request is compared, and what still
 * differs is returned. A hold of a job that a worker has in hand is left to it. With `theirs` the ledger is compared with
 * a file instead; unknown holds the file has a sum for are settled with it.
 */
export async function reconcile(deps: Deps, options: ReconcileOptions): Promise<Reconciliation> {
  return options.theirs === undefined ? withService(deps, options) : withFile(deps, options, options.theirs);
}

async function withFile(
  deps: Deps,
  { since }: ReconcileOptions,
  theirs: readonly TheirCharge[],
): Promise<Reconciliation> {
  const before = compareCharges(ourCharges(await billedAttempts(deps.store.db, since)), theirs);
  const resolved: Resolution[] = [];
  const rows = new Map((await billedAttempts(deps.store.db, since)).map((row) => [row.attempt_id, row]));
  for (const { charge, theirsNanoUsd } of before.unsettled) {
    const row = rows.get(charge.attemptId);
    if (row === undefined || theirsNanoUsd === null || theirsNanoUsd === 0) continue;
    const unit = row.service === 'openai' ? row.unit_price : creditPrice(deps.prices, row.held_at).nanoUsd;
    // A sum that makes no whole number of units is of another price: shown, not taken.
    if (theirsNanoUsd % unit !== 0) continue;
    const done = await settleWith(row, theirsNanoUsd / unit, deps);
    if (done !== null) resolved.push(done);
  }
  const comparison = compareCharges(ourCharges(await billedAttempts(deps.store.db, since)), theirs);
  return { comparison, resolved, asked: 0, withoutFigure: 0, error: null };
}

async function withService(deps: Deps, options: ReconcileOptions): Promise<Reconciliation> {
  const { store, router, settings } = deps;
  const { since, signal, onAsked } = options;
  const resolved: Resolution[] = [];
  const theirs: TheirCharge[] = [];
  let asked = 0;
  let withoutFigure = 0;
  let error: string | null = null;
  if (router.usable('llamaparse')) {
    const service = await router.parseService('real', parseOptions(settings));
    const corrections = await correctCharges(deps, { limit: ALL, since, signal });
    for (const { attemptId, nanoUsd } of corrections.corrected) resolved.push({ attemptId, as: 'corrected', nanoUsd });
    error = corrections.error;
    const parses = (await billedAttempts(store.db, since)).filter((row) => row.service === 'llamaparse');
    for (const row of error === null ? parses : []) {
      signal.throwIfAborted();
      try {
        const found = await look(row, service, deps, signal);
        if (found.resolution !== null) resolved.push(found.resolution);
        if (found.asked) asked += 1;
        if (found.asked && found.nanoUsd === null) withoutFigure += 1;
        // Without a figure there is nothing to compare with.
        if (found.nanoUsd !== null)
          theirs.push({ service: 'llamaparse', ids: [row.attempt_id], nanoUsd: found.nanoUsd });
      } catch (thrown) {
        signal.throwIfAborted();
        const known = asTvdbError(thrown);
        if (known.category !== 'upstream' && known.category !== 'environment' && known.category !== 'budget')
          throw thrown;
        error = known.message;
        break;
      }
      onAsked?.(asked, parses.length);
    }
  }
  const rows = await billedAttempts(store.db, since);
  const told = new Set(theirs.flatMap(({ ids }) => ids));
  // OpenAI has no way to ask for one request: what it said it billed with its answer is kept with the attempt.
  const open = (row: BilledAttempt) => row.state === 'open' || row.state === 'unknown' || row.provisional === 1;
  const compared = rows.filter((row) => told.has(row.attempt_id) || row.service === 'openai' || open(row));
  for (const row of compared) {
    // Without an answer there is no figure; that is not a figure of 0.
    if (row.service === 'openai' && row.billed_units !== null)
      theirs.push({ service: 'openai', ids: [row.attempt_id], nanoUsd: (row.billed_units ?? 0) * row.unit_price });
  }
  return { comparison: compareCharges(ourCharges(compared), theirs), resolved, asked, withoutFigure, error };
}

function ourCharges(rows: readonly BilledAttempt[]): OurCharge[] {
  return rows.map((row) => ({
    attemptId: row.attempt_id,
    service: row.service,
    remoteIds: [row.remote_id, row.request_id].flatMap((id) => id ?? []),
    state: row.state,
    nanoUsd: row.state === 'settled' ? row.settled_amount : row.state === 'released' ? 0 : null,
    provisional: row.provisional === 1,
  }));
}

interface Look {
  /** Billed, nano-USD; `null` while the service has no figure. */
  nanoUsd: number | null;
  asked: boolean;
  resolution: Resolution | null;
}

/** What the service has of one parse; an unknown one is resolved as far as that proves anything. */
async function look(row: BilledAttempt, service: ParseService, deps: Deps, signal: AbortSignal): Promise<Look> {
  const { clock, settings, prices } = deps;
  const unknown = row.state === 'unknown' || row.state === 'open';
  if (row.sent === null || (unknown && (await inHand(row, deps))))
    return { nanoUsd: null, asked: false, resolution: null };
  let remoteId = row.remote_id;
  if (remoteId === null && unknown) {
    const found = await lookedFor(row, service, deps, signal);
    if (found === undefined) {
      const proven = clock.now() >= row.sent + settings.UNKNOWN_OUTCOME_WINDOW * 1.25;
      return { nanoUsd: proven ? 0 : null, asked: true, resolution: proven ? await givenBack(row, deps) : null };
    }
    remoteId = found;
    await deps.store.write((trx) => updateAttempt(trx, row.attempt_id, { remote_id: found }));
  }
  if (remoteId === null) return { nanoUsd: null, asked: false, resolution: null };
  const credits = (await service.usage?.(remoteId, signal)) ?? null;
  const nanoUsd = creditsCost(credits, creditPrice(prices, row.held_at));
  const adopted: Resolution | null =
    row.remote_id === null ? { attemptId: row.attempt_id, as: 'adopted', nanoUsd: row.amount } : null;
  if (credits === null || nanoUsd === null || !unknown) return { nanoUsd, asked: true, resolution: adopted };
  // A parse whose job goes on is settled where its result is taken.
  if (!(await hasEnded(row, deps)) && row.outcome !== 'failed') return { nanoUsd, asked: true, resolution: adopted };
  return { nanoUsd, asked: true, resolution: (await settleWith(row, credits, deps)) ?? adopted };
}

/** The remote job of a request; several are booked as the charges they are. */
async function lookedFor(row: BilledAttempt, service: ParseService, deps: Deps, signal: AbortSignal) {
  const { store, clock } = deps;
  const found = await service.findByAttempt(row.attempt_id, searchWindow(row, clock.now()), signal);
  const [attempt, job] = [await attemptById(store.db, row.attempt_id), await jobById(store.db, row.job_id)];
  if (attempt === undefined || job === undefined) return found[0];
  return (await chooseOne(attempt, found, unleased(job, deps), deps)).remoteId;
}

async function inHand({ job_id: jobId }: BilledAttempt, { store, clock }: Deps): Promise<boolean> {
  const job = await jobById(store.db, jobId);
  if (job === undefined || job.lease_owner === null || (job.lease_until ?? 0) <= clock.now()) return false;
  return !(await deadWorkers(store.db)).includes(job.lease_owner);
}

async function hasEnded({ job_id: jobId }: BilledAttempt, { store }: Deps): Promise<boolean> {
  const job = await jobById(store.db, jobId);
  return job === undefined || isEnded(job.status);
}

/** Ends a hold with what was billed; how the attempt itself ended stays as it is known. */
async function settleWith(row: BilledAttempt, units: number, deps: Deps): Promise<Resolution | null> {
  const outcome = row.outcome === 'ok' ? 'ok' : 'failed';
  const done = await deps.store.write(async (trx) => {
    const before = await trx
      .selectFrom('holds')
      .select('state')
      .where('attempt_id', '=', row.attempt_id)
      .executeTakeFirst();
    if (before?.state !== 'open' && before?.state !== 'unknown') return null;
    await endAttempt(trx, row.attempt_id, { outcome, billed_units: units }, deps);
    return trx.selectFrom('holds').select('settled_amount').where('attempt_id', '=', row.attempt_id).executeTakeFirst();
  });
  return done?.settled_amount == null
    ? null
    : { attemptId: row.attempt_id, as: 'settled', nanoUsd: done.settled_amount };
}

async function givenBack(row: BilledAttempt, deps: Deps): Promise<Resolution> {
  await deps.store.write((trx) => endAttempt(trx, row.attempt_id, { outcome: 'failed' }, deps, { because: 'absent' }));
  return { attemptId: row.attempt_id, as: 'released', nanoUsd: row.amount };
}
