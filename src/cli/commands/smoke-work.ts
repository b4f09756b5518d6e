/** What `smoke` does: one page through the pipeline of this store, checked step by step, and taken away again. */
import { join } from 'node:path';
import type { TvdbError } from '../../base/errors.ts';
import { shortId } from '../../base/ids.ts';
import { packageRoot } from '../../base/package-root.ts';
import { SERVICES, type ServiceMode } from '../../domain/service-mode.ts';
import { compareRun } from '../../ledger/compare-run.ts';
import { deleteDocument } from '../../pipeline/delete.ts';
import { type JobOutcome, outcomeOfJob } from '../../pipeline/job-outcome.ts';
import { drive, withRun } from '../../pipeline/run.ts';
import { discardDocument, type StagedDocument, stageDocument } from '../../pipeline/staging.ts';
import { type Accepted, acceptDocument } from '../../pipeline/upload.ts';
import type { RouterDecision } from '../../services/router.ts';
import { documentById } from '../../store/documents.ts';
import type { World } from '../../world.ts';
import type { CommandContext } from '../command.ts';
import { capThisRun } from './consent.ts';
import { listenForResults } from './listening.ts';
import { serviceWishes } from './service-wishes.ts';
import { checkChunks, checkEmbedding, checkParse, checkSearch, checkStore, stopped } from './smoke-checks.ts';
import { type SmokeMoney, smokeConsent } from './smoke-money.ts';
import { equal, holds, recordSteps, type SmokeStep, type SmokeStepId, type SmokeSteps } from './smoke-steps.ts';
import { fallbackRefused } from './upload-error.ts';

export interface SmokeRequest {
  readonly maxCost: number | undefined;
  readonly yes: boolean;
  readonly timeout: number;
  readonly only: SmokeStepId | undefined;
  readonly refuseFallback: boolean;
  readonly skipWithoutKey: boolean;
  readonly keep: boolean;
}

export interface SmokeAnswer {
  readonly verdict: 'pass' | 'fail' | 'skip';
  readonly mode: ServiceMode;
  readonly runId: string;
  readonly ms: number;
  readonly steps: readonly SmokeStep[];
  readonly money: SmokeMoney | null;
  /** Nano-USD spent by this run. */
  readonly costNanoUsd: number;
  /** Part of the cost is what was reserved: the service has not billed yet. */
  readonly provisional: boolean;
  /** The first failure; with `skip` why it was skipped. */
  readonly error: TvdbError | null;
}

/** Runs the check. Everything that goes wrong in it is in the answer. */
export async function smoke(request: SmokeRequest, ctx: CommandContext): Promise<SmokeAnswer> {
  const { clock, config, ids, ui } = ctx;
  const started = clock.monotonic();
  const mode = config.settings.SERVICE_MODE;
  const runId = ids.uuid();
  const steps = recordSteps(request.only ?? 'cleanup', ctx);
  const world = await ctx.openWorld();
  const { pipeline, store } = world;
  let money: SmokeMoney | null = null;
  const answer = async (verdict?: 'skip', why: TvdbError | null = null): Promise<SmokeAnswer> => {
    const spent = await compareRun(store.db, runId, pipeline.prices);
    return {
      verdict: verdict ?? (steps.error() === null ? 'pass' : 'fail'),
      mode,
      runId,
      ms: Math.round(clock.monotonic() - started),
      steps: steps.list,
      money,
      costNanoUsd: spent.ledgerNanoUsd,
      provisional: spent.provisional > 0,
      error: why ?? steps.error(),
    };
  };
  const decision = await world.router.decideNow(mode, serviceWishes([], config.settings));
  const missing = missingKey(decision, world);
  if (missing !== null && request.skipWithoutKey) {
    steps.skipRest('a key is missing');
    return answer('skip', missing);
  }
  ui.setRun(runId);
  const work: Work = { request, decision, runId, steps, world, ctx, endsAt: started + request.timeout };
  let staged: StagedDocument | undefined;
  await steps.check('config', async () => {
    world.router.refuseUnusable(decision);
    if (request.refuseFallback && SERVICES.some((service) => decision.services[service].fallback))
      throw fallbackRefused({ decision, documents: [], runId: null });
    staged = await stagePage(work);
    money = await smokeConsent(staged, work);
    const { sourceText } = await import('../../config/load.ts');
    return { detail: `mode ${mode} from ${sourceText(config.sources.SERVICE_MODE.source)}` };
  });
  if (staged !== undefined && money !== null) await takeThrough(staged, money, work);
  else if (staged !== undefined) await discardDocument(staged);
  steps.skipRest('');
  return answer();
}

/** What all steps share. */
export interface Work {
  readonly request: SmokeRequest;
  readonly decision: RouterDecision;
  readonly runId: string;
  readonly steps: SmokeSteps;
  readonly world: World;
  readonly ctx: CommandContext;
  /** Monotonic time at which it is given up. */
  readonly endsAt: number;
}

/** E101 when a service that the mode asks for has no key; a fallback for want of one counts. */
function missingKey(decision: RouterDecision, { router }: World): TvdbError | null {
  if (!SERVICES.some((service) => decision.services[service].why === 'key_missing')) return null;
  const services = { ...decision.services };
  for (const service of SERVICES)
    if (services[service].why === 'key_missing') services[service] = { ...services[service], use: null };
  try {
    router.refuseUnusable({ ...decision, services });
  } catch (thrown) {
    return thrown as TvdbError;
  }
  return null;
}

