/** Answers with vectors: exact where they are right, refused where they are not, and never a crash. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeVector, unit } from '../../src/domain/vector.ts';
import { readEmbeddings } from '../../src/services/embed/openai-answer.ts';

const DIMENSIONS = 24;
const MODEL = 'text-embedding-3-small';
const vectorOf = (seed: number) =>
  unit(Array.from({ length: DIMENSIONS }, (_, at) => Math.sin(seed * 31 + at * 7 + 1)));
const base64 = (vector: Float32Array) => encodeVector(vector).toString('base64');
const entry = (index: unknown, embedding: unknown) => ({ object: 'embedding', index, embedding });
const body = (data: unknown, more: object = {}) =>
  JSON.stringify({ object: 'list', data, model: MODEL, usage: { prompt_tokens: 9, total_tokens: 9 }, ...more });
const read = (text: string, texts = 3) => readEmbeddings(text, { texts, dimensions: DIMENSIONS, model: MODEL });
const right = [0, 1, 2].map((index) => entry(index, base64(vectorOf(index))));

describe('vectors in an answer', () => {
  it('are the bits that were sent, as base64', () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: -1, max: 1, noNaN: true }), { minLength: DIMENSIONS, maxLength: DIMENSIONS }),
        (numbers) => {
          fc.pre(numbers.some((value) => Math.abs(value) > 1e-3));
          const vector = unit(numbers);
          const reading = read(body([entry(0, base64(vector))]), 1);
          expect(reading).toMatchObject({ kind: 'usable', tokens: 9 });
          if (reading.kind === 'usable')
            expect(encodeVector(reading.vectors[0] ?? vector).equals(encodeVector(vector))).toBe(true);
        },
      ),
      { seed: 20261126 },
    );
  });

  it('may be numbers where base64 was asked for, and the other way round', () => {
    const mixed = [entry(0, [...vectorOf(0)]), entry(1, base64(vectorOf(1))), entry(2, [...vectorOf(2)])];
    expect(read(body(mixed))).toEqual({ kind: 'usable', vectors: [0, 1, 2].map(vectorOf), tokens: 9, model: MODEL });
  });

  it('are placed by their index, in whatever order they come', () => {
    const [zero, one, two] = right;
    for (const order of [
      [two, one, zero],
      [one, two, zero],
      [zero, two, one],
    ]) {
      expect(read(body(order))).toMatchObject({ kind: 'usable', vectors: [0, 1, 2].map(vectorOf) });
    }
  });

  it.each([
    ['one is missing', right.slice(1)],
    ['one is too many', [...right, entry(3, base64(vectorOf(3)))]],
    ['an index is doubled', [right[0], right[1], entry(1, base64(vectorOf(2)))]],
    ['an index is missing', [right[0], right[1], { embedding: base64(vectorOf(2)) }]],
    ['an index is beyond the texts', [right[0], right[1], entry(3, base64(vectorOf(2)))]],
    ['an index is negative', [right[0], right[1], entry(-1, base64(vectorOf(2)))]],
    ['an index is a fraction', [right[0], right[1], entry(1.5, base64(vectorOf(2)))]],
    ['an index is text', [right[0], right[1], entry('2', base64(vectorOf(2)))]],
    ['one is null', [right[0], right[1], null]],
    ['the list is none', { 0: right[0] }],
    ['the list is absent', undefined],
    ['one is short', [right[0], right[1], entry(2, [...unit([1, 2, 3])])]],
    ['one is short in base64', [right[0], right[1], entry(2, base64(unit([1, 2, 3])))]],
    ['one is long', [right[0], right[1], entry(2, [...vectorOf(2), 0])]],
    ['one is empty', [right[0], right[1], entry(2, '')]],
    [
      'one is a quarter: numbers taken for base64',
      [right[0], right[1], entry(2, base64(new Float32Array(DIMENSIONS / 4)))],
    ],
    ['one is NaN', [right[0], right[1], entry(2, base64(new Float32Array(DIMENSIONS).fill(Number.NaN)))]],
    [
      'one is infinite',
      [right[0], right[1], entry(2, base64(new Float32Array(DIMENSIONS).fill(Number.POSITIVE_INFINITY)))],
    ],
    [
      'one is beyond Float32',
      [
        right[0],
        right[1],
        entry(
          2,
          [...vectorOf(2)].map(() => 1e39),
        ),
      ],
    ],
    ['one is zero', [right[0], right[1], entry(2, base64(new Float32Array(DIMENSIONS)))]],
    ['one is zero in numbers', [right[0], right[1], entry(2, Array(DIMENSIONS).fill(0))]],
    [
      'one is no unit vector',
      [
        right[0],
        right[1],
        entry(
          2,
          [...vectorOf(2)].map((value) => value * 2),
        ),
      ],
    ],
    [
      'one has null among its numbers',
      [
        right[0],
        right[1],
        entry(
          2,
          [...vectorOf(2)].map((value, at) => (at === 3 ? null : value)),
        ),
      ],
    ],
    ['one has text among its numbers', [right[0], right[1], entry(2, [...vectorOf(2)].map(String))]],
    ['one is cut in its base64', [right[0], right[1], entry(2, base64(vectorOf(2)).slice(0, -4))]],
    ['one has other characters in its base64', [right[0], right[1], entry(2, `!!!!${base64(vectorOf(2)).slice(4)}`)]],
    ['one has other characters besides its base64', [right[0], right[1], entry(2, `${base64(vectorOf(2))}\n!!`)]],
    ['one is an object', [right[0], right[1], entry(2, {})]],
  ])('are refused, and their tokens told, when %s', (_name, data) => {
    expect(read(body(data))).toMatchObject({ kind: 'unusable', tokens: 9, again: true, why: expect.any(String) });
  });

  it.each([
    ['absent', { usage: undefined }],
    ['null', { usage: null }],
    ['a list', { usage: [9] }],
    ['half there', { usage: { prompt_tokens: 9 } }],
    ['negative', { usage: { prompt_tokens: -1, total_tokens: 9 } }],
    ['a fraction', { usage: { prompt_tokens: 9, total_tokens: 9.5 } }],
    ['text', { usage: { prompt_tokens: '9', total_tokens: '9' } }],
    ['beyond whole numbers', { usage: { prompt_tokens: 9, total_tokens: 1e300 } }],
  ])('are of no use when the usage is %s: nobody can settle it', (_name, more) => {
    expect(read(body(right, more))).toMatchObject({ kind: 'unreadable' });
  });

  it('count as billed by the larger number, if there are two', () => {
    expect(read(body(right, { usage: { prompt_tokens: 9, total_tokens: 12 } }))).toMatchObject({ tokens: 12 });
    expect(read(body(right, { usage: { prompt_tokens: 12, total_tokens: 9 } }))).toMatchObject({ tokens: 12 });
  });

  it('must be of the model that was asked, as a whole or with additions; another one would poison the space', () => {
    for (const model of [MODEL, `openai/${MODEL}`, `${MODEL}-001`, undefined, '']) {
      expect(read(body(right, { model }))).toMatchObject({ kind: 'usable', model: MODEL });
    }
    for (const model of ['text-embedding-ada-002', 'text-embedding-3-large', 'x'.repeat(1000)]) {
      expect(read(body(right, { model }))).toMatchObject({ kind: 'unusable', tokens: 9, again: false });
    }
  });

  it('T74 never come out of anything else, whatever the bytes are', () => {
    const whole = body(right);
    for (let end = 0; end < whole.length; end += 7) expect(read(whole.slice(0, end)).kind).toBe('unreadable');
    fc.assert(
      fc.property(
        fc.oneof(fc.json(), fc.string(), fc.constantFrom('<html>', 'null', '[]', '{}', '0', '"x"')),
        (text) => {
          expect(read(text).kind).toBe('unreadable');
        },
      ),
      { seed: 20261127 },
    );
    fc.assert(
      fc.property(fc.jsonValue(), (data) => {
        expect(read(body(data)).kind).not.toBe('usable');
        expect(read(body([right[0], right[1], data])).kind).not.toBe('usable');
        expect(read(body([right[0], right[1], entry(2, data)])).kind).not.toBe('usable');
      }),
      { seed: 20261128 },
    );
  });
});
