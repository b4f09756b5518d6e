/** The official OpenAI SDK, unchanged, against the simulator. */
import { describe, expect, it } from 'vitest';
import { started } from './start.ts';

const model = 'text-embedding-3-small';
const dot = (a: readonly number[], b: readonly number[]) => a.reduce((sum, value, at) => sum + value * (b[at] ?? 0), 0);

describe('embeddings', () => {
  it.each(['float', 'base64'] as const)('are unit vectors in input order as %s', async (encoding_format) => {
    const { openai, bill } = await started();
    const input = ['the price of the contract', 'a delivery in May'];
    const { data, usage } = await openai.embeddings.create({ model, input, encoding_format });
    const vectors = data.map(({ embedding }) =>
      typeof embedding === 'string'
        ? [...new Float32Array(new Uint8Array(Buffer.from(embedding, 'base64')).buffer)]
        : embedding,
    );
    expect(data.map(({ index }) => index)).toEqual([0, 1]);
    expect(vectors.map((vector) => vector.length)).toEqual([1536, 1536]);
    for (const vector of vectors) expect(dot(vector, vector)).toBeCloseTo(1, 5);
    expect(bill()).toMatchObject({ tokens: usage.total_tokens, nanoUsd: usage.total_tokens * 20 });
  });

  it('are the same in both encodings, and by default of the SDK', async () => {
    const { openai } = await started();
    const input = 'a period of notice of 30 days';
    const [byDefault, asFloats] = await Promise.all([
      openai.embeddings.create({ model, input }),
      openai.embeddings.create({ model, input, encoding_format: 'float' }),
    ]);
    const float32 = (vector: readonly number[] | undefined) => [...Float32Array.from(vector ?? [])];
    expect(float32(asFloats.data[0]?.embedding)).toEqual(float32(byDefault.data[0]?.embedding));
  });

  it('are near for texts that are near', async () => {
    const { openai } = await started();
    const { data } = await openai.embeddings.create({
      model,
      input: [
        'The tenant pays the rent on the first of the month',
        'rent is paid monthly by the tenant',
        'Bees make honey',
      ],
    });
    const [rent = [], also = [], bees = []] = data.map(({ embedding }) => embedding);
    expect(dot(rent, also)).toBeGreaterThan(0.3);
    expect(Math.abs(dot(rent, bees))).toBeLessThan(0.15);
  });

  it.each([
    ['text-embedding-3-large', undefined, 3072],
    ['text-embedding-3-large', 256, 256],
    ['text-embedding-ada-002', undefined, 1536],
  ])('of %s with dimensions %s have %d', async (name, dimensions, length) => {
    const { openai } = await started();
    const asked = { model: name, input: 'x', ...(dimensions !== undefined && { dimensions }) };
    expect((await openai.embeddings.create(asked)).data[0]?.embedding).toHaveLength(length);
  });

  it('come with the limits of the minute and the id of the request', async () => {
    const { openai } = await started();
    const { response, request_id } = await openai.embeddings.create({ model, input: 'x' }).withResponse();
    expect(request_id).toMatch(/^req_/);
    expect(response.headers.get('x-ratelimit-remaining-requests')).toBe('2999');
    expect(response.headers.get('x-ratelimit-reset-tokens')).toBe('1m0s');
  });
});

describe('models', () => {
  it('are listed and found', async () => {
    const { openai } = await started();
    const ids: string[] = [];
    for await (const { id } of openai.models.list()) ids.push(id);
    expect(ids).toContain(model);
    expect((await openai.models.retrieve(model)).id).toBe(model);
    await expect(openai.models.retrieve('gpt-x')).rejects.toMatchObject({ status: 404, code: 'model_not_found' });
  });
});
