/** `trace --follow`: each row as soon as it is settled. */
import { isEnded } from '../../domain/job-state.ts';
import type { World } from '../../world.ts';
import type { CommandContext } from '../command.ts';
import { isSettled, spanJson, type TracedJob, type TraceRequest, tracedJob } from './trace-answer.ts';
import { followLine, rowForPipe, traceHeader } from './trace-view.ts';

const FOLLOW_MS = 500;

/** Shows each row when it is settled, until the job has ended or is interrupted. Returns how it stands then. */
export async function follow(
  world: World,
  jobId: string,
  request: TraceRequest,
  { ui, clock, interrupt }: CommandContext,
): Promise<TracedJob | undefined> {
  let shown = 0;
  let headed = false;
  let warned = false;
  for (;;) {
    // All rows: with a limit they would shift under the count of those that are shown.
    const traced = await tracedJob(world, jobId, { ...request, limit: Number.MAX_SAFE_INTEGER });
    if (traced === undefined) return undefined;
    if (!headed) ui.note((page) => traceHeader(page, traced, ui));
    headed = true;
    const ended = isEnded(traced.job.status);
    for (const row of traced.rows.slice(shown)) {
      if (!ended && !isSettled(row)) break;
      shown += 1;
      if (row.kind === 'span')
        ui.event('stage', {
          job_id: jobId,
          correlation_id: traced.job.correlation_id,
          ...spanJson(row.span, traced.tries),
        });
      await ui.record(rowForPipe(row, traced), (page) => followLine(page, row, traced));
    }
    if (ended || interrupt.stopping.aborted) return traced;
    if (!warned && traced.job.lease_owner === null && traced.job.park_reason === null) {
      warned = true;
      ui.note((page) => page.line('waiting for a worker; if none is running: tvdb run'));
    }
    await clock.sleep(FOLLOW_MS, interrupt.stopping).catch(() => {});
  }
}
