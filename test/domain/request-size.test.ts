import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { afterFull, afterTooLarge, asConfigured, type LearnedSize } from '../../src/domain/request-size.ts';

const CONFIGURED = { maxTexts: 64, maxTokens: 80_000 };
const LEAST = 8_191;
const texts = (many: number, tokens = 1_000) =>
  Array.from({ length: many }, (_, index) => ({ id: `${index}`, jobId: 'job', tokens }));
const answered = (size: LearnedSize, times: number) =>
  Array.from({ length: times }).reduce<LearnedSize>((one) => afterFull(one, CONFIGURED), size);

describe('the size of embedding requests', () => {
  it('is as configured until one is refused, whatever is answered', () => {
    expect(answered(asConfigured(CONFIGURED), 1_000)).toEqual(asConfigured(CONFIGURED));
  });

  it('is halved by a refusal, by texts and by tokens, and never below one text or the largest text', () => {
    expect(afterTooLarge(asConfigured(CONFIGURED), texts(64), LEAST)).toMatchObject({
      maxTexts: 32,
      maxTokens: 32_000,
    });
    expect(afterTooLarge(asConfigured(CONFIGURED), texts(2, 10), LEAST)).toMatchObject({
      maxTexts: 1,
      maxTokens: LEAST,
    });
  });

  it('grows by an eighth of what is configured after eight full requests, back to all of it and no further', () => {
    let size = afterTooLarge(asConfigured(CONFIGURED), texts(64), LEAST);
    expect(answered(size, 7)).toMatchObject({ maxTexts: 32 });
    size = answered(size, 8);
    expect(size).toMatchObject({ maxTexts: 40, maxTokens: 42_000 });
    expect(answered(size, 8 * 6)).toMatchObject(CONFIGURED);
  });

  it('waits twice as long after each growth that was refused, and no longer for a refusal that halves twice', () => {
    let size = afterTooLarge(asConfigured(CONFIGURED), texts(64), LEAST);
    size = afterTooLarge(size, texts(32), LEAST);
    expect(size).toMatchObject({ maxTexts: 16, patience: 8 });
    for (const patience of [16, 32, 64, 128, 256, 512, 512]) {
      size = answered(size, size.patience);
      size = afterTooLarge(size, texts(size.maxTexts), LEAST);
      expect(size.patience).toBe(patience);
    }
  });

  it('stays within what is configured, and reaches it again when nothing more is refused', () => {
    const steps = fc.array(fc.integer({ min: 2, max: 64 }), { maxLength: 30 });
    fc.assert(
      fc.property(steps, (refusals) => {
        let size = asConfigured(CONFIGURED);
        for (const many of refusals) {
          size = answered(afterTooLarge(size, texts(many), LEAST), many);
          expect(size.maxTexts).toBeGreaterThanOrEqual(1);
          expect(size.maxTexts).toBeLessThanOrEqual(CONFIGURED.maxTexts);
          expect(size.maxTokens).toBeGreaterThanOrEqual(LEAST);
          expect(size.maxTokens).toBeLessThanOrEqual(CONFIGURED.maxTokens);
        }
        expect(answered(size, 9 * size.patience)).toMatchObject(CONFIGURED);
      }),
    );
  });
});
