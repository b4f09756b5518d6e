/** The native part of SQLite belongs to one version of Node: another one is told what to do, not that tvdb has a bug. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, it } from 'vitest';
import { keepWhatIsPrepared, nativePartError, openSqlite } from '../../src/store/sqlite.ts';

const failed = (code: string, message: string) => nativePartError(Object.assign(new Error(message), { code }));

it('says which Node a native part was built for, and how to build it anew', () => {
  const other = failed(
    'ERR_DLOPEN_FAILED',
    "The module 'x.node'\nwas compiled against a different Node.js version using\nNODE_MODULE_VERSION 42. This version of Node.js requires",
  );
  expect(other).toMatchObject({
    code: 'E105',
    exit: 4,
    message: `better-sqlite3 was built for another Node.js than this one (${process.version})`,
    why: `it is made for module version 42, this Node.js has ${process.versions.modules}`,
    fix: expect.stringContaining('npm rebuild better-sqlite3'),
  });
});

it('says that a native part is missing, and gives the words of the system for the rest', () => {
  expect(failed('MODULE_NOT_FOUND', 'Cannot find module')).toMatchObject({
    message: 'The native part of better-sqlite3 is missing',
    why: 'it was not built when tvdb was installed',
  });
  expect(failed('ERR_DLOPEN_FAILED', 'x.node: file too short')).toMatchObject({
    message: 'The native part of better-sqlite3 cannot be loaded',
    why: 'x.node: file too short',
  });
});

it('keeps what is prepared from being collected, which some versions of Node do not survive', async () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const prepared = (keeps: boolean) => {
    const database = openSqlite(':memory:');
    if (keeps) keepWhatIsPrepared(database);
    return new WeakRef(database.prepare('SELECT 1'));
  };
  const [kept, lost] = [prepared(true), prepared(false)];
  // What a WeakRef was made of lives on until the task that made it has ended.
  await new Promise((resolve) => setImmediate(resolve));
  collect();
  expect(kept.deref()).toBeDefined();
  if (process.version.startsWith('v20.')) expect(lost.deref()).toBeUndefined();
});
