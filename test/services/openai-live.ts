/** The contract of an embedding service over an OpenAI that is reached by address and key: the real one, or a simulator. */
import { describe, expect, it, onTestFinished } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { loadTokenizer } from '../../src/domain/tokens.ts';
import { createHttp, type Http } from '../../src/services/http/client.ts';
import { createDispatcher } from '../../src/services/http/dispatcher.ts';
import { embedContract } from '../contract/embed.ts';
import { ATTEMPT, clientOver, working } from './openai-like.ts';

/** The lane needs 16 requests and some 500 tokens: a thousandth of a cent. */
const MOST_REQUESTS = 40;
const LIMITS = { connectMs: 10_000, headersMs: 20_000, bodyMs: 20_000, requestMs: 25_000, responseBytes: 64_000_000 };

/** Runs the lane over the service `open` names; it is opened anew for each test. */
export function liveLane(name: string, open: () => Promise<{ baseUrl: string; key: string }>): void {
  let requests = 0;
  const client = async () => {
    const { baseUrl, key } = await open();
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
    return clientOver(working, { keys: [key], options: { baseUrl, http, clock: systemClock } });
  };

  // The service is not bit-exact: the same text has been seen to differ by up to 1e-6 in cosine.
  embedContract(name, async () => (await client()).service, { tolerance: 1e-4 });

  describe(name, () => {
    it('names its limits and its request, and bills what our tokenizer counts', async () => {
      const { service, reported } = await client();
      const text = 'Bees are kept in hives behind the orchard: naïve 🙂 <|endoftext|>';
      const tokensBilled = (await loadTokenizer()).count(text);
      const result = await service.embed([text], ATTEMPT, new AbortController().signal);
      expect(result).toMatchObject({ tokensBilled, httpStatus: 200, requestId: expect.stringMatching(/./) });
      expect(Object.keys(reported[0]?.headers ?? {})).toEqual(
        expect.arrayContaining(['x-ratelimit-remaining-requests', 'x-ratelimit-remaining-tokens']),
      );
    });
  });
}
