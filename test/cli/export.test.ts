/** `tvdb export`: every searchable chunk once, vectors bit for bit, through pipes and into files. */
import { spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { decodeVector, encodeVector, unit, vectorSha } from '../../src/domain/vector.ts';
import { addVectors } from '../../src/search/vector-index.ts';
import type { Store } from '../../src/store/open.ts';
import { documentRow } from '../setup/jobs.ts';
import { runTvdb } from '../setup/run-tvdb.ts';
import { countingIds, seededRandom } from '../setup/seeded.ts';
import { tempDirectory } from '../setup/temp.ts';
import { BIN, makeHome, type Seed, seed, storeAt } from './seeded-home.ts';

interface Line {
  document_id: string;
  chunk_id: string;
  chunk: number;
  text: string;
  vector?: number[];
  [key: string]: unknown;
}

const linesOf = (text: string): Line[] =>
  text
    .trimEnd()
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Line);

/** Documents of `chunks` chunks each with random vectors, in a store of their own. */
async function bigStore(
  store: Store,
  documents: number,
  chunks: number,
  space = 'mock/hash-ngram@1/1536',
): Promise<void> {
  const ids = countingIds();
  const random = seededRandom(7);
  for (let index = 0; index < documents; index += 1) {
    const document = documentRow(ids, { filename: `d${index}.pdf`, created_at: index + 1 });
    const rows = Array.from({ length: chunks }, (_zero, ord) => {
      const vector = encodeVector(unit(Array.from({ length: 1536 }, () => random() - 0.5)));
      return {
        chunkId: `${document.document_id}-${ord}`,
        vector,
        vectorSha: vectorSha(vector),
        origin: 'mock' as const,
      };
    });
    await store.write(async (trx) => {
      await trx.insertInto('documents').values(document).execute();
      for (const [ord, row] of rows.entries()) {
        await trx
          .insertInto('document_chunks')
          .values({
            chunk_id: row.chunkId,
            document_id: document.document_id,
            parse_id: 'p',
            chunk_ord: ord,
            chunker: 'markdown-simple@1',
            text: `text ${ord}`,
            chunk_sha: 's',
            page_from: 1,
            page_to: 1,
            heading_path: '[]',
            token_count: 2,
            origin: 'mock',
          })
          .execute();
      }
      await addVectors(trx, { spaceName: space, dimensions: 1536, documentId: document.document_id, rows });
    });
  }
}

const environment = (home: string) => ({
  HOME: home,
  XDG_CONFIG_HOME: join(home, 'config'),
  XDG_DATA_HOME: join(home, 'data'),
  LANG: 'C.UTF-8',
});

