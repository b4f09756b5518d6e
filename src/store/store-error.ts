/** SQLite's errors in the words of tvdb; classified once, here, by SQLite's own result codes. */
import type { ErrorCode } from '../base/error-codes.ts';
import { TvdbError } from '../base/errors.ts';

const BAD_DISK = 'Check the disk and its free space; `tvdb doctor` looks closer.';

/** The first row that fits counts. */
const BY_PREFIX: readonly [prefix: string, code: ErrorCode, message: string, fix?: string][] = [
  ['SQLITE_BUSY', 'E501', 'The store is held by another process for too long'],
  ['SQLITE_LOCKED', 'E501', 'The store is held by another process for too long'],
  ['SQLITE_FULL', 'E503', 'The disk is full; nothing was half written'],
  ['SQLITE_IOERR_WRITE', 'E503', 'The store cannot be written; the disk may be full'],
  ['SQLITE_IOERR_FSYNC', 'E503', 'The store cannot be written to the disk'],
  ['SQLITE_IOERR_CORRUPTFS', 'E502', 'The file system under the store is damaged'],
  ['SQLITE_IOERR_DATA', 'E502', 'The store is damaged'],
  // Reading, locking, shared memory, truncation, ...: the store may be whole, but it cannot go on now.
  ['SQLITE_IOERR', 'E503', 'The store cannot be read or written; the disk may be full or failing', BAD_DISK],
  ['SQLITE_CORRUPT', 'E502', 'The store is damaged'],
  ['SQLITE_NOTADB', 'E502', 'The store file is not a database'],
  ['SQLITE_CANTOPEN', 'E506', 'The store cannot be opened'],
  ['SQLITE_READONLY', 'E506', 'The store cannot be written'],
  ['SQLITE_PERM', 'E506', 'The store cannot be opened'],
];

/** The `TvdbError` for an error of SQLite, or `null` when it is something else (a constraint, a bug). */
export function storeError(error: unknown): TvdbError | null {
  if (error instanceof TvdbError) return error;
  const code = (error as { code?: unknown } | null)?.code;
  if (typeof code !== 'string') return null;
  const row = BY_PREFIX.find(([prefix]) => code.startsWith(prefix));
  if (!row) return null;
  const retryable = row[1] === 'E501' || row[1] === 'E503';
  return new TvdbError(row[1], {
    message: row[2],
    ...(row[3] === undefined ? {} : { fix: row[3] }),
    why: `SQLite says ${code}`,
    retry: retryable ? { kind: 'later' } : { kind: 'never' },
    cause: error,
  });
}

/** Whether an error says that a unique constraint refused a row. */
export function isUniqueViolation(error: unknown): boolean {
  return (error as { code?: unknown } | null)?.code === 'SQLITE_CONSTRAINT_UNIQUE';
}

/** Whether an error says that a value broke a rule of its table. */
export function isCheckViolation(error: unknown): boolean {
  return (error as { code?: unknown } | null)?.code === 'SQLITE_CONSTRAINT_CHECK';
}

/** E104 and E503 also come from the files next to the database, E205 from the ledger in it: no other job would fare better. */
const STORE_FAILURES: readonly ErrorCode[] = ['E104', 'E205', 'E501', 'E502', 'E503', 'E506'];

/** Whether an error means that the store itself cannot go on; a worker stops then instead of failing jobs. */
export function isStoreFailure(error: unknown): boolean {
  return error instanceof TvdbError && STORE_FAILURES.includes(error.code);
}
