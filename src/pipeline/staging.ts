/**
 * The first step of an upload: bytes into a temp file, type and pages checked. Nothing else is touched, so that what a
 * whole upload would cost is known before its first job exists.
 */
import { basename } from 'node:path';
import { TvdbError } from '../base/errors.ts';
import { reach } from '../base/fault.ts';
import { displayName } from '../domain/file-name.ts';
import { sniff } from '../domain/file-type.ts';
import type { PdfPool } from '../services/pdf/pool.ts';
import { discard, type StagedFile, stageFile, stageStream } from '../storage/intake.ts';
import type { PipelineDeps } from './stage.ts';

export interface UploadDeps extends PipelineDeps {
  userId: string;
  /** Counts pages in a child process. */
  inspector: Pick<PdfPool, 'inspect'>;
}

export type UploadSource =
  | { kind: 'file' /** Absolute path. */; path: string }
  | { kind: 'stream'; stream: AsyncIterable<Buffer>; filename: string };

/** A document that passed every check and waits in a temp file. */
export interface StagedDocument {
  staged: StagedFile;
  filename: string;
  sourcePath: string | null;
  mime: string;
  ext: string;
  pages: number;
}

/**
 * Reads and checks one document. Throws E402–E415 (see `base/error-codes.ts`) and leaves nothing behind then.
 */
export async function stageDocument(
  deps: UploadDeps,
  source: UploadSource,
  signal: AbortSignal,
): Promise<StagedDocument> {
  const { storage, settings, ids } = deps;
  const limits = { maxBytes: settings.MAX_FILE_MB * 1_000_000 };
  const name = source.kind === 'file' ? source.path : source.filename;
  const staged =
    source.kind === 'file'
      ? await stageFile(storage, source.path, ids.uuid(), limits)
      : await stageStream(storage, source.stream, source.filename, ids.uuid(), limits);
  reach('upload.bytes_staged');
  try {
    const type = sniff(staged.head);
    if (type.kind !== 'pdf') {
      throw new TvdbError('E402', {
        message: `${name} is not a PDF`,
        why: `its content looks like ${type.label}`,
        facts: { detected: type.kind },
      });
    }
    const { pages } = await deps.inspector.inspect(staged.path, signal);
    if (pages > settings.MAX_PAGES) {
      throw new TvdbError('E407', {
        message: `${name} has ${pages} pages, at most ${settings.MAX_PAGES} are accepted`,
        facts: { pages, max_pages: settings.MAX_PAGES },
      });
    }
    return {
      staged,
      filename: displayName(basename(name)),
      sourcePath: source.kind === 'file' ? source.path : null,
      mime: type.mime,
      ext: type.ext,
      pages,
    };
  } catch (error) {
    await discard(staged);
    throw error;
  }
}

/** Drops a staged document that will not be accepted. */
export async function discardDocument(document: StagedDocument): Promise<void> {
  await discard(document.staged);
}
