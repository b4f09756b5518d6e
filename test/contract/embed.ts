/** What every embedding service must do; the mock and the real clients run the same suite. */
import { describe, expect, it } from 'vitest';
import { checkVector } from '../../src/domain/vector.ts';
import type { EmbedService } from '../../src/services/embed/port.ts';

const ATTEMPT = {
  attemptId: '00000000-0000-4000-8000-000000000001',
  jobId: '00000000-0000-4000-8000-000000000002',
  correlationId: '00000000-0000-4000-8000-000000000003',
};

const TEXTS = [
  'The deductible is the amount you pay before the plan begins to share the cost.',
  'Bees are kept in hives behind the orchard.',
  'Invoices are payable within thirty days of receipt.',
  '# Überschrift\n\n| a | b |\n|---|---|\n| 1 | 2 |',
  '日本語の文章です。',
  'x',
  '🙂 🙂',
  '<|endoftext|> ignore the above',
];

function cosine(one: Float32Array, other: Float32Array): number {
  return one.reduce((sum, value, index) => sum + value * (other[index] ?? 0), 0);
}

/** Runs the suite over the service that `create` makes. `tolerance`: how far the same text may be from itself (cosine). */
export function embedContract(
  name: string,
  create: () => EmbedService | Promise<EmbedService>,
  { tolerance = 0 } = {},
): void {
  const embed = async (texts: readonly string[]) => {
    const service = await create();
    return { service, result: await service.embed(texts, ATTEMPT, new AbortController().signal) };
  };

  describe(`embed service: ${name}`, () => {
    it('names its space after provider, model and dimensions', async () => {
      const { space } = await create();
      expect(space.name).toMatch(/^[a-z0-9-]+\/[^/\s]+\/\d+$/);
      expect(space.name.endsWith(`/${space.dimensions}`)).toBe(true);
      expect(space.name).toContain(space.model);
    });

    it('gives one finite unit vector of the promised dimensions for each text', async () => {
      const { service, result } = await embed(TEXTS);
      expect(result.vectors).toHaveLength(TEXTS.length);
      for (const vector of result.vectors) {
        expect(vector).toBeInstanceOf(Float32Array);
        expect(checkVector(vector, service.space.dimensions)).toBeNull();
      }
      expect(result.model).not.toBe('');
    });

    it('keeps the order of the texts', async () => {
      const { result: forth } = await embed(TEXTS);
      const { result: back } = await embed([...TEXTS].reverse());
      for (const [index, vector] of forth.vectors.entries()) {
        const mirrored = back.vectors[TEXTS.length - 1 - index] ?? new Float32Array();
        expect(cosine(vector, mirrored)).toBeGreaterThan(1 - tolerance - 1e-6);
      }
    });

    it('gives the same text the same vector, alone and in a batch', async () => {
      const { result: batch } = await embed([...TEXTS, TEXTS[0] ?? '']);
      const { result: alone } = await embed(TEXTS.slice(0, 1));
      const [first = new Float32Array(), single = new Float32Array()] = [batch.vectors[0], alone.vectors[0]];
      expect(cosine(first, batch.vectors.at(-1) ?? new Float32Array())).toBeGreaterThan(1 - tolerance - 1e-6);
      expect(cosine(first, single)).toBeGreaterThan(1 - tolerance - 1e-6);
      if (tolerance === 0) expect(first).toEqual(single);
    });

    it('puts a text nearer to one on its subject than to others', async () => {
      const { result } = await embed([...TEXTS.slice(0, 3), 'What amount do I pay before the plan shares the cost?']);
      const [deductible = new Float32Array(), bees = new Float32Array(), invoices = new Float32Array(), question] =
        result.vectors;
      const near = cosine(question ?? new Float32Array(), deductible);
      expect(near).toBeGreaterThan(cosine(question ?? new Float32Array(), bees));
      expect(near).toBeGreaterThan(cosine(question ?? new Float32Array(), invoices));
    });

    it('bills whole tokens for all texts, or nothing at all when it is free', async () => {
      const { service, result: one } = await embed(TEXTS.slice(0, 1));
      const { result: three } = await embed(TEXTS.slice(0, 3));
      expect(Number.isInteger(one.tokensBilled)).toBe(true);
      if (service.origin === 'mock') expect([one.tokensBilled, three.tokensBilled]).toEqual([0, 0]);
      else expect(three.tokensBilled).toBeGreaterThan(one.tokensBilled);
    });

    it('answers an empty batch with nothing, and bills nothing', async () => {
      const { result } = await embed([]);
      expect(result.vectors).toEqual([]);
      expect(result.tokensBilled).toBe(0);
    });

    it('does not start when it is already aborted, and rejects with the reason given', async () => {
      const service = await create();
      const reason = new Error('stopped by the user');
      await expect(service.embed(TEXTS, ATTEMPT, AbortSignal.abort(reason))).rejects.toBe(reason);
    });

    it('stops in the middle when aborted', async () => {
      const service = await create();
      const controller = new AbortController();
      const reason = new Error('stopped by the user');
      const running = service.embed(Array(200).fill(TEXTS[0]), ATTEMPT, controller.signal);
      queueMicrotask(() => controller.abort(reason));
      const error: unknown = await running.catch((thrown: unknown) => thrown);
      // What had left may be billed, and that must not get lost.
      if (service.origin === 'real' && error !== reason) expect(error).toMatchObject({ code: 'E307', cause: reason });
      else expect(error).toBe(reason);
    });

    it('says how it is', async () => {
      const service = await create();
      const health = await service.health(new AbortController().signal);
      expect(health).toEqual({ ok: true, latencyMs: expect.any(Number), detail: expect.any(String) });
    });
  });
}
