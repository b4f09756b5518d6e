/** The source files of the repository as text, and what each imports. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

export interface Source {
  /** Path from the root of the repository, with `/`. */
  path: string;
  text: string;
}

/** Every file below `folder` whose name matches. */
export function filesBelow(folder: string, name: RegExp): Source[] {
  return readdirSync(join(ROOT, folder), { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && name.test(entry.name))
    .map((entry) => {
      const full = join(entry.parentPath, entry.name);
      return { path: relative(ROOT, full).replaceAll('\\', '/'), text: readFileSync(full, 'utf8') };
    })
    .sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** Paths of the repository's own files that a source imports: statically, dynamically or for a type. */
export function importsOf({ path, text }: Source): { path: string; typeOnly: boolean }[] {
  const found: { path: string; typeOnly: boolean }[] = [];
  const add = (specifier: string, typeOnly: boolean) => {
    if (specifier.startsWith('.')) found.push({ path: normalize(join(dirname(path), specifier)), typeOnly });
  };
  for (const match of text.matchAll(/^(?:import|export)\s+(type\s)?[^'"]*?from\s+'([^']+)'/gms))
    add(match[2] ?? '', match[1] !== undefined);
  for (const match of text.matchAll(/^import\s+'([^']+)'/gm)) add(match[1] ?? '', false);
  for (const match of text.matchAll(/import\(\s*'([^']+)'\s*\)/g)) add(match[1] ?? '', false);
  return found;
}
