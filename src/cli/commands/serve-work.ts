/** What `serve` does: both listeners, one worker, and an orderly end of all three. */
import { EXIT } from '../../base/error-codes.ts';
import { asTvdbError, type TvdbError } from '../../base/errors.ts';
import { SERVICES } from '../../domain/service-mode.ts';
import { drive, withRun } from '../../pipeline/run.ts';
import type { OnEvent } from '../../pipeline/step.ts';
import { type Api, startApi } from '../../server/api.ts';
import { freshSecret } from '../../server/fresh-secret.ts';
import { API_COMMAND } from '../../store/api-usage.ts';
import { documentById } from '../../store/documents.ts';
import { signingKey } from '../../store/meta.ts';
import type { Db } from '../../store/open.ts';
import type { World } from '../../world.ts';
import type { CommandContext } from '../command.ts';
import { capThisRun } from './consent.ts';
import { routeReason } from './route-text.ts';
import { activityLine, activityOf } from './run-view.ts';
import { servingResult } from './serve-view.ts';

/** Serves until it is stopped; returns the refusal that stopped it when its `--max-cost` was used up. Throws E601 for a port that is taken; nothing is left listening then. */
export async function serve(
  { port, maxCost, yes }: { port: number; maxCost: number | undefined; yes: boolean },
  ctx: CommandContext,
): Promise<TvdbError | undefined> {
  const { ui, ids, config, interrupt } = ctx;
  const { settings } = config;
  const { SERVICE_MODE: mode, TVDB_API_TOKEN: ownToken, TVDB_PUBLIC_URL: publicUrl } = settings;
  const world = await ctx.openWorld();
  const { store, pipeline } = world;
  const runId = ids.uuid();
  ui.setRun(runId);
  warnOfMode(world, ctx);
  const key = await signingKey(store);
  const activity = activityNotes(store.db, ctx);
  const { cap } = await withRun(pipeline, { runId, command: API_COMMAND, mode }, async () => {
    await capThisRun(world, runId, maxCost);
    let cap: TvdbError | undefined;
    const listener = await world.listen();
    let api: Api | undefined;
    const closeApi = () => void api?.close();
    try {
      const token = ownToken ?? freshSecret();
      api = await startApi({
        pipeline,
        runId,
        mode,
        signingKey: key,
        token,
        port,
        consent: { maxCost, yes, ci: ui.ci },
        scrub: world.scrub,
        onEvent: activity.onEvent,
        abort: interrupt.abort,
      });
      // Nothing new is taken while the work under way settles.
      interrupt.stopping.addEventListener('abort', closeApi, { once: true });
      const webhook = { url: `http://127.0.0.1:${listener.port}`, port: listener.port, publicUrl: publicUrl ?? null };
      const fresh = ownToken === undefined ? token : null;
      await ui.answer(servingResult({ url: api.url, port: api.port, token: fresh, webhook, mode }));
      ({ cap } = await drive(pipeline, {
        runId,
        news: world.news,
        concurrency: world.concurrency,
        until: 'forever',
        waitForOthers: true,
        onEvent: activity.onEvent,
        signals: { stopping: interrupt.stopping, abort: interrupt.abort },
      }));
    } finally {
      interrupt.stopping.removeEventListener('abort', closeApi);
      await api?.close();
      await activity.written();
    }
    return { exitCode: cap === undefined ? EXIT.ok : EXIT.budget, cap };
  });
  return cap;
}

/** A mode that cannot be used does not keep the server from starting: uploads are answered with the reason. */
function warnOfMode({ router }: World, { ui, config }: CommandContext): void {
  const decision = router.decide(config.settings.SERVICE_MODE);
  try {
    router.refuseUnusable(decision);
  } catch (thrown) {
    const { label, message } = asTvdbError(thrown);
    ui.warn({ code: label, message: `${message}; uploads are refused until that is mended` });
  }
  for (const service of SERVICES) {
    const route = decision.services[service];
    if (!route.fallback) continue;
    ui.warn({ code: 'TVDB-W302', message: `${service} falls back to MOCK: ${routeReason(route, service)}` });
  }
}

/** What happens to jobs, a line each on stderr, in order; names are looked up beside the work. */
function activityNotes(db: Db, { ui }: CommandContext): { onEvent: OnEvent; written(): Promise<void> } {
  let queue: Promise<void> = Promise.resolve();
  return {
    onEvent: (event, job) => {
      const activity = activityOf(event, job);
      if (activity === null) return;
      const { kind: _arrow, jobId, at: _at, ...fields } = activity;
      ui.event('stage', { job_id: jobId, document_id: job.document_id, correlation_id: job.correlation_id, ...fields });
      queue = queue
        .then(async () => {
          const name = (await documentById(db, job.document_id))?.filename ?? '(deleted)';
          ui.note((page) => activityLine(page, activity, name, ui));
        })
        // A line that cannot be written for want of a name is no reason to stop serving.
        .catch(() => {});
    },
    written: () => queue,
  };
}
