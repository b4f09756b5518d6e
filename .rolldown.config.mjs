/** One bundle for start-up: our code and the small pure-JavaScript libraries in, native modules and large libraries out. */
import { builtinModules } from 'node:module';
import { defineConfig } from 'rolldown';

/**
 * Bundled because they are many small files that would be looked for one by one: commander, kysely and string-width with
 * their dependencies (200 files) at every start, pdf-lib and its four (400 files, 0.25 s) before the first page count.
 */
const BUNDLED = [
  ...['commander', 'kysely', 'string-width', 'strip-ansi', 'ansi-regex', 'emoji-regex', 'is-fullwidth-code-point'],
  ...['@cantoo/pdf-lib', 'fflate', 'culori', 'node-html-better-parser', 'html-entities', 'tslib'],
];

export default defineConfig({
  input: { main: 'src/cli/main.ts', 'pdf-child': 'src/services/pdf/child.ts' },
  platform: 'node',
  external: (id) =>
    id.startsWith('node:') ||
    builtinModules.includes(id) ||
    (!id.startsWith('.') && !id.startsWith('/') && !BUNDLED.some((name) => id === name || id.startsWith(`${name}/`))),
  output: { dir: 'dist', format: 'esm', entryFileNames: '[name].js', chunkFileNames: 'chunks/[name]-[hash].js', cleanDir: true },
});
