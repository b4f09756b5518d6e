/** What documents that were taken in would cost, what may be agreed to for each, and whether all of them fit the limits. */
import { pagesAgain } from '../domain/consent.ts';
import { add, costOf } from '../domain/money.ts';
import { PARSE_TIERS, type ParseOptions, type ParseTier, TIER_VERSIONS } from '../domain/parse-options.ts';
import { pagePrice } from '../domain/price-book.ts';
import { ensureBudgets } from '../ledger/budget-settings.ts';
import { type Fit, whatFits } from '../ledger/headroom.ts';
import type { RouterDecision } from '../services/router.ts';
import { documentBySha } from '../store/documents.ts';
import { finishedJob } from '../store/jobs/find.ts';
import { liveJob } from '../store/jobs/live.ts';
import { estimateDocuments, type PlannedCost, type UploadEstimate } from './estimate-upload.ts';
import { parseOptions } from './route.ts';
import type { StagedDocument, UploadDeps } from './staging.ts';
import { configKey } from './upload.ts';

export interface SpendWish {
  runId: string;
  decision: RouterDecision;
  costCenter: string | null;
  force: boolean;
  noCache: boolean;
  /** Embedded in a batch, at half the price. */
  economy?: boolean;
}

/** A document with what is foreseen for it; `cost` is `null` where nothing new is made: it is done, or at work. */
export interface PlannedDocument {
  readonly document: StagedDocument;
  readonly cost: PlannedCost | null;
  /** Nano-USD its job may spend unless a cap says otherwise: the ceiling, and room to ask for some pages once more. */
  readonly mostNanoUsd: number;
}

export interface SpendPlan {
  readonly estimate: UploadEstimate;
  readonly documents: readonly PlannedDocument[];
  readonly mostNanoUsd: number;
  readonly fit: Fit;
}

/** Whether a decision may lead to a request that is paid. */
export function mayBePaid({ services }: RouterDecision): boolean {
  return services.llamaparse.use !== 'mock' || services.openai.use !== 'mock';
}

/**
 * Foresees the cost of documents as a whole. Nothing is sent; only budgets that variables set are brought into the store.
 * Throws E203 where something would be paid and has no price.
 */
export async function planSpend(
  deps: UploadDeps,
  staged: readonly StagedDocument[],
  wish: SpendWish,
): Promise<SpendPlan> {
  const fresh: StagedDocument[] = [];
  for (const document of staged) if (!(await isKnown(deps, document, wish))) fresh.push(document);
  const options = parseOptions(deps.settings);
  const estimate = await estimateOf(deps, fresh, wish, options);
  const costs = new Map(fresh.map((document, index) => [document, estimate.perDocument[index] ?? null]));
  const documents = staged.map((document): PlannedDocument => {
    const cost = costs.get(document) ?? null;
    return { document, cost, mostNanoUsd: cost === null ? 0 : withRoom(cost) };
  });
  const fit = await fitOf(deps, estimate, wish);
  return { estimate, documents, mostNanoUsd: documents.map((one) => one.mostNanoUsd).reduce(add, 0), fit };
}

/** What one page costs, for a document of which nothing is known yet. Throws like `planSpend`. */
export async function spendOfOnePage(
  deps: UploadDeps,
  wish: SpendWish,
): Promise<Pick<SpendPlan, 'fit' | 'mostNanoUsd'>> {
  const page = [{ pages: 1, sha256: '' }];
  const { decision, costCenter, noCache, economy = false } = wish;
  const options = parseOptions(deps.settings);
  const estimate = await estimateDocuments(deps, page, decision, options, { costCenter, noCache, economy });
  return { fit: await fitOf(deps, estimate, wish), mostNanoUsd: estimate.ceilingNanoUsd };
}

/** The ceiling and the price of the pages that may be asked for once more. */
export function withRoom({ ceilingNanoUsd, pages, parse }: PlannedCost): number {
  return parse === null ? ceilingNanoUsd : add(ceilingNanoUsd, costOf(pagesAgain(pages), parse.unitPrice));
}

/** Whether the upload makes no new work of it: it is complete, or a job is at it, whose money was agreed to. */
async function isKnown(deps: UploadDeps, document: StagedDocument, { decision, force }: SpendWish): Promise<boolean> {
  const { store, userId } = deps;
  const known = await documentBySha(store.db, userId, document.staged.sha256);
  if (known === undefined) return false;
  const key = { userId, documentId: known.document_id, configKey: await configKey(deps, decision) };
  if ((await liveJob(store.db, key)) !== undefined) return true;
  return !force && (await finishedJob(store.db, key)) !== undefined;
}

function estimateOf(
  deps: UploadDeps,
  documents: readonly StagedDocument[],
  { decision, costCenter, noCache, economy = false }: Omit<SpendWish, 'runId' | 'force'>,
  options: ParseOptions,
): Promise<UploadEstimate> {
  const counted = documents.map(({ pages, staged }) => ({ pages, sha256: staged.sha256 }));
  return estimateDocuments(deps, counted, decision, options, { costCenter, noCache, economy });
}

/** Whether planned requests fit every limit, for a run that may have one of its own. */
export async function fitOf(
  { store, clock, settings, budgets }: UploadDeps,
  { asks }: Pick<UploadEstimate, 'asks'>,
  { runId }: Pick<SpendWish, 'runId'>,
): Promise<Fit> {
  const now = clock.now();
  if (asks.length === 0) return { refusal: null, leftNanoUsd: null, tightest: null };
  // A limit that was changed a moment ago counts.
  await store.write((trx) => ensureBudgets(trx, budgets, now));
  return whatFits(store.db, asks, { now, timeZone: settings.TVDB_TIMEZONE, runId });
}

/** Ways to spend less on the same documents, for the refusal of an upload. */
export interface CheaperWays {
  /** The dearest tier whose ceiling fits what is left, if one below the present does. */
  readonly tier: { readonly tier: ParseTier; readonly ceilingNanoUsd: number } | null;
  /** So many of the first documents fit. */
  readonly documents: number;
}

/** What of a refused upload would fit `leftNanoUsd`. */
export async function cheaperWays(
  deps: UploadDeps,
  plan: SpendPlan,
  wish: SpendWish,
  leftNanoUsd: number,
): Promise<CheaperWays> {
  const now = deps.clock.now();
  const { tier: present } = parseOptions(deps.settings);
  const priceOf = (tier: ParseTier) => pagePrice(deps.prices, tier, now).nanoUsd;
  const cheaper = PARSE_TIERS.filter((tier) => priceOf(tier) < priceOf(present)).sort(
    (a, b) => priceOf(b) - priceOf(a),
  );
  const fresh = plan.documents.flatMap(({ cost, document }) => (cost === null ? [] : [document]));
  let found: CheaperWays['tier'] = null;
  if (wish.decision.services.llamaparse.use === 'real') {
    for (const tier of cheaper) {
      const { ceilingNanoUsd } = await estimateOf(deps, fresh, wish, { tier, version: TIER_VERSIONS[tier] });
      if (ceilingNanoUsd > leftNanoUsd) continue;
      found = { tier, ceilingNanoUsd };
      break;
    }
  }
  let sum = 0;
  const costs = plan.documents.map(({ cost }) => cost?.ceilingNanoUsd ?? 0);
  const beyond = costs.findIndex((cost) => {
    sum += cost;
    return sum > leftNanoUsd;
  });
  return { tier: found, documents: beyond === -1 ? costs.length : beyond };
}
