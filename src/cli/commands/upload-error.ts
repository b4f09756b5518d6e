/** The error an upload ends with: one document's own, several under one header, or a fallback that was not wanted. */
import { basename } from 'node:path';
import { ERROR_CODES, EXIT } from '../../base/error-codes.ts';
import { type StoredError, TvdbError } from '../../base/errors.ts';
import { shortId } from '../../base/ids.ts';
import { SERVICES } from '../../domain/service-mode.ts';
import type { JobOutcome } from '../../pipeline/job-outcome.ts';
import { decisionOf } from '../../pipeline/route.ts';
import type { ExitCode } from '../command.ts';
import { plural } from '../ui/format.ts';
import type { Annotation } from '../ui/github.ts';
import { routeReason } from './route-text.ts';
import {
  badOnes,
  codeOf,
  type DocumentResult,
  degradedOnes,
  redoCommand,
  resumeCommand,
  type UploadAnswer,
} from './upload-result.ts';
import { waitsForMoney } from './upload-waits.ts';

/** The error an exit code is explained with; `undefined` when nothing went wrong. */
export function errorOf(answer: UploadAnswer, exit: ExitCode): TvdbError | undefined {
  if (answer.failure !== undefined) return answer.failure;
  if (exit === EXIT.gate) return fallbackRefused(answer);
  if (exit === EXIT.budget && (answer.refusedMoney?.size ?? 0) > 0) return waitsForMoney(answer);
  const { failed, cancelled } = badOnes(answer.documents);
  const [first] = [...failed, ...cancelled];
  if (first === undefined) return undefined;
  const resume = answer.runId === null ? undefined : resumeCommand(answer.runId);
  return answer.documents.length === 1 ? singleError(first, resume) : groupedError(answer, resume);
}

/**
 * E305: a stand-in is, or was, in place of a service and `--on-fallback fail` was given. Without documents nothing was
 * accepted; with them the ones that fell back are marked, and what was real is kept.
 */
export function fallbackRefused({
  decision,
  documents,
  runId,
}: Pick<UploadAnswer, 'decision' | 'documents' | 'runId'>): TvdbError {
  const decisions = [decision, ...degradedOnes(documents).map(({ outcome }) => decisionOf(outcome.maker))];
  const routes = SERVICES.flatMap((service) => {
    const route = decisions.map(({ services }) => services[service]).find(({ fallback }) => fallback);
    return route === undefined ? [] : [{ service, why: routeReason(route, service) }];
  });
  const names = routes.map(({ service }) => service);
  const reasons = routes.map(({ service, why }) => `${service}: ${why}`).join('; ');
  const started = documents.length > 0;
  const paid = documents.some(({ outcome }) => outcome?.uses.some(({ origin }) => origin === 'real'));
  return new TvdbError('E305', {
    message: `Mode ${decision.mode} fell back to mock${names.length === 0 ? '' : ` for ${names.join(' and ')}`}, and --on-fallback fail was given`,
    why: `${reasons}${reasons === '' ? '' : '; '}${started ? 'the documents are processed and marked as fallen back' : 'nothing was accepted'}`,
    fix: started
      ? 'When the services can be used, redo what fell back:'
      : 'Mend the cause, or leave --on-fallback out.',
    commands: started && runId !== null ? [redoCommand(runId)] : [],
    ...(!paid && { chargedNanoUsd: 0 }),
    facts: { services: names },
  });
}

function singleError({ shown, error, outcome }: DocumentResult, resume: string | undefined): TvdbError {
  const code = error === null ? null : codeOf(error);
  if (error === null) {
    const message = `${shown} was ${outcome?.document === undefined ? 'deleted' : 'cancelled'} meanwhile`;
    return new TvdbError('E401', { message, fix: UPLOAD_AGAIN, facts: { path: shown } });
  }
  if (code === null) {
    // Written by another version of tvdb.
    return new TvdbError('E401', { message: `${shown}: ${error.message}`, fix: error.fix, facts: { path: shown } });
  }
  const job = outcome?.job;
  const upstream = outcome?.steps.findLast(({ upstreamId }) => upstreamId !== null)?.upstreamId ?? undefined;
  return new TvdbError(code, {
    message: error.message.includes(basename(shown)) ? error.message : `${shown}: ${error.message}`,
    ...(error.why !== null && { why: error.why }),
    fix: job === undefined ? error.fix : error.fix.replaceAll('<id>', shortId(job.job_id)),
    commands: error.retryable && job !== undefined && resume !== undefined ? [resume] : [],
    retry: { kind: error.retryable ? 'later' : 'never' },
    ...chargedOf(outcome),
    facts: {
      path: shown,
      ...(job !== undefined && { job_id: job.job_id, correlation_id: job.correlation_id }),
      ...(upstream !== undefined && { upstream_id: upstream }),
    },
  });
}

