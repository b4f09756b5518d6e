/** What holds for the chunks of every document, hostile ones included. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Chunk, type ChunkOptions, chunk, chunks, DEFAULT_CHUNK_OPTIONS } from '../../src/domain/chunker.ts';
import { assemble } from '../../src/domain/markdown.ts';
import { loadTokenizer } from '../../src/domain/tokens.ts';

fc.configureGlobal({ seed: 20261123 });

const tokenizer = await loadTokenizer();
const small: ChunkOptions = { targetTokens: 60, maxTokens: 90, overlapTokens: 10 };
const tight: ChunkOptions = { targetTokens: 64, maxTokens: 64, overlapTokens: 32 };

const solid = (text: string) => text.replace(/\s+/g, '');

/** Whether the characters of `text` occur in `within`, in order. */
function isWithin(text: string, within: string): boolean {
  let at = 0;
  for (let here = 0; here < within.length && at < text.length; here += 1) if (within[here] === text[at]) at += 1;
  return at === text.length;
}

/** What holds for every document. */
function checkInvariants(markdown: string, made: readonly Chunk[], options: ChunkOptions, pages: number): void {
  expect(isWithin(solid(markdown), solid(made.map((one) => one.text).join('\n')))).toBe(true);
  made.forEach((one, index) => {
    expect(one.ord).toBe(index);
    expect(one.tokenCount).toBe(tokenizer.count(one.text));
    expect(one.tokenCount).toBeLessThanOrEqual(options.maxTokens);
    expect(one.text.trim()).not.toBe('');
    expect(one.text).not.toMatch(/\p{Cs}/u);
    expect(one.pageFrom).toBeGreaterThanOrEqual(made[index - 1]?.pageTo ?? 1);
    expect(one.pageTo).toBeGreaterThanOrEqual(one.pageFrom);
    expect(one.pageTo).toBeLessThanOrEqual(Math.max(1, pages));
  });
}

const block = fc.oneof(
  fc.constantFrom(
    '# A',
    '## B',
    '### C',
    '---',
    'x',
    '> quote **a**',
    '```\n',
    '| a |\n|---|',
    '![i](j)',
    '<|endoftext|>',
    '# ',
  ),
  fc.integer({ min: 1, max: 60 }).map((words) => 'lorem ipsum dolor. '.repeat(words)),
  fc.integer({ min: 1, max: 300 }).map((length) => 'ab1_'.repeat(length)),
  fc.integer({ min: 1, max: 80 }).map((rows) => `| h1 | h2 |\n|---|---|\n${'| one | two  |\n'.repeat(rows)}`),
  fc
    .integer({ min: 1, max: 200 })
    .map((columns) => `|${' head |'.repeat(columns)}\n|${'-|'.repeat(columns)}\n|${' x |'.repeat(columns)}`),
  fc.integer({ min: 1, max: 80 }).map((lines) => `~~~js\n${'call(a);\n\n'.repeat(lines)}~~~`),
  fc.integer({ min: 1, max: 30 }).map((items) => `${'- item text\n  - inner\n\n        code\n'.repeat(items)}`),
  fc.integer({ min: 1, max: 30 }).map((items) => '> - quoted\n>   ```\n>   code  x\n>   ```\n'.repeat(items)),
  fc.string({ unit: 'binary', maxLength: 80 }),
  fc
    .constantFrom('😀', '👨‍👩‍👧', '灯台守', '\ud83d', 'é')
    .chain((one) => fc.integer({ min: 1, max: 200 }).map((n) => one.repeat(n))),
);
const anyPages = fc.array(
  fc.array(block, { maxLength: 6 }).map((blocks) => blocks.join('\n\n')),
  { minLength: 1, maxLength: 5 },
);

