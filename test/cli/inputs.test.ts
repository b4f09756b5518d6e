/** What `tvdb upload` takes its arguments for: paths, patterns, directories, lists, standard input. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { TvdbError } from '../../src/base/errors.ts';
import { findInputs, type InputRequest } from '../../src/cli/inputs.ts';
import { tempDirectory } from '../setup/temp.ts';

const PDF = '%PDF-1.7\n';

/** A directory with these files; a name that ends in `/` is a directory, the content is that of a PDF unless given. */
function tree(files: Record<string, string> | readonly string[]): string {
  const root = tempDirectory();
  const entries = Array.isArray(files) ? files.map((name) => [name, PDF] as const) : Object.entries(files);
  for (const [name, content] of entries) {
    mkdirSync(join(root, name, name.endsWith('/') ? '.' : '..'), { recursive: true });
    if (!name.endsWith('/')) writeFileSync(join(root, name), content);
  }
  return root;
}

async function* piped(text: string) {
  yield Buffer.from(text);
}

function find(
  cwd: string,
  named: readonly string[],
  changes: Partial<InputRequest> & { piped?: string; isTty?: boolean } = {},
) {
  const stdin = { stream: piped(changes.piped ?? ''), isTty: changes.isTty ?? false };
  const command = 'upload' as const;
  const request = { command, named, filesFrom: undefined, filename: undefined, recursive: false, cwd, stdin };
  return findInputs({ ...request, ...changes }, new AbortController().signal);
}

async function names(...args: Parameters<typeof find>): Promise<string[]> {
  return (await find(...args)).found.map(({ shown }) => shown);
}

async function failure(promise: Promise<unknown>): Promise<TvdbError> {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(TvdbError);
  return error as TvdbError;
}

describe('paths and patterns', () => {
  it('sorts what it finds and names each file once, however often and in whatever way it was given', async () => {
    const cwd = tree(['b.pdf', 'a.pdf', 'c.pdf']);
    symlinkSync('a.pdf', join(cwd, 'z-link.pdf'));
    expect(await names(cwd, ['c.pdf', 'b.pdf', './b.pdf', join(cwd, 'c.pdf'), 'a.pdf', 'z-link.pdf', '*.pdf'])).toEqual(
      ['a.pdf', 'b.pdf', 'c.pdf'],
    );
  });

  it.each(['[ab].pdf', '{a,b}.pdf', '*.pdf', '!a.pdf', '(a|b).pdf', '?.pdf'])(
    'takes a file called %s literally, not as a pattern',
    async (name) => {
      const cwd = tree([name, 'a.pdf', 'b.pdf']);
      expect(await names(cwd, [name])).toEqual([name]);
    },
  );

  it('expands quoted patterns itself, below directories too, leaving hidden files out', async () => {
    const cwd = tree(['a.pdf', 'sub/b.pdf', 'sub/deep/c.pdf', 'sub/d.txt', '.hidden.pdf', '.git/e.pdf']);
    expect(await names(cwd, ['**/*.pdf'])).toEqual(['a.pdf', 'sub/b.pdf', 'sub/deep/c.pdf']);
    expect(await names(cwd, ['sub/*.{pdf,txt}'])).toEqual(['sub/b.pdf', 'sub/d.txt']);
    expect(await names(cwd, [join(cwd, '*.pdf')])).toEqual([join(cwd, 'a.pdf')]);
  });

  it('follows a symbolic link that loops only so far as it leads to new files', async () => {
    const cwd = tree(['a/one.pdf']);
    symlinkSync('..', join(cwd, 'a', 'up'));
    symlinkSync('.', join(cwd, 'a', 'here'));
    expect(await names(cwd, ['**/*.pdf'])).toEqual(['a/one.pdf']);
    expect(await names(cwd, ['a'], { recursive: true })).toEqual(['a/one.pdf']);
  });

  it('refuses everything with E004 when a path does not exist, and says which name is close', async () => {
    const cwd = tree(['report.pdf']);
    const error = await failure(find(cwd, ['report.pdf', 'reprot.pdf']));
    expect(error).toMatchObject({ code: 'E004', exit: 2, facts: { value: 'reprot.pdf', suggestion: 'report.pdf' } });
    expect(error.message).toContain('Did you mean "report.pdf"?');
  });

  it('shows the pattern that fits nothing, and lists all when there are several', async () => {
    const cwd = tree(['a.txt']);
    expect((await failure(find(cwd, ['docs/*.pdf']))).message).toContain('"docs/*.pdf"');
    const several = await failure(find(cwd, ['x.pdf', '*.pdf']));
    expect(several.facts.items).toHaveLength(2);
  });

  it('takes a path below a file for missing', async () => {
    expect(await failure(find(tree(['a.pdf']), ['a.pdf/b.pdf']))).toMatchObject({ code: 'E004' });
  });
});

