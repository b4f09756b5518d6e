/** What `upload` does, in order: mode, inputs, intake, plan, acceptance, work, outcome. */
import type { Readable } from 'node:stream';
import { TvdbError } from '../../base/errors.ts';
import { SERVICES } from '../../domain/service-mode.ts';
import { discardAll, freeBytesAt, type IntakeSource, type Taken, takeIn } from '../../pipeline/intake.ts';
import { withRun } from '../../pipeline/run.ts';
import type { RouterDecision } from '../../services/router.ts';
import type { World } from '../../world.ts';
import type { CommandContext } from '../command.ts';
import type { StandardInput } from '../input-list.ts';
import { findInputs, type Inputs } from '../inputs.ts';
import { plural } from '../ui/format.ts';
import type { ProgressView } from '../ui/ui.ts';
import { capThisRun } from './consent.ts';
import { NO_MONEY, type SpendMoney } from './foreseen-money.ts';
import { refuseUnreachable } from './listening.ts';
import { routeReason } from './route-text.ts';
import { serviceWishes } from './service-wishes.ts';
import {
  type Acceptance,
  type AcceptRequest,
  acceptAll,
  foreseen,
  resultsOf,
  withOutcomes,
} from './upload-documents.ts';
import { type DriveRequest, driveUpload } from './upload-drive.ts';
import { fallbackRefused } from './upload-error.ts';
import {
  consentToUpload,
  type Forecast,
  forecastUpload,
  type MoneyRequest,
  moneyOfJobs,
  stands,
} from './upload-money.ts';
import { notePlan } from './upload-plan.ts';
import type { UploadAnswer } from './upload-result.ts';
import { cutShort, endOf, stopCauseOf, stoppedBefore, type Uploaded } from './upload-stop.ts';
import { afterwards } from './upload-waits.ts';

export interface UploadRequest extends DriveRequest, AcceptRequest, MoneyRequest {
  readonly filesFrom: string | undefined;
  readonly filename: string | undefined;
  readonly recursive: boolean;
  readonly onFallback: 'warn' | 'fail';
  /** `--service`, as given. */
  readonly services: readonly { readonly key: string; readonly value: string }[];
}

/** Documents read and checked at a time: reading is fast, and each is looked at by a process of its own. */
const MOST_HANDS = 4;

/** Uploads what `request` names. Throws what refuses the whole upload; what befalls single documents is in the answer. */
export async function upload(request: UploadRequest, ctx: CommandContext): Promise<Uploaded> {
  const started = ctx.clock.monotonic();
  const world = await ctx.openWorld();
  const { SERVICE_MODE: mode } = ctx.config.settings;
  const decision = await world.router.decideNow(mode, serviceWishes(request.services, ctx.config.settings));
  world.router.refuseUnusable(decision);
  if (request.wait) refuseUnreachable(world, ctx, decision.services.llamaparse.use === 'real');
  warnOfFallback(decision, request, ctx);
  const inputs = await lookFor(request, ctx);
  const taken = await takeAll(request, inputs, world, ctx);
  let money: SpendMoney = NO_MONEY;
  let refusedMoney: ReadonlySet<string> = new Set();
  const rules = { refuseFallback: request.onFallback === 'fail', pendingCounts: request.wait || request.exitStatus };
  const answerOf = (runId: string | null, documents: UploadAnswer['documents'], failure?: TvdbError): UploadAnswer => {
    const modeSource = ctx.config.sources.SERVICE_MODE.source.kind;
    const ms = ctx.clock.monotonic() - started;
    const rest = { decision, modeSource, skipped: inputs.skipped, ms, money, refusedMoney };
    return { ...rest, runId, documents, ...(failure && { failure }) };
  };
  const stopped = stoppedAt(taken, ctx);
  const runId = ctx.ids.uuid();
  const wish = { ...request, decision, runId };
  const end = async (failure?: TvdbError) => {
    const documents =
      request.dryRun && stopped === undefined
        ? await foreseen(inputs, taken, wish, world)
        : resultsOf(inputs, taken, new Map());
    await discardAll(taken);
    return endOf(answerOf(null, documents, failure), rules, ctx);
  };
  if (stopped !== undefined || !taken.some(({ state }) => state === 'ready')) return end(stopped);
  let forecast: Forecast;
  try {
    forecast = await forecastUpload(taken, request, wish, world, ctx);
    money = forecast.money;
    await notePlan(taken, forecast, decision, ctx);
    const refused = stands(forecast.refusal, request) ? forecast.refusal : undefined;
    if (refused !== undefined || !goesOn(taken, request)) return end(refused);
    money = await consentToUpload(forecast, request, wish, ctx);
  } catch (thrown) {
    // Nothing was accepted: what was staged goes, and the answer tells what was found.
    if (!(thrown instanceof TvdbError) || thrown.category !== 'budget') {
      await discardAll(taken);
      throw thrown;
    }
    return end(thrown);
  }
  ctx.ui.setRun(runId);
  if (money.consent !== null && money.consent.by !== 'not_needed')
    ctx.ui.event('consent', { by: money.consent.by, limit_nano_usd: money.consent.limitNanoUsd });
  const acceptance: Acceptance = { accepted: new Map(), events: [] };
  const { accepted, events } = acceptance;
  const outcomes = (lenient: boolean) => withOutcomes(resultsOf(inputs, taken, accepted), world, { lenient });
  try {
    return await withRun(world.pipeline, { runId, command: 'upload', mode }, async () => {
      await capThisRun(world, runId, request.maxCost);
      const jobs = moneyOfJobs(taken, forecast, request.maxCost);
      await acceptAll(taken, { ...wish, money: jobs }, acceptance, world, ctx);
      const labels = new Map([...accepted].map(([index, { job }]) => [job.job_id, inputs.found[index]?.shown ?? '']));
      await driveUpload({ runId, labels, events }, request, world, ctx);
      const documents = await outcomes(false);
      ({ money, refusedMoney } = await afterwards(
        money,
        { runId, maxCost: request.maxCost, jobIds: [...labels.keys()] },
        world,
      ));
      return endOf(answerOf(runId, documents), rules, ctx);
    });
  } catch (thrown) {
    // What was accepted is durable, whatever happened to the rest; nobody else would tell of it.
    await discardAll(taken).catch(() => {});
    const documents = await outcomes(true);
    return endOf(answerOf(accepted.size > 0 ? runId : null, documents, cutShort(thrown, documents)), rules, ctx);
  }
}

