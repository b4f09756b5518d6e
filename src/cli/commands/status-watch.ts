/** `status --watch`: the page redrawn on a terminal, changes as rows in a pipe and as events. */
import { shortId } from '../../base/ids.ts';
import { isEnded } from '../../domain/job-state.ts';
import type { CommandContext } from '../command.ts';
import { jobJson, jobWord } from './job-view.ts';
import type { StatusAnswer } from './status-answer.ts';
import { jobRow, statusPage } from './status-view.ts';

/** Looks again and again; shows each look on a terminal and each change elsewhere. Returns the last look. */
export async function watched(
  look: () => Promise<StatusAnswer>,
  ctx: CommandContext,
  { named, interval }: { named: boolean; interval: number },
): Promise<StatusAnswer> {
  const { ui, clock, interrupt } = ctx;
  const view = ui.startWatch();
  const shown = new Map<string, string>();
  try {
    for (;;) {
      const answer = await look();
      await view?.draw((page) => statusPage(page, answer, ui, { jobsOnly: named }));
      for (const job of [...answer.jobs].reverse()) {
        const state = `${job.status} ${jobWord(job, answer.around)}`;
        if (shown.get(job.job_id) === state) continue;
        shown.set(job.job_id, state);
        ui.event('stage', jobJson(job, answer.around));
        if (view === null)
          await ui.record(jobRow(job, answer), (page) =>
            page.status(jobWord(job, answer.around), `${shortId(job.job_id)}  ${job.status}  `, job.filename ?? ''),
          );
      }
      const ended = named && [...answer.statuses.keys()].every(isEnded);
      if (ended || interrupt.stopping.aborted) return answer;
      await clock.sleep(interval, interrupt.stopping).catch(() => {});
      if (interrupt.stopping.aborted) return answer;
    }
  } finally {
    view?.close();
  }
}
