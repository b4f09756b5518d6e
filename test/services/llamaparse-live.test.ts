/**
 * The live lane: the contract over the real LlamaParse, for about 7 credits (less than one cent). Off unless asked for:
 * TVDB_LIVE=1 with LLAMAPARSE_API_KEY, and LLAMA_CLOUD_BASE_URL for another region or a simulator.
 */
import { expect, it, vi } from 'vitest';
import { LIVE_CAP, liveLane } from './llamaparse-live.ts';

const { TVDB_LIVE, LLAMAPARSE_API_KEY, LLAMA_CLOUD_BASE_URL = 'https://api.cloud.llamaindex.ai' } = process.env;
const LIVE = TVDB_LIVE === '1' && LLAMAPARSE_API_KEY !== undefined && LLAMAPARSE_API_KEY !== '';

if (LIVE) {
  vi.setConfig({ testTimeout: 600_000 });
  liveLane('LlamaParse, live', async () => ({
    baseUrl: LLAMA_CLOUD_BASE_URL.replace(/\/+$/, ''),
    key: LLAMAPARSE_API_KEY,
    spacingMs: LLAMA_CLOUD_BASE_URL.startsWith('http://127.0.0.1') ? 50 : 3_500,
    close: async () => undefined,
  }));
}

it('never sends more than one page, to the cheapest tier', () => {
  expect(LIVE_CAP).toEqual({ tier: 'fast', version: '2026-06-15', pages: 1 });
});
