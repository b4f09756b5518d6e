/** `tvdb cancel`: stops jobs, wherever they are worked on. */
import { TvdbError } from '../../base/errors.ts';
import { shortId } from '../../base/ids.ts';
import { isFailed } from '../../domain/job-state.ts';
import type { CancelOutcome } from '../../pipeline/cancel.ts';
import type { JobRow } from '../../store/schema.ts';
import type { World } from '../../world.ts';
import { type CommandContext, type CommandResult, defineCommand } from '../command.ts';
import { plural } from '../ui/format.ts';
import { accent, dim } from '../ui/text.ts';

export const cancelCommand = defineCommand({
  name: 'cancel',
  summary: 'stop jobs that wait or run',
  description:
    'A worker that has the job in hand loses it at once and writes nothing more. What was stored of other jobs stays; the document stays.',
  args: [
    {
      name: 'id',
      summary: 'job, document, run or correlation id, or its first 4 or more characters',
      value: 'id',
      optional: true,
      repeat: true,
    },
  ],
  options: [
    { name: 'all', summary: 'every job that has not ended' },
    { name: 'yes', short: 'y', summary: 'do not ask before --all' },
  ],
  examples: [
    ['tvdb cancel 3fa85f64', 'one job, or all jobs of a document or run'],
    ['tvdb cancel --all --yes', 'everything, for a script'],
  ],
  needs: 'world',
  exitCodes: [0, 2, 6],
  json: 'tvdb.cancel/v1',
  ndjson: false,
  async handler({ args, options }, ctx) {
    if (options.all && args.id.length > 0)
      throw new TvdbError('E009', {
        message: '--all and ids exclude each other',
        facts: { flag: '--all', command: 'cancel' },
      });
    if (!options.all && args.id.length === 0) {
      throw new TvdbError('E002', {
        message: 'What is to be cancelled is missing',
        why: 'give ids, or --all for every job that has not ended',
        facts: { command: 'cancel' },
      });
    }
    const world = await ctx.openWorld();
    const jobIds = await chosenJobs(world, args.id);
    if (options.all && jobIds.length > 0 && !options.yes) {
      const question = `Cancel ${plural(jobIds.length, 'job')}?`;
      if (!(await ctx.ui.confirm(question, { flag: '--yes', why: '--all stops every job that has not ended' })))
        return result([]);
    }
    const lines = await cancelAll(world, ctx, jobIds);
    return result(lines, await stoppedBudgets(world, lines));
  },
});

async function chosenJobs({ store }: World, typed: readonly string[]): Promise<string[]> {
  if (typed.length === 0) return (await import('../../store/jobs/live.ts')).liveJobIds(store.db);
  return (await import('../ids.ts')).resolveJobs(store.db, typed, { command: ['cancel'] });
}

interface Line {
  readonly job: JobRow;
  readonly filename: string | null;
  readonly outcome: CancelOutcome;
}

async function cancelAll(
  { store, pipeline }: World,
  { interrupt }: CommandContext,
  jobIds: readonly string[],
): Promise<Line[]> {
  const [{ cancelJob }, { documentById }] = await Promise.all([
    import('../../pipeline/cancel.ts'),
    import('../../store/documents.ts'),
  ]);
  const lines: Line[] = [];
  for (const jobId of jobIds) {
    if (interrupt.stopping.aborted) break;
    const cancelled = await cancelJob(pipeline, jobId, () => {}, interrupt.abort);
    if (cancelled === undefined) continue;
    const document = await documentById(store.db, cancelled.job.document_id);
    lines.push({ ...cancelled, filename: document?.filename ?? null });
  }
  return lines;
}

/** An overrun of these jobs that nobody has seen: to cancel looks at the service, and may find that it did a request twice. */
async function stoppedBudgets({ store }: World, lines: readonly Line[]): Promise<string | undefined> {
  const { openOverruns } = await import('../../store/overruns.ts');
  const ids = new Set(lines.map(({ job }) => job.job_id));
  return (await openOverruns(store.db)).find(({ job_id: id }) => id !== null && ids.has(id))?.attempt_id;
}

/** `cancelled`, or `already_` and how it had ended; the three ways to fail are one. */
function wordFor(outcome: CancelOutcome): string {
  if (outcome.state === 'cancelled') return 'cancelled';
  return isFailed(outcome.was) ? 'already_failed' : `already_${outcome.was}`;
}

function result(lines: readonly Line[], overrun?: string): CommandResult {
  const stopped = lines.filter(({ outcome }) => outcome.state === 'cancelled');
  return {
    data: {
      jobs: lines.map(({ job, filename, outcome }) => ({
        job_id: job.job_id,
        document_id: job.document_id,
        correlation_id: job.correlation_id,
        filename,
        outcome: wordFor(outcome),
        from_status: outcome.was,
        status: job.status,
        was_running: outcome.state === 'cancelled' && outcome.held,
      })),
      totals: { jobs: lines.length, cancelled: stopped.length, unchanged: lines.length - stopped.length },
    },
    render: (page) => {
      if (stopped.length === 0) page.line('Nothing to cancel');
      for (const { job, filename, outcome } of lines) {
        const remark =
          outcome.state === 'cancelled'
            ? `cancelled at ${outcome.was}${outcome.held ? ', a worker had it in hand' : ''}`
            : wordFor(outcome).replace('_', ' ');
        page.status(
          outcome.state === 'cancelled' ? 'ok' : 'skip',
          accent(shortId(job.job_id)),
          '  ',
          filename ?? dim('deleted'),
          `   ${remark}`,
        );
      }
    },
    plain: () => lines.map(({ job, filename, outcome }) => [job.job_id, wordFor(outcome), job.status, filename]),
    quiet: () => stopped.map(({ job }) => job.job_id),
    ...(overrun !== undefined && { next: `tvdb costs acknowledge ${shortId(overrun)}` }),
  };
}
