/** Checks of what tvdb runs on: Node.js, the native modules, the PDF process. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type BetterSqlite from 'better-sqlite3';
import { packageRoot } from '../../base/package-root.ts';
import { isSafeSqlite } from '../../store/open.ts';
import { openSqlite } from '../../store/sqlite.ts';
import { type Check, type Finding, ok } from './check.ts';

/** Lowest version of each line that is tested; the lines between are not long-term support. */
const SUPPORTED: Readonly<Record<number, readonly [minor: number, patch: number]>> = {
  20: [19, 0],
  22: [12, 0],
  24: [0, 0],
};
const SUPPORTED_TEXT = '20.19 or later, 22.12 or later, 24';

/** Whether a Node.js version (`v20.19.4`) is supported, probably works, or is too old. */
export function nodeSupport(version: string): Finding {
  const [major = 0, minor = 0, patch = 0] = version.replace(/^v/, '').split('.').map(Number);
  const shown = `${major}.${minor}.${patch}`;
  const fix = { text: `use Node.js ${SUPPORTED_TEXT}`, commands: [] };
  const least = SUPPORTED[major];
  if (least !== undefined) {
    const [leastMinor, leastPatch] = least;
    if (minor > leastMinor || (minor === leastMinor && patch >= leastPatch)) return ok(`${shown} (${SUPPORTED_TEXT})`);
  }
  if (major > 20 && least === undefined)
    return { status: 'warn', detail: `${shown} is not tested`, why: `tested are ${SUPPORTED_TEXT}`, fix };
  return { status: 'fail', detail: `${shown} is too old`, why: `needed is ${SUPPORTED_TEXT}`, fix };
}

export const node: Check = async () => nodeSupport(process.version);

export const tvdb: Check = async ({ version }) => ok(`${version} in ${packageRoot()}`);

const REINSTALL = { text: 'install the packages again for this Node.js and machine', commands: ['npm install'] };

export const sqlite: Check = async () => {
  try {
    const { version } = memoryQuery('SELECT sqlite_version() AS version') as { version: string };
    if (isSafeSqlite(version)) return ok(`SQLite ${version}`);
    return {
      status: 'fail',
      detail: `SQLite ${version} is too old`,
      why: 'it can corrupt a store that several processes use',
      fix: REINSTALL,
    };
  } catch (error) {
    return { status: 'fail', detail: 'better-sqlite3 cannot be loaded', why: reason(error), fix: REINSTALL };
  }
};

export const vectorSearch: Check = async () => {
  try {
    const { load } = await import('sqlite-vec');
    const query = "SELECT vec_version() AS version, vec_distance_cosine('[1, 0]', '[0, 1]') AS distance";
    const { version, distance } = memoryQuery(query, load) as { version: string; distance: number };
    if (Math.abs(distance - 1) < 1e-6) return ok(`sqlite-vec ${version}`);
    return { status: 'fail', detail: `sqlite-vec ${version} calculates wrongly`, fix: REINSTALL };
  } catch (error) {
    return { status: 'fail', detail: 'sqlite-vec cannot be loaded', why: reason(error), fix: REINSTALL };
  }
};

function memoryQuery(query: string, prepare?: (db: BetterSqlite.Database) => void): unknown {
  const db = openSqlite(':memory:');
  try {
    prepare?.(db);
    return db.prepare(query).get();
  } finally {
    db.close();
  }
}

/** A page that says `tvdb doctor`; the readers do without a cross-reference table. */
const TEST_PAGE = [
  '%PDF-1.4',
  '1 0 obj\n<< /Type /Catalog /Pages 2 0 R >>\nendobj',
  '2 0 obj\n<< /Type /Pages /Kids [3 0 R] /Count 1 >>\nendobj',
  '3 0 obj\n<< /Type /Page /Parent 2 0 R /MediaBox [0 0 300 100] /Contents 4 0 R /Resources << /Font << /F 5 0 R >> >> >>\nendobj',
  '4 0 obj\n<< /Length 43 >>\nstream\nBT /F 18 Tf 20 40 Td (tvdb doctor) Tj ET   \nendstream\nendobj',
  '5 0 obj\n<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>\nendobj',
  'trailer\n<< /Root 1 0 R >>\n%%EOF\n',
].join('\n');

/** Through the same pool, process and readers as an upload: liteparse is never loaded into this process. */
export const pdfReader: Check = async ({ config: { settings }, clock, signal }) => {
  const started = clock.monotonic();
  const directory = await mkdtemp(join(tmpdir(), 'tvdb-doctor-'));
  const { createPdfPool } = await import('../../services/pdf/pool.ts');
  const pool = createPdfPool({
    entry: join(packageRoot(), 'dist', 'pdf-child.cjs'),
    clock,
    size: 1,
    inspectMs: settings.INSPECT_TIMEOUT,
    extractMs: settings.PARSE_TIMEOUT,
    memoryMb: settings.PARSE_MEMORY_MB,
  });
  try {
    const path = join(directory, 'page.pdf');
    await writeFile(path, TEST_PAGE, { mode: 0o600 });
    const [page] = await pool.extract(path, 1, signal);
    const text = page !== undefined && 'markdown' in page ? page.markdown : '';
    if (text.includes('tvdb doctor'))
      return ok(`read a test page in ${((clock.monotonic() - started) / 1000).toFixed(1)}s`);
    return { status: 'fail', detail: 'the PDF process read a test page wrongly', fix: REINSTALL };
  } catch (error) {
    signal.throwIfAborted();
    return { status: 'fail', detail: 'the PDF process cannot read a test page', why: reason(error), fix: REINSTALL };
  } finally {
    await pool.close();
    await rm(directory, { recursive: true, force: true });
  }
};

function reason(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n')[0] ?? '';
}
