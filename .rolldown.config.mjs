/** One bundle for start-up: our code and the small pure-JavaScript libraries in, native modules and large libraries out. */
import { builtinModules } from 'node:module';
import { defineConfig } from 'rolldown';

/** Bundled because they are needed at every start: unbundled, commander and kysely alone are some 200 files to find. */
const BUNDLED = ['commander', 'kysely'];

export default defineConfig({
  input: { main: 'src/cli/main.ts', 'pdf-child': 'src/services/pdf/child.ts' },
  platform: 'node',
  external: (id) =>
    id.startsWith('node:') ||
    builtinModules.includes(id) ||
    (!id.startsWith('.') && !id.startsWith('/') && !BUNDLED.some((name) => id === name || id.startsWith(`${name}/`))),
  output: { dir: 'dist', format: 'esm', entryFileNames: '[name].js', chunkFileNames: 'chunks/[name]-[hash].js', cleanDir: true },
});