/** The built-in page, made another document than any before by a comment behind its end: no cache and no duplicate knows it. */
async function stagePage({ world, runId, ctx }: Pick<Work, 'world' | 'runId' | 'ctx'>): Promise<StagedDocument> {
  const { createReadStream } = await import('node:fs');
  const path = join(packageRoot(), 'fixtures', 'documents', 'letter.pdf');
  async function* bytes(): AsyncGenerator<Buffer> {
    for await (const part of createReadStream(path)) yield part as Buffer;
    yield Buffer.from(`\n% tvdb smoke ${runId}\n`);
  }
  const source = { kind: 'stream', stream: bytes(), filename: 'tvdb-smoke.pdf' } as const;
  return stageDocument(world.pipeline, source, ctx.interrupt.stopping);
}

/** From the acceptance to the removal of the page, in a run of its own. */
async function takeThrough(staged: StagedDocument, money: SmokeMoney, work: Work): Promise<void> {
  const { world, runId, decision, steps, request } = work;
  await withRun(world.pipeline, { runId, command: 'smoke', mode: decision.mode }, async () => {
    await capThisRun(world, runId, request.maxCost);
    let made: Accepted | undefined;
    await steps.check('upload', async () => {
      made = await accept(staged, money, work);
      return {
        detail: `${Math.round(staged.staged.bytes / 1000)} kB, ${staged.pages} page`,
        assertions: [equal('state', 'accepted', made.state), equal('pages', 1, staged.pages)],
      };
    });
    if (made === undefined) await discardDocument(staged);
    else {
      const outcome = request.only === 'upload' ? undefined : await driven(made, work);
      await checkAll(outcome, work);
    }
    const document = made?.document.document_id;
    if (document !== undefined) await cleanUp(document, work);
    return { exitCode: steps.error()?.exit ?? 0 };
  });
}

async function accept(staged: StagedDocument, money: SmokeMoney, { world, runId, decision }: Work): Promise<Accepted> {
  const wishes = { priority: 0, tags: { smoke: shortId(runId) }, costCenter: null, keepOld: false };
  const fresh = { force: true, noCache: true };
  return acceptDocument(world.pipeline, staged, { ...wishes, ...fresh, runId, decision, money: money.job }, () => {});
}

/** Works on the job until it ends, rests for longer, or time is up; what it came to. */
async function driven({ job }: Accepted, { world, runId, decision, ctx, endsAt }: Work) {
  const { interrupt, clock } = ctx;
  const paid = SERVICES.some((service) => decision.services[service].use === 'real');
  await listenForResults(world, ctx, paid);
  const { endedBy } = await drive(world.pipeline, {
    scope: { runId },
    runId,
    news: world.news,
    concurrency: 1,
    until: 'drain',
    waitForOthers: true,
    timeoutMs: Math.max(1, endsAt - clock.monotonic()),
    onEvent: () => {},
    signals: { stopping: interrupt.stopping, abort: interrupt.abort },
  });
  interrupt.stopping.throwIfAborted();
  return { endedBy, outcome: await outcomeOfJob(world.store.db, job.job_id, clock.now()) };
}

async function checkAll(
  found: { endedBy: string; outcome: JobOutcome | undefined } | undefined,
  work: Work,
): Promise<void> {
  const { steps, world, request, runId } = work;
  const outcome = found?.outcome;
  const step = async (id: 'parse' | 'chunk' | 'embed' | 'store', check: typeof checkParse) =>
    steps.check(id, async () => {
      if (outcome === undefined) throw new Error('the job of the page is gone');
      const failure = stopped(id, outcome, found?.endedBy === 'timeout', request);
      if (failure !== null) throw failure;
      const ms = outcome.steps.find(({ name }) => name === id)?.ms ?? null;
      const use = outcome.uses.find(({ service }) => service === id);
      const nanoUsd = use === undefined || use.origin === 'mock' ? null : use.nanoUsd;
      return { ...(await check(outcome, work)), ms, nanoUsd };
    });
  await step('parse', checkParse);
  await step('chunk', checkChunks);
  await step('embed', checkEmbedding);
  await step('store', checkStore);
  await steps.check('search', () => {
    if (outcome === undefined) throw new Error('the job of the page is gone');
    return checkSearch(outcome, work);
  });
  await steps.check('budget', async () => {
    const { requests, ledgerNanoUsd, usageNanoUsd, provisional, open } = await compareRun(
      world.store.db,
      runId,
      world.pipeline.prices,
    );
    const cap = request.maxCost;
    return {
      detail:
        requests === 0
          ? 'nothing was paid, the ledger is untouched'
          : `ledger equals provider usage${provisional > 0 ? ', provisional: not billed yet' : ''}`,
      assertions: [
        equal('ledger_nano_usd', usageNanoUsd, ledgerNanoUsd),
        equal('open_holds', 0, open),
        ...(cap === undefined ? [] : [holds('within_max_cost', ledgerNanoUsd <= cap, ledgerNanoUsd)]),
      ],
    };
  });
}

async function cleanUp(documentId: string, { steps, world, request, ctx }: Work): Promise<void> {
  const { pipeline, store } = world;
  await steps.check(
    'cleanup',
    async () => {
      if (request.keep) return { detail: `kept: document ${shortId(documentId)}` };
      await deleteDocument(pipeline, documentId, () => {}, ctx.interrupt.abort);
      const left = await documentById(store.db, documentId);
      return { detail: 'fixture removed', assertions: [equal('document', null, left?.document_id ?? null)] };
    },
    { always: true },
  );
}
