/** SQLite: the JavaScript of better-sqlite3, which the bundle holds, and its native part, which it cannot hold. */
import { createRequire } from 'node:module';
import Sqlite from 'better-sqlite3';
import { TvdbError } from '../base/errors.ts';

/**
 * Opens a database. Left to itself better-sqlite3 looks for its native part by way of two packages more; that search and the
 * 14 files it reads were 6 ms of every start. Throws E105 when the native part cannot be loaded.
 */
export function openSqlite(file: string, options: Sqlite.Options = {}): Sqlite.Database {
  // An object is taken as well as the path its types ask for.
  const database = new Sqlite(file, { ...options, nativeBinding: nativePart() as string });
  if (!process.version.startsWith('v20.')) keepWhatIsPrepared(database);
  return database;
}

/** What is never let go of. The driver has each text prepared once, so these are some hundred at most. */
const kept: unknown[] = [];

/**
 * Node from 24.19 on aborts the process when it collects an object of an addon made as better-sqlite3 12 is, a database or a
 * statement, while no JavaScript runs. Version 13 is free of that and needs Node 22, so as long as Node 20 is served nothing
 * is left to be collected. All statements of better-sqlite3 are made by the one method that is wrapped here, `pragma` and
 * `transaction` included.
 */
export function keepWhatIsPrepared(database: Sqlite.Database): void {
  kept.push(database);
  const [key] = Object.getOwnPropertySymbols(database);
  const native = (database as unknown as Record<symbol, { prepare(...asked: unknown[]): unknown }>)[key as symbol];
  if (native === undefined) return;
  const prepare = native.prepare.bind(native);
  native.prepare = (...asked) => {
    const statement = prepare(...asked);
    kept.push(statement);
    return statement;
  };
}

// The first answer of Node tells why; asked again it says something else.
let refused: TvdbError | undefined;

function nativePart(): unknown {
  if (refused !== undefined) throw refused;
  try {
    return createRequire(import.meta.url)('better-sqlite3/build/Release/better_sqlite3.node');
  } catch (error) {
    refused = nativePartError(error as NodeJS.ErrnoException);
    throw refused;
  }
}

/** What it means that Node did not load the native part: mostly that Node was changed since the installation. */
export function nativePartError(error: NodeJS.ErrnoException): TvdbError {
  const missing = error.code === 'MODULE_NOT_FOUND';
  const builtFor = /NODE_MODULE_VERSION (\d+)/.exec(error.message)?.[1];
  const isOther = builtFor !== undefined && builtFor !== process.versions.modules;
  return new TvdbError('E105', {
    message: missing
      ? 'The native part of better-sqlite3 is missing'
      : isOther
        ? `better-sqlite3 was built for another Node.js than this one (${process.version})`
        : 'The native part of better-sqlite3 cannot be loaded',
    why: missing
      ? 'it was not built when tvdb was installed'
      : isOther
        ? `it is made for module version ${builtFor}, this Node.js has ${process.versions.modules}`
        : error.message,
    fix: 'Run `npm rebuild better-sqlite3` where tvdb is installed, with the Node.js you use it with.',
    cause: error,
  });
}
