/** `delete` on a screen, in a pipe and as JSON. */
import { shortId } from '../../base/ids.ts';
import type { Deleted } from '../../pipeline/delete.ts';
import type { CommandResult } from '../command.ts';
import { plural } from '../ui/format.ts';
import { accent, dim } from '../ui/text.ts';
import type { Warning } from '../ui/ui.ts';

/** A document and the name it had; `null` when it was deleted before. */
export type DeletedLine = Deleted & { readonly filename: string | null };

/** The whole answer of the command; `remains` says why something may still be readable in the store file. */
export function deleteResult(lines: readonly DeletedLine[], remains: string | null): CommandResult {
  const warnings: Warning[] =
    remains === null
      ? []
      : [
          {
            code: 'TVDB-W507',
            message: `Deleted text may still be readable in unused parts of the store file: ${remains}. The same command again tries to remove it.`,
          },
        ];
  return {
    data: {
      documents: lines.map(({ documentId, state, chunks, vectors, parses, cancelled }) => ({
        document_id: documentId,
        outcome: state,
        chunks,
        vectors,
        parses,
        cancelled_job_ids: cancelled.map(({ job_id: id }) => id),
      })),
      totals: { documents: lines.length },
      purged: lines.length === 0 ? null : remains === null,
    },
    warnings,
    render: (page) => {
      if (lines.length === 0) page.line('Nothing was deleted');
      for (const { documentId, state, filename, chunks, cancelled } of lines) {
        const stopped = cancelled.length === 0 ? '' : `, ${plural(cancelled.length, 'job')} cancelled`;
        const remark = state === 'deleted' ? `deleted: ${plural(chunks, 'chunk')}${stopped}` : 'was deleted already';
        page.status(
          state === 'deleted' ? 'ok' : 'skip',
          accent(shortId(documentId)),
          '  ',
          filename ?? dim('deleted'),
          `   ${remark}`,
        );
      }
    },
    plain: () => lines.map(({ documentId, state, chunks }) => [documentId, state, String(chunks)]),
    quiet: () => lines.map(({ documentId }) => documentId),
  };
}
