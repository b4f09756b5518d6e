/** One bundle for start-up: our code and the small pure-JavaScript libraries in, native modules and large libraries out. */
import { execFileSync } from 'node:child_process';
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
  // Its native part is outside, see store/sqlite.ts.
  'better-sqlite3',
  ...['@cantoo/pdf-lib', 'fflate', 'culori', 'node-html-better-parser', 'html-entities', 'tslib'],
];

/**
 * Parts of Node are loaded at the first use of what they export, not with the chunk that names them: node:crypto costs
 * 2 ms, node:fs/promises 1 ms, and most commands need neither. node:fs and node:path are there already.
 */
const withLateBuiltins = {
  name: 'with-late-builtins',
  renderChunk(code) {
    let late = code;
    const named = /^let (node_\w+) = require\("(node:(?!fs"|path")[^"]+)"\);\n(?!\1 = )/gm;
    for (const [line, name, id] of code.matchAll(named)) {
      const [before, after] = late.split(line);
      const used = after.replace(new RegExp(`(?<![.\\w$])${name}(?=\\.)`, 'g'), `${name}()`);
      late = `${before}let ${name}$loaded;\nconst ${name} = () => (${name}$loaded ??= require("${id}"));\n${used}`;
    }
    return late === code ? null : { code: late, map: null };
  },
};

/**
 * A text of ASCII alone takes half the memory in V8 and is read faster. Letters beyond it stand in literals only. Done last:
 * the bundler prints the code once more after `renderChunk`, and writes escapes as letters.
 */
const withAsciiOnly = {
  name: 'with-ascii-only',
  generateBundle(_options, bundle) {
    for (const chunk of Object.values(bundle)) {
      if (/\\[^\0-\x7f]/.test(chunk.code))
        throw new Error(`${chunk.fileName}: a letter beyond ASCII behind a backslash`);
      chunk.code = chunk.code.replace(
        /[^\0-\x7f]/g,
        (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
      );
    }
  },
};

/** See bin/import.js. */
const withImportOutside = {
  name: 'with-import-outside',
  renderChunk(code) {
    const asked = code.replace(/(?<![.\w$])import\((?=")/g, 'require("#import")(');
    return asked === code ? null : { code: asked, map: null };
  },
};

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

const withCompiledCode = {
  name: 'with-compiled-code',
  writeBundle: () => void execFileSync(process.execPath, ['.compile.mjs'], { stdio: ['ignore', 'ignore', 'inherit'] }),
};

const atStart = loadedWith('src/cli/main.ts');
const withStore = loadedWith('src/world.ts');

export default defineConfig({
  input: { main: 'src/cli/main.ts', 'pdf-child': 'src/services/pdf/child.ts' },
  platform: 'node',
  plugins: [withoutSubprocesses, withLateBuiltins, withImportOutside, withAsciiOnly, withCompiledCode],
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
    // Node 20 keeps compiled code of CommonJS alone, and needs 5 ms less to begin with it.
    format: 'cjs',
    strict: true,
    comments: { jsdoc: false },
    entryFileNames: '[name].cjs',
    chunkFileNames: 'chunks/[name]-[hash].cjs',
    cleanDir: true,
    // Left to itself the bundler makes a file of every set of modules that two entries share: 22 files for `--help`, 40
    // for `status`, at about 2 ms each.
    codeSplitting: {
      groups: [
        { name: 'start', test: (id) => atStart.has(id) || /[\\/]commander[\\/]/.test(id), priority: 2 },
        {
          name: 'store',
          test: (id) => withStore.has(id) || /[\\/](kysely|better-sqlite3|src[\\/](store|config))[\\/]/.test(id),
          priority: 1,
        },
      ],
    },
  },
});
