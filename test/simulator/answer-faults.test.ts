/** Each fault of an answer does what its name says, and the log and the bill know the truth. */
import { describe, expect, it } from 'vitest';
import { bodyOf, OPENAI_KEY, type Started, started, uploaded } from './start.ts';

const model = 'text-embedding-3-small';

async function embeds({ openaiUrl }: Started, init: RequestInit = {}): Promise<Response> {
  return fetch(`${openaiUrl}/embeddings`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${OPENAI_KEY}` },
    body: JSON.stringify({ model, input: 'one text' }),
    redirect: 'manual',
    ...init,
  });
}

const truth = ({ log, bill }: Started) => {
  const last = log().at(-1);
  return { accepted: last?.accepted, status: last?.status, billed: bill().requests.length };
};

describe('statuses', () => {
  it.each([500, 502, 503, 429, 402, 401, 403, 404, 409, 413, 422])('%d come without the work', async (status) => {
    const simulator = await started({ faults: `any=${status}x2` });
    const file = uploaded(simulator.llama);
    await expect(file).rejects.toMatchObject({ status });
    expect((await embeds(simulator)).status).toBe(status);
    expect(truth(simulator)).toEqual({ accepted: false, status, billed: 0 });
    expect((await embeds(simulator)).status).toBe(200);
  });

  it('can come after the work, with any Retry-After, as a page, and with the key in the text', async () => {
    const simulator = await started({
      faults:
        'embeddings=500:accepted,embeddings=429:retry-after="Wed, 21 Oct 2026 07:28:00 GMT",embeddings=502:html,embeddings=401:echo',
    });
    expect((await embeds(simulator)).status).toBe(500);
    expect(truth(simulator)).toEqual({ accepted: true, status: 500, billed: 1 });
    expect((await embeds(simulator)).headers.get('retry-after')).toBe('Wed, 21 Oct 2026 07:28:00 GMT');
    const page = await embeds(simulator);
    expect([page.status, page.headers.get('content-type')]).toEqual([502, 'text/html; charset=utf-8']);
    expect(await (await embeds(simulator)).text()).toContain(OPENAI_KEY);
  });

  it('say that the money is gone in the words of each service', async () => {
    const simulator = await started({
      faults: 'embeddings=quota,embeddings=quota:code=billing_not_active,embeddings=rate:retry-after=2,parse=quota',
    });
    const errors = [];
    for (let at = 0; at < 3; at++) errors.push((await bodyOf(await embeds(simulator))).error);
    expect(errors).toMatchObject([
      { type: 'insufficient_quota', code: 'insufficient_quota' },
      { type: 'insufficient_quota', code: 'billing_not_active' },
      { type: 'requests', code: 'rate_limit_exceeded' },
    ]);
    await expect(simulator.llama.parsing.list()).rejects.toMatchObject({
      status: 402,
      error: { detail: "You've exceeded the maximum number of credits for your plan." },
    });
  });
});

describe('connections', () => {
  it.each([
    ['cut', true],
    ['cut-before', false],
  ])('%s: the socket ends without an answer, work done: %s', async (action, accepted) => {
    const simulator = await started({ faults: `embeddings=${action}` });
    await expect(embeds(simulator)).rejects.toThrow('fetch failed');
    expect(truth(simulator)).toEqual({ accepted, status: 'cut', billed: accepted ? 1 : 0 });
  });

  it.each([
    ['hang', true],
    ['hang-before', false],
  ])('%s: no answer ever, work done: %s', async (action, accepted) => {
    const simulator = await started({ faults: `embeddings=${action}` });
    const abort = new AbortController();
    const asked = embeds(simulator, { signal: abort.signal });
    const ended = expect(asked).rejects.toThrow('given up');
    while (simulator.log().length === 0) await simulator.clock.advance(60_000);
    abort.abort(new Error('given up'));
    await ended;
    expect(truth(simulator)).toEqual({ accepted, status: 'hung', billed: accepted ? 1 : 0 });
  });

  it('delay: the work is done at once, the answer comes when it is time', async () => {
    const simulator = await started({ faults: 'embeddings=delay:10s' });
    let answered = false;
    const asked = embeds(simulator).then((answer) => {
      answered = true;
      return answer;
    });
    while (simulator.clock.sleepers === 0) await simulator.clock.advance(0);
    expect([answered, truth(simulator)]).toEqual([false, { accepted: true, status: 200, billed: 1 }]);
    await simulator.clock.advance(10_000);
    expect((await asked).status).toBe(200);
  });

  it('latency of the embeddings holds the answer back', async () => {
    const simulator = await started({ latency: { embed: 150 } });
    const asked = embeds(simulator);
    while (simulator.clock.sleepers === 0) await simulator.clock.advance(0);
    await simulator.clock.advance(150);
    expect((await asked).status).toBe(200);
  });
});

describe('bodies', () => {
  it.each([
    ['truncated', SyntaxError],
    ['malformed', SyntaxError],
  ])('%s: 200 with JSON that cannot be read, and it was billed', async (action, error) => {
    const simulator = await started({ faults: `embeddings=${action}` });
    const answer = await embeds(simulator);
    expect(answer.status).toBe(200);
    await expect(answer.json()).rejects.toThrow(error);
    expect(truth(simulator)).toEqual({ accepted: true, status: 200, billed: 1 });
  });

  it('stall: half a body and then nothing', async () => {
    const simulator = await started({ faults: 'embeddings=stall' });
    const abort = new AbortController();
    const answer = await embeds(simulator, { signal: abort.signal });
    const reader = answer.body?.getReader();
    const first = await reader?.read();
    expect([answer.status, (first?.value?.length ?? 0) > 0]).toEqual([200, true]);
    expect(Number(answer.headers.get('content-length'))).toBeGreaterThan(first?.value?.length ?? 0);
    abort.abort(new Error('given up'));
    await expect(reader?.read()).rejects.toThrow('given up');
  });

  it('drip: one byte after the other', async () => {
    const simulator = await started({ faults: 'models=drip:1s' });
    const headers = { authorization: `Bearer ${OPENAI_KEY}` };
    const answer = await fetch(`${simulator.openaiUrl}/models/${model}`, { headers });
    const reader = answer.body?.getReader();
    expect((await reader?.read())?.value).toHaveLength(1);
    const next = reader?.read();
    await simulator.clock.advance(1_000);
    expect((await next)?.value).toHaveLength(1);
  });

  it('html, html:502, wrong-shape, 204, redirect and huge', async () => {
    const simulator = await started({
      faults: ['html', 'html:502', 'wrong-shape', '204', 'redirect:to="http://127.0.0.1:1/x"', 'huge:mb=3']
        .map((action) => `embeddings=${action}`)
        .join(','),
    });
    const page = await embeds(simulator);
    expect([page.status, await page.text()]).toEqual([200, expect.stringContaining('<html>')]);
    expect(truth(simulator)).toEqual({ accepted: true, status: 200, billed: 1 });
    expect((await embeds(simulator)).status).toBe(502);
    expect(truth(simulator)).toEqual({ accepted: false, status: 502, billed: 1 });
    expect(Object.keys(await bodyOf(await embeds(simulator)))).toEqual(['unexpected', 'version']);
    const empty = await embeds(simulator);
    expect([empty.status, await empty.text()]).toEqual([204, '']);
    const redirected = await embeds(simulator);
    expect([redirected.status, redirected.headers.get('location')]).toEqual([302, 'http://127.0.0.1:1/x']);
    const huge = await (await embeds(simulator)).text();
    expect(huge.length).toBeGreaterThan(3 * 1024 * 1024);
    expect(JSON.parse(huge).object).toBe('list');
  });
});

describe('embeddings', () => {
  const rows = async (action: string, encoding_format: 'base64' | 'float' = 'float') => {
    const { openai } = await started({ faults: `embeddings=${action}` });
    const answer = await openai.embeddings.create({ model, input: ['one', 'two', 'three'], encoding_format });
    return { ...answer, indices: answer.data.map(({ index }) => index), last: answer.data.at(-1)?.embedding ?? [] };
  };
  const norm = (vector: readonly number[]) => Math.hypot(...vector);

  it('can be out of order, without index, with one twice, one short', async () => {
    expect((await rows('reorder')).indices).toEqual([2, 1, 0]);
    expect((await rows('missing-index')).indices).toEqual([undefined, undefined, undefined]);
    expect((await rows('duplicate-index')).indices).toEqual([0, 0, 0]);
    expect((await rows('missing-row')).indices).toEqual([0, 1]);
  });

  it('can be short, zero, not a number, too long, of the wrong dimensions or model', async () => {
    expect((await rows('short-vector')).last).toHaveLength(768);
    expect((await rows('wrong-dims')).last).toHaveLength(256);
    expect(norm((await rows('zero')).last)).toBe(0);
    expect((await rows('nan')).last[7]).toBeNull();
    expect(norm((await rows('not-unit')).last)).toBeCloseTo(2, 4);
    expect((await rows('wrong-model')).model).toBe('text-embedding-ada-002');
  });

  it('can be floats where base64 was asked for, and NaN in base64', async () => {
    expect(Array.isArray((await rows('floats', 'base64')).last)).toBe(true);
    const nan = (await rows('nan', 'base64')).last as unknown as string;
    expect(Buffer.from(nan, 'base64').readFloatLE(7 * 4)).toBeNaN();
  });
});
