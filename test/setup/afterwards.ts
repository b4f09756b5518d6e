/**
 * Cleaning up for what several files of tests import. Such a module is loaded once for all files of a process, so a hook
 * that it registers as it is loaded is that of the first file alone; `shared-process.ts` does this for each of them.
 */
type CleanUp = () => unknown;

const waiting: Record<'test' | 'file', CleanUp[]> = { test: [], file: [] };

/** Does it after the test that runs, or after the first one. */
export function afterTest(work: CleanUp): void {
  waiting.test.push(work);
}

/** Does it when the file of tests has ended. */
export function afterFile(work: CleanUp): void {
  waiting.file.push(work);
}

/** The last first, whatever fails; what failed is thrown. */
export async function cleanUp(of: 'test' | 'file'): Promise<void> {
  const failed: unknown[] = [];
  for (const work of waiting[of].splice(0).reverse()) {
    try {
      await work();
    } catch (thrown) {
      failed.push(thrown);
    }
  }
  if (failed.length > 0) throw failed[0];
}
