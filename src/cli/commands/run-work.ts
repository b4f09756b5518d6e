/** What `run` does: one worker on the queue, its activity shown line by line. */
import type { ServiceMode } from '../../domain/service-mode.ts';
import { drive, withRun } from '../../pipeline/run.ts';
import type { OnEvent } from '../../pipeline/step.ts';
import { documentById } from '../../store/documents.ts';
import { parkedInScope } from '../../store/jobs/parked.ts';
import type { Db } from '../../store/open.ts';
import { countQueue } from '../../store/queue.ts';
import { deadWorkers } from '../../store/workers.ts';
import type { World } from '../../world.ts';
import type { CommandContext } from '../command.ts';
import { resolveId } from '../ids.ts';
import { capThisRun } from './consent.ts';
import { listenForResults, mayWaitForPaid } from './listening.ts';
import { type RunAnswer, runAnswer, runExit } from './run-answer.ts';
import { activityLine, activityOf, activityRow, readyNote } from './run-view.ts';
import { interruptedCode } from './upload-stop.ts';

export interface RunRequest {
  readonly mode: ServiceMode | undefined;
  /** As typed. */
  readonly onlyRun: string | undefined;
  readonly watch: boolean;
  readonly once: boolean;
  readonly idleTimeout: number | undefined;
  /** Nano-USD this run may spend. */
  readonly maxCost: number | undefined;
}

/** Works on the queue as asked. Throws E101 or E102 for a mode that cannot be used, E006 or E007 for the id of a run. */
export async function runQueue(request: RunRequest, world: World, ctx: CommandContext): Promise<RunAnswer> {
  const { ui, clock, interrupt } = ctx;
  const { store, pipeline, router } = world;
  if (request.mode !== undefined) router.refuseUnusable(router.decide(request.mode));
  const onlyRun =
    request.onlyRun === undefined
      ? undefined
      : (await resolveId(store.db, request.onlyRun, ['run'], { command: ['run', '--only-run'] })).id;
  await noteQueue({ mode: request.mode, onlyRun }, world, ctx);
  await listenForResults(world, ctx, await mayWaitForPaid(world, ctx, request.watch));
  const runId = ctx.ids.uuid();
  const started = clock.monotonic();
  ui.setRun(runId);
  ui.resumeWith('tvdb run');
  const touched = new Set<string>();
  const log = activityLog(store.db, ctx);
  const { answer } = await withRun(pipeline, { runId, command: 'run', mode: request.mode ?? null }, async () => {
    await capThisRun(world, runId, request.maxCost);
    const summary = await drive(pipeline, {
      scope: { runId: onlyRun, mode: request.mode },
      runId,
      news: world.news,
      concurrency: world.concurrency,
      until: request.watch ? 'forever' : 'drain',
      waitForOthers: true,
      idleMs: request.idleTimeout,
      ...(request.once && { limit: 1 }),
      onEvent: (event, job) => {
        // A lease taken back is housekeeping: this worker may never get the job.
        if (event.code !== 'LEASE_RECLAIMED') touched.add(job.job_id);
        log.onEvent(event, job);
      },
      signals: { stopping: interrupt.stopping, abort: interrupt.abort },
    });
    await log.written();
    const parked = await parkedInScope(store.db, clock.now(), { runId: onlyRun, mode: request.mode });
    const done = await runAnswer(world, {
      runId,
      summary,
      touched: [...touched],
      parked,
      ms: clock.monotonic() - started,
    });
    return { answer: done, exitCode: interruptedCode(ctx) ?? runExit(done) };
  });
  return answer;
}

async function noteQueue(
  scope: { mode: ServiceMode | undefined; onlyRun: string | undefined },
  { store, clock }: World,
  { ui }: CommandContext,
): Promise<void> {
  const counts = await countQueue(store.db, clock.now(), await deadWorkers(store.db));
  const sum = (pick: (row: (typeof counts)[number]) => number) => counts.reduce((total, row) => total + pick(row), 0);
  const failed = (row: (typeof counts)[number]) => row.status.startsWith('failed_');
  const queue = {
    waiting: sum((row) => (failed(row) ? 0 : row.waiting)),
    parked: sum((row) => (failed(row) ? 0 : row.parked)),
    failed: sum((row) => (failed(row) ? row.waiting + row.parked : 0)),
  };
  ui.note((page) => readyNote(page, { ...scope, ...queue }));
}

/** Writes activities in the order they happen; names are looked up beside the work, which does not wait for them. */
function activityLog(db: Db, { ui }: CommandContext): { onEvent: OnEvent; written(): Promise<void> } {
  const names = new Map<string, string>();
  let queue: Promise<void> = Promise.resolve();
  const nameOf = async (documentId: string) => {
    const known = names.get(documentId) ?? (await documentById(db, documentId))?.filename ?? '(deleted)';
    names.set(documentId, known);
    return known;
  };
  return {
    onEvent: (event, job) => {
      const activity = activityOf(event, job);
      if (activity === null) return;
      const { kind: _arrow, jobId, at: _at, ...fields } = activity;
      ui.event('stage', { job_id: jobId, document_id: job.document_id, correlation_id: job.correlation_id, ...fields });
      queue = queue.then(async () => {
        const name = await nameOf(job.document_id);
        await ui.record(activityRow(activity, name), (page) => activityLine(page, activity, name, ui));
      });
      // Reported where it is waited for.
      queue.catch(() => {});
    },
    written: () => queue,
  };
}