describe('directories', () => {
  it('refuses a directory that was named without --recursive with E412 and the command that takes it', async () => {
    const { found } = await find(tree(['docs/a.pdf', 'b.pdf']), ['docs', 'b.pdf']);
    expect(found).toMatchObject([
      { kind: 'file', shown: 'b.pdf' },
      { kind: 'refused', shown: 'docs', error: { code: 'E412', commands: ['tvdb upload --recursive docs'] } },
    ]);
  });

  it('takes files that hold a PDF or are named like one, and lists the others as skipped', async () => {
    const cwd = tree({
      'd/a.pdf': PDF,
      'd/B.PDF': 'text',
      'd/no-extension': PDF,
      'd/README.md': '# text',
      'd/empty': '',
      'd/sub/c.pdf': PDF,
      'd/.git/x.pdf': PDF,
      'd/._a.pdf': 'x',
    });
    const { found, skipped } = await find(cwd, ['d'], { recursive: true });
    expect(found.map(({ shown }) => shown)).toEqual(['d/B.PDF', 'd/a.pdf', 'd/no-extension', 'd/sub/c.pdf']);
    expect(Object.fromEntries(skipped.map(({ shown, reason }) => [shown, reason]))).toEqual({
      'd/README.md': 'not a PDF',
      'd/empty': 'not a PDF',
      'd/.git': 'hidden',
      'd/._a.pdf': 'hidden',
    });
  });

  it('reports a FIFO, a broken link named like a PDF and a linked directory without opening or entering them', async () => {
    const cwd = tree(['d/a.pdf', 'elsewhere/b.pdf']);
    execFileSync('mkfifo', [join(cwd, 'd', 'pipe')]);
    symlinkSync('nowhere', join(cwd, 'd', 'broken.pdf'));
    symlinkSync('nowhere', join(cwd, 'd', 'broken'));
    symlinkSync('../elsewhere', join(cwd, 'd', 'linked'));
    symlinkSync('self.pdf', join(cwd, 'd', 'self.pdf'));
    const { found, skipped } = await find(cwd, ['d'], { recursive: true });
    expect(found.map(({ shown }) => shown)).toEqual(['d/a.pdf', 'd/broken.pdf', 'd/pipe', 'd/self.pdf']);
    expect(skipped).toEqual(
      expect.arrayContaining([
        { shown: 'd/linked', reason: 'linked directory' },
        { shown: 'd/broken', reason: 'broken link' },
      ]),
    );
  });

  it('enters a link to a directory that was named itself', async () => {
    const cwd = tree(['real/a.pdf']);
    symlinkSync('real', join(cwd, 'link'));
    expect(await names(cwd, ['link'], { recursive: true })).toEqual(['link/a.pdf']);
  });

  it('says E004 for a directory without a document', async () => {
    expect(await failure(find(tree({ 'd/a.txt': 'text' }), ['d'], { recursive: true }))).toMatchObject({
      code: 'E004',
      exit: 2,
    });
    expect(await failure(find(tree(['d/']), ['d'], { recursive: true }))).toMatchObject({ code: 'E004' });
  });
});

describe('--files-from', () => {
  it('reads one path a line; patterns in it are names', async () => {
    const cwd = tree({ 'a.pdf': PDF, 'b c.pdf': PDF, '*.pdf': PDF, list: 'b c.pdf\r\n\n*.pdf\n' });
    expect(await names(cwd, [], { filesFrom: 'list' })).toEqual(['*.pdf', 'b c.pdf']);
  });

  it('separates by NUL as soon as there is one, so that names may hold newlines', async () => {
    const cwd = tree(['a.pdf', 'line\nbreak.pdf']);
    expect(await names(cwd, [], { filesFrom: '-', piped: 'line\nbreak.pdf\0a.pdf\0' })).toEqual([
      'a.pdf',
      'line\nbreak.pdf',
    ]);
  });

  it.each([
    ['a list that is not there', { filesFrom: 'none' }, 'E004'],
    ['an empty list', { filesFrom: '-', piped: '' }, 'E004'],
    ['a name in the list that is not there', { filesFrom: '-', piped: 'gone.pdf\n' }, 'E004'],
    ['a list from a terminal', { filesFrom: '-', isTty: true }, 'E008'],
    ['a directory as a list', { filesFrom: '.' }, 'E409'],
  ] as const)('refuses %s', async (_what, changes, code) => {
    expect(await failure(find(tree(['a.pdf']), [], changes))).toMatchObject({ code });
  });
});

