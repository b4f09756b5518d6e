/**
 * The money of an attempt: held in the transaction of its intent, ended in the transaction of its outcome. Nothing that may
 * be billed leaves without the first, and no attempt of a paid service ends without the second.
 */
import { TvdbError } from '../base/errors.ts';
import { shortId } from '../base/ids.ts';
import type { Settings } from '../config/variables.ts';
import { costOf, formatUsd } from '../domain/money.ts';
import type { ParseTier } from '../domain/parse-options.ts';
import {
  creditPrice,
  creditsCost,
  type PriceBook,
  pagePrice,
  tokenPrice,
  type UnitPrice,
} from '../domain/price-book.ts';
import type { ServiceName } from '../domain/service-mode.ts';
import { markUnknown, type ReleaseProof, release, settle } from '../ledger/end.ts';
import { hold } from '../ledger/hold.ts';
import { attemptById, updateAttempt } from '../store/attempts.ts';
import { findHold } from '../store/holds.ts';
import { agreedSpendOf } from '../store/job-spend.ts';
import type { Trx } from '../store/open.ts';
import type { AttemptRow, JobRow } from '../store/schema.ts';
import type { PipelineDeps } from './stage.ts';

type MoneyDeps = Pick<PipelineDeps, 'clock' | 'settings' | 'prices' | 'log'>;

/** Whose money a request is. */
export interface Payer {
  attemptId: string;
  /** The run that sends it. */
  runId: string;
  costCenter: string | null;
  /** The jobs it is for with the units of each; empty for a request that belongs to none (a search). */
  shares: readonly { job: Pick<JobRow, 'job_id' | 'consent_nano_usd'>; units: number }[];
}

/** Holds the ceiling of a parse of `pages` pages. Throws E201 or E204 (budget), E202 (consent), E203 (no price). */
export async function holdParse(
  trx: Trx,
  payer: Payer,
  pages: number,
  tier: ParseTier,
  deps: MoneyDeps,
): Promise<void> {
  await take(trx, payer, 'llamaparse', pages, pagePrice(deps.prices, tier, deps.clock.now()), deps);
}

/** Holds the ceiling of an embedding of `tokens` tokens, at once or in a batch. Throws like `holdParse`. */
export async function holdEmbed(
  trx: Trx,
  payer: Payer,
  tokens: number,
  model: string,
  deps: MoneyDeps,
  how: 'at_once' | 'batch' = 'at_once',
): Promise<void> {
  await take(trx, payer, 'openai', tokens, tokenPrice(deps.prices, model, deps.clock.now(), how), deps);
}

async function take(
  trx: Trx,
  { attemptId, runId, costCenter, shares }: Payer,
  service: ServiceName,
  units: number,
  price: UnitPrice,
  { clock, settings }: MoneyDeps,
): Promise<void> {
  for (const { job, units: own } of shares) await checkConsent(trx, job, costOf(own, price.nanoUsd), settings);
  await hold(trx, {
    attemptId,
    jobId: shares[0]?.job.job_id ?? null,
    runId,
    service,
    costCenter,
    amount: costOf(units, price.nanoUsd),
    units,
    unitPrice: price.nanoUsd,
    priceVersion: price.version,
    now: clock.now(),
    timeZone: settings.TVDB_TIMEZONE,
  });
}

/** A job spends up to what was agreed to at its upload; one that nobody was asked about, up to what goes without asking. */
async function checkConsent(trx: Trx, job: Payer['shares'][number]['job'], amount: number, settings: Settings) {
  const agreed = job.consent_nano_usd ?? settings.COST_AUTO_APPROVE_USD;
  const spent = await agreedSpendOf(trx, job.job_id);
  if (spent + amount <= agreed) return;
  throw new TvdbError('E202', {
    message: `Job ${shortId(job.job_id)} may spend ${formatUsd(agreed)}; ${formatUsd(spent + amount, 'up')} would be needed`,
    why: 'that is more than was agreed to when it was uploaded',
    fix: `Agree to more with \`tvdb retry ${shortId(job.job_id)} --max-cost <usd>\`.`,
    chargedNanoUsd: 0,
    facts: { job_id: job.job_id, consent_nano_usd: agreed, asked_nano_usd: spent + amount },
  });
}

/** How an attempt ended, as columns of its row. */
type Ending = Parameters<typeof updateAttempt>[2] & { outcome: AttemptRow['outcome'] };

/**
 * Records how an attempt ended and ends its hold with it: settled with what was billed, given back when nothing was charged,
 * kept when nobody knows. `charge: 'possible'` keeps the hold of a request that failed but may be billed all the same.
 * Attempts of a mock have no hold. An ending that comes a second time changes no money and is logged.
 */
export async function endAttempt(
  trx: Trx,
  attemptId: string,
  set: Ending,
  deps: MoneyDeps,
  { charge = 'none', because }: { charge?: 'none' | 'possible'; because?: ReleaseProof } = {},
): Promise<void> {
  const before = await attemptById(trx, attemptId);
  await updateAttempt(trx, attemptId, set);
  const held = await findHold(trx, attemptId);
  if (held === undefined || before === undefined) return;
  const now = deps.clock.now();
  const billed = set.billed_units ?? null;
  const ended = await (() => {
    if (set.outcome === 'ok' || (set.outcome === 'failed' && billed !== null && billed > 0))
      return settle(trx, { attemptId, now, actual: actualCost(held, billed, deps.prices) });
    if (set.outcome === 'unknown' || (set.outcome === 'failed' && charge === 'possible'))
      return markUnknown(trx, { attemptId, now });
    if (set.outcome === 'failed')
      return release(trx, { attemptId, now, because: because ?? (before.sent === null ? 'not_sent' : 'not_charged') });
    return null;
  })();
  if (ended?.state === 'already' && !(set.outcome === 'unknown' && ended.as === 'unknown'))
    deps.log('warn', 'a hold had ended already', { attempt_id: attemptId, as: ended.as, outcome: set.outcome });
}

/** What was billed, nano-USD; `null` when the service has not said yet. */
function actualCost(
  held: { service: ServiceName; unit_price: number; held_at: number },
  billed: number | null,
  prices: PriceBook,
): number | null {
  if (billed === null || billed <= 0) return null;
  return held.service === 'openai'
    ? costOf(billed, held.unit_price)
    : creditsCost(billed, creditPrice(prices, held.held_at));
}