describe('documents of the pipeline', () => {
  let seeded: Seed;
  beforeAll(async () => {
    seeded = await seed(makeHome(), ['letter.pdf', 'unicode.pdf']);
  });

  it('are one line a chunk with everything another store needs; the vector is the stored one, bit for bit', async () => {
    const { stdout, stderr, code } = await runTvdb(['export'], { home: seeded.home });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const lines = linesOf(stdout);
    const stored = await storeAt(seeded.home, (store) =>
      store.db.selectFrom('vectors').select(['chunk_id', 'vector']).execute(),
    );
    expect(lines.map((line) => line.chunk_id).sort()).toEqual(stored.map((row) => row.chunk_id).sort());
    for (const line of lines) {
      const row = stored.find(({ chunk_id: id }) => id === line.chunk_id);
      expect(Float32Array.from(line.vector ?? [])).toEqual(decodeVector(row?.vector ?? Buffer.alloc(0)));
    }
    expect(lines[0]).toMatchObject({
      document_id: seeded.jobs[0]?.document_id,
      filename: 'letter.pdf',
      chunk: 0,
      page: 1,
      origin: { parse: 'mock', embed: 'mock' },
      embedding_space: 'mock/hash-ngram@1/1536',
      dims: 1536,
    });
    expect(lines[0]?.path).toMatch(/\/letter\.pdf$/);
    expect(lines[0]?.token_count).toBeGreaterThan(0);
    expect(lines[0]?.heading_path).toBeInstanceOf(Array);
  });

  it('--ndjson is the same, without a line that is no record', async () => {
    const plain = await runTvdb(['export'], { home: seeded.home });
    const explicit = await runTvdb(['export', '--ndjson'], { home: seeded.home });
    expect(explicit.stdout).toBe(plain.stdout);
  });

  it('narrow by document, job, run and space', async () => {
    const job = seeded.jobs[1];
    const ids = async (...args: string[]) => [
      ...new Set(
        linesOf((await runTvdb(['export', '--no-vectors', ...args], { home: seeded.home })).stdout).map(
          (line) => line.document_id,
        ),
      ),
    ];
    expect(await ids(job?.document_id ?? '')).toEqual([job?.document_id]);
    expect(await ids(job?.job_id.slice(0, 12) ?? '')).toEqual([job?.document_id]);
    expect(await ids(seeded.runId)).toHaveLength(2);
    expect(await ids('--space', 'mock/hash-ngram@1/1536')).toHaveLength(2);
    const unknown = await runTvdb(['export', '--space', 'nope/x/8'], { home: seeded.home });
    expect(unknown.code).toBe(2);
    expect(unknown.stderr).toContain('TVDB-E504');
  });

  it('--no-vectors leaves them out', async () => {
    const lines = linesOf((await runTvdb(['export', '--no-vectors'], { home: seeded.home })).stdout);
    expect(lines.length).toBeGreaterThan(1);
    expect(lines.every((line) => !('vector' in line))).toBe(true);
  });

  it('--output writes a file that is complete when it appears, and says how much', async () => {
    const directory = tempDirectory();
    const { json } = await runTvdb(['export', '-o', 'out.ndjson', '--json'], { home: seeded.home, cwd: directory });
    const lines = linesOf(readFileSync(join(directory, 'out.ndjson'), 'utf8'));
    expect(json).toMatchObject({
      schema: 'tvdb.export/v1',
      data: {
        output: join(directory, 'out.ndjson'),
        chunks: lines.length,
        documents: 2,
        bytes: statSync(join(directory, 'out.ndjson')).size,
      },
    });
    expect(readdirSync(directory)).toEqual(['out.ndjson']);
    writeFileSync(join(directory, 'out.ndjson'), 'old');
    const quiet = await runTvdb(['export', '-o', 'out.ndjson', '-q'], { home: seeded.home, cwd: directory });
    expect(quiet.stdout.trimEnd()).toBe(join(directory, 'out.ndjson'));
    expect(linesOf(readFileSync(join(directory, 'out.ndjson'), 'utf8'))).toHaveLength(lines.length);
  });

  it('--output into a place that cannot be written is exit 1 and leaves nothing', async () => {
    const directory = tempDirectory();
    mkdirSync(join(directory, 'taken'));
    for (const path of ['missing/out.ndjson', 'taken']) {
      const { code, stderr } = await runTvdb(['export', '-o', path], { home: seeded.home, cwd: directory });
      expect(code).toBe(1);
      expect(stderr).toContain('TVDB-E109');
    }
    expect(readdirSync(directory)).toEqual(['taken']);
  });

  it('--output to a device writes to it instead of replacing it', async () => {
    const { code } = await runTvdb(['export', '-o', '/dev/null'], { home: seeded.home });
    expect(code).toBe(0);
    expect(statSync('/dev/null').isCharacterDevice()).toBe(true);
  });

  it('--json without --output is refused, because the records have standard output', async () => {
    const { code, json } = await runTvdb(['export', '--json'], { home: seeded.home });
    expect(code).toBe(2);
    expect(json.error.code).toBe('TVDB-E009');
  });

  it('a hostile name or path cannot reach a terminal, and comes back whole', async () => {
    const evil = 'x\x1b[2J\u009b31m\u202ey\u2028z';
    await storeAt(seeded.home, (store) =>
      store.db
        .updateTable('documents')
        .set({ source_path: evil })
        .where('document_id', '=', seeded.jobs[0]?.document_id ?? '')
        .execute(),
    );
    const { stdout } = await runTvdb(['export', seeded.jobs[0]?.document_id ?? '', '--no-vectors'], {
      home: seeded.home,
      tty: true,
    });
    for (const char of ['\x1b', '\u009b', '\u202e', '\u2028']) expect(stdout).not.toContain(char);
    expect(linesOf(stdout)[0]?.path).toBe(evil);
  });
});

