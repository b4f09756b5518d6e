/** `tvdb mode <mode> --jobs`: changes jobs that are not finished; nothing is saved. */
import { EXIT } from '../../base/error-codes.ts';
import { TvdbError } from '../../base/errors.ts';
import { shortId } from '../../base/ids.ts';
import type { ServiceMode } from '../../domain/service-mode.ts';
import { changeMode, type ModeChange } from '../../pipeline/change-mode.ts';
import { decisionOf } from '../../pipeline/route.ts';
import type { Overrides } from '../../services/router.ts';
import { documentById } from '../../store/documents.ts';
import { liveJobIds } from '../../store/jobs/live.ts';
import type { World } from '../../world.ts';
import type { CommandContext, CommandResult, ExitCode } from '../command.ts';
import { resolveJobs } from '../ids.ts';
import { plural } from '../ui/format.ts';
import { accent, dim, warn } from '../ui/text.ts';
import type { Page } from '../ui/ui.ts';
import { modeAnswer } from './mode-answer.ts';
import { modeJson } from './mode-view.ts';
import { routeReason, routesJson } from './route-text.ts';
import { type Pairs, serviceWishes, wishesToKeep } from './service-wishes.ts';

export interface JobsRequest {
  readonly mode: ServiceMode;
  readonly services: Pairs;
  /** Ids as typed, or `all`. */
  readonly typed: readonly string[];
  readonly yes: boolean;
}

type Changed = ModeChange & { readonly filename: string | null };

/** Changes the jobs and answers for each. Throws E101 or E102 before anything is changed, E006 or E007 for an id. */
export async function changeJobs(request: JobsRequest, world: World, ctx: CommandContext): Promise<CommandResult> {
  const { store, router, pipeline } = world;
  const overrides = wishesFor(request.services, ctx);
  router.refuseUnusable(router.decide(request.mode, overrides));
  const all = request.typed.includes('all');
  if (all && request.typed.length > 1) {
    throw new TvdbError('E009', {
      message: '--jobs all stands for every job; name no others',
      facts: { command: 'mode', flag: '--jobs' },
    });
  }
  const ids = all
    ? await liveJobIds(store.db)
    : await resolveJobs(store.db, request.typed, { command: ['mode', request.mode, '--jobs'] });
  const agreed = !all || ids.length === 0 || request.yes || (await confirmed(ids.length, request.mode, ctx));
  const changes: Changed[] = [];
  for (const id of agreed ? ids : []) {
    const change = await changeMode(pipeline, id, { mode: request.mode, overrides }, () => {});
    if (change === undefined) continue;
    changes.push({ ...change, filename: (await documentById(store.db, change.job.document_id))?.filename ?? null });
  }
  return jobsResult(changes, request.mode, modeJson(await modeAnswer(world, ctx.config, null)));
}

/** As for an upload: the saved wishes hold unless the command says otherwise; `default` drops one. */
function wishesFor(pairs: Pairs, { config }: CommandContext): Overrides {
  const wishes = serviceWishes([], config.settings);
  for (const [name, wish] of wishesToKeep(pairs)) {
    if (wish === 'default') delete wishes[name];
    else wishes[name] = wish;
  }
  return wishes;
}

function confirmed(jobs: number, mode: ServiceMode, { ui }: CommandContext): Promise<boolean> {
  const question = `Change ${plural(jobs, 'unfinished job')} to mode ${mode}?`;
  return ui.confirm(question, { flag: '--yes', why: 'every unfinished job would be changed' });
}

function jobsResult(changes: readonly Changed[], mode: ServiceMode, base: Record<string, unknown>): CommandResult {
  const error = ended(changes);
  const changed = changes.filter(({ state }) => state === 'changed');
  return {
    exitCode: exitOf(changes),
    data: { ...base, jobs: changes.map(changeJson) },
    render: (page) => changesPage(page, changes, mode),
    plain: () => changes.map(({ job, state, filename }) => [job.job_id, state, job.service_mode, job.status, filename]),
    quiet: () => changed.map(({ job }) => job.job_id),
    ...(error !== undefined && { error }),
    ...(changed.length > 0 && { next: 'tvdb run' }),
  };
}

/** Jobs that have ended keep the mode they ended with: partly done beside others, a mistake alone. */
function exitOf(changes: readonly Changed[]): ExitCode {
  const over = changes.filter(({ state }) => state === 'ended').length;
  if (over === 0) return EXIT.ok;
  return over === changes.length ? EXIT.usage : EXIT.partial;
}

function ended(changes: readonly Changed[]): TvdbError | undefined {
  const over = changes.filter(({ state }) => state === 'ended');
  const [first] = over;
  if (first === undefined) return undefined;
  const message =
    over.length === 1
      ? `Job ${shortId(first.job.job_id)} has ended: it is ${first.job.status}`
      : `${plural(over.length, 'job')} of ${changes.length} have ended`;
  return new TvdbError('E010', {
    message,
    why: 'only jobs that are not finished can change their mode',
    fix: 'To redo what fell back: `tvdb retry --fallbacks`. To redo a document in another mode: upload it with --mode.',
    facts: { job_id: first.job.job_id, status: first.job.status },
  });
}

function changeJson(change: Changed): Record<string, unknown> {
  const { job, state, filename } = change;
  const { services } = decisionOf(job);
  return {
    job_id: job.job_id,
    document_id: job.document_id,
    correlation_id: job.correlation_id,
    filename,
    outcome: state,
    from_mode: change.state === 'changed' ? change.from : job.service_mode,
    mode: job.service_mode,
    status: job.status,
    services: routesJson(services),
  };
}

function changesPage(page: Page, changes: readonly Changed[], mode: ServiceMode): void {
  if (changes.length === 0) page.line('No unfinished job');
  for (const change of changes) {
    const { job, state, filename } = change;
    const word = state === 'changed' ? 'ok' : 'skip';
    page.status(word, accent(shortId(job.job_id)), '  ', filename ?? dim('deleted'), '   ', remark(change, mode));
    if (state !== 'changed') continue;
    const { services } = decisionOf(job);
    for (const name of ['llamaparse', 'openai'] as const) {
      const route = services[name];
      if (route.fallback) page.line('          ', warn(`${name} falls back to MOCK: `), routeReason(route, name));
    }
  }
}

function remark(change: Changed, mode: ServiceMode): string {
  if (change.state === 'changed') return `${change.from} -> ${mode}, at ${change.job.status}`;
  return change.state === 'unchanged' ? `in mode ${mode} already` : `has ended: ${change.job.status}`;
}
