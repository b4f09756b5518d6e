/**
 * `npm run bench`: what tvdb costs, as ratios measured side by side in one run. Nothing here is asserted: machines differ.
 * `npm run bench -- help status` measures only what is named.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const BENCHES = ['start', 'accept', 'pipeline', 'search', 'memory', 'ledger', 'costs', 'services'];

execFileSync('npm', ['run', 'build', '--silent'], { cwd: ROOT, stdio: 'inherit' });
// The probes use the sources directly, so they are bundled like the product, next to it.
const bundle = await rolldown({
  cwd: ROOT,
  input: Object.fromEntries(BENCHES.map((name) => [name, `test/bench/${name}.ts`])),
  platform: 'node',
  external: (id) => !id.startsWith('.') && !id.startsWith('/'),
});
await bundle.write({ dir: join(ROOT, 'dist', 'bench'), format: 'esm', entryFileNames: '[name].js' });

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !BENCHES.includes(name));
if (unknown.length > 0) {
  process.stderr.write(`unknown: ${unknown.join(', ')}; there are ${BENCHES.join(', ')}\n`);
  process.exitCode = 2;
} else {
  for (const name of wanted.length > 0 ? wanted : BENCHES) {
    const directory = mkdtempSync(join(tmpdir(), `tvdb-bench-${name}-`));
    try {
      const { measure } = await import(join(ROOT, 'dist', 'bench', `${name}.js`));
      for (const line of await measure({ root: ROOT, directory })) process.stdout.write(`${line}\n`);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  }
}