/** What a failed document cost, where a paid service was near. */
function chargedOf(outcome: JobOutcome | null): { chargedNanoUsd?: number | null } {
  if (outcome === null) return {};
  if (outcome.uses.some(({ origin }) => origin === 'real')) return { chargedNanoUsd: outcome.spentNanoUsd };
  return outcome.job.parse_origin === 'real' || outcome.job.embed_origin === 'real' ? { chargedNanoUsd: 0 } : {};
}

const UPLOAD_AGAIN = 'Upload again what is still wanted.';

/** Failures listed one by one; the rest is in the JSON answer and in `tvdb status --failed`. */
const LISTED = 20;

/** What was cancelled is counted, but not listed: the answer has it, and it has no code to look up. */
function groupedError({ documents }: UploadAnswer, resume: string | undefined): TvdbError {
  const { failed, cancelled } = badOnes(documents);
  const stopped = cancelledText(cancelled);
  const all = plural(documents.length, 'document');
  if (failed.length === 0) {
    return new TvdbError('E401', { message: `Of ${all}, ${stopped}`, fix: UPLOAD_AGAIN });
  }
  const byCode = [...failed].sort((a, b) => (a.error?.code ?? '').localeCompare(b.error?.code ?? ''));
  const items = byCode
    .slice(0, LISTED)
    .map(({ shown, status, error }) => ({ name: shown, reason: error === null ? status : reasonText(error) }));
  if (byCode.length > LISTED) items.push({ name: `... ${byCode.length - LISTED} more`, reason: 'all of them: --json' });
  const retryable = failed.some(({ error, outcome }) => outcome !== null && error?.retryable === true);
  const verb = failed.every(({ outcome }) => outcome === null) ? 'accepted' : 'accepted or processed';
  return new TvdbError('E401', {
    message: `${failed.length} of ${all} could not be ${verb}${stopped === '' ? '' : `; ${stopped}`}`,
    ...(retryable && resume !== undefined && { fix: '', commands: [resume] }),
    facts: { items },
  });
}

/** `2 were cancelled, 1 was deleted meanwhile`; an empty text for none. */
function cancelledText(cancelled: readonly DocumentResult[]): string {
  const deleted = cancelled.filter(({ outcome }) => outcome?.document === undefined).length;
  const parts = [
    [cancelled.length - deleted, 'cancelled'],
    [deleted, 'deleted'],
  ] as const;
  const texts = parts.flatMap(([number, word]) =>
    number === 0 ? [] : [`${number} ${number === 1 ? 'was' : 'were'} ${word}`],
  );
  return texts.length === 0 ? '' : `${texts.join(', ')} meanwhile`;
}

/** `TVDB-E404 The PDF is encrypted and needs a password`: what a list has room for. */
export function reasonText(error: StoredError): string {
  const code = codeOf(error);
  return `${error.code}  ${code === null ? error.message : ERROR_CODES[code].title}${error.why === null ? '' : `: ${error.why}`}`;
}

/** One annotation for each document that failed; first what ended the upload, if that is none of them. */
export function annotationsOf({ documents, failure }: UploadAnswer, error: TvdbError): Annotation[] {
  const { failed } = badOnes(documents);
  const each = failed.flatMap(({ shown, error: one }) =>
    one === null ? [] : [{ title: `${one.code} ${one.category}`, message: `${shown}: ${one.message}` }],
  );
  const own = { title: `${error.label} ${error.category}`, message: error.message };
  return failure !== undefined || each.length === 0 ? [own, ...each] : each;
}
