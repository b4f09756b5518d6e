/** `tvdb export`: the searchable chunks and their vectors as newline-delimited JSON. */
import { resolve } from 'node:path';
import { TvdbError } from '../../base/errors.ts';
import type { ExportScope } from '../../store/export-chunks.ts';
import type { World } from '../../world.ts';
import { type CommandResult, defineCommand } from '../command.ts';
import { bytes, plural } from '../ui/format.ts';
import type { Warning } from '../ui/ui.ts';
import type { Written } from './export-write.ts';

export const exportCommand = defineCommand({
  name: 'export',
  summary: 'write chunks and vectors as newline-delimited JSON',
  description:
    'One line a chunk, document by document. Without ids: everything that is searchable. --ndjson is accepted and is what is written anyway.',
  args: [
    {
      name: 'id',
      summary: 'document, job or run, or its first 4 or more characters',
      value: 'id',
      optional: true,
      repeat: true,
    },
  ],
  options: [
    {
      name: 'output',
      short: 'o',
      value: 'path',
      valueName: 'file',
      summary: 'write there instead of to standard output; - is standard output',
      common: true,
    },
    { name: 'space', value: 'text', valueName: 'space', summary: 'only one embedding space' },
    { name: 'no-vectors', summary: 'leave the vectors out' },
  ],
  examples: [
    ['tvdb export > chunks.ndjson', 'everything'],
    ['tvdb export 3fa85f64 --no-vectors | jq .text', 'the text of one document'],
    [
      'tvdb export --space mock/hash-ngram@1/1536 -o mock.ndjson',
      'one space, into a file that appears when it is complete',
    ],
  ],
  needs: 'world',
  exitCodes: [0, [1, 'the output cannot be written'], 2, 6],
  json: 'tvdb.export/v1',
  ndjson: true,
  rawOutput: true,
  async handler({ args, options }, ctx) {
    const file = options.output === undefined || options.output === '-' ? undefined : resolve(ctx.cwd, options.output);
    if (file === undefined && ctx.ui.format === 'json') {
      throw new TvdbError('E009', {
        message: '--json needs --output here: the records themselves go to standard output',
        fix: 'Use --ndjson for the records, or add --output <file>.',
        facts: { flag: '--json', command: 'export' },
      });
    }
    const world = await ctx.openWorld();
    const { writeChunks, writeChunksTo } = await import('./export-write.ts');
    const scope = await scopeOf(world, args.id, options.space);
    const written =
      file === undefined
        ? await writeChunks(world, scope, options.vectors, ctx, (text) => ctx.ui.stream(text))
        : await writeChunksTo(file, world, scope, options.vectors, ctx);
    return summary(written, file);
  },
});

/** Throws E006, E007, or E504 for a space the store does not know. */
async function scopeOf({ store }: World, ids: readonly string[], space: string | undefined): Promise<ExportScope> {
  const [{ resolveDocuments }, { listSpaces }] = await Promise.all([
    import('../ids.ts'),
    import('../../search/vector-index.ts'),
  ]);
  if (space !== undefined) {
    const spaces = (await listSpaces(store.db)).map(({ name }) => name);
    if (!spaces.includes(space)) {
      throw new TvdbError('E504', {
        message: `Unknown embedding space "${space}"`,
        why: spaces.length === 0 ? 'nothing is searchable yet' : `the spaces here are ${spaces.join(', ')}`,
        facts: { value: space, spaces, command: 'export' },
      });
    }
  }
  return {
    space,
    documentIds: ids.length === 0 ? undefined : await resolveDocuments(store.db, ids, { command: ['export'] }),
  };
}

function summary(written: Written, file: string | undefined): CommandResult {
  const spaces = [...written.spaces].sort();
  const mixed: Warning[] =
    spaces.length < 2
      ? []
      : [
          {
            code: 'TVDB-W305',
            message: `the export has vectors of ${spaces.length} spaces, which must not be compared: ${spaces.join(', ')} (--space)`,
          },
        ];
  return {
    data: {
      output: file ?? null,
      chunks: written.chunks,
      documents: written.documents.size,
      bytes: written.bytes,
      spaces,
    },
    warnings: mixed,
    ...(file !== undefined && {
      render: (page) =>
        page.line(
          `${plural(written.chunks, 'chunk')} of ${plural(written.documents.size, 'document')}, ${bytes(written.bytes)}, written to ${file}`,
        ),
      plain: () => [[file, written.chunks, written.documents.size, written.bytes]],
      quiet: () => [file],
    }),
    ...(written.chunks === 0 && { next: 'tvdb status' }),
  };
}
