/** `hash-ngram@1`: frozen bits, every text has a direction, and likeness follows shared words. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { embedNgrams, NGRAM_DIMENSIONS } from '../../src/domain/ngram-embedding.ts';
import { checkVector, encodeVector, signBits, vectorSha } from '../../src/domain/vector.ts';

function cosine(one: string, other: string): number {
  const vector = embedNgrams(other);
  return embedNgrams(one).reduce((sum, value, index) => sum + value * (vector[index] ?? 0), 0);
}

describe('embedNgrams', () => {
  // A stored vector must stay comparable: when one of these changes, the space needs a new name.
  it.each([
    ['', 'af61dfa4279365f7d85495f08ab13967e5ec257fbde8d6da8fdcb961decc36b0'],
    [
      'The deductible is $1,500 a year; it doesn’t apply to check-ups.',
      '44e4be3bac60bbc90daa6d6916108f26e24ae00919551d2b4bd65c90bb5df6cf',
    ],
    ['Größe, naïve café, ﬁrst İstanbul ΣΑΣ', 'cb50f833d09990f08e10a4ffe871020da50fa7a2a194c91eab5384bc58991333'],
    ['保険金は三十日以内に支払われます。 ภาษาไทย', '4ce8339031f92cdf54b8332f9fe3521a1a510fca027d1e15011dbea852d8c6aa'],
    ['*** --- 🙂', '3c94c4c4cdbbc92e6dba627ed5a7f4b1d66ebeb1287f78a5aa59417dd869d50d'],
  ])('gives %j the bits it has always given', (text, expected) => {
    expect(vectorSha(encodeVector(embedNgrams(text)))).toBe(expected);
  });

  it('gives every text an acceptable vector, the same each time', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string({ unit: 'binary' }),
          fc.lorem(),
          fc.string({ unit: fc.constantFrom(' ', '\n', '*', '\ud800') }),
        ),
        (text) => {
          const vector = embedNgrams(text);
          expect(checkVector(vector, NGRAM_DIMENSIONS)).toBeNull();
          expect(embedNgrams(text)).toEqual(vector);
        },
      ),
      { numRuns: 200 },
    );
  });

  it('tells apart texts without letters or digits', () => {
    expect(cosine('+++', '---')).toBeLessThan(0.5);
    expect(cosine('+++', '+++')).toBeCloseTo(1, 5);
  });

  it('does not see case, accents, ligatures, apostrophes or markup', () => {
    const plain = 'the first cafe of the plan costs 1500 and does not close';
    expect(
      cosine(plain, '## The **FIRST** café of the plan’s costs: 1,500 — and does not close!'.replace('’s', '')),
    ).toBeCloseTo(1, 5);
    expect(cosine('dont close', 'don’t close')).toBeCloseTo(1, 5);
    expect(cosine("the plan's cost", 'the plan cost')).toBeCloseTo(1, 5);
  });

  it('puts forms of a word near each other, and other words far', () => {
    const forms = cosine('reimbursement of deductibles', 'reimbursing the deductible');
    expect(forms).toBeGreaterThan(0.4);
    expect(forms).toBeGreaterThan(cosine('reimbursement of deductibles', 'replacement of the dishwasher') + 0.3);
  });

  it('lets grammar words weigh little', () => {
    const question = 'how do I apply for parental leave';
    expect(cosine(question, 'Parental leave: application form')).toBeGreaterThan(
      cosine(question, 'How do I know what I am for?') + 0.1,
    );
  });

  it('tells the order of words', () => {
    expect(cosine('dog bites man', 'dog bites man today')).toBeGreaterThan(
      cosine('dog bites man', 'man today bites dog'),
    );
  });

  it('finds a phrase in long text of another writing system without spaces', () => {
    const text = '保険金は三十日以内に支払われます。解約はいつでもできます。';
    expect(cosine('三十日以内に支払', text)).toBeGreaterThan(cosine('営業時間のご案内', text) + 0.2);
  });

  it('spreads even a single word over all dimensions, so that its sign bits mean something', () => {
    const bits = [...signBits(embedNgrams('deductible'))]
      .flatMap((byte) => [...byte.toString(2)])
      .filter((bit) => bit === '1').length;
    expect(bits).toBeGreaterThan(NGRAM_DIMENSIONS * 0.3);
    expect(bits).toBeLessThan(NGRAM_DIMENSIONS * 0.7);
  });

  it('stands a word of a million letters and a text of a million words', () => {
    expect(checkVector(embedNgrams('a'.repeat(1_000_000)), NGRAM_DIMENSIONS)).toBeNull();
    expect(checkVector(embedNgrams('word '.repeat(1_000_000)), NGRAM_DIMENSIONS)).toBeNull();
  });
});
