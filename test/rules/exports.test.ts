import { describe, expect, it } from 'vitest';
import { filesBelow, importsOf, type Source } from './sources.ts';

/**
 * What src exports although no file of src imports it, by the reason. A name that is in here and has found an importer,
 * or is gone, must leave the list.
 */
const ALLOWED: Record<string, readonly string[]> = {
  'is what the executable calls': ['main'],
  'is a closed list that tests and documentation go through': ['EVENT_CODES', 'FAULT_POINTS', 'INITIAL_STATUSES'],
  'makes a file that is checked in': ['exampleFile'],
  'is a contract of its own, held by property or example tests': [
    'countText',
    'foldCheck',
    'foldOpenWindows',
    'indexTerms',
    'keepWhatIsPrepared',
    'leaseFinding',
    'markHandled',
    'nativePartError',
    'nodeSupport',
    'normalise',
    'parseStorageUri',
    'runCuts',
    'spaceFinding',
    'spaceId',
    'verifyChain',
  ],
  'is a limit that tests go up to': ['MOCK_SPACE', 'NAME_LENGTH', 'SETTLE_MS'],
};

const sources = filesBelow('src', /\.ts$/);
const imports = new Map(sources.map((source) => [source.path, new Set(importsOf(source).map(({ path }) => path))]));
const has = (text: string, name: string) => new RegExp(`\\b${name}\\b`).test(text);

/** The names a file declares with `export`, and what each is. */
function exportsOf({ text }: Source): { name: string; isType: boolean }[] {
  const declared = text.matchAll(/^export (?:async )?(function\*?|const|class|interface|type) (\w+)/gm);
  return [...declared].map(([, kind, name]) => ({ name: name ?? '', isType: /^(interface|type)$/.test(kind ?? '') }));
}

const isImported = (name: string, { path }: Source) =>
  sources.some((other) => other.path !== path && imports.get(other.path)?.has(path) === true && has(other.text, name));

describe('exported names of src/', () => {
  it('are imported by another file of src/, or are on the list with their reason', () => {
    const unused = sources.flatMap((source) =>
      exportsOf(source)
        .filter(({ name, isType }) => !isType && !isImported(name, source))
        .map(({ name }) => name),
    );
    expect(unused.sort()).toEqual(Object.values(ALLOWED).flat().sort());
  });

  it('that are types are imported, or belong to what their own file offers', () => {
    const idle = sources.flatMap((source) =>
      exportsOf(source)
        .filter(({ name, isType }) => isType && !isImported(name, source))
        .filter(({ name }) => [...source.text.matchAll(new RegExp(`\\b${name}\\b`, 'g'))].length < 2)
        .map(({ name }) => `${source.path}: ${name}`),
    );
    expect(idle).toEqual([]);
  });
});
