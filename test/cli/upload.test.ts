/** `tvdb upload` from the command line to the store: what is accepted, what is refused, and how it is told. */
import { execFileSync } from 'node:child_process';
import { copyFileSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { FIXTURES, hostile, type Json, letter, newsletter, unicode, workplace } from './workplace.ts';

const MB = 1_000_000;

function sum(totals: Json): number {
  return totals.complete + totals.duplicate + totals.rejected + totals.failed + totals.parked + totals.cancelled;
}

describe('one document', () => {
  it('is parsed, chunked, embedded and searchable, and the answer says so with every id', async () => {
    const { json } = workplace({ 'a.pdf': letter });
    const answer = await json(['upload', 'a.pdf', '--tag', 'team=legal', '--cost-center', 'law', '--priority', '5']);
    expect(answer).toMatchObject({ schema: 'tvdb.upload/v1', ok: true, exit_code: 0, error: null, warnings: [] });
    const { data } = answer;
    expect(data).toMatchObject({
      mode: { requested: 'mock', source: 'default', effective: { parse: 'mock', embed: 'mock' } },
      degraded: false,
      estimate: { likely_nano_usd: 0, max_nano_usd: 0 },
      cost: {
        total_nano_usd: 0,
        total_usd: 0,
        items: [
          { service: 'llamaparse', mode: 'mock', units: 1, unit: 'page', nano_usd: 0 },
          { service: 'openai', mode: 'mock', unit: 'token', nano_usd: 0 },
        ],
      },
      totals: { documents: 1, complete: 1, rejected: 0, failed: 0 },
    });
    const [document] = data.documents;
    expect(document).toMatchObject({
      path: 'a.pdf',
      status: 'complete',
      pages: 1,
      chunks: 1,
      vectors: 1,
      dims: 1536,
      embedding_space: 'mock/hash-ngram@1/1536',
      origin: { parse: 'mock', embed: 'mock' },
      error: null,
    });
    for (const id of [data.run_id, document.job_id, document.document_id, document.correlation_id])
      expect(id).toMatch(/^[0-9a-f-]{36}$/);
    expect(new Set([data.run_id, document.job_id, document.document_id, document.correlation_id]).size).toBe(4);
    expect(document.stages.map(({ name, status }: Json) => [name, status])).toEqual(
      ['upload', 'parse', 'chunk', 'embed', 'store'].map((name) => [name, 'ok']),
    );
    const status = await json(['status', data.run_id]);
    expect(status.data.jobs).toHaveLength(1);
  });

  it('tells of each step as an event, the first hello and the last the result', async () => {
    const { tvdb } = workplace({ 'a.pdf': letter });
    const { stdout } = await tvdb(['upload', 'a.pdf', '--ndjson'], { env: { MOCK_PARSE_LATENCY: '50ms' } });
    const events = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(events.map(({ seq }) => seq)).toEqual(events.map((_event, index) => index));
    expect(events[0].type).toBe('hello');
    expect(events.at(-1)).toMatchObject({ type: 'result', exit_code: 0 });
    expect(events.find(({ type }) => type === 'plan')).toMatchObject({ documents: 1, pages: 1, likely_nano_usd: 0 });
    const stages = events.filter(({ type }) => type === 'stage').map(({ stage, status }) => `${stage} ${status}`);
    expect(stages).toEqual([
      'upload ok',
      'parse start',
      'parse ok',
      'chunk start',
      'chunk ok',
      'embed start',
      'embed ok',
      'store start',
      'store ok',
    ]);
    expect(new Set(events.slice(2).map(({ run_id }) => run_id)).size).toBe(1);
    // Each step counts its own time only.
    const times = events.flatMap(({ type, status, ms }) => (type === 'stage' && status === 'ok' ? [ms as number] : []));
    expect(times.reduce((sum, ms) => sum + ms, 0)).toBeLessThanOrEqual(events.at(-1).data.totals.ms);
  });

  it('is a tab-separated record in a pipe, and its id alone under -q', async () => {
    const { tvdb } = workplace({ 'a.pdf': letter });
    const piped = await tvdb(['upload', 'a.pdf']);
    const [id, ...rest] = piped.stdout.trimEnd().split('\t');
    expect(rest).toEqual(['complete', '1', '0', 'a.pdf']);
    const quiet = await tvdb(['upload', 'a.pdf', '-q']);
    expect(quiet.stdout).toBe(`${id}\n`);
    expect(quiet.stderr).toBe('');
  });

  it('is a block on a terminal that ends with the next command, no line wider than 80 columns', async () => {
    const { tvdb } = workplace({ 'a.pdf': letter });
    const { stdout, stderr } = await tvdb(['upload', 'a.pdf', '--no-color', '--progress=none'], { tty: true });
    expect(stderr).toMatch(/^Plan {6}1 document, 1 page, 2 kB {3}mode mock \(default\)\n/);
    expect(stdout).toMatch(
      /^Done {6}a\.pdf -> [0-9a-f]{8} {3}\d+\.\ds\n {2}made {4}1 page, 1 chunk, 1 vector \(1,536 dims, mock\)\n {2}cost {4}\$0\.0000 actual, \$0\.0000 estimated\n$/,
    );
    expect(stderr).toMatch(/\nnext {3}tvdb search "\.\.\." --doc [0-9a-f]{8}\n$/);
    for (const line of `${stdout}${stderr}`.split('\n')) expect(line.length).toBeLessThanOrEqual(80);
  });

  it('comes through standard input under the name it is given, and has no path that a version could replace', async () => {
    const { json } = workplace();
    const answer = await json(['upload', '-', '--filename', 'piped.pdf'], { stdin: readFileSync(letter) });
    expect(answer.data.documents).toMatchObject([{ path: 'piped.pdf', status: 'complete' }]);
    const refused = await json(['upload', '-', '--filename', 'piped.pdf'], { stdin: 'no PDF' });
    expect(refused).toMatchObject({ exit_code: 1, error: { code: 'TVDB-E402' } });
  });

  it('is not waited for on a terminal as standard input', async () => {
    const { tvdb } = workplace();
    const { code, stderr } = await tvdb(['upload', '-', '--filename', 'a.pdf'], { stdinTty: true });
    expect(code).toBe(2);
    expect(stderr).toContain('TVDB-E008');
  });
});

describe('what is refused', () => {
  it.each([
    ['a PNG', hostile('not-a-pdf.pdf'), 'E402'],
    ['a Word document', hostile('docx-renamed.pdf'), 'E402'],
    ['an empty file', hostile('empty.pdf'), 'E403'],
    ['an encrypted PDF', hostile('encrypted-user-password.pdf'), 'E404'],
    ['random bytes', hostile('garbage.pdf'), 'E405'],
    ['a PDF without pages', hostile('zero-pages.pdf'), 'E415'],
  ])('%s has its own code, exits 1 and leaves nothing behind', async (_what, path, code) => {
    const { home, json } = workplace({ 'x.pdf': path });
    const answer = await json(['upload', 'x.pdf']);
    expect(answer).toMatchObject({
      ok: false,
      exit_code: 1,
      error: { code: `TVDB-${code}`, facts: { path: 'x.pdf' } },
    });
    expect(answer.data).toMatchObject({
      run_id: null,
      documents: [{ status: 'rejected', job_id: null, error: { code: `TVDB-${code}` } }],
      totals: { rejected: 1 },
    });
    expect(
      readdirSync(join(home, 'data/tvdb/storage'), { recursive: true, withFileTypes: true }).filter((entry) =>
        entry.isFile(),
      ),
    ).toEqual([]);
    expect((await json(['status'])).data.jobs).toEqual([]);
  });

  it('limits of size and pages have their own codes', async () => {
    const { json } = workplace({
      'big.pdf': Buffer.concat([readFileSync(letter), Buffer.alloc(MB)]),
      'long.pdf': join(FIXTURES, 'documents/employee-handbook.pdf'),
    });
    const answer = await json(['upload', 'big.pdf', 'long.pdf'], { env: { MAX_FILE_MB: '1', MAX_PAGES: '5' } });
    expect(answer.data.documents.map(({ error }: Json) => error.code)).toEqual(['TVDB-E406', 'TVDB-E407']);
    expect(answer).toMatchObject({ exit_code: 1, error: { code: 'TVDB-E401' } });
  });

  it('a directory, a FIFO and a file that is no PDF are each accounted for, and the others go on', async () => {
    const { cwd, tvdb, json } = workplace({ 'a.pdf': letter, 'sub/b.pdf': unicode, 'notes.txt': Buffer.from('text') });
    execFileSync('mkfifo', [join(cwd, 'pipe.pdf')]);
    const answer = await json(['upload', 'a.pdf', 'sub', 'pipe.pdf', 'notes.txt']);
    expect(answer).toMatchObject({ exit_code: 7, error: { code: 'TVDB-E401' } });
    expect(answer.data.documents.map(({ path, status, error }: Json) => [path, status, error?.code ?? null])).toEqual([
      ['a.pdf', 'complete', null],
      ['notes.txt', 'rejected', 'TVDB-E402'],
      ['pipe.pdf', 'rejected', 'TVDB-E413'],
      ['sub', 'rejected', 'TVDB-E412'],
    ]);
    const { stderr } = await tvdb(['upload', 'a.pdf', 'sub', 'pipe.pdf', 'notes.txt']);
    expect(stderr).toContain('4 found = 1 duplicate + 3 rejected');
    for (const code of ['E402', 'E412', 'E413']) expect(stderr).toContain(`TVDB-${code}`);
  });

  it.each([
    ['nothing', [], 'E002'],
    ['a missing path beside a good one', ['a.pdf', 'missing.pdf'], 'E004'],
    ['a pattern that fits nothing', ['*.docx'], 'E004'],
    ['a misspelt mode', ['a.pdf', '--mode', 'hybird'], 'E005'],
    ['documents beside --resume', ['a.pdf', '--resume', '3fa85f64'], 'E009'],
    ['--force beside --resume', ['--force', '--resume', '3fa85f64'], 'E009'],
    ['a limit of time without waiting', ['a.pdf', '--no-wait', '--timeout', '5m'], 'E009'],
    ['an unknown run', ['--resume', '3fa85f64'], 'E006'],
  ])('%s is a usage error, and nothing is accepted', async (_what, argv, code) => {
    const { json } = workplace({ 'a.pdf': letter });
    expect(await json(['upload', ...argv])).toMatchObject({ exit_code: 2, error: { code: `TVDB-${code}` } });
    expect((await json(['status'])).data.jobs).toEqual([]);
  });
});

describe('many documents', () => {
  it('all fixtures in one go: each file is accounted for and has the outcome its manifest allows', async () => {
    const manifest = JSON.parse(readFileSync(join(FIXTURES, 'manifest.json'), 'utf8')) as {
      path: string;
      expect: string;
      alsoAllowed: string[];
      committed: boolean;
    }[];
    const expected = new Map(
      manifest.filter(({ committed }) => committed).map((one) => [one.path, [one.expect, ...one.alsoAllowed]]),
    );
    const { json } = workplace();
    const answer = await json(['upload', '--recursive', 'documents', 'hostile'], { cwd: FIXTURES });
    const { documents, totals, skipped } = answer.data;
    expect(answer.exit_code).toBe(7);
    expect(documents.map(({ path }: Json) => path).sort()).toEqual([...expected.keys()].sort());
    expect(skipped).toEqual([]);
    expect(sum(totals)).toBe(totals.documents);
    for (const { path, status, error } of documents) {
      const outcome = error === null ? status : error.code.replace('TVDB-', '');
      expect(expected.get(path), path).toContain(outcome);
    }
  }, 120_000);

  it('finds the same content twice in one upload and works on it once', async () => {
    const { json, tvdb } = workplace({ 'a.pdf': letter, 'copy.pdf': letter, 'b.pdf': unicode });
    const answer = await json(['upload', 'a.pdf', 'b.pdf', 'copy.pdf']);
    const [a, b, copy] = answer.data.documents;
    expect([a.status, b.status, copy.status]).toEqual(['complete', 'complete', 'duplicate']);
    expect(copy).toMatchObject({ same_as: 'a.pdf', job_id: a.job_id, document_id: a.document_id });
    expect(answer.data.cost.items[0]).toMatchObject({ service: 'llamaparse', requests: 2 });
    const ids = (await tvdb(['upload', 'a.pdf', 'copy.pdf', '-q'])).stdout.trimEnd().split('\n');
    expect(ids).toEqual([a.document_id]);
  });

  it('reads paths from a list', async () => {
    const { json } = workplace({ 'a b.pdf': letter, 'c.pdf': unicode });
    const answer = await json(['upload', '--files-from', '-'], { stdin: 'c.pdf\0a b.pdf' });
    expect(answer.data.documents.map(({ path, status }: Json) => [path, status])).toEqual([
      ['a b.pdf', 'complete'],
      ['c.pdf', 'complete'],
    ]);
  });

  it('--fail-fast accepts nothing once one is refused', async () => {
    const { json } = workplace({ 'a.pdf': letter, 'bad.pdf': hostile('empty.pdf') });
    const answer = await json(['upload', 'a.pdf', 'bad.pdf', '--fail-fast']);
    expect(answer).toMatchObject({
      exit_code: 1,
      data: { run_id: null, totals: { not_accepted: 1, cancelled: 0, rejected: 1 } },
    });
    expect((await json(['status'])).data.jobs).toEqual([]);
  });

  it('a dry run checks everything, says what would be done and accepts nothing', async () => {
    const { json } = workplace({ 'a.pdf': letter, 'b.pdf': unicode, 'bad.pdf': hostile('empty.pdf') });
    await json(['upload', 'a.pdf']);
    const answer = await json(['upload', 'a.pdf', 'b.pdf', 'bad.pdf', '--dry-run']);
    expect(answer).toMatchObject({ exit_code: 7, data: { run_id: null } });
    expect(answer.data.documents.map(({ status }: Json) => status)).toEqual(['duplicate', 'planned', 'rejected']);
    expect((await json(['upload', 'b.pdf', '-n'])).exit_code).toBe(0);
    expect((await json(['status'])).data.jobs).toHaveLength(1);
  });

  it('shows names with escape sequences as text', async () => {
    const { tvdb } = workplace({ '\u001b[31mred.pdf': letter, 'line\nbreak.pdf': unicode });
    for (const tty of [false, true]) {
      const { stdout, stderr } = await tvdb(['upload', '*.pdf', '--no-color', '--progress=plain'], { tty });
      expect(`${stdout}${stderr}`).not.toMatch(/\u001b/);
      expect(stdout).toContain('\\x1b[31mred.pdf');
      expect(stdout).toContain('line\\nbreak.pdf');
    }
  });
});

describe('the same again', () => {
  it('is skipped; --force makes a new job of the same document', async () => {
    const { json } = workplace({ 'a.pdf': letter });
    const first = (await json(['upload', 'a.pdf'])).data.documents[0];
    const again = await json(['upload', 'a.pdf']);
    expect(again).toMatchObject({
      ok: true,
      data: {
        documents: [{ status: 'duplicate', document_id: first.document_id, duplicate_of: first.job_id, chunks: 1 }],
      },
    });
    const forced = (await json(['upload', 'a.pdf', '--force'])).data.documents[0];
    expect(forced).toMatchObject({ status: 'complete', document_id: first.document_id });
    expect(forced.job_id).not.toBe(first.job_id);
  });

  it('other content at the same path takes the place of the earlier version, unless --keep-old', async () => {
    const { cwd, json } = workplace({ 'a.pdf': letter });
    const first = (await json(['upload', 'a.pdf'])).data.documents[0];
    copyFileSync(unicode, join(cwd, 'a.pdf'));
    const second = (await json(['upload', 'a.pdf'])).data.documents[0];
    expect(second).toMatchObject({ status: 'complete', superseded: [first.document_id] });
    copyFileSync(newsletter, join(cwd, 'a.pdf'));
    const third = (await json(['upload', 'a.pdf', '--keep-old'])).data.documents[0];
    expect(third).toMatchObject({ status: 'complete', superseded: [] });
    const { data } = await json(['search', 'news and letters', '-k', '50']);
    expect(new Set(data.results.map((hit: Json) => hit.document_id))).toEqual(
      new Set([second.document_id, third.document_id]),
    );
  });
});
