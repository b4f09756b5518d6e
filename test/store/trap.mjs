/**
 * Loaded before the tool: from the moment SQLite has opened the store until it closes it, any other opening of its files
 * by this process is noted in TVDB_TRAP_LOG and refused. Closing such a file would drop SQLite's locks on it.
 */
import fs from 'node:fs';
import { createRequire, syncBuiltinESMExports } from 'node:module';

const { appendFileSync } = fs;
const require = createRequire(new URL('../../package.json', import.meta.url));
// The native part: the bundle has the rest of better-sqlite3 in it.
const addon = require.resolve('better-sqlite3/build/Release/better_sqlite3.node');
const { Database } = require(addon);
let handles = 0;

require(addon).Database = new Proxy(Database, {
  construct(target, args) {
    const database = Reflect.construct(target, args);
    const { close } = database;
    let open = true;
    handles += 1;
    note(`SQLite opened ${args[0]}`);
    database.close = () => {
      if (open) handles -= 1;
      open = false;
      return close.call(database);
    };
    return database;
  },
});

function note(text) {
  appendFileSync(process.env.TVDB_TRAP_LOG, `${text}\n`);
}

const isStore = (path) => /tvdb\.sqlite(-wal|-shm|-journal)?$/.test(path instanceof URL ? path.pathname : String(path));

function guard(owner, name) {
  const original = owner[name];
  if (typeof original !== 'function') return;
  owner[name] = function (...args) {
    const path = args.slice(0, 2).find((arg) => typeof arg !== 'function' && isStore(arg));
    if (handles > 0 && path !== undefined) {
      note(`TRAP ${name} ${path}`);
      throw new Error(`${name} of ${path} while SQLite has it open`);
    }
    return Reflect.apply(original, this, args);
  };
}

const OPENING = [
  'open',
  'openAsBlob',
  'readFile',
  'writeFile',
  'appendFile',
  'copyFile',
  'cp',
  'truncate',
  'link',
  'rename',
  'unlink',
  'rm',
];
for (const name of OPENING) {
  for (const owner of [fs, fs.promises]) guard(owner, name);
  guard(fs, `${name}Sync`);
}
for (const name of ['createReadStream', 'createWriteStream', 'ReadStream', 'WriteStream']) guard(fs, name);
syncBuiltinESMExports();
