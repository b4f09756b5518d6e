/** An upload that ends before its time: the store fails, the reader leaves, somebody stops it. Nothing durable goes untold. */
import { spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { TvdbError } from '../../src/base/errors.ts';
import { errorOf } from '../../src/cli/commands/upload-error.ts';
import type { UploadAnswer } from '../../src/cli/commands/upload-result.ts';
import { PRODUCT, type Product } from '../../src/cli/product.ts';
import type { World } from '../../src/world.ts';
import { gate, hostile, type Json, letter, newsletter, steeredClock, unicode, workplace } from './workplace.ts';

const THREE = { 'a.pdf': letter, 'b.pdf': unicode, 'c.pdf': newsletter };

/** Different documents, as many as wanted. */
function copies(number: number): Record<string, Buffer> {
  const bytes = readFileSync(letter);
  const names = Array.from({ length: number }, (_, index) => `d${String(index).padStart(3, '0')}.pdf`);
  return Object.fromEntries(names.map((name) => [name, Buffer.concat([bytes, Buffer.from(`\n% ${name}\n`)])]));
}

/** The product, with a world whose store or pipeline the test has its hands in. */
function withWorld(change: (world: World) => void): Partial<Product> {
  return {
    openWorld: async (...args) => {
      const world = await PRODUCT.openWorld(...args);
      change(world);
      return world;
    },
  };
}

/** A store that takes `writes` writes; then the disk is full. */
function fullAfter(writes: number): Partial<Product> {
  return withWorld(({ store }) => {
    const write = store.write.bind(store) as (...args: unknown[]) => Promise<unknown>;
    let left = writes;
    const failing = (...args: unknown[]) => {
      if (left-- > 0) return write(...args);
      return Promise.reject(new TvdbError('E503', { message: 'The disk is full', retry: { kind: 'later' } }));
    };
    Object.assign(store, { write: failing, writeRelaxed: failing });
  });
}

const staged = (home: string) => readdirSync(join(home, 'data/tvdb/storage/incoming'));

describe('a disk that fills up', () => {
  it('while documents are accepted: those that are durable are told of, with a sum that adds up and how to go on', async () => {
    const { home, tvdb, rows } = workplace({ ...THREE, 'd.pdf': hostile('empty.pdf') });
    // The record of the run, then one write for each document: the third is the one that fails.
    const run = await tvdb(['upload', '*.pdf'], { product: fullAfter(3) });
    expect(run.code).toBe(6);
    expect(
      run.stdout
        .trimEnd()
        .split('\n')
        .map((line) => line.split('\t').filter((_cell, at) => at === 1 || at === 4)),
    ).toEqual([
      ['accepted', 'a.pdf'],
      ['accepted', 'b.pdf'],
      ['not_accepted', 'c.pdf'],
      ['rejected', 'd.pdf'],
    ]);
    expect(run.stderr).toContain('4 found = 1 rejected + 2 queued + 1 not accepted');
    expect(run.stderr.replace(/\s+/g, ' ')).toContain(
      'TVDB-E503 The disk is full; 2 of 4 documents were accepted and are kept',
    );
    expect(run.stderr).toContain('fix    tvdb run\n'.slice(7));
    expect(await rows('upload_jobs')).toHaveLength(2);
    expect(staged(home)).toEqual([]);
    expect((await tvdb(['run'])).code).toBe(0);
    expect((await rows('upload_jobs')).map(({ status }) => status)).toEqual(['complete', 'complete']);
  });

  it('while they are processed: JSON has every document and the error', async () => {
    const { json } = workplace(THREE);
    const answer = await json(['upload', '*.pdf'], { product: fullAfter(4) });
    expect(answer).toMatchObject({
      ok: false,
      exit_code: 6,
      error: { code: 'TVDB-E503', fix: { commands: ['tvdb run'] }, facts: { accepted: 3, documents: 3 } },
      data: { totals: { documents: 3, accepted: 3, not_accepted: 0 } },
    });
    for (const { job_id } of answer.data.documents) expect(job_id).toMatch(/^[0-9a-f-]{36}$/);
    const resumed = await json(['upload', '--resume', answer.data.run_id], { product: fullAfter(1) });
    expect(resumed).toMatchObject({ exit_code: 6, error: { code: 'TVDB-E503' } });
    expect((await json(['upload', '--resume', answer.data.run_id])).data.totals).toMatchObject({ complete: 3 });
  });

  it('at the very end: what is complete is told as complete', async () => {
    const { json } = workplace({ 'a.pdf': letter });
    const product = withWorld(({ store }) => {
      const write = store.write.bind(store) as (body: (trx: never) => Promise<unknown>) => Promise<unknown>;
      const failing = async (body: (trx: never) => Promise<unknown>) => {
        const jobs = await store.db.selectFrom('upload_jobs').select('status').execute();
        if (!jobs.some(({ status }) => status === 'complete')) return write(body);
        throw new TvdbError('E503', { message: 'The disk is full' });
      };
      Object.assign(store, { write: failing, writeRelaxed: failing });
    });
    const answer = await json(['upload', 'a.pdf'], { product });
    expect(answer).toMatchObject({
      exit_code: 6,
      error: { code: 'TVDB-E503', fix: { commands: [] } },
      data: { documents: [{ status: 'complete' }] },
    });
  });
});

describe('a reader that leaves', () => {
  it('`upload ten --ndjson | head -1`: exit 0, no error; the jobs stay in the queue for `run` (G7)', async () => {
    const { home, cwd, tvdb, rows } = workplace(copies(10));
    const names = readdirSync(cwd);
    const child = spawn(process.execPath, [resolve('bin/tvdb.js'), 'upload', ...names, '--ndjson'], {
      cwd,
      env: {
        HOME: home,
        LANG: 'C.UTF-8',
        XDG_CONFIG_HOME: join(home, 'config'),
        XDG_DATA_HOME: join(home, 'data'),
        MOCK_PARSE_LATENCY: '2s',
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    child.stdout.once('data', () => child.stdout.destroy());
    let stderr = '';
    child.stderr.on('data', (chunk) => {
      stderr += chunk;
    });
    const [code] = await once(child, 'close');
    expect({ code, stderr }).toEqual({ code: 0, stderr: expect.not.stringMatching(/error|TVDB-|cancelled/) });
    expect(await rows('upload_jobs')).toHaveLength(10);
    expect((await rows('upload_jobs')).filter(({ status }) => status === 'cancelled')).toEqual([]);
    expect((await tvdb(['run'])).code).toBe(0);
    expect(new Set((await rows('upload_jobs')).map(({ status }) => status))).toEqual(new Set(['complete']));
  }, 60_000);
});

describe('Ctrl-C', () => {
  /** Stops once `after` files are checked. */
  function stopsAfter(after: number, signals: EventEmitter): Partial<Product> {
    return withWorld(({ pipeline }) => {
      let checked = 0;
      Object.assign(pipeline, {
        inspector: {
          async inspect() {
            checked += 1;
            if (checked === after) signals.emit('SIGINT');
            return { pages: 1, encrypted: false };
          },
        },
      });
    });
  }

  it('while files are checked: says how many were, that nothing was accepted or charged, in text and in JSON', async () => {
    const { home, tvdb, json, rows } = workplace({ ...copies(30), 'a-bad.pdf': hostile('empty.pdf') });
    const first = new EventEmitter();
    const answer = await json(['upload', '*.pdf'], { signals: first, product: stopsAfter(10, first) });
    expect(answer).toMatchObject({
      exit_code: 130,
      error: { code: 'TVDB-E012', charged_nano_usd: 0, facts: { found: 31 } },
      data: { run_id: null, totals: { documents: 31, rejected: 1, not_accepted: 30, cancelled: 0 } },
    });
    const { checked } = answer.error.facts;
    expect(checked).toBeGreaterThanOrEqual(10);
    expect(checked).toBeLessThan(20);
    const second = new EventEmitter();
    const text = await tvdb(['upload', '*.pdf'], { signals: second, product: stopsAfter(10, second) });
    expect(text.stderr).toMatch(
      /stop {3}Stopped by Ctrl-C after \d+ of 31 files were checked; nothing was accepted, nothing was charged/,
    );
    expect(text.stderr).toContain('31 found = 1 rejected + 30 not accepted');
    expect(text.stderr).not.toContain('E401');
    expect(await rows('upload_jobs')).toEqual([]);
    expect(await rows('runs')).toEqual([]);
    expect(staged(home)).toEqual([]);
  });

  it('while they are accepted: no document that was left is called cancelled or failed', async () => {
    const { json, rows } = workplace(THREE);
    const signals = new EventEmitter();
    let writes = 0;
    const product = withWorld(({ store }) => {
      const write = store.write.bind(store) as (...args: unknown[]) => Promise<unknown>;
      const stopping = (...args: unknown[]) => {
        writes += 1;
        if (writes === 2) signals.emit('SIGINT');
        return write(...args);
      };
      Object.assign(store, { write: stopping, writeRelaxed: stopping });
    });
    const answer = await json(['upload', '*.pdf'], { signals, product });
    expect(answer).toMatchObject({
      exit_code: 130,
      error: { code: 'TVDB-E012' },
      data: { totals: { documents: 3, accepted: 1, not_accepted: 2, cancelled: 0 } },
    });
    expect(await rows('upload_jobs')).toHaveLength(1);
  });
});

it('a long check has a line at each tenth in a log, and a short one has none', async () => {
  const product = withWorld(({ pipeline }) => {
    Object.assign(pipeline, { inspector: { inspect: async () => ({ pages: 1, encrypted: false }) } });
  });
  const long = await workplace(copies(40)).tvdb(['upload', '*.pdf', '-n', '--progress=plain'], { product });
  const lines = long.stderr.split('\n').filter((line) => line.includes(' check '));
  expect(lines.map((line) => line.slice(9))).toEqual([
    'stage  40 files check start',
    ...[10, 20, 30, 40, 50, 60, 70, 80, 90].map((percent) => `stage  40 files check ${percent}%`),
    'done   40 files check ok',
  ]);
  const short = await workplace(THREE).tvdb(['upload', '*.pdf', '-n', '--progress=plain'], { product });
  expect(short.stderr).not.toContain('check');
});

describe('documents that somebody else stopped', () => {
  /** Uploads `a.pdf`, `b.pdf` and what else there is, with another command coming in between. */
  async function meddled(files: Record<string, string>, command: (job: Json) => string[]): Promise<Json> {
    const { json, tvdb, rows } = workplace(files);
    const begun = gate();
    const over = gate();
    const clock = steeredClock((ms) => {
      // The heartbeat that finds its jobs gone.
      if (ms === 9_000) return over.opened.then(() => new Promise((resolve) => setImmediate(resolve)));
      if (ms !== 3_600_000) return undefined;
      begun.open();
      return new Promise(() => {});
    });
    const env = { MOCK_PARSE_LATENCY: '60m', HEARTBEAT_INTERVAL: '9s' };
    const uploading = json(['upload', '*.pdf'], { env, clock });
    await begun.opened;
    for (const job of await rows('upload_jobs')) await tvdb([...command(job), '--yes']);
    over.open();
    return uploading;
  }

  it('were cancelled, not unacceptable; no line is promised a code that it does not have', async () => {
    const answer = await meddled({ 'a.pdf': letter, 'b.pdf': unicode }, ({ job_id }) => ['cancel', job_id]);
    expect(answer).toMatchObject({
      exit_code: 1,
      error: { code: 'TVDB-E401', message: 'Of 2 documents, 2 were cancelled meanwhile' },
      data: { totals: { cancelled: 2 } },
    });
    expect(answer.error.fix.text).toBe('Upload again what is still wanted.');
  });

  it('were deleted, beside one that was refused: only that one is listed', async () => {
    const answer = await meddled({ 'a.pdf': letter, 'bad.pdf': hostile('empty.pdf') }, ({ document_id }) => [
      'delete',
      document_id,
    ]);
    expect(answer.error.message).toBe('1 of 2 documents could not be accepted; 1 was deleted meanwhile');
    expect(answer.error.facts.items).toMatchObject([{ name: 'bad.pdf' }]);
  });
});

it('a document alone whose error is of a newer tvdb is not called cancelled', () => {
  const error = {
    code: 'TVDB-E499',
    category: 'data',
    message: 'odd',
    why: null,
    fix: 'mend it',
    retryable: false,
  } as const;
  const documents = [{ shown: 'a.pdf', status: 'failed', error, outcome: null }];
  const answer = { runId: null, documents } as unknown as UploadAnswer;
  expect(errorOf(answer, 1)).toMatchObject({ code: 'E401', message: 'a.pdf: odd', fix: 'mend it' });
});

describe('GitHub Actions', () => {
  const env = { GITHUB_ACTIONS: 'true' };

  it('gets an annotation for each document that failed, on stderr and escaped, and a count of those beyond nine', async () => {
    const names = Array.from({ length: 12 }, (_, index) => `${String.fromCharCode(97 + index)}%:,x.pdf`);
    const { tvdb } = workplace({
      'good.pdf': letter,
      ...Object.fromEntries(names.map((name) => [name, hostile('empty.pdf')])),
    });
    const { code, stdout, stderr } = await tvdb(['upload', '*.pdf', '--json'], { env });
    expect(code).toBe(7);
    expect(stdout).not.toContain('::error');
    const errors = stderr.split('\n').filter((line) => line.startsWith('::error'));
    expect(errors).toHaveLength(10);
    expect(errors[0]).toMatch(/^::error title=TVDB-E403 data::a%25:,x\.pdf: .* is empty$/);
    expect(errors[9]).toBe('::error::and 3 more');
  });

  it('has one for a single document, and the store before the documents', async () => {
    const { tvdb } = workplace({ ...THREE, 'bad.pdf': hostile('empty.pdf') });
    const errorsOf = async (argv: string[], product: Partial<Product> = {}) =>
      (await tvdb(argv, { env, product })).stderr.split('\n').filter((line) => line.startsWith('::error'));
    expect(await errorsOf(['upload', 'bad.pdf'])).toEqual([expect.stringContaining('TVDB-E403')]);
    expect(await errorsOf(['upload', '*.pdf'], fullAfter(2))).toEqual([
      expect.stringContaining('TVDB-E503'),
      expect.stringContaining('TVDB-E403'),
    ]);
  });
});
