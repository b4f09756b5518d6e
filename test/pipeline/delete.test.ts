import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { deleteDocument } from '../../src/pipeline/delete.ts';
import { retryJob } from '../../src/pipeline/retry.ts';
import { eventsOfJob } from '../../src/store/events.ts';
import { deletedDocumentIds } from '../../src/store/jobs/forget.ts';
import { STORE_FILE } from '../../src/store/open.ts';
import { purgeRemains } from '../../src/store/purge.ts';
import { memoryParser, pipeline } from './harness.ts';

const never = new AbortController().signal;
const quiet = () => {};
/** Stands in the name, the text, the tags and the path of the document. */
const NEEDLE = 'Xylophonist';
/** What the index of words holds of it. */
const NEEDLE_TERM = 'xylophonist';

/** A parser whose every page has the needle in it, long enough to fill overflow pages. */
const tellingParser = () =>
  memoryParser({
    async fetchResult() {
      const pages = [1, 2, 3].map((number) => ({
        number,
        markdown: `# ${NEEDLE} ${number}\n\n${`${NEEDLE} plays on page ${number}. `.repeat(300)}`,
      }));
      return { pages, creditsBilled: 0 };
    },
  });

async function telling(line: ReturnType<typeof pipeline>, content = 'one') {
  const made = await line.upload(content, { path: `/papers/${NEEDLE}.pdf`, tags: { person: NEEDLE } });
  await line.store.write((trx) =>
    trx
      .updateTable('documents')
      .set({ filename: `${NEEDLE}.pdf` })
      .where('document_id', '=', made.document.document_id)
      .execute(),
  );
  return made;
}

/** Every text in every column of every table. */
function textsOf({ store: { sqlite } }: ReturnType<typeof pipeline>): string {
  const tables = sqlite.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").all() as { name: string }[];
  return tables.map(({ name }) => JSON.stringify(sqlite.prepare(`SELECT * FROM "${name}"`).all())).join('\n');
}

/** Whether the needle is in the bytes of a file of the store; only once no connection of this process is open. */
function filesWithNeedle(home: string): string[] {
  return readdirSync(home).filter((name) => {
    if (!name.startsWith(STORE_FILE)) return false;
    const bytes = readFileSync(join(home, name));
    return bytes.includes(NEEDLE) || bytes.includes(NEEDLE_TERM);
  });
}

