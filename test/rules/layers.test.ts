import { describe, expect, it } from 'vitest';
import { filesBelow, importsOf, type Source } from './sources.ts';

/** Lowest first. A folder imports only from folders of lower rows; folders of one row never import each other. */
const LAYERS: readonly (readonly string[])[] = [
  ['base'],
  ['domain'],
  ['config', 'store', 'storage'],
  ['services'],
  ['ledger', 'search'],
  ['pipeline', 'watch'],
  ['server', 'report'],
  ['world.ts'],
  ['cli'],
];
/** Stands apart: imports base only. */
const APART = 'simulator';

const sources = filesBelow('src', /\.ts$/);
const roomOf = (path: string) => path.split('/')[1] ?? '';
const levelOf = (room: string) => LAYERS.findIndex((row) => row.includes(room));

function forbidden({ path }: Source, target: string): boolean {
  const [from, to] = [roomOf(path), roomOf(target)];
  if (from === to) return false;
  if (from === APART) return to !== 'base';
  if (to === APART) return from !== 'cli';
  return levelOf(to) >= levelOf(from);
}

describe('the layers of src/', () => {
  it('hold every file', () => {
    for (const { path } of sources)
      expect([path, levelOf(roomOf(path)) >= 0 || roomOf(path) === APART]).toEqual([path, true]);
  });

  it('have arrows that point down only', () => {
    const upward = sources.flatMap((source) =>
      importsOf(source)
        .filter(({ path }) => path.startsWith('src/') && forbidden(source, path))
        // A command's context names the type of the world it is given; nothing of it is imported at run time.
        .map(({ path }) => `${source.path} -> ${path}`),
    );
    expect(upward).toEqual([]);
  });

  it('import files that exist', () => {
    const known = new Set(sources.map(({ path }) => path));
    const missing = sources.flatMap((source) =>
      importsOf(source)
        .filter(({ path }) => path.startsWith('src/') && path.endsWith('.ts') && !known.has(path))
        .map(({ path }) => `${source.path} -> ${path}`),
    );
    expect(missing).toEqual([]);
  });

  it('have no import circle, types left aside', () => {
    const arrows = new Map(
      sources.map((source) => [
        source.path,
        importsOf(source)
          .filter(({ typeOnly }) => !typeOnly)
          .map(({ path }) => path),
      ]),
    );
    const done = new Set<string>();
    const circles: string[] = [];
    const visit = (path: string, trail: readonly string[]) => {
      const at = trail.indexOf(path);
      if (at >= 0) circles.push([...trail.slice(at), path].join(' -> '));
      if (at >= 0 || done.has(path)) return;
      for (const next of arrows.get(path) ?? []) visit(next, [...trail, path]);
      done.add(path);
    };
    for (const path of arrows.keys()) visit(path, []);
    expect(circles).toEqual([]);
  });

  it('keep domain and base free of I/O, wall clock and randomness', () => {
    const impure = sources
      .filter(({ path }) => path.startsWith('src/domain/'))
      .filter(({ text }) => /Date\.now|Math\.random|node:(fs|net|http|child_process|os)\b|process\./.test(text));
    expect(impure.map(({ path }) => path)).toEqual([]);
    const clocks = sources.filter(
      ({ path, text }) => path !== 'src/base/clock.ts' && /\bDate\.now\(|Math\.random\(/.test(text),
    );
    expect(clocks.map(({ path }) => path)).toEqual([]);
  });
});
