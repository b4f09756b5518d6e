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
  return new Sqlite(file, { ...options, nativeBinding: nativePart() as string });
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
