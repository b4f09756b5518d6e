import { describe, expect, it } from 'vitest';
import { TvdbError } from '../../src/base/errors.ts';
import { isStoreFailure, storeError } from '../../src/store/store-error.ts';

const failed = (code: string) => storeError(Object.assign(new Error('by SQLite'), { code }));

describe('an error of SQLite', () => {
  it.each([
    ['SQLITE_FULL', 'E503', 'later'],
    ['SQLITE_IOERR', 'E503', 'later'],
    ['SQLITE_IOERR_READ', 'E503', 'later'],
    ['SQLITE_IOERR_SHORT_READ', 'E503', 'later'],
    ['SQLITE_IOERR_WRITE', 'E503', 'later'],
    ['SQLITE_IOERR_FSYNC', 'E503', 'later'],
    ['SQLITE_IOERR_TRUNCATE', 'E503', 'later'],
    ['SQLITE_IOERR_SHMOPEN', 'E503', 'later'],
    ['SQLITE_IOERR_SHMMAP', 'E503', 'later'],
    ['SQLITE_IOERR_CORRUPTFS', 'E502', 'never'],
    ['SQLITE_IOERR_DATA', 'E502', 'never'],
    ['SQLITE_CORRUPT_INDEX', 'E502', 'never'],
    ['SQLITE_BUSY_SNAPSHOT', 'E501', 'later'],
    ['SQLITE_CANTOPEN', 'E506', 'never'],
  ])('%s is %s, to be tried %s, and stops a worker instead of failing its job', (sqlite, code, kind) => {
    const error = failed(sqlite);
    expect(error).toMatchObject({ code, retry: { kind }, why: `SQLite says ${sqlite}` });
    expect(isStoreFailure(error)).toBe(true);
  });

  it('is left alone when it is about a statement', () => {
    expect(failed('SQLITE_CONSTRAINT_UNIQUE')).toBeNull();
    expect(failed('SQLITE_ERROR')).toBeNull();
    expect(storeError(new Error('no code'))).toBeNull();
  });
});

it('a storage that is full or cannot be used stops a worker as well; a bad document does not', () => {
  const isOne = (code: 'E104' | 'E503' | 'E409') => isStoreFailure(new TvdbError(code, { message: '' }));
  expect([isOne('E104'), isOne('E503'), isOne('E409')]).toEqual([true, true, false]);
});
