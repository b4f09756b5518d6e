/** `tvdb search`: the best chunks for a query. */
import { EXIT } from '../../base/error-codes.ts';
import { SERVICE_MODES } from '../../domain/service-mode.ts';
import { defineCommand } from '../command.ts';
import { MAX_COST_OPTION } from './max-cost.ts';
import type { Filters } from './search-advice.ts';
import { serviceWishes } from './service-wishes.ts';

const DEFAULT_K = 5;

export const searchCommand = defineCommand({
  name: 'search',
  summary: 'find the best passages for a query',
  description:
    'Ranks the chunks of one embedding space by vectors and words together; the score shown is the cosine of the vectors. ' +
    'Vectors of different spaces are never mixed. ' +
    'In mode real and hybrid the query is embedded by the paid service, once: the same query again costs nothing.',
  args: [{ name: 'query', summary: 'words to search for; - reads them from standard input' }],
  options: [
    {
      name: 'top',
      short: 'k',
      value: 'integer',
      min: 1,
      max: 1_000,
      valueName: 'n',
      summary: `most hits (default ${DEFAULT_K})`,
      common: true,
    },
    {
      name: 'doc',
      value: 'id',
      repeat: true,
      valueName: 'id',
      summary: 'only this document, or the document of this job; may be repeated',
    },
    {
      name: 'tag',
      value: 'pair',
      repeat: true,
      valueName: 'k=v',
      summary: 'only documents uploaded with this tag; may be repeated',
    },
    {
      name: 'min-score',
      value: 'number',
      min: -1,
      max: 1,
      valueName: 'x',
      summary: 'only hits with at least this cosine',
    },
    {
      name: 'space',
      value: 'text',
      valueName: 'space',
      summary: 'embedding space to search (default: that of the mode)',
    },
    {
      name: 'mode',
      short: 'm',
      value: SERVICE_MODES,
      valueName: 'mode',
      summary: 'whose space is searched: mock, real or hybrid',
      setting: 'SERVICE_MODE',
    },
    {
      name: 'min-results',
      value: 'integer',
      min: 1,
      max: 1_000,
      valueName: 'n',
      summary: 'exit 9 when there are fewer hits',
    },
    MAX_COST_OPTION,
    { name: 'yes', short: 'y', summary: 'agree to spend what the query costs; no limit is lifted' },
    { name: 'full', summary: 'whole chunks instead of a few lines' },
  ],
  examples: [
    ['tvdb search "annual deductible"', 'the five best passages'],
    ['tvdb search "annual deductible" -k 3 --doc 3fa85f64', 'three of one document'],
    ['cat question.txt | tvdb search - --json', 'a query from another program'],
  ],
  needs: 'world',
  exitCodes: [0, [2, 'empty query, unknown space or document'], 4, 5, 6, [9, 'fewer hits than --min-results']],
  json: 'tvdb.search/v1',
  ndjson: false,
  async handler({ args, options }, ctx) {
    const { documentIds, queryFromStdin } = await import('./search-input.ts');
    const query = args.query === '-' ? await queryFromStdin(ctx) : args.query;
    const world = await ctx.openWorld();
    const { askForQuery } = await import('./consent.ts');
    const [{ searchDocuments }, { hitRow, searchJson, searchPage }, { emptyAdvice, fallbackWarnings, searchWarnings }] =
      await Promise.all([
        import('../../pipeline/search-documents.ts'),
        import('./search-view.ts'),
        import('./search-advice.ts'),
      ]);
    const filters: Filters = {
      documentIds: await documentIds(world, query, options),
      space: options.space,
      minScore: options.minScore,
    };
    const k = options.top ?? DEFAULT_K;
    const mode = world.config.settings.SERVICE_MODE;
    const overrides = serviceWishes([], world.config.settings);
    const request = { query, k, mode, overrides, ...filters };
    const found = await searchDocuments(
      { ...world.pipeline, agree: askForQuery(options, query, world, ctx) },
      request,
      ctx.interrupt.stopping,
    );
    const advice = found.hits.length > 0 ? { why: [] } : emptyAdvice(found, filters, query);
    const tooFew = options.minResults !== undefined && found.hits.length < options.minResults;
    return {
      exitCode: tooFew ? EXIT.gate : EXIT.ok,
      data: searchJson(found, { k, mode, route: found.route }),
      warnings: [
        ...fallbackWarnings(found),
        ...searchWarnings(found, filters, tooFew ? options.minResults : undefined),
      ],
      render: (page) => searchPage(page, found, { full: options.full, why: advice.why }),
      plain: () => found.hits.map(hitRow),
      quiet: () => [...new Set(found.hits.map((hit) => hit.documentId))],
      ...(advice.next !== undefined && { next: advice.next }),
    };
  },
});