describe('standard input', () => {
  it('is a document under the name it is given', async () => {
    expect((await find(tree([]), ['-'], { filename: 'report.pdf', piped: PDF })).found).toEqual([
      { kind: 'stdin', shown: 'report.pdf' },
    ]);
  });

  it.each([
    ['a terminal, at once', ['-'], { filename: 'a.pdf', isTty: true }],
    ['bytes without a name', ['-'], {}],
    ['a name without bytes', ['a.pdf'], { filename: 'b.pdf' }],
    ['bytes and a list at once', ['-'], { filename: 'a.pdf', filesFrom: '-' }],
  ] as const)('refuses %s with E008', async (_what, named, changes) => {
    expect(await failure(find(tree(['a.pdf']), named, changes))).toMatchObject({ code: 'E008', exit: 2 });
  });
});

it('stops with the reason of its signal', async () => {
  const stop = new AbortController();
  stop.abort(new Error('enough'));
  const request: InputRequest = {
    command: 'upload',
    named: ['.'],
    filesFrom: undefined,
    filename: undefined,
    recursive: true,
    cwd: tree(['a.pdf']),
    stdin: { stream: piped(''), isTty: false },
  };
  await expect(findInputs(request, stop.signal)).rejects.toThrow('enough');
});

// Other systems do not let such a name be made.
describe.skipIf(process.platform !== 'linux')('names that are not valid UTF-8', () => {
  /** `caf` and one byte of Latin-1, which no text is. */
  function odd(root: string, byte: number, rest = '.pdf', content = PDF): string {
    writeFileSync(Buffer.concat([Buffer.from(`${root}/caf`), Buffer.from([byte]), Buffer.from(rest)]), content);
    // As Node hands it over from the command line.
    return `caf\uFFFD${rest}`;
  }
  const refusal = (shown: string) => ({
    kind: 'refused',
    shown,
    error: { code: 'E409', message: `${shown} cannot be read`, why: 'its name is not valid UTF-8', fix: 'Rename it.' },
  });

  it('are refused where a walk meets them, each by its own name, unless they are no documents', async () => {
    const cwd = tree(['docs/ok.pdf', 'docs/é.pdf']);
    odd(join(cwd, 'docs'), 0xe9);
    odd(join(cwd, 'docs'), 0xe8);
    odd(join(cwd, 'docs'), 0xe9, '.bin');
    odd(join(cwd, 'docs'), 0xe9, '.txt', 'text');
    mkdirSync(Buffer.concat([Buffer.from(`${cwd}/docs/sub`), Buffer.from([0xff])]));
    const { found, skipped } = await find(cwd, ['docs'], { recursive: true });
    expect(found).toMatchObject([
      refusal('docs/caf\\xe8.pdf'),
      refusal('docs/caf\\xe9.bin'),
      refusal('docs/caf\\xe9.pdf'),
      { kind: 'file', shown: 'docs/ok.pdf' },
      refusal('docs/sub\\xff'),
      { kind: 'file', shown: 'docs/é.pdf' },
    ]);
    expect(skipped).toEqual([{ shown: 'docs/caf\\xe9.txt', reason: 'not a PDF' }]);
  });

  it('are refused when named, matched by a pattern, listed, or in the way to what is named', async () => {
    const cwd = tree(['ok.pdf', 'cafe.pdf']);
    const name = odd(cwd, 0xe9);
    odd(cwd, 0xe8);
    const both = [refusal('caf\\xe8.pdf'), refusal('caf\\xe9.pdf')];
    expect((await find(cwd, [name, name])).found).toMatchObject(both);
    expect((await find(cwd, ['caf*.pdf'])).found).toMatchObject([...both, { kind: 'file', shown: 'cafe.pdf' }]);
    writeFileSync(join(cwd, 'list'), Buffer.from('ok.pdf\ncaf\xe9.pdf\n', 'latin1'));
    const listed = await find(cwd, [], { filesFrom: 'list' });
    expect(listed.found).toMatchObject([...both, { kind: 'file', shown: 'ok.pdf' }]);
    mkdirSync(Buffer.concat([Buffer.from(`${cwd}/sub`), Buffer.from([0xff])]));
    expect((await find(cwd, ['sub\uFFFD/deep/x.pdf'])).found).toMatchObject([refusal('sub\\xff')]);
  });

  it('are no suggestion, and a real replacement character is a name like any other', async () => {
    const cwd = tree(['caf\uFFFD.pdf']);
    expect(await names(cwd, ['caf\uFFFD.pdf'])).toEqual(['caf\uFFFD.pdf']);
    const other = tree(['x.pdf']);
    odd(other, 0xe9);
    const error = await failure(find(other, ['cafe.pdf']));
    expect(error).toMatchObject({ code: 'E004', message: 'There is no file "cafe.pdf".' });
  });
});

it('names the command that asked, and what did not happen', async () => {
  const asked = find(tree(['a.pdf']), ['none.pdf'], { command: 'costs estimate' });
  await expect(asked).rejects.toMatchObject({
    code: 'E004',
    why: 'nothing was estimated',
    facts: { command: 'costs estimate' },
  });
});