describe('deleting a document', () => {
  it('leaves nothing of it in any column, in storage, or in the bytes of the store file', async () => {
    const line = pipeline({ parser: tellingParser() });
    const { job, document } = await telling(line);
    const other = await line.upload('two');
    await line.drain();
    expect(textsOf(line)).toContain(NEEDLE);
    expect(textsOf(line)).toContain(NEEDLE_TERM);
    // The second document has the same pages; only what is about the first must go.
    await deleteDocument(line.deps, other.document.document_id, quiet, never);
    const done = await deleteDocument(line.deps, document.document_id, quiet, never);
    expect(done).toMatchObject({ state: 'deleted', parses: 1, cancelled: [] });
    expect(done?.chunks).toBeGreaterThan(0);
    expect(done?.vectors).toBe(done?.chunks);
    expect(textsOf(line)).not.toContain(NEEDLE);
    expect(textsOf(line)).not.toContain(NEEDLE_TERM);
    expect(existsSync(line.deps.storage.pathOf(document.raw_path))).toBe(false);
    expect(readdirSync(join(line.deps.storage.root, 'parsed', document.user_id))).toEqual([]);
    expect(purgeRemains(line.store)).toBeNull();
    await line.store.close();
    expect(filesWithNeedle(line.home)).toEqual([]);
    expect(job.job_id).toBeDefined();
  });

  it('would leave its text in the file without the purge (so that the test above can fail)', async () => {
    const line = pipeline({ parser: tellingParser() });
    const { document } = await telling(line);
    await line.drain();
    line.store.sqlite.pragma('secure_delete = OFF');
    await line.store.write((trx) => trx.deleteFrom('parses').where('document_id', '=', document.document_id).execute());
    await line.store.close();
    expect(filesWithNeedle(line.home)).not.toEqual([]);
  });

  it('keeps its jobs and events as a record, ended by DOCUMENT_DELETED', async () => {
    const line = pipeline();
    const { job, document } = await line.upload('one');
    await line.drain();
    await deleteDocument(line.deps, document.document_id, quiet, never);
    expect(await line.jobs()).toMatchObject([{ job_id: job.job_id, status: 'complete' }]);
    const events = await eventsOfJob(line.store.db, job.job_id);
    expect(events.at(-1)).toMatchObject({ code: 'DOCUMENT_DELETED', document_id: document.document_id });
    expect(events.length).toBeGreaterThan(5);
  });

  it('spares every other document', async () => {
    const line = pipeline();
    const first = await line.upload('one');
    const second = await line.upload('two');
    await line.drain();
    const before = await line.rows();
    await deleteDocument(line.deps, first.document.document_id, quiet, never);
    purgeRemains(line.store);
    expect(await line.rows()).toMatchObject({
      chunks: before.chunks / 2,
      words: before.words / 2,
      vectors: before.vectors / 2,
      bits: before.bits / 2,
    });
    expect(existsSync(line.deps.storage.pathOf(second.document.raw_path))).toBe(true);
  });

  it('cancels its live jobs in the same transaction', async () => {
    const line = pipeline();
    const { document } = await line.upload('one');
    const done = await deleteDocument(line.deps, document.document_id, quiet, never);
    expect(done?.cancelled).toHaveLength(1);
    await line.drain();
    expect(await line.jobs()).toMatchObject([{ status: 'cancelled' }]);
  });

  it('is finished by the same call when a crash came between the store and the files', async () => {
    const line = pipeline();
    const { document } = await line.upload('one');
    await line.drain();
    const raw = line.deps.storage.pathOf(document.raw_path);
    const bytes = readFileSync(raw);
    await deleteDocument(line.deps, document.document_id, quiet, never);
    // As a crash before the removal would have left it.
    writeFileSync(raw, bytes);
    expect(await deletedDocumentIds(line.store.db, document.document_id.slice(0, 8), 5)).toEqual([
      document.document_id,
    ]);
    expect(await deleteDocument(line.deps, document.document_id, quiet, never)).toMatchObject({
      state: 'already_deleted',
      chunks: 0,
    });
    expect(existsSync(raw)).toBe(false);
    const deletions = await line.store.db
      .selectFrom('job_events')
      .selectAll()
      .where('code', '=', 'DOCUMENT_DELETED')
      .execute();
    expect(deletions).toHaveLength(1);
  });

  it('says so, and how to go on, when a file cannot be removed', async () => {
    const line = pipeline();
    const { document } = await line.upload('one');
    const raw = line.deps.storage.pathOf(document.raw_path);
    // A directory in the place of the file cannot be removed as one, whoever the user is.
    rmSync(raw);
    mkdirSync(raw);
    chmodSync(dirname(raw), 0o700);
    await expect(deleteDocument(line.deps, document.document_id, quiet, never)).rejects.toMatchObject({
      code: 'E104',
      commands: [`tvdb delete ${document.document_id} --yes`],
    });
  });

  it('makes a retry of its failed job impossible (E417), and its bytes new to an upload', async () => {
    const line = pipeline({ parser: memoryParser({ submit: async () => Promise.reject(new Error('bug')) }) });
    const { job, document } = await line.upload('one');
    await line.drain();
    await deleteDocument(line.deps, document.document_id, quiet, never);
    expect(await retryJob(line.deps, job.job_id, 'again', quiet)).toMatchObject({
      outcome: { state: 'refused', error: { code: 'E417' } },
    });
    const again = await line.upload('one');
    expect(again.state).toBe('accepted');
    expect(again.document.document_id).not.toBe(document.document_id);
  });

  it('is undefined for an id that never was', async () => {
    expect(await deleteDocument(pipeline().deps, 'unknown', quiet, never)).toBeUndefined();
  });
});

describe('the purge', () => {
  it('says what is left when the store is too large to be rewritten, or somebody reads it', async () => {
    const line = pipeline();
    expect(purgeRemains(line.store, 1)).toMatch(/too large/);
    const reader = pipeline({ home: line.home });
    reader.store.sqlite.exec('begin');
    reader.store.sqlite.prepare('SELECT count(*) FROM documents').get();
    await line.upload('one');
    expect(purgeRemains(line.store)).toMatch(/another process/);
    reader.store.sqlite.exec('rollback');
    expect(purgeRemains(line.store)).toBeNull();
  });
});
