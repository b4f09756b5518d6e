/** `tvdb trace`: the story of one job, step by step. */
import { EXIT } from '../../base/error-codes.ts';
import { shortId } from '../../base/ids.ts';
import { isEnded, isFailed, STEPS } from '../../domain/job-state.ts';
import { type CommandContext, type CommandResult, defineCommand, type ExitCode } from '../command.ts';
import type { TracedJob, TraceRequest } from './trace-answer.ts';

/** Jobs of a run that are told in full. */
const JOBS_OF_RUN = 5;
const DEFAULT_LIMIT = 200;

export const traceCommand = defineCommand({
  name: 'trace',
  summary: 'what happened to a job, step by step',
  description:
    'Takes the id of a job, document, run, correlation or upstream request, or its first 4 or more characters. Of a document the newest job is traced; of a run its first jobs.',
  args: [{ name: 'id', summary: 'any id that tvdb or a service has shown you', value: 'id' }],
  options: [
    { name: 'follow', short: 'f', summary: 'go on until the job has ended; exit with its outcome', common: true },
    { name: 'full', summary: 'every event and request' },
    { name: 'stage', value: STEPS, valueName: 's', summary: `only one step: ${STEPS.join(', ')}` },
    {
      name: 'limit',
      value: 'integer',
      min: 1,
      max: 100_000,
      valueName: 'n',
      summary: `most rows, the newest (default ${DEFAULT_LIMIT})`,
    },
  ],
  examples: [
    ['tvdb trace 3fa85f64', 'one job'],
    ['tvdb trace 3fa85f64 --follow', 'watch it to its end'],
    ['tvdb trace 3fa85f64 --json --full', 'spans and events, for a script'],
  ],
  needs: 'world',
  exitCodes: [0, [1, 'with --follow: the job failed or was cancelled'], 2, 6],
  json: 'tvdb.trace/v1',
  ndjson: true,
  async handler({ args, options }, ctx) {
    const world = await ctx.openWorld();
    const { db } = world.store;
    const [{ JOB_KINDS, resolveId }, { jobIdsOf }, { tracedJob }] = await Promise.all([
      import('../ids.ts'),
      import('../../store/jobs/of-id.ts'),
      import('./trace-answer.ts'),
    ]);
    const match = await resolveId(db, args.id, JOB_KINDS, { command: ['trace'] });
    const newestFirst = await jobIdsOf(db, match);
    const jobIds = match.kind === 'run' ? [...newestFirst].reverse() : newestFirst;
    const told = match.kind === 'run' && !options.follow ? jobIds.slice(0, JOBS_OF_RUN) : jobIds.slice(0, 1);
    const request: TraceRequest = { stage: options.stage, limit: options.limit ?? DEFAULT_LIMIT };
    const followed =
      options.follow && told[0] !== undefined
        ? await (await import('./trace-follow.ts')).follow(world, told[0], request, ctx)
        : undefined;
    const traced =
      followed === undefined ? await Promise.all(told.map((id) => tracedJob(world, id, request))) : [followed];
    return answer(
      traced.filter((one) => one !== undefined),
      jobIds,
      ctx,
      { full: options.full, followed: followed !== undefined },
    );
  },
});

interface Manner {
  readonly full: boolean;
  readonly followed: boolean;
}

async function answer(
  traced: readonly TracedJob[],
  all: readonly string[],
  { ui }: CommandContext,
  { full, followed }: Manner,
): Promise<CommandResult> {
  const [{ EMPTY_TRACE, spanJson, traceJson }, view] = await Promise.all([
    import('./trace-answer.ts'),
    import('./trace-view.ts'),
  ]);
  const [first, ...more] = traced;
  const others = all.filter((id) => !traced.some(({ job }) => job.job_id === id));
  for (const { line, tries, job } of followed ? [] : traced) {
    for (const span of line.spans)
      ui.event('stage', { job_id: job.job_id, correlation_id: job.correlation_id, ...spanJson(span, tries) });
  }
  return {
    exitCode: followed && first !== undefined ? outcome(first) : EXIT.ok,
    data: {
      ...(first === undefined ? EMPTY_TRACE : traceJson(first)),
      other_traces: more.map(traceJson),
      other_jobs: others,
    },
    render(page) {
      for (const [index, one] of traced.entries()) {
        if (index > 0) page.blank();
        if (followed) view.outcomeLines(page, one, ui);
        else view.tracePage(page, one, ui, { full });
      }
      if (first === undefined) page.line('No job belongs to this id.');
      if (others.length > 0) {
        page.blank();
        page.field(
          'note',
          `${others.length} more of its jobs: `,
          others.slice(0, 8).map(shortId).join(' '),
          others.length > 8 ? ' ...' : '',
        );
      }
    },
    plain: () => (followed ? [] : traced.flatMap((one) => one.rows.map((row) => view.rowForPipe(row, one)))),
    quiet: () => traced.map(({ job }) => job.job_id),
    ...(first !== undefined && isFailed(first.job.status) && { next: `tvdb retry ${shortId(first.job.job_id)}` }),
  };
}

function outcome({ job: { status } }: TracedJob): ExitCode {
  if (!isEnded(status)) return EXIT.pending;
  return status === 'complete' || status === 'duplicate' ? EXIT.ok : EXIT.failed;
}
