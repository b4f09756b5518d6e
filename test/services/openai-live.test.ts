/**
 * The contract of an embedding service over the real OpenAI: `TVDB_LIVE=1 OPENAI_API_KEY=… npx vitest run …`, off
 * otherwise. It costs less than a tenth of a cent and stops at 40 requests. OPENAI_BASE_URL leads it elsewhere, for
 * example to a simulator.
 */
import { describe, expect, it, onTestFinished } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { loadTokenizer } from '../../src/domain/tokens.ts';
import { createHttp, type Http } from '../../src/services/http/client.ts';
import { createDispatcher } from '../../src/services/http/dispatcher.ts';
import { embedContract } from '../contract/embed.ts';
import { ATTEMPT, clientOver, working } from './openai-like.ts';

const { TVDB_LIVE, OPENAI_API_KEY = '', OPENAI_BASE_URL = 'https://api.openai.com/v1' } = process.env;
const MOST_REQUESTS = 40;
const LIMITS = { connectMs: 10_000, headersMs: 20_000, bodyMs: 20_000, requestMs: 25_000, responseBytes: 64_000_000 };

let requests = 0;

function live() {
  if (OPENAI_API_KEY === '') throw new Error('TVDB_LIVE needs OPENAI_API_KEY');
  const dispatcher = createDispatcher(LIMITS);
  onTestFinished(() => dispatcher.destroy());
  const transport = createHttp({ dispatcher, limits: LIMITS, clock: systemClock, boundary: () => 'unused' });
  const http: Http = {
    async send(request, signal) {
      requests += 1;
      if (requests > MOST_REQUESTS) throw new Error(`the live lane stops at ${MOST_REQUESTS} requests`);
      return transport.send(request, signal);
    },
  };
  const options = { baseUrl: OPENAI_BASE_URL, http, clock: systemClock };
  return clientOver(working, { keys: [OPENAI_API_KEY], options });
}

describe.runIf(TVDB_LIVE === '1')('live', () => {
  // The service is not bit-exact: the same text has been seen to differ by up to 1e-6 in cosine.
  embedContract('OpenAI, live', () => live().service, { tolerance: 1e-4 });

  it('names its limits and its request, and bills what our tokenizer counts', async () => {
    const { service, reported } = live();
    const text = 'Bees are kept in hives behind the orchard: naïve 🙂 <|endoftext|>';
    const tokensBilled = (await loadTokenizer()).count(text);
    const result = await service.embed([text], ATTEMPT, new AbortController().signal);
    expect(result).toMatchObject({ tokensBilled, httpStatus: 200, requestId: expect.stringMatching(/./) });
    expect(Object.keys(reported[0]?.headers ?? {})).toEqual(
      expect.arrayContaining(['x-ratelimit-remaining-requests', 'x-ratelimit-remaining-tokens']),
    );
  });
});
