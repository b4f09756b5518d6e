/** Opens the store: one SQLite file, checked and set up the same way on every connection. */
import {
  chmodSync,
  closeSync,
  existsSync,
  lstatSync,
  mkdirSync,
  openSync,
  type Stats,
  statfsSync,
  statSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import type BetterSqlite from 'better-sqlite3';
import { Kysely, type Transaction } from 'kysely';
import { type Clock, systemClock } from '../base/clock.ts';
import { TvdbError } from '../base/errors.ts';
import type { Scrub } from '../base/scrub.ts';
import { immediateDialect, SqliteConnection } from './driver.ts';
import { migrate } from './migrate.ts';
import type { Database } from './schema.ts';
import { scrubbed } from './scrubbed.ts';
import { openSqlite } from './sqlite.ts';
import { withStatements } from './statement.ts';
import { storeError } from './store-error.ts';

/** A transaction: what functions that must not run outside one ask for. */
export type Trx = Transaction<Database>;
/** Either the store or a transaction on it: what functions that only read ask for. */
export type Db = Kysely<Database>;

export interface Store {
  readonly db: Db;
  /**
   * Runs `work` in one IMMEDIATE transaction and commits, or rolls everything back when it throws. Inside, await only
   * queries on `trx`: the outer `db` waits for this transaction to end, so touching it deadlocks.
   */
  write<T>(work: (trx: Trx) => Promise<T>): Promise<T>;
  /**
   * The same for what may be lost in a power cut, though never in the death of this process: limits, samples, leases. It
   * does not wait for the disk. A later `write` makes it durable as well, in order.
   */
  writeRelaxed<T>(work: (trx: Trx) => Promise<T>): Promise<T>;
  /** Loads the vector functions of SQLite; needed before a search. */
  loadVectorExtension(): Promise<void>;
  /** The SQLite handle, for backups and the checks of `doctor`. */
  readonly sqlite: BetterSqlite.Database;
  close(): Promise<void>;
}

export interface OpenOptions {
  /** Home directory; made (0700) when missing. */
  home: string;
  clock?: Clock;
  /** How long one statement may block the event loop waiting for a lock. At most 1 s where a listener runs. */
  busyTimeoutMs?: number;
  /** Takes secrets out of everything that is kept in words; absent where nothing of a service is written. */
  scrub?: Scrub;
}

export const STORE_FILE = 'tvdb.sqlite';

/** SQLite below this can corrupt a WAL database used by several connections. */
const LEAST_SQLITE = [3, 51, 3] as const;

/**
 * Magic numbers of statfs(2) for file systems whose locks cannot be trusted: WAL needs shared memory on one host. FUSE is
 * among them because its number does not tell sshfs and the folders of virtual machines from a local one.
 */
const NETWORK_FILE_SYSTEMS: ReadonlyMap<number, string> = new Map([
  [0x6969, 'NFS'],
  [0x517b, 'SMB'],
  [0xff534d42, 'CIFS'],
  [0xfe534d42, 'SMB2'],
  [0x01021997, '9p'],
  [0x73757245, 'Coda'],
  [0x5346414f, 'AFS'],
  [0x6b414653, 'AFS'],
  [0x00c36400, 'Ceph'],
  [0x0bd00bd0, 'Lustre'],
  [0x47504653, 'GPFS'],
  [0x01161970, 'GFS2'],
  [0x7461636f, 'OCFS2'],
  [0x19830326, 'BeeGFS'],
  [0x786f4256, 'a shared folder of VirtualBox'],
  [0xbacbacbc, 'a shared folder of VMware'],
  [0x65735546, 'FUSE, which may be sshfs or a shared folder'],
]);

/**
 * Opens (and, when missing, makes) the store under `home`.
 * Throws E104 when the directory cannot be used, E105 for an old SQLite, E106 on a network file system, E107 for a
 * newer store, E502 when it is damaged, E506 when it cannot be opened.
 */
export function openStore({ home, clock = systemClock, busyTimeoutMs = 250, scrub }: OpenOptions): Store {
  prepareHome(home);
  const file = join(home, STORE_FILE);
  prepareFile(file);
  let sqlite: BetterSqlite.Database | undefined;
  try {
    sqlite = openSqlite(file, { timeout: 5_000 });
    refuseOldSqlite(sqlite);
    setUp(sqlite);
    migrate(sqlite);
    sqlite.pragma(`busy_timeout = ${busyTimeoutMs}`);
  } catch (error) {
    sqlite?.close();
    throw storeError(error) ?? error;
  }
  const plugins = scrub === undefined ? [] : [scrubbed(scrub)];
  const connection = new SqliteConnection(sqlite);
  return assemble(connection, new Kysely<Database>({ dialect: immediateDialect(connection, clock), plugins }));
}

function assemble(connection: SqliteConnection, db: Db): Store {
  const { sqlite } = connection;
  let vectorsLoaded = false;
  const within = <T>(work: (trx: Trx) => Promise<T>) => {
    return (trx: Trx) => withStatements(trx, (text, values) => connection.run(text, values).rows, work);
  };
  return {
    db,
    sqlite,
    write: (work) => db.transaction().execute(within(work)),
    // The setting belongs to the connection, and there is one: nobody else writes before it is set back.
    writeRelaxed: (work) =>
      db.connection().execute(async (alone) => {
        sqlite.exec('PRAGMA synchronous = NORMAL');
        try {
          return await alone.transaction().execute(within(work));
        } finally {
          sqlite.exec('PRAGMA synchronous = FULL');
        }
      }),
    async loadVectorExtension() {
      if (vectorsLoaded) return;
      const { load } = await import('sqlite-vec');
      load(sqlite);
      vectorsLoaded = true;
    },
    close: () => db.destroy(),
  };
}

function prepareHome(home: string): void {
  try {
    makeDirectory(home);
  } catch (error) {
    throw new TvdbError('E104', { message: `The home directory ${home} cannot be made`, cause: error });
  }
  const network = networkFileSystem(home);
  if (network !== undefined) {
    throw new TvdbError('E106', {
      message: `${home} is on a network file system (${network})`,
      why: 'SQLite in WAL mode needs the locks and shared memory of one machine',
    });
  }
}

/**
 * Makes a directory and what is missing above it. Not by `recursive: true`: Node 20 never returns from it when the
 * system says ENOENT of a directory that exists (below /proc, for one).
 */
function makeDirectory(path: string): void {
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'EEXIST' && statSync(path).isDirectory()) return;
    if (code !== 'ENOENT' || dirname(path) === path || existsSync(dirname(path))) throw error;
    makeDirectory(dirname(path));
    mkdirSync(path, { mode: 0o700 });
  }
}