/** Finds the inputs. Throws like `findInputs`; when it is stopped meanwhile, E012 that says what that means. */
async function lookFor(request: UploadRequest, ctx: CommandContext): Promise<Inputs> {
  const { interrupt, cwd } = ctx;
  try {
    return await findInputs(
      { ...request, command: 'upload', named: request.paths, cwd, stdin: standardInput(ctx) },
      interrupt.stopping,
    );
  } catch (thrown) {
    throw interrupt.stopping.aborted ? stoppedBefore(interrupt) : thrown;
  }
}

/** E012 when the upload was stopped before the first acceptance. Who only stopped reading, after the check, gets it all the same. */
function stoppedAt(taken: readonly Taken[], { interrupt }: CommandContext): TvdbError | undefined {
  const cause = stopCauseOf(interrupt);
  const cut = taken.some(({ state }) => state === 'dropped' || state === 'untried');
  if (!interrupt.stopping.aborted || (cause === 'closed-pipe' && !cut)) return undefined;
  return stoppedBefore(interrupt, taken.filter(({ state }) => state !== 'untried').length, taken.length);
}

/** Whether anything is to be accepted. */
function goesOn(taken: readonly Taken[], { dryRun, failFast }: UploadRequest): boolean {
  const is = (wanted: Taken['state']) => taken.some(({ state }) => state === wanted);
  return is('ready') && !dryRun && !(failFast && is('refused'));
}

/** Standard input, opened at its first use: most uploads never touch it. */
function standardInput(ctx: CommandContext): StandardInput {
  return {
    stream: { [Symbol.asyncIterator]: () => pipedBytes(ctx) },
    get isTty() {
      return ctx.stdin.isTTY === true;
    },
  };
}

async function* pipedBytes({ stdin, interrupt }: CommandContext): AsyncGenerator<Buffer> {
  const { addAbortSignal } = await import('node:stream');
  try {
    // Waiting for a pipe that stays open must end at Ctrl-C.
    for await (const part of addAbortSignal(interrupt.stopping, stdin as Readable)) yield Buffer.from(part as Buffer);
  } catch (error) {
    interrupt.stopping.throwIfAborted();
    throw error;
  }
}

/** Says that hybrid stands on mocks, before anything is done; with `--on-fallback fail` that ends it. */
function warnOfFallback(decision: RouterDecision, { onFallback }: UploadRequest, { ui }: CommandContext): void {
  const fallen = SERVICES.filter((service) => decision.services[service].fallback);
  if (fallen.length === 0) return;
  if (onFallback === 'fail') throw fallbackRefused({ decision, documents: [], runId: null });
  for (const service of fallen) {
    const route = decision.services[service];
    const message = `${service} falls back to MOCK: ${routeReason(route, service)}`;
    ui.event('fallback', { service, to: route.use, reason: route.why });
    ui.warn({ code: 'TVDB-W302', message });
  }
}

async function takeAll(
  { failFast }: UploadRequest,
  { found }: Inputs,
  world: World,
  ctx: CommandContext,
): Promise<Taken[]> {
  const sources = found.map((input): IntakeSource => {
    if (input.kind === 'refused') return input;
    return input.kind === 'file'
      ? { kind: 'file', path: input.path }
      : { kind: 'stream', stream: pipedBytes(ctx), filename: input.shown };
  });
  const view = await ctx.ui.startProgress();
  const onTaken = showChecking(view, found.length, ctx);
  try {
    return await takeIn(
      world.pipeline,
      sources,
      {
        concurrency: Math.min(MOST_HANDS, Math.max(2, world.concurrency)),
        failFast,
        onTaken,
        freeBytes: () => freeBytesAt(world.config.home),
      },
      ctx.interrupt.stopping,
    );
  } finally {
    view.close();
  }
}

/** Fewer files are checked sooner than anyone wonders what happens; a log has no use for a line about that. */
const WORTH_A_LINE = 20;

/** Shows how many files are checked: a line that changes on a terminal, a line at each tenth elsewhere. */
function showChecking(view: ProgressView, total: number, { ui }: CommandContext): (done: number) => void {
  if (ui.progress === 'tty') {
    view.tally(`checking ${plural(total, 'file')}`);
    return (done) => view.tally(`[ ${done}/${total} checked ]`);
  }
  if (total < WORTH_A_LINE) return () => {};
  const show = (done: number) =>
    view.item('check', {
      label: plural(total, 'file'),
      step: 'check',
      status: done === total ? 'ok' : 'run',
      done,
      total,
    });
  show(0);
  return show;
}
