/** What `costs estimate` does: documents are counted in temp files that are gone afterwards, priced, and set against the budgets. */
import { EXIT } from '../../base/error-codes.ts';
import { TvdbError } from '../../base/errors.ts';
import { type ParseTier, TIER_VERSIONS } from '../../domain/parse-options.ts';
import { type Fit, whatFits } from '../../ledger/headroom.ts';
import { estimateDocuments, type UploadEstimate } from '../../pipeline/estimate-upload.ts';
import { discardAll, type Taken, takeIn } from '../../pipeline/intake.ts';
import { parseOptions } from '../../pipeline/route.ts';
import type { RouterDecision } from '../../services/router.ts';
import type { World } from '../../world.ts';
import type { CommandContext, CommandResult } from '../command.ts';
import { findInputs, type Inputs } from '../inputs.ts';
import { bringBudgetsInLine } from './budgets-in-line.ts';
import { estimateResult } from './estimate-view.ts';

export interface EstimateRequest {
  readonly paths: readonly string[];
  readonly recursive: boolean;
  readonly costCenter: string | null;
  readonly noCache: boolean;
  readonly tiers: readonly ParseTier[];
}

/** All documents in one tier. */
export interface TierEstimate {
  readonly tier: ParseTier;
  readonly estimate: UploadEstimate;
  readonly fit: Fit;
}

export interface FileEstimate {
  readonly shown: string;
  readonly pages: number | null;
  /** The same bytes as another file: counted once. */
  readonly repeat: boolean;
  readonly error: TvdbError | null;
  /** Place among the counted documents. */
  readonly index: number | null;
}

/** Documents looked at at a time, as in an upload. */
const HANDS = 4;

/** As if everything were done for real, which is what costs. */
const REAL: RouterDecision = {
  mode: 'real',
  services: {
    llamaparse: { use: 'real', why: 'mode_real', fallback: false },
    openai: { use: 'real', why: 'mode_real', fallback: false },
  },
};

/** Estimates the files that `request` names. Throws E004 when nothing matches, E012 when it is stopped. */
export async function estimateFiles(
  request: EstimateRequest,
  world: World,
  ctx: CommandContext,
): Promise<CommandResult> {
  const { interrupt, cwd, stdin, stdinIsTty } = ctx;
  const bytes = { [Symbol.asyncIterator]: () => stdin[Symbol.asyncIterator]() as AsyncIterator<Buffer> };
  const inputs = await findInputs(
    {
      command: 'costs estimate',
      ...{ named: request.paths, filesFrom: undefined, filename: undefined, recursive: request.recursive, cwd },
      stdin: { stream: bytes, isTty: stdinIsTty },
    },
    interrupt.stopping,
  );
  const files = await counted(inputs, world, ctx);
  const documents = files.flatMap(({ pages, sha256 }) =>
    pages === null || sha256 === null ? [] : [{ pages, sha256 }],
  );
  await bringBudgetsInLine(world);
  const { pipeline, store, clock, config } = world;
  const { tier: inForce } = parseOptions(config.settings);
  const tiers: TierEstimate[] = [];
  const moment = { now: clock.now(), timeZone: config.settings.TVDB_TIMEZONE, runId: '' };
  for (const tier of request.tiers) {
    const options = tier === inForce ? parseOptions(config.settings) : { tier, version: TIER_VERSIONS[tier] };
    const estimate = await estimateDocuments(pipeline, documents, REAL, options, request);
    tiers.push({ tier, estimate, fit: await whatFits(store.db, estimate.asks, moment) });
  }
  const shown = tiers.find(({ tier }) => tier === inForce) ?? tiers[0];
  if (shown === undefined) throw new Error('an estimate without a tier');
  const refusal = shown.estimate.ceilingNanoUsd > 0 ? shown.fit.refusal : null;
  const none = documents.length === 0;
  return {
    ...estimateResult({ files, tiers, shown, prices: pipeline.prices.version }),
    exitCode: none ? EXIT.failed : refusal !== null ? EXIT.budget : EXIT.ok,
    ...(none
      ? { error: new TvdbError('E402', { message: 'None of the files can be read as a document' }) }
      : refusal !== null && { error: refusal }),
  };
}

async function counted(
  inputs: Inputs,
  world: World,
  { interrupt }: CommandContext,
): Promise<(FileEstimate & { sha256: string | null })[]> {
  const sources = inputs.found.map((input) =>
    input.kind === 'file'
      ? { kind: 'file' as const, path: input.path }
      : {
          kind: 'refused' as const,
          error:
            input.kind === 'refused'
              ? input.error
              : new TvdbError('E008', { message: 'Standard input cannot be estimated; name a file' }),
        },
  );
  const taken = await takeIn(world.pipeline, sources, { concurrency: HANDS, failFast: false }, interrupt.stopping);
  await discardAll(taken);
  if (interrupt.stopping.aborted) throw interrupt.stopping.reason;
  let index = 0;
  return inputs.found.map(({ shown }, place) => {
    const one = taken[place] as Taken;
    const ready = one.state === 'ready' ? one.document : null;
    return {
      shown,
      pages: ready?.pages ?? null,
      sha256: ready?.staged.sha256 ?? null,
      repeat: one.state === 'repeat',
      error: one.state === 'refused' ? one.error : null,
      index: ready === null ? null : index++,
    };
  });
}
