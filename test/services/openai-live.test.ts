/**
 * The live lane: the contract over the real OpenAI, for less than a hundredth of a cent. Off unless asked for:
 * TVDB_LIVE=1 with OPENAI_API_KEY, and OPENAI_BASE_URL for another service or a simulator.
 */
import { describe } from 'vitest';
import { liveLane } from './openai-live.ts';

const { TVDB_LIVE, OPENAI_API_KEY = '', OPENAI_BASE_URL = 'https://api.openai.com/v1' } = process.env;

describe.runIf(TVDB_LIVE === '1' && OPENAI_API_KEY !== '')('with TVDB_LIVE', () => {
  liveLane('OpenAI, live', async () => ({ baseUrl: OPENAI_BASE_URL.replace(/\/+$/, ''), key: OPENAI_API_KEY }));
});
