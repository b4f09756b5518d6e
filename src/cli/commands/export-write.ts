/** Writes an export page by page, to standard output or into a file. */
import { type ExportScope, exportPages } from '../../store/export-chunks.ts';
import type { World } from '../../world.ts';
import type { CommandContext } from '../command.ts';
import { outputFile } from '../output-file.ts';
import { exportLine } from './export-record.ts';

/** What was written. */
export interface Written {
  chunks: number;
  bytes: number;
  documents: Set<string>;
  spaces: Set<string>;
}

/** Writes page by page, each only when the one before is out; stops when the reader has gone or Ctrl-C is pressed. */
export async function writeChunks(
  { store }: World,
  scope: ExportScope,
  withVectors: boolean,
  { interrupt }: CommandContext,
  put: (text: string) => Promise<void>,
): Promise<Written> {
  const written: Written = { chunks: 0, bytes: 0, documents: new Set(), spaces: new Set() };
  for await (const page of exportPages(store.db, scope)) {
    const text = page.map((chunk) => exportLine(chunk, withVectors)).join('');
    interrupt.stopping.throwIfAborted();
    await put(text);
    interrupt.stopping.throwIfAborted();
    written.chunks += page.length;
    written.bytes += Buffer.byteLength(text);
    for (const { document_id: id, space } of page) {
      written.documents.add(id);
      written.spaces.add(space);
    }
  }
  return written;
}

/** The same into a file that appears under its name when it is complete; nothing is left of it otherwise. */
export async function writeChunksTo(
  file: string,
  world: World,
  scope: ExportScope,
  withVectors: boolean,
  ctx: CommandContext,
): Promise<Written> {
  const output = await outputFile(file, { id: ctx.ids.uuid(), home: world.config.home });
  try {
    const written = await writeChunks(world, scope, withVectors, ctx, (text) => output.write(text));
    await output.finish();
    return written;
  } finally {
    await output.discard();
  }
}
