/** The answer of `upload`: its outcome for people, pipes and programs, and what comes next. */
import { shortId } from '../../base/ids.ts';
import type { CommandContext, CommandResult } from '../command.ts';
import { annotationsOf, errorOf } from './upload-error.ts';
import { uploadJson } from './upload-json.ts';
import type { UploadAnswer } from './upload-result.ts';
import { stopCauseOf, type Uploaded } from './upload-stop.ts';
import { closingLine, degradedWarnings, documentRow, parkedWarnings, uploadPage } from './upload-view.ts';

/** What `upload` answers, in every format. */
export function uploadResult({ answer, exitCode }: Uploaded, { ui, clock, interrupt }: CommandContext): CommandResult {
  const error = errorOf(answer, exitCode);
  const some = answer.documents.length > 1;
  // Nobody reads the answer any more, and that some documents have no job must not go unsaid.
  const unread =
    stopCauseOf(interrupt) === 'closed-pipe' && answer.documents.some(({ status }) => status === 'not_accepted');
  if ((ui.format === 'plain' && some) || unread) ui.note((page) => page.line(closingLine(answer)));
  const next = nextStep(answer);
  return {
    exitCode,
    data: uploadJson(answer),
    warnings: [...degradedWarnings(answer, ui), ...parkedWarnings(answer, ui, clock.now())],
    ...(error !== undefined && { error, annotations: annotationsOf(answer, error) }),
    render: (page) => uploadPage(page, answer, ui, clock.now()),
    plain: () => answer.documents.map(documentRow),
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
