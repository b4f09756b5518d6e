import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { runTvdb } from '../setup/run-tvdb.ts';

const LETTER = join(process.cwd(), 'fixtures/documents/letter.pdf');
const UNICODE = join(process.cwd(), 'fixtures/documents/unicode.pdf');

async function uploaded(...paths: string[]) {
  const { home, json } = await runTvdb(['upload', ...paths, '--json']);
  const documents = json.data.documents as { job_id: string; document_id: string }[];
  return { home, jobs: documents.map(({ job_id: id }) => id), documents: documents.map(({ document_id: id }) => id) };
}

/** Files below the tool's home that contain a text; nothing has the store open any more. */
function filesWith(home: string, text: string): string[] {
  const root = join(home, 'data', 'tvdb');
  return readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => readFileSync(path).includes(text));
}

describe('tvdb delete', () => {
  it('leaves neither name nor text of a document in any file of the tool, logs included', async () => {
    const { home, documents } = await uploaded(LETTER, UNICODE);
    const markdown = readdirSync(join(home, 'data/tvdb/storage/parsed'), { recursive: true, encoding: 'utf8' }).find(
      (path) => path.endsWith(`${documents[0]}.md`),
    );
    const text = readFileSync(join(home, 'data/tvdb/storage/parsed', markdown ?? ''), 'utf8');
    // The longest line of the letter stands in its markdown, and in the store.
    const line =
      text
        .split('\n')
        .sort((a, b) => b.length - a.length)[0]
        ?.slice(0, 40) ?? '';
    expect(filesWith(home, line)).toHaveLength(2);
    const { code, json } = await runTvdb(['delete', documents[0] ?? '', '--yes', '--json'], { home });
    expect([code, json.schema]).toEqual([0, 'tvdb.delete/v1']);
    expect(json.data).toMatchObject({
      documents: [{ document_id: documents[0], outcome: 'deleted' }],
      totals: { documents: 1 },
      purged: true,
    });
    expect(json.data.documents[0].chunks).toBeGreaterThan(0);
    expect(filesWith(home, line)).toEqual([]);
    expect(filesWith(home, 'letter.pdf')).toEqual([]);
    expect(filesWith(home, 'unicode.pdf').length).toBeGreaterThan(0);
  });

  it('does nothing without a yes; scripts need --yes (E011)', async () => {
    const { home, documents } = await uploaded(LETTER);
    const { code, json } = await runTvdb(['delete', documents[0] ?? '', '--json'], { home, stdin: 'y\n' });
    expect([code, json.error.code]).toEqual([2, 'TVDB-E011']);
    expect((await runTvdb(['status', documents[0] ?? '', '--json'], { home })).json.data.jobs).toMatchObject([
      { filename: 'letter.pdf' },
    ]);
  });

  it('cancels what works on it', async () => {
    const { home, json } = await runTvdb(['upload', LETTER, '--no-wait', '--json']);
    const [document] = json.data.documents;
    const deleted = await runTvdb(['delete', document.document_id, '-y', '--json'], { home });
    expect(deleted.json.data.documents[0].cancelled_job_ids).toEqual([document.job_id]);
  });

  it('may be repeated, which finishes an interrupted deletion', async () => {
    const { home, documents } = await uploaded(LETTER);
    await runTvdb(['delete', documents[0] ?? '', '-y'], { home });
    const again = await runTvdb(['delete', documents[0]?.slice(0, 8) ?? '', '-y'], { home });
    expect([again.code, again.stdout]).toEqual([0, `${documents[0]}\talready_deleted\t0\n`]);
  });

  it('takes documents only, and tells the document of a job', async () => {
    const { home, jobs, documents } = await uploaded(LETTER);
    const { code, json } = await runTvdb(['delete', jobs[0] ?? '', '-y', '--json'], { home });
    expect([code, json.error.code, json.error.fix.commands]).toEqual([
      2,
      'TVDB-E006',
      [`tvdb delete ${documents[0]?.slice(0, 8)}`],
    ]);
    expect((await runTvdb(['delete', 'abcdef12', '-y', '--json'], { home })).json.error.code).toBe('TVDB-E006');
    expect((await runTvdb(['delete'], { home })).code).toBe(2);
  });

  it('deletes nothing when one of several ids is unknown', async () => {
    const { home, documents } = await uploaded(LETTER);
    expect((await runTvdb(['delete', documents[0] ?? '', 'abcdef12', '-y'], { home })).code).toBe(2);
    expect(existsSync(join(home, 'data/tvdb/storage/raw'))).toBe(true);
    expect((await runTvdb(['search', 'letter', '--json'], { home })).json.data.results.length).toBeGreaterThan(0);
  });

  it('makes the document new again, and the old job a record without a name', async () => {
    const { home, documents, jobs } = await uploaded(LETTER);
    await runTvdb(['delete', documents[0] ?? '', '-y'], { home });
    const again = await runTvdb(['upload', LETTER, '--json'], { home });
    expect(again.json.data.documents[0]).toMatchObject({ status: 'complete' });
    expect(again.json.data.documents[0].document_id).not.toBe(documents[0]);
    expect((await runTvdb(['status', jobs[0] ?? '', '--json'], { home })).json.data.jobs).toMatchObject([
      { status: 'complete', filename: null },
    ]);
  });
});
