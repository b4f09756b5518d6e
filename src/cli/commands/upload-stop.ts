/** An upload that ends before its time: who ended it, what it had done by then, and how to say so. */
import type { ErrorFacts } from '../../base/errors.ts';
import { asTvdbError, TvdbError } from '../../base/errors.ts';
import type { CommandContext, ExitCode } from '../command.ts';
import { type Interrupt, type StopCause, stopCode } from '../interrupt.ts';
import { count, plural } from '../ui/format.ts';
import { type DocumentResult, type ExitRules, exitOf, totalsOf, type UploadAnswer } from './upload-result.ts';

export interface Uploaded {
  readonly answer: UploadAnswer;
  readonly exitCode: ExitCode;
}

/** An answer with the exit code it comes to. A reader that went away did not want to wait for what is in the queue. */
export function endOf(answer: UploadAnswer, rules: ExitRules, ctx: CommandContext): Uploaded {
  const pendingCounts = rules.pendingCounts && stopCauseOf(ctx.interrupt) !== 'closed-pipe';
  return { answer, exitCode: interruptedCode(ctx) ?? exitOf(answer, { ...rules, pendingCounts }) };
}

/** What asked to stop; `null` as long as nothing did. */
export function stopCauseOf({ stopping }: Interrupt): StopCause | null {
  const reason = stopping.reason as { facts?: { cause?: StopCause } } | undefined;
  return stopping.aborted ? (reason?.facts?.cause ?? null) : null;
}

/** The exit code of an interrupted command, for the record of its run; `null` when no person or system interrupted it. */
export function interruptedCode({ interrupt }: Pick<CommandContext, 'interrupt'>): ExitCode | null {
  return stopCode(stopCauseOf(interrupt));
}

/** E012 for an upload that was stopped before it accepted anything: after `checked` of `found` files, if those are known. */
export function stoppedBefore({ stopping }: Interrupt, checked = 0, found: number | null = null): TvdbError {
  const { message, facts } = asTvdbError(stopping.reason);
  const after =
    found === null
      ? ' while files were looked for'
      : ` after ${count(checked)} of ${plural(found, 'file')} ${found === 1 ? 'was' : 'were'} checked`;
  return new TvdbError('E012', {
    message: `${message}${after}; nothing was accepted, nothing was charged`,
    fix: 'Run the same command again.',
    chargedNanoUsd: 0,
    facts: { ...facts, checked, found },
  });
}

/** The error that ended an upload, saying what had been accepted by then and how that goes on. */
export function cutShort(thrown: unknown, documents: readonly DocumentResult[]): TvdbError {
  const error = asTvdbError(thrown);
  const totals = totalsOf(documents);
  const accepted = documents.length - totals.rejected - totals.not_accepted;
  const verbs = accepted === 1 ? 'was accepted and is kept' : 'were accepted and are kept';
  const kept =
    accepted === 0
      ? 'no document was accepted'
      : `${count(accepted)} of ${plural(documents.length, 'document')} ${verbs}`;
  return changed(error, {
    message: `${error.message}; ${kept}`,
    ...(totals.accepted + totals.parked > 0 && { commands: ['tvdb run'] }),
    facts: { ...error.facts, accepted, documents: documents.length },
  });
}

/** The same error with some of its words changed. */
function changed(error: TvdbError, facts: ErrorFacts): TvdbError {
  const { why, fix, commands, retry, chargedNanoUsd } = error;
  return new TvdbError(error.code, {
    ...(why !== undefined && { why }),
    fix,
    commands,
    retry,
    ...(chargedNanoUsd !== undefined && { chargedNanoUsd }),
    cause: error,
    ...facts,
  });
}
