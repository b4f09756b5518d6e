/** Starts the real binary on a store of its own and looks at what it left. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import { openStorage } from '../../src/storage/local.ts';
import { openStore } from '../../src/store/open.ts';

export const BINARY = fileURLToPath(new URL('../../bin/tvdb.js', import.meta.url));

/** On a busy machine a reader that is slow must not look like a broken document. */
export const PATIENT = { INSPECT_TIMEOUT: '120s', PARSE_TIMEOUT: '300s' };

export interface Ended {
  code: number | null;
  signal: NodeJS.Signals | null;
  out: string;
  err: string;
}

export interface Running {
  pid: number;
  ended: Promise<Ended>;
  kill(signal: NodeJS.Signals): void;
}

/** Starts `tvdb …` with nothing of the caller's environment but the path; `binary` is another build of it. */
export function start(
  home: string,
  args: readonly string[],
  env: Record<string, string> = {},
  binary: string = BINARY,
): Running {
  const child = spawn(process.execPath, [binary, ...args], {
    cwd: home,
    env: { PATH: process.env.PATH ?? '', HOME: home, TVDB_HOME: join(home, 'store'), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let out = '';
  let err = '';
  child.stdout.on('data', (part: Buffer) => {
    out += String(part);
  });
  child.stderr.on('data', (part: Buffer) => {
    err += String(part);
  });
  const ended = once(child, 'close').then(([code, signal]) => ({ code, signal, out, err }) as Ended);
  return { pid: child.pid ?? 0, ended, kill: (signal) => void child.kill(signal) };
}

/** Runs `tvdb …` to its end. */
export function tvdb(
  home: string,
  args: readonly string[],
  env: Record<string, string> = {},
  binary: string = BINARY,
): Promise<Ended> {
  return start(home, args, env, binary).ended;
}

/** What must hold in a store at rest, whatever happened before; returns what it holds. */
export async function audit(home: string) {
  const storeHome = join(home, 'store');
  const store = openStore({ home: storeHome });
  const storage = openStorage(storeHome);
  try {
    expect(store.sqlite.pragma('integrity_check', { simple: true })).toBe('ok');
    expect(store.sqlite.pragma('foreign_key_check')).toEqual([]);
    const jobs = await store.db.selectFrom('upload_jobs').selectAll().orderBy('created_at').execute();
    const documents = await store.db.selectFrom('documents').selectAll().execute();
    for (const document of documents) {
      expect([document.raw_path, await storage.isWhole(document.raw_path, document.file_sha256)]).toEqual([
        document.raw_path,
        true,
      ]);
      if (document.parsed_path !== null) {
        expect([
          document.parsed_path,
          await storage.isWhole(document.parsed_path, document.parsed_sha256 ?? ''),
        ]).toEqual([document.parsed_path, true]);
      }
    }
    const chunks = await store.db
      .selectFrom('document_chunks')
      .select(['chunk_no', 'chunk_id', 'document_id', 'text'])
      .execute();
    const vectors = await store.db.selectFrom('vectors').select(['chunk_id', 'space_id']).execute();
    const words = await store.db.selectFrom('chunk_words').select('rowid').execute();
    const bits = await store.db.selectFrom('vector_bits').select('vector_id').execute();
    expect(new Set(chunks.map((chunk) => `${chunk.document_id} ${chunk.text}`)).size).toBe(chunks.length);
    expect(vectors.map((vector) => vector.chunk_id).sort()).toEqual(chunks.map((chunk) => chunk.chunk_id).sort());
    expect(bits).toHaveLength(vectors.length);
    expect(words.map(({ rowid }) => rowid).sort()).toEqual(chunks.map((chunk) => chunk.chunk_no).sort());
    const moves = await store.db
      .selectFrom('job_events')
      .select(['job_id', 'to_status'])
      .where('to_status', '=', 'complete')
      .execute();
    expect(new Set(moves.map((move) => move.job_id)).size).toBe(moves.length);
    const buffered = await store.db.selectFrom('chunk_buffer').select('job_id').execute();
    const leased = jobs.filter((job) => job.lease_owner !== null);
    return {
      jobs,
      documents,
      texts: chunks.map((chunk) => chunk.text).sort(),
      buffered: buffered.length,
      leased: leased.length,
    };
  } finally {
    await store.close();
  }
}

/** Names of the temp files uploads have left. */
export function incoming(home: string): string[] {
  const directory = join(home, 'store', 'storage', 'incoming');
  return existsSync(directory) ? readdirSync(directory) : [];
}
