/** The money of uploads through the API: what may not be spent is refused with 429 before there is a job. */
import { TvdbError } from '../base/errors.ts';
import { consentFor } from '../domain/consent.ts';
import { formatUsd } from '../domain/money.ts';
import { mayBePaid, planSpend, type SpendWish, spendOfOnePage } from '../pipeline/plan-spend.ts';
import type { StagedDocument, UploadDeps } from '../pipeline/staging.ts';
import type { JobMoney } from '../pipeline/upload.ts';
import type { RouterDecision } from '../services/router.ts';

/** What whoever started the server agreed to; nobody can be asked while it runs. */
export interface ServerConsent {
  /** `--max-cost`: the cap of the server's run, and consent up to it. */
  maxCost: number | undefined;
  yes: boolean;
  ci: boolean;
}

interface Spender {
  pipeline: UploadDeps;
  runId: string;
  consent: ServerConsent;
}

/** Refuses an announced upload of which not even one page would fit. Throws E201, E202, E203 or E204. */
export async function refuseUnpayable(decision: RouterDecision, { pipeline, runId, consent }: Spender): Promise<void> {
  if (!mayBePaid(decision)) return;
  const { fit, mostNanoUsd } = await spendOfOnePage(pipeline, wishOf(decision, runId));
  if (fit.refusal !== null) throw fit.refusal;
  // How much more its other pages cost is known once it is here.
  if (consent.ci) requireConsent(mostNanoUsd, pipeline, consent);
}

/** The money of the job of a document that was received. Throws E201, E202, E203 or E204 where it may not be spent. */
export async function moneyFor(
  document: StagedDocument,
  decision: RouterDecision,
  { pipeline, runId, consent }: Spender,
): Promise<JobMoney> {
  const none = { consentNanoUsd: 0, estimate: { likely: 0, max: 0, priceVersion: null } };
  if (!mayBePaid(decision)) return none;
  const { documents, fit, mostNanoUsd } = await planSpend(pipeline, [document], wishOf(decision, runId));
  const cost = documents[0]?.cost ?? null;
  if (cost === null) return none;
  if (fit.refusal !== null) throw fit.refusal;
  requireConsent(mostNanoUsd, pipeline, consent);
  const { likelyNanoUsd: likely, ceilingNanoUsd: max, parse, embed } = cost;
  return {
    consentNanoUsd: mostNanoUsd,
    estimate: { likely, max, priceVersion: parse?.priceVersion ?? embed?.priceVersion ?? null },
  };
}

function wishOf(decision: RouterDecision, runId: string): SpendWish {
  return { decision, runId, costCenter: null, force: false, noCache: false };
}

function requireConsent(mostNanoUsd: number, { settings }: UploadDeps, { maxCost, yes, ci }: ServerConsent): void {
  const autoNanoUsd = settings.COST_AUTO_APPROVE_USD;
  const verdict = consentFor({ mostNanoUsd, autoNanoUsd, maxCost, yes, ci, interactive: false });
  if (verdict.state === 'given') return;
  throw new TvdbError('E202', {
    message: `This could cost up to ${formatUsd(mostNanoUsd, 'up')}, and the server was started without consent to that`,
    why: ci ? 'in CI paid work needs --max-cost' : `up to ${formatUsd(autoNanoUsd)} goes without`,
    fix: 'Start `tvdb serve` with --max-cost or --yes.',
    chargedNanoUsd: 0,
    facts: { asked_nano_usd: mostNanoUsd, auto_approve_nano_usd: autoNanoUsd },
  });
}
