import { writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { makePages, mutants } from '../../fixtures/mutate.mjs';
import { TvdbError } from '../../src/base/errors.ts';
import { flat, never, rawPdf, sharedPool, stored, texts } from './pdf-harness.ts';

/** Seeds are fixed; a failure names the mutant, which `mutants(bytes, seed, …)` makes again. */
const SEEDS = [11, 12, 13];
const PER_SEED = 20;

describe('T80: damaged documents', () => {
  const pool = sharedPool();

  it.each(SEEDS)('are read or refused with a reason, never a crash or a hang (seed %d)', async (seed) => {
    const before = process.memoryUsage.rss();
    const original = seed % 2 === 0 ? makePages(4, seed) : rawPdf(flat(texts(6)));
    const path = stored('');
    const outcomes: Record<string, number> = {};
    for (const { index, kind, bytes } of mutants(original, seed, PER_SEED)) {
      writeFileSync(path, bytes);
      const started = performance.now();
      const outcome = await pool
        .inspect(path, never)
        .then(async ({ pages }) => {
          expect(pages).toBeGreaterThan(0);
          const found = await pool.extract(path, pages, never);
          expect(found.map(({ number }) => number)).toEqual(Array.from({ length: pages }, (_, at) => at + 1));
          return 'read';
        })
        .catch((thrown: unknown) => (thrown instanceof TvdbError ? thrown.code : Promise.reject(thrown)));
      expect(outcome, `mutant ${index} (${kind}) of seed ${seed}`).toMatch(
        /^(read|E402|E403|E404|E405|E407|E408|E414|E415)$/,
      );
      expect(performance.now() - started, `mutant ${index} (${kind}) of seed ${seed}`).toBeLessThan(5_000);
      outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
    }
    expect(Object.values(outcomes).reduce((sum, count) => sum + count, 0)).toBe(PER_SEED);
    expect(outcomes.read).toBeGreaterThan(0);
    expect(process.memoryUsage.rss() - before).toBeLessThan(100 * 1024 * 1024);
  });
});