describe('properties', () => {
  it.each([
    ['default sizes', DEFAULT_CHUNK_OPTIONS, 40],
    ['small sizes', small, 60],
    ['target and maximum the same, overlap half of it', tight, 60],
    ['no overlap', { targetTokens: 32, maxTokens: 40, overlapTokens: 0 }, 40],
  ])(
    '%s: nothing is lost, nothing is too long, pages are in order, the same input gives the same chunks',
    async (_n, options, numRuns) => {
      await fc.assert(
        fc.asyncProperty(anyPages, async (pages) => {
          const { markdown, pageStarts } = assemble(
            pages.map((text, index) => ({ number: index + 1, markdown: text })),
          );
          const made = await chunk(markdown, pageStarts, options, tokenizer);
          checkInvariants(markdown, made, options, pages.length);
          expect(await chunk(markdown, pageStarts, options, tokenizer)).toEqual(made);
        }),
        { numRuns },
      );
    },
  );

  it('without overlap, tables and code, the chunks are the text, cut', async () => {
    const plain = fc.array(fc.constantFrom('# A', '## B', 'One. Two.', '- a\n- b', '> q', `${'w '.repeat(200)}`), {
      maxLength: 30,
    });
    await fc.assert(
      fc.asyncProperty(plain, async (blocks) => {
        const { markdown } = assemble([{ number: 1, markdown: blocks.join('\n\n') }]);
        const made = await chunk(markdown, [], { ...small, overlapTokens: 0 }, tokenizer);
        expect(solid(made.map((one) => one.text).join(''))).toBe(solid(markdown));
      }),
      { numRuns: 50 },
    );
  });

  it('takes markdown that was never normalised and page starts in odd places', async () => {
    await fc.assert(
      fc.asyncProperty(anyPages, fc.array(fc.nat(2000), { maxLength: 5 }), async (pages, starts) => {
        const markdown = pages.join('\n').replace(/\p{Cs}/gu, '');
        const sorted = starts.sort((a, b) => a - b).map((start, index) => ({ number: index + 1, start }));
        const made = await chunk(markdown, sorted, small, tokenizer);
        checkInvariants(markdown.replaceAll('\0', '\ufffd').length === markdown.length ? markdown : '', made, small, 5);
      }),
      { numRuns: 50 },
    );
  });

  it('one chunk at a time gives the same chunks', async () => {
    const { markdown, pageStarts } = assemble([{ number: 1, markdown: 'One two three four. '.repeat(100) }]);
    const one: Chunk[] = [];
    for await (const made of chunks(markdown, pageStarts, small, tokenizer)) one.push(made);
    expect(one).toEqual(await chunk(markdown, pageStarts, small, tokenizer));
  });
});

describe('hostile text', () => {
  it.each([
    ['100,000 brackets', '['.repeat(100_000)],
    ['50,000 quote marks', '>'.repeat(50_000)],
    ['5,000 lines of 20 quote marks', `${'>'.repeat(20)} x\n`.repeat(5000)],
    ['one line of 2 MB', 'word '.repeat(400_000)],
    ['2 MB of dots', '.'.repeat(2_000_000)],
    ['a million letters', 'a'.repeat(1_000_000)],
    ['emoji sequences', '👨‍👩‍👧‍👦'.repeat(10_000)],
    ['CJK without an end', '灯台守夜明船数'.repeat(20_000)],
    ['special tokens', '<|endoftext|>'.repeat(5000)],
    ['a list 300 deep', Array.from({ length: 300 }, (_, index) => `${' '.repeat(2 * index)}- x ${index}`).join('\n')],
    ['a table of 10,000 rows', `| a | b |\n|---|---|\n${'| one cell | another |\n'.repeat(10_000)}`],
    [
      'a table with a header of 5,000 columns',
      `|${' a |'.repeat(5000)}\n|${'-|'.repeat(5000)}\n|${' b |'.repeat(5000)}`,
    ],
    ['a table row of 100 kB', `| a |\n|---|\n| ${'cell '.repeat(20_000)} |`],
    ['a fence of 10,000 backticks', `${'`'.repeat(10_000)}\n${'x\n'.repeat(1000)}`],
    ['20,000 headings', '# a\n'.repeat(20_000)],
    ['a heading of 200 kB', `# ${'a '.repeat(100_000)}`],
    ['20,000 rules', '---\n\n'.repeat(20_000)],
  ])('%s', async (_what, text) => {
    const { markdown, pageStarts } = assemble([{ number: 1, markdown: text }]);
    const made = await chunk(markdown, pageStarts, DEFAULT_CHUNK_OPTIONS, tokenizer);
    expect(made.length).toBeGreaterThan(0);
    expect(made.every((one) => one.tokenCount <= 800 && one.tokenCount === tokenizer.count(one.text))).toBe(true);
    expect(isWithin(solid(markdown), solid(made.map((one) => one.text).join('\n')))).toBe(true);
  });
});
