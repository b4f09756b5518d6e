/** Reads the pages of uploaded documents for the simulator, in the killable processes of the PDF pool. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Clock } from '../../base/clock.ts';
import { TvdbError } from '../../base/errors.ts';
import { packageRoot } from '../../base/package-root.ts';
import type { Config } from '../../config/load.ts';
import { createPdfPool, type PdfPool } from '../../services/pdf/pool.ts';

export interface SimulatorReader {
  /** Pages as markdown. Throws an error whose message is LlamaParse's failure reason. */
  pagesOf(bytes: Uint8Array): Promise<string[]>;
  close(): Promise<void>;
}

/** What LlamaParse calls what our reader finds; anything else is a broken PDF. */
const REASONS: Readonly<Record<string, string>> = {
  E404: 'PDF_IS_PROTECTED',
  E407: 'TOO_MANY_PAGES',
  E408: 'NO_DATA_FOUND_IN_FILE',
  E414: 'TIMEOUT',
};

/** Starts no process before the first document. */
export function simulatorReader({ settings }: Config, clock: Clock): SimulatorReader {
  const closing = new AbortController();
  let pool: PdfPool | undefined;
  const poolOf = () => {
    pool ??= createPdfPool({
      entry: join(packageRoot(), 'dist', 'pdf-child.cjs'),
      clock,
      size: 2,
      inspectMs: settings.INSPECT_TIMEOUT,
      extractMs: settings.PARSE_TIMEOUT,
      memoryMb: settings.PARSE_MEMORY_MB,
    });
    return pool;
  };
  return {
    async pagesOf(bytes) {
      const directory = await mkdtemp(join(tmpdir(), 'tvdb-simulate-'));
      try {
        const path = join(directory, 'document.pdf');
        await writeFile(path, bytes, { mode: 0o600 });
        const { pages } = await poolOf().inspect(path, closing.signal);
        const read = await poolOf().extract(path, pages, closing.signal);
        return read.map((page) => ('markdown' in page ? page.markdown : ''));
      } catch (error) {
        throw new Error((error instanceof TvdbError && REASONS[error.code]) || 'PDF_IS_BROKEN', { cause: error });
      } finally {
        await rm(directory, { recursive: true, force: true });
      }
    },
    async close() {
      closing.abort(new Error('the simulator is closed'));
      await pool?.close();
    },
  };
}