/** The kind of network file system a path is on; `undefined` for a local one. */
export function networkFileSystem(path: string): string | undefined {
  return NETWORK_FILE_SYSTEMS.get(statfsSync(path).type);
}

/** Makes the file with owner-only rights before SQLite does (its -wal and -shm files take the same rights). */
function prepareFile(file: string): void {
  let known: Stats | undefined;
  try {
    known = lstatSync(file, { throwIfNoEntry: false });
  } catch (error) {
    throw new TvdbError('E506', { message: `${file} cannot be reached`, cause: error });
  }
  if (known?.isSymbolicLink()) {
    throw new TvdbError('E506', {
      message: `${file} is a symbolic link`,
      why: 'two names of one database have two sets of locks',
      fix: 'Set TVDB_HOME to the directory the real file is in.',
    });
  }
  try {
    if (known === undefined) closeSync(openSync(file, 'a', 0o600));
    else if ((known.mode & 0o077) !== 0) chmodSync(file, 0o600);
  } catch (error) {
    throw new TvdbError('E506', { message: `${file} cannot be made or protected`, cause: error });
  }
}

function refuseOldSqlite(sqlite: BetterSqlite.Database): void {
  const { version } = sqlite.prepare('SELECT sqlite_version() AS version').get() as { version: string };
  if (!isSafeSqlite(version)) {
    throw new TvdbError('E105', {
      message: `SQLite ${version} is too old; ${LEAST_SQLITE.join('.')} or later is needed`,
      why: 'older versions can corrupt a database that several processes use',
      fix: 'Reinstall better-sqlite3.',
    });
  }
}

/** Whether a version text (`3.51.3`) is one that does not corrupt a WAL database shared by several connections. */
export function isSafeSqlite(version: string): boolean {
  const parts = version.split('.').map(Number);
  for (const [index, least] of LEAST_SQLITE.entries()) {
    const part = parts[index] ?? 0;
    if (part !== least) return part > least;
  }
  return true;
}

function setUp(sqlite: BetterSqlite.Database): void {
  // Only an empty file takes it. A vector of 6 kB then fits a page: exact searches are a fifth faster than with 4 kB.
  sqlite.pragma('page_size = 8192');
  const mode = sqlite.pragma('journal_mode = WAL', { simple: true });
  if (mode !== 'wal') {
    throw new TvdbError('E506', { message: `The store cannot use a write-ahead log (SQLite chose "${String(mode)}")` });
  }
  // FULL: an acknowledged commit survives a power cut. better-sqlite3 defaults to NORMAL in WAL mode.
  sqlite.pragma('synchronous = FULL');
  sqlite.pragma('foreign_keys = ON');
  // Freed pages are overwritten: what `tvdb delete` removes is gone from the file. No measurable cost.
  sqlite.pragma('secure_delete = ON');
  sqlite.pragma('trusted_schema = OFF');
  sqlite.pragma('mmap_size = 0');
  sqlite.pragma('journal_size_limit = 67108864');
  sqlite.pragma('temp_store = MEMORY');
}
