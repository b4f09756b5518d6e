/** Estimates of documents before they are accepted: mocks and caches cost nothing, the ceiling is what is held. */
import { describe, expect, it } from 'vitest';
import { estimateDocuments } from '../../src/pipeline/estimate-upload.ts';
import { parseOptions } from '../../src/pipeline/route.ts';
import { createRouter } from '../../src/services/router.ts';
import { rememberParse } from '../../src/store/parse-cache.ts';
import { memoryEmbedder, memoryParser, pipeline } from './harness.ts';

const SHA = 'a'.repeat(64);
const document = { pages: 4, sha256: SHA };

function place() {
  const { deps, store } = pipeline();
  const router = createRouter({
    keys: { llamaparse: 'llx', openai: 'sk' },
    parse: { mock: async () => memoryParser(), real: async () => memoryParser({ origin: 'real' }) },
    embed: { mock: async () => memoryEmbedder(), real: async () => memoryEmbedder({ origin: 'real' }) },
  });
  const own = { ...deps, router };
  const options = parseOptions(deps.settings);
  const estimate = (mode: 'mock' | 'real', more: { noCache?: boolean; costCenter?: string } = {}) =>
    estimateDocuments(own, [document, { pages: 1, sha256: 'b'.repeat(64) }], router.decide(mode), options, more);
  const remember = () =>
    store.write((trx) =>
      rememberParse(
        trx,
        {
          ...{ fileSha256: SHA, parserName: 'llamaparse', parserVersion: `${options.tier}@${options.version}` },
          ...{ origin: 'real', pages: 4 },
        },
        { pages: [1, 2, 3, 4].map((number) => ({ number, markdown: 'text' })), credits: 12, now: 1 },
      ),
    );
  return { estimate, remember, store };
}

describe('estimateDocuments', () => {
  it('mock work costs nothing and asks no budget', async () => {
    expect(await place().estimate('mock')).toMatchObject({ ceilingNanoUsd: 0, likelyNanoUsd: 0, asks: [] });
  });

  it('real work: every page at its price, tokens at the most; one ask for each service with its sum', async () => {
    const { perDocument, ceilingNanoUsd, likelyNanoUsd, asks } = await place().estimate('real', {
      costCenter: 'claims',
    });
    expect(perDocument.map(({ parse }) => parse?.ceilingNanoUsd)).toEqual([15_000_000, 3_750_000]);
    expect(likelyNanoUsd).toBeLessThan(ceilingNanoUsd);
    expect(asks).toMatchObject([
      { service: 'llamaparse', costCenter: 'claims', amount: 18_750_000, requests: 2 },
      { service: 'openai', costCenter: 'claims', requests: 5 },
    ]);
    expect(asks.reduce((sum, { amount }) => sum + amount, 0)).toBe(ceilingNanoUsd);
  });

  it('a remembered parse costs nothing, and looking does not count as a use; --no-cache pays again', async () => {
    const { estimate, remember, store } = place();
    await remember();
    const [first, second] = (await estimate('real')).perDocument;
    expect(first).toMatchObject({ parseBy: 'cached', parse: null, embedBy: 'paid' });
    expect(second).toMatchObject({ parseBy: 'paid' });
    expect((await estimate('real', { noCache: true })).perDocument[0]).toMatchObject({ parseBy: 'paid' });
    expect(await store.db.selectFrom('parse_cache').select('uses').execute()).toEqual([{ uses: 0 }]);
  });
});