describe('large stores', () => {
  it('come in order and whole, each chunk once, across pages of rows and of documents', async () => {
    const home = tempDirectory();
    await storeAt(home, (store) => bigStore(store, 2, 401));
    const { stdout } = await runTvdb(['export', '--no-vectors'], { home });
    expect(linesOf(stdout).map((line) => [line.filename, line.chunk])).toEqual(
      ['d0.pdf', 'd1.pdf'].flatMap((name) => Array.from({ length: 401 }, (_zero, ord) => [name, ord])),
    );
  });

  it('more than 5 MB arrive whole through a slow pipe', async () => {
    const home = tempDirectory();
    await storeAt(home, (store) => bigStore(store, 1, 400));
    const child = spawn(process.execPath, [BIN, 'export'], {
      env: environment(home),
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const parts: Buffer[] = [];
    for await (const part of child.stdout) {
      parts.push(part as Buffer);
      for (let turn = 0; turn < 20; turn += 1) await new Promise((next) => setImmediate(next));
    }
    const text = Buffer.concat(parts).toString('utf8');
    expect(text.length).toBeGreaterThan(5_000_000);
    expect(linesOf(text).map((line) => line.chunk)).toEqual(Array.from({ length: 400 }, (_zero, ord) => ord));
  });

  it('`export | head -1`: the reader gets its line, exit 0, no stack', async () => {
    const home = tempDirectory();
    await storeAt(home, (store) => bigStore(store, 1, 600));
    const child = spawn(process.execPath, [BIN, 'export'], {
      env: environment(home),
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stderr = '';
    child.stderr.on('data', (part) => {
      stderr += part;
    });
    child.stdout.once('data', () => child.stdout.destroy());
    const [code] = await once(child, 'exit');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  });

  it('Ctrl-C while a file is written leaves no file', async () => {
    const home = tempDirectory();
    const directory = tempDirectory();
    await storeAt(home, (store) => bigStore(store, 1, 401));
    const signals = new EventEmitter();
    const ids = countingIds();
    let made = 0;
    const interrupting = {
      uuid() {
        made += 1;
        // The first id is for the store's user, the second names the temporary file.
        if (made === 2) setImmediate(() => signals.emit('SIGINT', 'SIGINT'));
        return ids.uuid();
      },
    };
    const { code } = await runTvdb(['export', '-o', 'out.ndjson'], {
      home,
      cwd: directory,
      signals,
      ids: interrupting,
    });
    expect({ code, made }).toEqual({ code: 130, made: 2 });
    expect(readdirSync(directory)).toEqual([]);
  });

  it('several spaces in one export are warned of', async () => {
    const home = tempDirectory();
    await storeAt(home, async (store) => {
      await bigStore(store, 1, 2);
      const chunk = await store.db.selectFrom('document_chunks').selectAll().executeTakeFirstOrThrow();
      const vector = encodeVector(unit(Array.from({ length: 8 }, () => 1)));
      await store.write((trx) =>
        addVectors(trx, {
          spaceName: 'openai/x/8',
          dimensions: 8,
          documentId: chunk.document_id,
          rows: [{ chunkId: chunk.chunk_id, vector, vectorSha: vectorSha(vector), origin: 'real' }],
        }),
      );
    });
    const { stdout, stderr } = await runTvdb(['export', '--no-vectors'], { home });
    expect(linesOf(stdout)).toHaveLength(3);
    expect(stderr).toContain('TVDB-W305');
    expect((await runTvdb(['export', '--no-vectors', '--space', 'openai/x/8'], { home })).stderr).toBe('');
  });
});

describe('an empty store', () => {
  it('exports nothing, and that is no failure', async () => {
    const { code, stdout, stderr } = await runTvdb(['export']);
    expect({ code, stdout }).toEqual({ code: 0, stdout: '' });
    expect(stderr).toContain('next   tvdb status');
  });
});
