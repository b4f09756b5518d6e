import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { FIXTURES } from '../../fixtures/make.mjs';
import manifest from '../../fixtures/manifest.json' with { type: 'json' };
import { TvdbError } from '../../src/base/errors.ts';
import { never, sharedPool } from './pdf-harness.ts';

const pool = sharedPool();

/** `complete` with the pages that were read, or the code of the refusal. */
async function outcomeOf(path: string): Promise<{ outcome: string; pages?: number }> {
  try {
    const { pages } = await pool.inspect(path, never);
    const found = await pool.extract(path, pages, never);
    const missing = found.filter((page) => 'error' in page).length;
    return { outcome: missing === 0 ? 'complete' : `${missing} pages missing`, pages };
  } catch (thrown) {
    if (!(thrown instanceof TvdbError)) throw thrown;
    expect(thrown.message).not.toBe('');
    return { outcome: thrown.code };
  }
}

// The generated fixtures test configured limits of pages and bytes, which are not decided here.
describe('T81: the fixtures', () => {
  it.each(manifest.filter(({ committed }) => committed))('$path: $expect ($note)', async (row) => {
    const started = performance.now();
    const { outcome, pages } = await outcomeOf(join(FIXTURES, row.path));
    expect([row.expect, ...row.alsoAllowed]).toContain(outcome);
    if (outcome === 'complete' && row.pages !== null) expect(pages).toBe(row.pages);
    expect(performance.now() - started).toBeLessThan(10_000);
  });
});
