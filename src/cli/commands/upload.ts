/** `tvdb upload`: takes documents through the whole pipeline until they can be searched. */
import { TvdbError } from '../../base/errors.ts';
import { PARSE_TIERS } from '../../domain/parse-options.ts';
import { SERVICE_MODES } from '../../domain/service-mode.ts';
import { defineCommand } from '../command.ts';
import { RESULTS_OPTION } from './listening.ts';
import { MAX_COST_OPTION } from './max-cost.ts';
import { SERVICE_OPTION } from './service-wishes.ts';

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
      valueName: 'mode',
      summary: 'mock, real or hybrid',
      setting: 'SERVICE_MODE',
      common: true,
    },
    SERVICE_OPTION,
    {
      name: 'tier',
      value: PARSE_TIERS,
      valueName: 'tier',
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
      valueName: 'run',
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
        'max-pages',
        'defer',
      ],
    },
    {
      name: 'files-from',
      value: 'path',
      valueName: 'file|-',
      summary: 'read paths from a list, one a line or NUL-separated',
    },
    { name: 'filename', value: 'text', valueName: 'name', summary: 'name of the document that comes through -' },
    { name: 'keep-old', summary: 'keep the earlier version of the same path searchable' },
    { name: 'tag', value: 'pair', valueName: 'k=v', repeat: true, summary: 'label the jobs; may be repeated' },
    { name: 'cost-center', value: 'text', valueName: 'name', summary: 'whom the costs are counted for' },
    {
      name: 'priority',
      value: 'integer',
      min: -1000,
      max: 1000,
      valueName: 'n',
      summary: 'higher goes first (default 0)',
    },
    {
      name: 'concurrency',
      value: 'integer',
      min: 1,
      max: 64,
      valueName: 'n',
      summary: 'documents worked on at a time',
      setting: 'WORKER_CONCURRENCY',
    },
    { name: 'fail-fast', summary: 'stop at the first document that is refused or fails' },
    {
      name: 'on-fallback',
      value: ['warn', 'fail'],
      valueName: 'what',
      summary: 'fail exits 9 when a mock stands in for a real service',
    },
    { name: 'no-wait', summary: 'accept the documents and leave the work to `tvdb run`', excludes: ['timeout'] },
    {
      name: 'timeout',
      value: 'duration',
      valueName: 'dur',
      summary: 'stop working after this long; the rest stays in the queue',
    },
    { name: 'exit-status', summary: 'with --no-wait: exit 8 while work is left' },
    MAX_COST_OPTION,
    {
      name: 'max-pages',
      value: 'integer',
      min: 1,
      max: 5_000,
      valueName: 'n',
      summary: 'refuse documents with more pages',
      setting: 'MAX_PAGES',
    },
    { name: 'defer', summary: 'accept what does not fit a limit; it waits until the limit starts anew' },
    { name: 'yes', short: 'y', summary: 'agree to spend what is foreseen; no limit is lifted' },
  ],
  examples: [
    ['tvdb upload report.pdf', 'one document, free and offline'],
    ['tvdb upload --recursive docs/', 'every PDF below a directory'],
    ["tvdb upload 'docs/**/*.pdf' --json", 'a pattern, answered as JSON'],
    ['cat report.pdf | tvdb upload - --filename report.pdf', 'from standard input'],
    ['tvdb upload report.pdf -m hybrid', 'the real services, or the mock where one cannot be used'],
    ['tvdb upload docs/*.pdf -m real --max-cost 0.25 --on-fallback fail --json', 'paid work in CI'],
    ['tvdb upload --resume 3fa85f64', 'what an earlier run left'],
  ],
  needs: 'world',
  exitCodes: [
    0,
    [1, 'every document was refused or failed'],
    2,
    4,
    [5, 'refused before spending: a limit, no consent, no credit; or documents wait for a limit to start anew'],
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
      maxCost: options.maxCost,
    } as const;
    checkTarget(args.path, options);
    const { uploadResult } = await import('./upload-answer.ts');
    if (options.resume !== undefined) {
      const { resumeUpload } = await import('./upload-drive.ts');
      return uploadResult(await resumeUpload(options.resume, wish, ctx), ctx);
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
        yes: options.yes,
        defer: options.defer,
        economy: options.economy,
        services: options.service,
      },
      ctx,
    );
    return uploadResult(uploaded, ctx);
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
