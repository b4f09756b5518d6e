import { describe, expect, it } from 'vitest';
import { FAULT_POINTS } from '../../src/base/fault.ts';
import { EVENT_CODES } from '../../src/store/events.ts';
import { filesBelow } from './sources.ts';

const sources = filesBelow('src', /\.ts$/);
const tests = filesBelow('test', /\.(ts|mjs)$/);
const pathsWhere = (files: typeof sources, pattern: RegExp) =>
  files.filter(({ text }) => pattern.test(text)).map(({ path }) => path);

/** Loaded anew for each file of tests, by the configuration. */
const isSetup = (path: string) => /^test\/setup\/(network|shared-process)\.ts$/.test(path);

/** Data, not code: one row for each fact. */
const DATA_TABLES = ['src/base/error-codes.ts', 'src/store/migrations/0001-pipeline.ts'];

describe('source files', () => {
  it('have at most 250 lines, data tables apart', () => {
    const long = sources
      .filter(({ path }) => !DATA_TABLES.includes(path))
      .map(({ path, text }) => [path, text.split('\n').length - 1] as const)
      .filter(([, lines]) => lines > 250);
    expect(long).toEqual([]);
  });

  it('open with a sentence that says what they hold', () => {
    expect(sources.filter(({ text }) => !/^\/\*\*[\s\S]{20,}?\*\//.test(text)).map(({ path }) => path)).toEqual([]);
  });

  it('have names that say what they hold', () => {
    const vague = /(^|[/-])(utils?|helpers?|common|types|manager|enhanced|misc|lib|v\d+)\.ts$/;
    expect(sources.map(({ path }) => path).filter((path) => vague.test(path))).toEqual([]);
  });

  it('have no barrels: the one index is the list of commands', () => {
    expect(sources.map(({ path }) => path).filter((path) => path.endsWith('/index.ts'))).toEqual([
      'src/cli/commands/index.ts',
    ]);
  });

  it('document every exported function', () => {
    const bare = sources.flatMap(({ path, text }) =>
      [...text.matchAll(/^(.*)\n(export (?:async )?function\*? (\w+))/gm)]
        .filter(([, before]) => !/\*\/\s*$/.test(before ?? '') && !/^export (async )?function/.test(before ?? ''))
        .map((match) => `${path}: ${match[3]}`),
    );
    expect(bare).toEqual([]);
  });

  it('print only in cli/ui and never call process.exit', () => {
    // io.ts: the second Ctrl-C must end the process while work is still pending; its comment says so.
    expect(pathsWhere(sources, /console\.\w+\(|process\.exit\(/)).toEqual(['src/cli/io.ts']);
    const printing = pathsWhere(sources, /process\.(stdout|stderr)\b/).filter((path) => !path.startsWith('src/cli/'));
    expect(printing).toEqual([]);
  });

  it('leave no unfinished words', () => {
    expect(pathsWhere(sources, /\b(TODO|FIXME|XXX|HACK|not implemented)\b/)).toEqual([]);
  });

  it('read the environment in one place', () => {
    const readers = pathsWhere(sources, /process\.env\b/);
    expect(
      readers.filter((path) => !['src/cli/main.ts', 'src/cli/io.ts', 'src/services/pdf/spawn.ts'].includes(path)),
    ).toEqual([]);
  });

  it('T24 never open the database files themselves', () => {
    expect(
      pathsWhere(sources, /(readFile|createReadStream|copyFile|openSync|open)\([^)]*(\.sqlite|STORE_FILE)/),
    ).toEqual([]);
  });
});

describe('tests', () => {
  it('do not wait for real time', () => {
    expect(pathsWhere(tests, /setTimeout\(|\bsleep\(\d/).filter((path) => !path.startsWith('test/rules/'))).toEqual([]);
  });

  it('are all switched on', () => {
    const off = new RegExp(String.raw`\b(it|test|describe)\.(only|skip|to${'do'})\b`);
    expect(pathsWhere(tests, off)).toEqual([]);
  });

  it('have titles of their own within a file', () => {
    const doubled = tests.flatMap(({ path, text }) => {
      const titles = [...text.matchAll(/^\s*(?:it|test)\(\s*'((?:[^'\\]|\\.)+)'/gm)].map((match) => match[1] ?? '');
      return titles.filter((title, index) => titles.indexOf(title) !== index).map((title) => `${path}: ${title}`);
    });
    expect(doubled).toEqual([]);
  });
});

describe('tests share a process, so', () => {
  it('what several of them import registers no hook as it is loaded', () => {
    const imported = tests.filter(({ path }) => !path.endsWith('.test.ts') && !isSetup(path));
    expect(pathsWhere(imported, /^(before|after)(Each|All)\(/m)).toEqual([]);
  });

  it('those that put something in the place of a module are on the list of those that run alone', () => {
    const config = tests.find(({ path }) => path === 'test/vitest.config.ts')?.text ?? '';
    expect(pathsWhere(tests, /^vi\.mock\(/m).filter((path) => !config.includes(`'${path}'`))).toEqual([]);
  });
});

describe('closed lists', () => {
  it('have every fault point in the code', () => {
    const code = sources
      .filter(({ path }) => path !== 'src/base/fault.ts')
      .map(({ text }) => text)
      .join('\n');
    expect(FAULT_POINTS.filter((point) => !code.includes(`reach('${point}')`))).toEqual([]);
  });

  it('have no event code twice', () => {
    expect(new Set(EVENT_CODES).size).toBe(EVENT_CODES.length);
  });
});
