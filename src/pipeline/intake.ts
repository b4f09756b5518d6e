/** Takes in many documents at once: each is read and checked, refused ones do not stop the others, equal ones are found. */
import { setMaxListeners } from 'node:events';
import { stat, statfs } from 'node:fs/promises';
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
  /** Checked and found good, but its copy is gone again because the intake was stopped. */
  | { readonly state: 'dropped' }
  /** Not looked at, because another was refused and that was to end it, or because the intake was stopped. */
  | { readonly state: 'untried' };

export interface IntakeOptions {
  /** Documents in hand at a time. */
  concurrency: number;
  /** Take nothing more once one is refused. */
  failFast: boolean;
  /** Told after each document. */
  onTaken?: (done: number) => void;
  /** Bytes that are free where documents are stored, `null` when unknown. Asked once, before anything is copied. */
  freeBytes?: () => Promise<number | null>;
}

/** Room that a document takes: its bytes, its markdown, and its chunks, vectors and their index in the store. */
const ROOM_PER_BYTE = 3;
/** Room for the log of the store and for what other commands write meanwhile. */
const ROOM_APART = 50_000_000;

/** A source, or what is wrong with it already. */
export type IntakeSource = UploadSource | { kind: 'refused'; error: TvdbError };

/**
 * Stages every source, in any order, and returns what became of each, in the order of the sources. Once `signal` aborts,
 * nothing more is looked at and no document is `ready`. Throws whatever is no fault of a document (a full disk, E503
 * before the first copy when the room is foreseeably too small). No staged file is left behind in either case.
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
  // Every document in hand listens, here and in the pool; Node would warn of a leak at the eleventh.
  setMaxListeners(0, failure.signal, both);
  if (options.freeBytes !== undefined) await checkRoom(deps, sources, options.freeBytes);
  let next = 0;
  let done = 0;
  let refused = false;
  const takeSome = async () => {
    while (next < sources.length && !both.aborted && !(options.failFast && refused)) {
      const index = next;
      next += 1;
      const one = await takeOne(deps, sources[index] as IntakeSource, both);
      if (one === null) return;
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
    if (failure.signal.aborted) throw failure.signal.reason;
    return taken.map((one) => (one.state === 'ready' ? { state: 'dropped' } : one));
  }
  return findRepeats(taken);
}

/** Bytes that an ordinary process may still write to the file system of `path`; `null` when the system does not say. */
export async function freeBytesAt(path: string): Promise<number | null> {
  try {
    const { bavail, bsize } = await statfs(path);
    return bavail * bsize;
  } catch {
    return null;
  }
}

/** Throws E503 when the files that will be copied need more room than there is. Streams have no size yet. */
async function checkRoom(
  { settings }: UploadDeps,
  sources: readonly IntakeSource[],
  freeBytes: () => Promise<number | null>,
): Promise<void> {
  let bytes = 0;
  for (const source of sources) {
    const size = source.kind === 'file' ? await sizeOf(source.path) : 0;
    // Larger ones are refused before a byte of them is copied.
    if (size <= settings.MAX_FILE_MB * 1_000_000) bytes += size;
  }
  if (bytes === 0) return;
  const needed = bytes * ROOM_PER_BYTE + ROOM_APART;
  const free = await freeBytes();
  if (free === null || needed <= free) return;
  throw new TvdbError('E503', {
    message: 'The disk has too little room for these documents; nothing was copied or accepted',
    why: `${megabytes(bytes)} of documents need about ${megabytes(needed)}, and ${megabytes(free)} are free`,
    fix: 'Free space, upload fewer documents at a time, or set TVDB_HOME to a larger disk.',
    retry: { kind: 'later' },
    chargedNanoUsd: 0,
    facts: { bytes, needed_bytes: needed, free_bytes: free },
  });
}

/** Bytes of a regular file. What cannot be looked at, or is none, is refused with its own code when it is taken. */
async function sizeOf(path: string): Promise<number> {
  return stat(path).then(
    (file) => (file.isFile() ? file.size : 0),
    () => 0,
  );
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

/** Drops what was staged and will not be accepted. */
export async function discardAll(taken: readonly Taken[]): Promise<void> {
  await Promise.all(taken.map((one) => (one.state === 'ready' ? discardDocument(one.document) : undefined)));
}

/** `null` when it was stopped in the middle. */
async function takeOne(deps: UploadDeps, source: IntakeSource, signal: AbortSignal): Promise<Taken | null> {
  if (source.kind === 'refused') return { state: 'refused', error: source.error };
  const started = deps.clock.monotonic();
  try {
    const document = await stageDocument(deps, source, signal);
    return { state: 'ready', document, ms: deps.clock.monotonic() - started };
  } catch (thrown) {
    if (signal.aborted) return null;
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
