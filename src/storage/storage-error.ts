/** The file system's errors in the words of tvdb; classified once, here, by the system's own error codes. */
import { constants } from 'node:os';
import { TvdbError } from '../base/errors.ts';

interface Trouble {
  message: string;
  fix?: string;
}

const FULL: Trouble = { message: 'The disk is full' };

/** What passes once the system has room again, or is whole again. */
const RESOURCES: Readonly<Record<string, Trouble>> = {
  ENOSPC: FULL,
  EDQUOT: { message: 'The disk quota is used up' },
  EFBIG: {
    message: 'The system lets this process write no file as large as this',
    fix: 'Raise the limit (`ulimit -f`), then `tvdb run` continues.',
  },
  EIO: {
    message: 'The disk reports an error',
    fix: 'Check the disk and its cables; `tvdb doctor` shows what is damaged.',
  },
  EMFILE: {
    message: 'This process has too many files open',
    fix: 'Raise the limit (`ulimit -n`) or lower --concurrency, then `tvdb run` continues.',
  },
  ENFILE: { message: 'The system has too many files open', fix: 'Close other programs, then `tvdb run` continues.' },
};

/** What says that the directories are not, or no longer, as storage makes them. */
const UNUSABLE = new Set(['EACCES', 'EPERM', 'EROFS', 'ENOTDIR', 'ELOOP', 'EISDIR', 'ENOENT', 'EXDEV']);

/**
 * The `TvdbError` for an error of the file system about `path`: E503 when room or handles ran out or the disk failed,
 * E104 when a path cannot be used. `null` when it is something else (a bug).
 */
export function storageError(error: unknown, path: string): TvdbError | null {
  if (error instanceof TvdbError) return error;
  const code = systemCode(error);
  if (code === null) return null;
  const trouble = Object.hasOwn(RESOURCES, code) ? RESOURCES[code] : undefined;
  if (trouble !== undefined) {
    return new TvdbError('E503', {
      ...trouble,
      why: `${path} cannot be written; the system says ${code}`,
      retry: { kind: 'later' },
      cause: error,
    });
  }
  return UNUSABLE.has(code) ? unusable(path, `the system says ${code}`, error) : null;
}

/** E104 about one path of the storage. */
export function unusable(path: string, why: string, cause?: unknown): TvdbError {
  return new TvdbError('E104', {
    message: `${path} cannot be used`,
    why,
    retry: { kind: 'later' },
    ...(cause === undefined ? {} : { cause }),
  });
}

/** Does `work` on `path`; what the file system refuses is thrown as a `TvdbError`. */
export async function onDisk<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw storageError(error, path) ?? error;
  }
}

/** libuv has no name for EDQUOT (Node.js 20 says "Unknown system error -122"), so that one goes by its number. */
function systemCode(error: unknown): string | null {
  const { code, errno } = (error ?? {}) as { code?: unknown; errno?: unknown };
  if (typeof errno === 'number' && Math.abs(errno) === constants.errno.EDQUOT) return 'EDQUOT';
  return typeof code === 'string' ? code : null;
}
