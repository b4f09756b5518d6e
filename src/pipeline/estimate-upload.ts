/** What documents would cost before any of them is accepted: pages and caches are looked at, nothing is sent or stored. */
import {
  type DocumentEstimate,
  documentEstimate,
  embedEstimate,
  parseEstimate,
  tokensEstimate,
} from '../domain/cost-estimate.ts';
import { add } from '../domain/money.ts';
import type { ParseOptions } from '../domain/parse-options.ts';
import { pagePrice, tokenPrice } from '../domain/price-book.ts';
import type { ServiceName } from '../domain/service-mode.ts';
import type { Ask } from '../ledger/headroom.ts';
import type { RouterDecision } from '../services/router.ts';
import { tokensToEmbed } from '../store/known-text.ts';
import { isParseCached } from '../store/parse-cache.ts';
import { chunkerKey, chunkOptions } from './chunk.ts';
import type { UploadDeps } from './staging.ts';
import { parseIdentity } from './validate-parse.ts';

/** A document as it is known before it is accepted. */
export interface CountedDocument {
  pages: number;
  sha256: string;
  /** Of a job that is on its way; absent: everything. */
  left?: WorkLeft;
}

/** What a job has still to ask of the services. */
export interface WorkLeft {
  /** Pages that are still to be parsed. */
  parsePages: number;
  /** Tokens that are still to be embedded; `null` while the text is not cut into chunks. */
  tokens: number | null;
}

export interface UploadEstimate {
  /** In the order of the documents. */
  readonly perDocument: readonly PlannedCost[];
  readonly ceilingNanoUsd: number;
  readonly likelyNanoUsd: number;
  /** What is asked of the budgets, by service; only services that would be paid. */
  readonly asks: readonly Ask[];
}

export interface PlannedCost extends DocumentEstimate {
  /** `mock`: a stand-in does it. `cached`: done before, costs nothing. `paid`: at the price in `parse` and `embed`. */
  readonly parseBy: 'mock' | 'cached' | 'paid';
  readonly embedBy: 'mock' | 'cached' | 'paid';
}

export interface EstimateOptions {
  /** Whose budget counts it. */
  costCenter?: string | null;
  /** Neither cache will be asked. */
  noCache?: boolean;
  /** Embedded in a batch, at half the price. */
  economy?: boolean;
}

/** Tokens of a chunk are near the target; so many chunks make one request. Serves budgets that count requests. */
const LIKELY_TOKENS_A_PAGE = 770;

/**
 * The likely cost and the ceiling of each document and of all, under a decision and with parse options. A remembered parse
 * costs nothing, nor do vectors that are remembered for a text that is known. A part that no provider may do is counted as
 * if it were paid. Throws E203 where something would be paid and has no price.
 */
export async function estimateDocuments(
  deps: Pick<UploadDeps, 'store' | 'router' | 'settings' | 'prices' | 'clock' | 'userId'>,
  documents: readonly CountedDocument[],
  decision: RouterDecision,
  parseOptions: ParseOptions,
  { costCenter = null, noCache = false, economy = false }: EstimateOptions = {},
): Promise<UploadEstimate> {
  const perDocument: PlannedCost[] = [];
  for (const document of documents) {
    perDocument.push(await estimateOne(deps, document, decision, parseOptions, { noCache, economy }));
  }
  const ask = (service: ServiceName, amounts: readonly number[], requests: number): Ask[] =>
    amounts.length === 0 ? [] : [{ service, costCenter, amount: amounts.reduce(add, 0), requests }];
  const parses = perDocument.flatMap(({ parse }) => parse?.ceilingNanoUsd ?? []);
  const embeds = perDocument.flatMap(({ embed }) => embed?.ceilingNanoUsd ?? []);
  const requests = perDocument.reduce(
    (sum, { pages, embed }) => sum + (embed === null ? 0 : economy ? 1 : requestsFor(pages, embed.units, deps)),
    0,
  );
  return {
    perDocument,
    ceilingNanoUsd: perDocument.map((one) => one.ceilingNanoUsd).reduce(add, 0),
    likelyNanoUsd: perDocument.map((one) => one.likelyNanoUsd).reduce(add, 0),
    asks: [...ask('llamaparse', parses, parses.length), ...ask('openai', embeds, requests)],
  };
}

async function estimateOne(
  { store, router, settings, prices, clock, userId }: Parameters<typeof estimateDocuments>[0],
  { pages, sha256, left }: CountedDocument,
  { services }: RouterDecision,
  options: ParseOptions,
  { noCache, economy }: Required<Pick<EstimateOptions, 'noCache' | 'economy'>>,
): Promise<PlannedCost> {
  const now = clock.now();
  // As the real parser names itself; asking the parser itself would load its client and need a key.
  const parser = { parserName: 'llamaparse', parserVersion: `${options.tier}@${options.version}` };
  const realParse = services.llamaparse.use !== 'mock';
  const realEmbed = services.openai.use !== 'mock';
  const isWhole = left === undefined || left.parsePages === pages;
  const cached =
    realParse &&
    isWhole &&
    !noCache &&
    (await isParseCached(store.db, parseIdentity({ file_sha256: sha256, pages }, { ...parser, origin: 'real' })));
  const parsed = cached || (realParse && left?.parsePages === 0);
  const known =
    left !== undefined && left.tokens !== null
      ? { tokens: left.tokens }
      : parsed && !noCache && realEmbed && router.usable('openai')
        ? await tokensToEmbed(store.db, {
            userId,
            fileSha256: sha256,
            ...parser,
            chunker: chunkerKey(chunkOptions(settings)),
            space: (await router.embedService('real')).space.name,
          })
        : null;
  const token = () => tokenPrice(prices, settings.OPENAI_EMBED_MODEL, now, economy ? 'batch' : 'at_once');
  const parse =
    realParse && !parsed ? parseEstimate(left?.parsePages ?? pages, pagePrice(prices, options.tier, now)) : null;
  const embed = !realEmbed
    ? null
    : known === null
      ? embedEstimate(pages, token(), chunkOptions(settings))
      : known.tokens === 0
        ? null
        : tokensEstimate(known.tokens, token());
  return {
    ...documentEstimate(pages, { parse, embed }),
    parseBy: !realParse ? 'mock' : parsed ? 'cached' : 'paid',
    embedBy: !realEmbed ? 'mock' : embed === null ? 'cached' : 'paid',
  };
}

/** Requests that embedding will likely take: a ceiling made of the most tokens of a page would be a hundred times as many. */
function requestsFor(pages: number, mostTokens: number, { settings }: Pick<UploadDeps, 'settings'>): number {
  const tokens = Math.min(mostTokens, pages * LIKELY_TOKENS_A_PAGE);
  const chunks = Math.ceil(tokens / settings.CHUNK_TARGET_TOKENS);
  return Math.max(1, Math.ceil(chunks / settings.EMBED_BATCH_SIZE), Math.ceil(tokens / settings.EMBED_BATCH_TOKENS));
}
