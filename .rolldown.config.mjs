/** One bundle for start-up: our code and the small pure-JavaScript libraries in, native modules and large libraries out. */
import { readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { defineConfig } from 'rolldown';

/**
 * Bundled because they are many small files that would be looked for one by one: commander, kysely and string-width with
 * their dependencies (200 files) at every start, pdf-lib and its four (400 files, 0.25 s) before the first page count.
 */
const BUNDLED = [
  ...['commander', 'kysely', 'string-width', 'strip-ansi', 'ansi-regex', 'emoji-regex', 'is-fullwidth-code-point'],
  ...['@cantoo/pdf-lib', 'fflate', 'culori', 'node-html-better-parser', 'html-entities', 'tslib'],
];

/** The modules that come with an entry whatever happens later: those it reaches without a dynamic `import()`. */
function loadedWith(entry, known = new Set()) {
  const path = resolve(entry);
  if (known.has(path)) return known;
  known.add(path);
  const text = readFileSync(path, 'utf8');
  for (const [, type, specifier] of text.matchAll(/^(?:import|export)\s+(type\s)?[^'"]*?from\s+'(\.[^']+)'/gms)) {
    if (type === undefined && specifier.endsWith('.ts')) loadedWith(join(dirname(path), specifier), known);
  }
  return known;
}

/** commander loads node:child_process (2 ms) for executables of subcommands, which tvdb has none of. */
const isSubprocessOfCommander = (source, importer) =>
  source === 'node:child_process' && /[\\/]commander[\\/]/.test(importer ?? '');
const withoutSubprocesses = {
  name: 'without-subprocesses',
  resolveId: (source, importer) => (isSubprocessOfCommander(source, importer) ? '\0without-subprocesses' : null),
  load: (id) => (id === '\0without-subprocesses' ? 'export const spawn = undefined;' : null),
};

const atStart = loadedWith('src/cli/main.ts');
const withStore = loadedWith('src/world.ts');

export default defineConfig({
  input: { main: 'src/cli/main.ts', 'pdf-child': 'src/services/pdf/child.ts' },
  platform: 'node',
  plugins: [withoutSubprocesses],
  // Asked before the plugins are, so it must leave them what is theirs.
  external: (id, importer) =>
    !isSubprocessOfCommander(id, importer) &&
    (id.startsWith('node:') ||
      builtinModules.includes(id) ||
      (!id.startsWith('.') &&
        !id.startsWith('/') &&
        !BUNDLED.some((name) => id === name || id.startsWith(`${name}/`)))),
  output: {
    dir: 'dist',
    format: 'esm',
    entryFileNames: '[name].js',
    chunkFileNames: 'chunks/[name]-[hash].js',
    cleanDir: true,
    // Left to itself the bundler makes a file of every set of modules that two entries share: 22 files for `--help`, 40
    // for `status`, at about 2 ms each.
    codeSplitting: {
      groups: [
        { name: 'start', test: (id) => atStart.has(id) || /[\\/]commander[\\/]/.test(id), priority: 2 },
        {
          name: 'store',
          test: (id) => withStore.has(id) || /[\\/](kysely|src[\\/](store|config))[\\/]/.test(id),
          priority: 1,
        },
      ],
    },
  },
});
