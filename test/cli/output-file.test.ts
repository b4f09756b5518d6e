/** Where a command may write a file for the user. */
import { linkSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { outputFile } from '../../src/cli/output-file.ts';
import { runTvdb } from '../setup/run-tvdb.ts';
import { tempDirectory } from '../setup/temp.ts';

/** A home with a store, a link to it, and its storage on another disk. */
function places() {
  const root = tempDirectory();
  const home = join(root, 'home');
  for (const directory of ['home/logs', 'disk/raw', 'free']) mkdirSync(join(root, directory), { recursive: true });
  writeFileSync(join(home, 'tvdb.sqlite'), 'the store');
  symlinkSync(home, join(root, 'link'));
  symlinkSync(join(root, 'disk'), join(home, 'storage'));
  symlinkSync(join(home, 'tvdb.sqlite'), join(root, 'free', 'store-link'));
  return { root, home, at: (path: string) => outputFile(join(root, path), { id: 'x', home }) };
}

describe('a file written for the user', () => {
  it.each([
    'home/tvdb.sqlite',
    'home/tvdb.sqlite-wal',
    'home/tvdb.sqlite-shm',
    'home/new.ndjson',
    'home/logs/x.ndjson',
    'home/storage/raw/x.pdf',
    'link/tvdb.sqlite',
    'link/logs/../tvdb.sqlite',
    'disk/raw/x.pdf',
    'free/store-link',
    'home',
  ])('is refused inside the home, whatever way leads there: %s', async (path) => {
    const { home, at } = places();
    await expect(at(path)).rejects.toMatchObject({ code: 'E003', exit: 2, facts: { flag: '--output' } });
    expect(readFileSync(join(home, 'tvdb.sqlite'), 'utf8')).toBe('the store');
    expect(readdirSync(home).sort()).toEqual(['logs', 'storage', 'tvdb.sqlite']);
  });

  it('is written beside the home, also under a name that begins like it', async () => {
    const { root, home, at } = places();
    mkdirSync(join(root, 'home-2'));
    // Another name of the store's bytes: the name is replaced, not the bytes.
    linkSync(join(home, 'tvdb.sqlite'), join(root, 'free', 'copy'));
    for (const path of ['home-2/x', 'free/..x', 'free/copy']) {
      const file = await at(path);
      await file.write('text');
      await file.finish();
      expect(readFileSync(join(root, path), 'utf8')).toBe('text');
    }
    expect(readFileSync(join(home, 'tvdb.sqlite'), 'utf8')).toBe('the store');
  });

  it('is no way to lose the store: `tvdb export -o $TVDB_HOME/tvdb.sqlite` (E003, exit 2)', async () => {
    const home = tempDirectory();
    const data = join(home, 'data', 'tvdb');
    await runTvdb(['status'], { home });
    const before = readFileSync(join(data, 'tvdb.sqlite'));
    const { code, json } = await runTvdb(['export', '-o', join(data, 'tvdb.sqlite'), '--json'], { home });
    expect([code, json.error.code]).toEqual([2, 'TVDB-E003']);
    expect(json.error.why).toContain(data);
    expect(readFileSync(join(data, 'tvdb.sqlite')).equals(before)).toBe(true);
  });
});
