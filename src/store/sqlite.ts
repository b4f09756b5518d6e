/** SQLite: the JavaScript of better-sqlite3, which the bundle holds, and its native part, which it cannot hold. */
import { createRequire } from 'node:module';
import Sqlite from 'better-sqlite3';

/**
 * Opens a database. Left to itself better-sqlite3 looks for its native part by way of two packages more; that search and the
 * 14 files it reads were 6 ms of every start. Throws what Node says when the native part is missing or made for another Node.
 */
export function openSqlite(file: string, options: Sqlite.Options = {}): Sqlite.Database {
  const addon = createRequire(import.meta.url)('better-sqlite3/build/Release/better_sqlite3.node');
  // An object is taken as well as the path its types ask for.
  return new Sqlite(file, { ...options, nativeBinding: addon as string });
}
