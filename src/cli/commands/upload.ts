/** `tvdb upload`: takes documents through the whole pipeline until they can be searched. */
import { TvdbError } from '../../base/errors.ts';
import { shortId } from '../../base/ids.ts';
import { PARSE_TIERS } from '../../domain/parse-options.ts';
import { SERVICE_MODES } from '../../domain/service-mode.ts';
import { type CommandContext, type CommandResult, defineCommand } from '../command.ts';
import { RESULTS_OPTION } from './listening.ts';
import { SERVICE_OPTION } from './service-wishes.ts';
import type { UploadAnswer } from './upload-result.ts';
import type { Uploaded } from './upload-stop.ts';

export const uploadCommand = defineCommand({
  name: 'upload',
  summary: 'parse, chunk and embed documents, and make them searchable',
  description:
    'Every file gets an answer of its own: one that is refused does not stop the others. A document that was processed before, ' +
    'in the same mode and configuration, is skipped. Other content at the same path takes the place of the earlier version.',
  args: [
    {
      name: 'path',
      summary: 'files, quoted patterns, directories with --recursive, - for standard input',
      optional: true,
      repeat: true,
    },
  ],
  options: [
    {
      name: 'mode',
      short: 'm',
      value: SERVICE_MODES,
      placeholder: 'mode',
      summary: 'mock, real or hybrid',
      setting: 'SERVICE_MODE',
      common: true,
    },
    SERVICE_OPTION,
    {
      name: 'tier',
      value: PARSE_TIERS,
      placeholder: 'tier',
      summary: 'how thoroughly LlamaParse reads, and for how much: fast, cost_effective, agentic, agentic_plus',
      setting: 'LLAMAPARSE_TIER',
    },
    RESULTS_OPTION,
    { name: 'recursive', summary: 'take the PDFs below the directories named', common: true },
    {
      name: 'dry-run',
      short: 'n',
      summary: 'check everything and say what would be done; accept nothing',
      common: true,
    },
    { name: 'force', summary: 'process again what is complete already', common: true },
    { name: 'economy', summary: 'embed in a batch: half the price at OpenAI, and up to 24 hours to wait' },
    { name: 'no-cache', summary: 'parse and embed again what was paid for before, and pay for it again' },
    {
      name: 'resume',
      value: 'id',
      placeholder: 'run',
      summary: 'retry what failed in an earlier run and finish what it left',
      excludes: [
        'mode',
        'service',
        'tier',
        'no-cache',
        'economy',
        'recursive',
        'files-from',
        'filename',
        'dry-run',
        'force',
        'keep-old',
        'tag',
        'cost-center',
        'priority',
      ],
    },
    {
      name: 'files-from',
      value: 'path',
      placeholder: 'file|-',
      summary: 'read paths from a list, one a line or NUL-separated',
    },
    { name: 'filename', value: 'text', placeholder: 'name', summary: 'name of the document that comes through -' },
    { name: 'keep-old', summary: 'keep the earlier version of the same path searchable' },
    { name: 'tag', value: 'pair', placeholder: 'k=v', repeat: true, summary: 'label the jobs; may be repeated' },
    { name: 'cost-center', value: 'text', placeholder: 'name', summary: 'whom the costs are counted for' },
    {
      name: 'priority',
      value: 'integer',
      min: -1000,
      max: 1000,
      placeholder: 'n',
      summary: 'higher goes first (default 0)',
    },
    {
      name: 'concurrency',
      value: 'integer',
      min: 1,
      max: 64,
      placeholder: 'n',
      summary: 'documents worked on at a time',
      setting: 'WORKER_CONCURRENCY',
    },
    { name: 'fail-fast', summary: 'stop at the first document that is refused or fails' },
    {
      name: 'on-fallback',
      value: ['warn', 'fail'],
      placeholder: 'what',
      summary: 'fail exits 9 when a mock stands in for a real service',
    },
    { name: 'no-wait', summary: 'accept the documents and leave the work to `tvdb run`', excludes: ['timeout'] },
    {
      name: 'timeout',
      value: 'duration',
      placeholder: 'dur',
      summary: 'stop working after this long; the rest stays in the queue',
    },
    { name: 'exit-status', summary: 'with --no-wait: exit 8 while work is left' },
    { name: 'yes', short: 'y', summary: 'answer yes to every question' },
  ],
  examples: [
    ['tvdb upload report.pdf', 'one document, free and offline'],
    ['tvdb upload --recursive docs/', 'every PDF below a directory'],
    ["tvdb upload 'docs/**/*.pdf' --json", 'a pattern, answered as JSON'],
    ['cat report.pdf | tvdb upload - --filename report.pdf', 'from standard input'],
    ['tvdb upload report.pdf -m hybrid', 'the real services, or the mock where one cannot be used'],
    ['tvdb upload --resume 3fa85f64', 'what an earlier run left'],
  ],
  needs: 'world',
  exitCodes: [
    0,
    [1, 'every document was refused or failed'],
    2,
    4,
    [5, 'the account at a service has no credit left'],
    6,
    7,
    [8, '--timeout was reached, or documents rest until later'],
    [9, 'a fallback, with --on-fallback fail'],
  ],
  json: 'tvdb.upload/v1',
  ndjson: true,
  async handler({ args, options }, ctx) {
    const wish = {
      wait: options.wait,
      timeout: options.timeout,
      failFast: options.failFast,
      exitStatus: options.exitStatus,
      onFallback: options.onFallback ?? 'warn',
    } as const;
    checkTarget(args.path, options);
    if (options.resume !== undefined) {
      const { resumeUpload } = await import('./upload-drive.ts');
      return toResult(await resumeUpload(options.resume, wish, ctx), ctx);
    }
    const { upload } = await import('./upload-work.ts');
    const uploaded = await upload(
      {
        ...wish,
        paths: args.path,
        filesFrom: options.filesFrom,
        filename: options.filename,
        recursive: options.recursive,
        dryRun: options.dryRun,
        tags: Object.fromEntries(options.tag.map(({ key, value }) => [key, value])),
        costCenter: options.costCenter ?? null,
        priority: options.priority ?? 0,
        force: options.force,
        keepOld: options.keepOld,
        noCache: !options.cache,
        economy: options.economy,
        services: options.service,
      },
      ctx,
    );
    return toResult(uploaded, ctx);
  },
});

