import { execFileSync } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { VARIABLES } from '../../src/config/variables.ts';
import { ROOT } from './sources.ts';

interface LockEntry {
  resolved?: string;
  integrity?: string;
  hasInstallScript?: boolean;
  dev?: boolean;
  devOptional?: boolean;
  license?: string;
  link?: boolean;
}

const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');
const manifest = JSON.parse(read('package.json')) as Record<string, Record<string, string>>;
const lock = JSON.parse(read('package-lock.json')) as { packages: Record<string, LockEntry> };
const entries = Object.entries(lock.packages).filter(([path]) => path !== '');
const nameOf = (path: string) => path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length);

describe('the lock file', () => {
  it('T96 has a hash and no address for every package', () => {
    expect(
      entries
        .filter(([, entry]) => entry.integrity === undefined || entry.resolved !== undefined)
        .map(([path]) => path),
    ).toEqual([]);
  });

  it('T96 has install scripts in better-sqlite3 alone, and in recorded development packages', () => {
    const scripted = entries.filter(([, entry]) => entry.hasInstallScript === true);
    const names = (dev: boolean) =>
      scripted
        .filter(([, entry]) => (entry.dev === true) === dev)
        .map(([path]) => nameOf(path))
        .sort();
    expect(names(false)).toEqual(['better-sqlite3']);
    expect(names(true)).toEqual(['core-js', 'fsevents', 'msw'].filter((name) => names(true).includes(name)));
    expect(manifest.allowScripts).toEqual({ 'better-sqlite3': true, 'core-js': false, msw: false });
  });

  it('has no package under a licence that would bind our users', () => {
    expect(entries.filter(([, { license }]) => /AGPL|SSPL|BUSL/i.test(license ?? '')).map(([path]) => path)).toEqual(
      [],
    );
  });
});

describe('package.json', () => {
  it('pins every direct dependency to one version', () => {
    const versions = { ...manifest.dependencies, ...manifest.devDependencies };
    expect(Object.entries(versions).filter(([, version]) => !/^\d+\.\d+\.\d+$/.test(version))).toEqual([]);
  });

  it('has a line in docs/decisions for every dependency', () => {
    const decisions = read('docs/decisions/0001-dependencies.md');
    const names = Object.keys({ ...manifest.dependencies, ...manifest.devDependencies });
    expect(names.filter((name) => !decisions.includes(`\`${name}\``))).toEqual([]);
  });
});

describe('the example environment file', () => {
  it('is what the table of variables makes of it', async () => {
    const { exampleFile } = await import('../../src/config/example-file.ts');
    await expect(exampleFile()).toMatchFileSnapshot(join(ROOT, '.env.tvdb001.example'));
    for (const name of Object.keys(VARIABLES)) expect(read('.env.tvdb001.example')).toContain(`${name}=`);
  });
});

describe('the repository', () => {
  const tracked = execFileSync('git', ['ls-files', '-z'], { cwd: ROOT, encoding: 'utf8' }).split('\0').filter(Boolean);

  it('has only the agreed entries at its top', () => {
    const top = [...new Set(tracked.map((path) => path.split('/')[0] ?? ''))].filter((name) => !name.startsWith('.'));
    const agreed = [
      'README.md',
      'bin',
      'docs',
      'fixtures',
      'package-lock.json',
      'package.json',
      'src',
      'test',
      'tsconfig.json',
    ];
    expect(top.filter((name) => !agreed.includes(name))).toEqual([]);
  });

  it('names no path of the machine it was written on and no package registry', () => {
    const text = tracked.filter(
      (path) => /\.(ts|mjs|js|md|json|yml)$|^\.|^\.ci\//.test(path) && path !== 'package-lock.json',
    );
    const machine = new RegExp(`(^|[^A-Za-z0-9.])/(${['home', 'root', 'opt', 'mnt', 'work'].join('|')})/[a-z0-9_.-]+/`);
    const found = text.filter((path) => machine.test(read(path)) || /registry\.npm|npmjs\.(org|com)/.test(read(path)));
    expect(found).toEqual([]);
  });

  it('has decisions of at most 30 lines', () => {
    const decisions = tracked.filter((path) => path.startsWith('docs/decisions/'));
    expect(decisions.filter((path) => read(path).split('\n').length - 1 > 30)).toEqual([]);
  });

  it('T91 packs neither keys nor stores', () => {
    const listed = execFileSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], {
      cwd: ROOT,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const [pack] = JSON.parse(listed) as [{ files: { path: string }[] }];
    const paths = pack.files.map(({ path }) => path);
    expect(paths.filter((path) => /\.sqlite|(^|\/)\.env($|\.(?!tvdb001\.example))|^test\/|^src\//.test(path))).toEqual(
      [],
    );
    expect(paths).toContain('bin/tvdb.js');
    expect(statSync(join(ROOT, 'bin/tvdb.js')).mode & 0o111).not.toBe(0);
  });
});
