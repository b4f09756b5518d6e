/** Token counts: exact against the library, safe for hostile text. */
import fc from 'fast-check';
import { countTokens } from 'gpt-tokenizer/encoding/cl100k_base';
import { describe, expect, it } from 'vitest';
import { insidePair, loadTokenizer, runCuts } from '../../src/domain/tokens.ts';

fc.configureGlobal({ seed: 20261123 });

const tokenizer = await loadTokenizer();

describe('count', () => {
  // Published with OpenAI's tokenizer examples for cl100k_base.
  it.each([
    ['', 0],
    ['tiktoken is great!', 6],
    ['antidisestablishmentarianism', 6],
    ['2 + 2 = 4', 7],
    ['お誕生日おめでとう', 9],
  ])('%s', (text, tokens) => {
    expect(tokenizer.count(text)).toBe(tokens);
  });

  it('counts special-token text as ordinary text', () => {
    expect(tokenizer.count('<|endoftext|>')).toBe(7);
    expect(tokenizer.count('<|im_start|><|fim_prefix|>')).toBeGreaterThan(2);
  });

  it('is the library’s own count for text without very long runs', () => {
    const plain = { disallowedSpecial: new Set<string>() };
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 150 }), (text) => {
        expect(tokenizer.count(text)).toBe(countTokens(text, plain));
      }),
      { numRuns: 100 },
    );
    const long = 'The insured shall notify us in writing within 30 days. Η θάλασσα, 灯台守は夜明けに。\n'.repeat(200);
    expect(tokenizer.count(long)).toBe(countTokens(long, plain));
  });

  it.each([
    ['a million letters', 'a'.repeat(1_000_000), 125_000],
    ['a million spaces', ' '.repeat(1_000_000), 8000],
    ['half a million emoji', '😀'.repeat(500_000), 500_000],
    ['brackets', '['.repeat(1_000_000), 30_000],
    ['CJK without a space', '灯台守'.repeat(200_000), 200_000],
  ])('ends for %s', (_what, text, atLeast) => {
    expect(tokenizer.count(text)).toBeGreaterThanOrEqual(atLeast);
  });
});

describe('runCuts', () => {
  it('does not cut ordinary text', () => {
    expect(runCuts('word and word, '.repeat(1000))).toEqual([]);
    expect(runCuts('a'.repeat(999))).toEqual([]);
  });

  it('cuts a run every thousand characters and never inside a pair', () => {
    expect(runCuts('a'.repeat(3000))).toEqual([1000, 2000]);
    for (const text of ['😀'.repeat(2000), `x${'😀'.repeat(2000)}`]) {
      const cuts = runCuts(text);
      expect(cuts.length).toBeGreaterThanOrEqual(3);
      expect(cuts.filter((cut) => insidePair(text, cut))).toEqual([]);
    }
  });

  it('leaves no run of 2,000 characters or more', () => {
    fc.assert(
      fc.property(fc.nat(3000), fc.integer({ min: 2000, max: 6000 }), (before, length) => {
        const cuts = runCuts(`${'a '.repeat(before)}${'b'.repeat(length)}`);
        const inRun = cuts.filter((cut) => cut > 2 * before);
        expect(inRun.length).toBeGreaterThanOrEqual(Math.floor(length / 1000) - 1);
      }),
      { numRuns: 200 },
    );
  });
});