function checkTarget(
  paths: readonly string[],
  { resume, filesFrom }: { resume: string | undefined; filesFrom: string | undefined },
): void {
  if (resume !== undefined && paths.length > 0) {
    throw new TvdbError('E009', {
      message: '--resume takes the documents of a run; name no others',
      facts: { command: 'upload', flag: '--resume' },
    });
  }
  if (resume === undefined && filesFrom === undefined && paths.length === 0) {
    throw new TvdbError('E002', {
      message: 'tvdb upload needs something to upload',
      why: 'usage: tvdb upload <path>...',
      facts: { command: 'upload' },
    });
  }
}

async function toResult(
  { answer, exitCode }: Uploaded,
  { ui, clock, interrupt }: CommandContext,
): Promise<CommandResult> {
  const [{ uploadJson }, { annotationsOf, errorOf }, { stopCauseOf }, view] = await Promise.all([
    import('./upload-json.ts'),
    import('./upload-error.ts'),
    import('./upload-stop.ts'),
    import('./upload-view.ts'),
  ]);
  const error = errorOf(answer, exitCode);
  const some = answer.documents.length > 1;
  // Nobody reads the answer any more, and that some documents have no job must not go unsaid.
  const unread =
    stopCauseOf(interrupt) === 'closed-pipe' && answer.documents.some(({ status }) => status === 'not_accepted');
  if ((ui.format === 'plain' && some) || unread) ui.note((page) => page.line(view.closingLine(answer)));
  const next = nextStep(answer);
  return {
    exitCode,
    data: uploadJson(answer),
    warnings: [...view.degradedWarnings(answer, ui), ...view.parkedWarnings(answer, ui, clock.now())],
    ...(error !== undefined && { error, annotations: annotationsOf(answer, error) }),
    render: (page) => view.uploadPage(page, answer, ui, clock.now()),
    plain: () => answer.documents.map(view.documentRow),
    quiet: () => [
      ...new Set(answer.documents.flatMap(({ outcome }) => (outcome === null ? [] : [outcome.job.document_id]))),
    ],
    ...(next !== undefined && { next }),
  };
}

function nextStep({ documents }: UploadAnswer): string | undefined {
  if (documents.some(({ status }) => status === 'parked' || status === 'accepted')) return 'tvdb run';
  const done = documents.filter(({ status }) => status === 'complete' || status === 'duplicate');
  const [only] = done;
  if (only?.outcome == null) return undefined;
  return `tvdb search "..."${done.length === 1 ? ` --doc ${shortId(only.outcome.job.document_id)}` : ''}`;
}
