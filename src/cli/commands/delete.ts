/** `tvdb delete`: removes documents and everything made of them, for good. */
import { TvdbError } from '../../base/errors.ts';
import { shortId } from '../../base/ids.ts';
import type { World } from '../../world.ts';
import { type CommandContext, type CommandResult, defineCommand } from '../command.ts';
import { plural } from '../ui/format.ts';
import { type DeletedLine, deleteResult } from './delete-view.ts';

/** Documents named in the question. */
const NAMED = 5;

export const deleteCommand = defineCommand({
  name: 'delete',
  summary: 'remove documents and everything made of them',
  description:
    'Removes the stored file, the markdown, chunks and vectors, and rewrites the store file so that nothing of them can be read in it. ' +
    'Live jobs are cancelled first. What was done stays on record without names and text. The file it was uploaded from is not touched.',
  args: [{ name: 'document', summary: 'document id, or its first 4 or more characters', value: 'id', repeat: true }],
  options: [{ name: 'yes', short: 'y', summary: 'do not ask', common: true }],
  examples: [
    ['tvdb delete 9b1c7e02', 'one document, after asking'],
    ['tvdb delete 9b1c7e02 51ce90aa --yes', 'two, from a script'],
  ],
  needs: 'world',
  exitCodes: [
    0,
    [2, 'unknown id, or nobody can be asked and --yes is missing'],
    [4, 'a stored file cannot be removed'],
    6,
  ],
  json: 'tvdb.delete/v1',
  ndjson: false,
  async handler({ args, options }, ctx) {
    const world = await ctx.openWorld();
    const targets = new Map<string, string | null>();
    for (const typed of args.document) targets.set(...(await target(world, typed)));
    if (!options.yes && !(await ctx.ui.confirm(question(targets), { flag: '--yes', why: 'it cannot be undone' }))) {
      return deleteResult([], null);
    }
    return erase(world, ctx, targets);
  },
});

function question(targets: ReadonlyMap<string, string | null>): string {
  const names = [...targets]
    .slice(0, NAMED)
    .map(([id, filename]) => `${shortId(id)} ${filename ?? '(deleted already)'}`);
  const more = targets.size > NAMED ? `, and ${targets.size - NAMED} more` : '';
  return `Delete ${plural(targets.size, 'document')} for good: ${names.join(', ')}${more}?`;
}

/** Id and name of a document; the name is `null` for one whose deletion may have left files. Throws E006 or E007. */
async function target({ store }: World, typed: string): Promise<[id: string, filename: string | null]> {
  const [{ matchIds }, { documentById }, { deletedDocumentIds }, { resolveId }, { jobIdsOf }] = await Promise.all([
    import('../../store/jobs/find.ts'),
    import('../../store/documents.ts'),
    import('../../store/jobs/forget.ts'),
    import('../ids.ts'),
    import('../../store/jobs/of-id.ts'),
  ]);
  if ((await matchIds(store.db, typed, ['document'])).length === 0) {
    const [deleted, ...others] = await deletedDocumentIds(store.db, typed, 2);
    if (deleted !== undefined && others.length === 0) return [deleted, null];
    // Whoever gives the id of a job is told the document: deleting by a job would surprise where several share one.
    const [job] = await matchIds(store.db, typed, ['job', 'correlation'], 1);
    const [jobId] = job === undefined ? [] : await jobIdsOf(store.db, job);
    if (jobId !== undefined) throw await jobGiven(store.db, typed, jobId);
  }
  const { id } = await resolveId(store.db, typed, ['document'], { command: ['delete'] });
  return [id, (await documentById(store.db, id))?.filename ?? null];
}

async function jobGiven(db: World['store']['db'], typed: string, jobId: string): Promise<TvdbError> {
  const { jobById } = await import('../../store/jobs/find.ts');
  const documentId = (await jobById(db, jobId))?.document_id ?? '';
  return new TvdbError('E006', {
    message: `"${typed}" is a job; delete takes documents`,
    fix: '',
    commands: [`tvdb delete ${shortId(documentId)}`],
    facts: { value: typed, command: 'delete', job_id: jobId, document_id: documentId },
  });
}

async function erase(
  { store, pipeline }: World,
  { interrupt }: CommandContext,
  targets: ReadonlyMap<string, string | null>,
): Promise<CommandResult> {
  const [{ deleteDocument }, { purgeRemains }] = await Promise.all([
    import('../../pipeline/delete.ts'),
    import('../../store/purge.ts'),
  ]);
  const lines: DeletedLine[] = [];
  try {
    for (const [documentId, filename] of targets) {
      if (interrupt.stopping.aborted) break;
      const deleted = await deleteDocument(pipeline, documentId, () => {}, interrupt.abort);
      if (deleted !== undefined) lines.push({ ...deleted, filename });
    }
  } catch (error) {
    // What was deleted before the failure must not stay readable.
    purgeRemains(store);
    throw error;
  }
  return deleteResult(lines, lines.length === 0 ? null : purgeRemains(store));
}
