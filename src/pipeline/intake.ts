/** Takes in many documents at once: each is read and checked, refused ones do not stop the others, equal ones are found. */
import { asTvdbError, TvdbError } from '../base/errors.ts';
import type { RouterDecision } from '../services/router.ts';
import { documentBySha } from '../store/documents.ts';
import { finishedJob } from '../store/jobs/find.ts';
import { discardDocument, type StagedDocument, stageDocument, type UploadDeps, type UploadSource } from './staging.ts';
import { configKey } from './upload.ts';

/** What became of one source. */
export type Taken =
  | { readonly state: 'ready'; readonly document: StagedDocument; readonly ms: number }
  /** The same bytes as an earlier source, given by its index; its own copy is gone again. */
  | { readonly state: 'repeat'; readonly of: number }
  | { readonly state: 'refused'; readonly error: TvdbError }
  /** Not looked at, because another was refused and that was to end it. */
  | { readonly state: 'untried' };

export interface IntakeOptions {
  /** Documents in hand at a time. */
  concurrency: number;
  /** Take nothing more once one is refused. */
  failFast: boolean;
  /** Told after each document. */
  onTaken?: (done: number) => void;
}

/** A source, or what is wrong with it already. */
export type IntakeSource = UploadSource | { kind: 'refused'; error: TvdbError };

/**
 * Stages every source, in any order, and returns what became of each, in the order of the sources. Throws the reason of
 * `signal`, and whatever is no fault of a document (a full disk); no staged file is left behind then.
 */
export async function takeIn(
  deps: UploadDeps,
  sources: readonly IntakeSource[],
  options: IntakeOptions,
  signal: AbortSignal,
): Promise<Taken[]> {
  const taken: Taken[] = sources.map(() => ({ state: 'untried' }));
  const failure = new AbortController();
  const both = AbortSignal.any([signal, failure.signal]);
  let next = 0;
  let done = 0;
  let refused = false;
  const takeSome = async () => {
    while (next < sources.length && !both.aborted && !(options.failFast && refused)) {
      const index = next;
      next += 1;
      const one = await takeOne(deps, sources[index] as IntakeSource, both);
      taken[index] = one;
      refused ||= one.state === 'refused';
      done += 1;
      options.onTaken?.(done);
    }
  };
  const hands = Array.from({ length: Math.min(options.concurrency, sources.length) }, () =>
    takeSome().catch((error: unknown) => failure.abort(error)),
  );
  await Promise.all(hands);
  if (both.aborted) {
    await discardAll(taken);
    throw both.reason;
  }
  return findRepeats(taken);
}

/** Drops what was staged and will not be accepted. */
export async function discardAll(taken: readonly Taken[]): Promise<void> {
  await Promise.all(taken.map((one) => (one.state === 'ready' ? discardDocument(one.document) : undefined)));
}

async function takeOne(deps: UploadDeps, source: IntakeSource, signal: AbortSignal): Promise<Taken> {
  if (source.kind === 'refused') return { state: 'refused', error: source.error };
  const started = deps.clock.monotonic();
  try {
    const document = await stageDocument(deps, source, signal);
    return { state: 'ready', document, ms: deps.clock.monotonic() - started };
  } catch (thrown) {
    signal.throwIfAborted();
    const code = (thrown as NodeJS.ErrnoException).code;
    if (code === 'ENOSPC' || code === 'EDQUOT') {
      throw new TvdbError('E503', {
        message: 'The disk is full',
        why: 'a document could not be copied into the store',
        cause: thrown,
      });
    }
    const error = asTvdbError(thrown);
    if (error.category !== 'data') throw error;
    return { state: 'refused', error };
  }
}

async function findRepeats(taken: readonly Taken[]): Promise<Taken[]> {
  const first = new Map<string, number>();
  const result: Taken[] = [];
  for (const [index, one] of taken.entries()) {
    const of = one.state === 'ready' ? first.get(one.document.staged.sha256) : undefined;
    if (one.state !== 'ready' || of === undefined) {
      if (one.state === 'ready') first.set(one.document.staged.sha256, index);
      result.push(one);
    } else {
      await discardDocument(one.document);
      result.push({ state: 'repeat', of });
    }
  }
  return result;
}

/** Whether accepting the document now would find its work done: complete under this configuration and still searchable. */
export async function isDone(deps: UploadDeps, { staged }: StagedDocument, decision: RouterDecision): Promise<boolean> {
  const { store, userId } = deps;
  const document = await documentBySha(store.db, userId, staged.sha256);
  if (document === undefined) return false;
  const key = { userId, documentId: document.document_id, configKey: await configKey(deps, decision) };
  return (await finishedJob(store.db, key)) !== undefined;
}
