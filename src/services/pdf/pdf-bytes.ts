/** Reads the file of a task in the child process. */
import { readFile } from 'node:fs/promises';
import { TvdbError } from '../../base/errors.ts';
import { HEAD_BYTES, pdfHeaderOffset, sniff } from '../../domain/file-type.ts';

/**
 * The bytes of a PDF file from its header on. What stands before the header is cut off: offsets in a file count from
 * the header by the letter of ISO 32000, and readers that take bytes want the header first.
 *
 * Throws E402 when it is not a PDF, E403 when it is empty and E409 when the file cannot be read.
 */
export async function pdfBytes(path: string): Promise<Uint8Array> {
  const bytes = await readFile(path).catch((thrown: unknown) => {
    const code = thrown instanceof Error && 'code' in thrown ? String(thrown.code) : 'unknown';
    throw new TvdbError('E409', { message: 'the file cannot be read', why: `the system says ${code}`, cause: thrown });
  });
  const head = bytes.subarray(0, HEAD_BYTES);
  const { kind, label } = sniff(head);
  if (kind === 'empty') throw new TvdbError('E403', { message: 'the file is empty' });
  if (kind !== 'pdf')
    throw new TvdbError('E402', { message: `the file is not a PDF; it looks like ${label}`, facts: { kind } });
  return bytes.subarray(pdfHeaderOffset(head));
}
