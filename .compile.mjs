/**
 * Keeps the compiled code of dist/ beside it. V8 compiles a function when it is first called, so the commands whose start
 * counts are run once, in an empty home, and what they compiled is kept.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { compiledFile, load } from './bin/tvdb.js';

const RUNS = [['--version'], ['--help'], ['status'], ['costs', '--today']];

const home = mkdtempSync(join(tmpdir(), 'tvdb-compile-'));
process.env = { PATH: process.env.PATH, HOME: home, TVDB_HOME: join(home, 'home') };
process.chdir(home);
const scripts = [];
try {
  const { main } = load(resolve(import.meta.dirname, 'dist/main.cjs'), (...script) => scripts.push(script));
  for (const argv of RUNS) {
    const code = await main(argv);
    // Without its native modules tvdb is built as well; what did not run is compiled at each start.
    if (code !== 0)
      process.stderr.write(`tvdb ${argv.join(' ')} ended with ${code}: its start is not compiled ahead\n`);
  }
  for (const [path, source, script] of scripts) {
    const file = compiledFile(path, source, script.createCachedData());
    writeFileSync(file.path, file.bytes);
  }
} finally {
  rmSync(home, { recursive: true });
}
