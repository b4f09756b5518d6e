/** Chunks: coverage, the hard maximum, structure, pages, determinism, hostile text. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type Chunk,
  type ChunkOptions,
  chunk,
  chunks,
  chunkerVersion,
  DEFAULT_CHUNK_OPTIONS,
} from '../../src/domain/chunker.ts';
import { assemble } from '../../src/domain/markdown.ts';
import { loadTokenizer } from '../../src/domain/tokens.ts';

fc.configureGlobal({ seed: 20261123 });

const tokenizer = await loadTokenizer();
const small: ChunkOptions = { targetTokens: 60, maxTokens: 90, overlapTokens: 10 };
const tight: ChunkOptions = { targetTokens: 64, maxTokens: 64, overlapTokens: 32 };

async function chunksOf(pages: string | string[], options = DEFAULT_CHUNK_OPTIONS): Promise<Chunk[]> {
  const texts = typeof pages === 'string' ? [pages] : pages;
  const { markdown, pageStarts } = assemble(texts.map((text, index) => ({ number: index + 1, markdown: text })));
  return chunk(markdown, pageStarts, options, tokenizer);
}

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

let serial = 0;
/** Sentences of words that occur once, so that a lost one is noticed. */
function prose(sentences: number, words = 12): string {
  return Array.from({ length: sentences }, () => {
    return `${Array.from({ length: words }, () => `word${(serial++).toString(36)}`).join(' ')}.`;
  }).join(' ');
}

describe('structure', () => {
  it('starts the first chunk of a section with its heading and carries the heading path', async () => {
    const made = await chunksOf(`# Part\n\n${prose(12)}\n\n## Clause ##\n\n${prose(12)}\n\n# Other\n\n${prose(12)}`);
    expect(made.map((one) => one.headingPath)).toEqual([['Part'], ['Part', 'Clause'], ['Other']]);
    expect(made.map((one) => one.text.split('\n')[0])).toEqual(['# Part', '## Clause ##', '# Other']);
  });

  it('merges headings without text into what follows, with the path of what follows', async () => {
    const made = await chunksOf(`# Book\n\n# Part\n\n## Clause\n\n${prose(30)}\n\n# Empty`);
    expect(made[0]?.text.startsWith('# Book\n\n# Part\n\n## Clause\n\nword')).toBe(true);
    expect(made[0]?.headingPath).toEqual(['Part', 'Clause']);
    expect(made.at(-1)?.text).toBe('# Empty');
    expect(made.at(-1)?.headingPath).toEqual(['Empty']);
  });

  it('never leaves a heading at the end of a chunk', async () => {
    const made = await chunksOf(`# A\n\n${prose(20)}\n\n## B\n\n${prose(25)}\n\n## C\n\n${prose(25)}`);
    for (const one of made) expect(one.text.trimEnd().split('\n').at(-1)).not.toMatch(/^#/);
  });

  it('packs tiny sections under a common heading together and names what they share', async () => {
    const made = await chunksOf(
      `# Duties\n\n## One\n\n${prose(1, 8)}\n\n## Two\n\n${prose(1, 8)}\n\n# Limits\n\n${prose(1, 8)}`,
    );
    expect(made.map((one) => one.headingPath)).toEqual([['Duties'], ['Limits']]);
    expect(made[0]?.text).toContain('## Two');
  });

  it('packs whole blocks up to the target', async () => {
    const paragraphs = Array.from({ length: 30 }, () => prose(2));
    const made = await chunksOf(paragraphs.join('\n\n'));
    for (const one of made) expect(one.tokenCount).toBeLessThanOrEqual(DEFAULT_CHUNK_OPTIONS.targetTokens * 1.5);
    for (const paragraph of paragraphs)
      expect(made.filter((one) => one.text.includes(paragraph)).length).toBeGreaterThan(0);
    expect(made.length).toBeGreaterThan(2);
  });

  it('repeats about 40 tokens between chunks of one section, from the start of a word, and none between sections', async () => {
    const made = await chunksOf(`# A\n\n${prose(90)}\n\n# B\n\n${prose(5)}`);
    for (let index = 1; index < made.length - 1; index += 1) {
      const [before = '', text = ''] = [made[index - 1]?.text, made[index]?.text];
      let length = text.length;
      while (!before.endsWith(text.slice(0, length))) length -= 1;
      const repeated = text.slice(0, length);
      expect(tokenizer.count(repeated)).toBeGreaterThan(25);
      expect(tokenizer.count(repeated)).toBeLessThanOrEqual(40);
      expect(before.at(-repeated.length - 1)).toMatch(/\s/);
    }
    expect(made.length).toBeGreaterThan(4);
    expect(made.at(-1)?.text.startsWith('# B')).toBe(true);
  });

  it('splits a long paragraph between sentences', async () => {
    const made = await chunksOf(prose(120), { ...DEFAULT_CHUNK_OPTIONS, overlapTokens: 0 });
    expect(made.length).toBeGreaterThan(3);
    for (const one of made) expect(one.text).toMatch(/^word[^.]+\..*\.$/s);
  });

  it('splits a long sentence between words, and a long word between code points', async () => {
    const sentence = prose(1, 1500);
    const words = await chunksOf(sentence, { ...DEFAULT_CHUNK_OPTIONS, overlapTokens: 0 });
    expect(words.map((one) => one.text).join(' ')).toBe(sentence);
    const emoji = await chunksOf('😀'.repeat(2000), { ...DEFAULT_CHUNK_OPTIONS, overlapTokens: 0 });
    expect(emoji.length).toBeGreaterThan(3);
    expect(emoji.map((one) => one.text).join('')).toBe('😀'.repeat(2000));
  });

  it('splits text without spaces at its own sentence ends', async () => {
    const made = await chunksOf('灯台守は夜明けに船を数える。'.repeat(200), {
      ...DEFAULT_CHUNK_OPTIONS,
      overlapTokens: 0,
    });
    expect(made.length).toBeGreaterThan(3);
    for (const one of made) expect(one.text.endsWith('。')).toBe(true);
  });

  it('splits a table between rows and repeats the header', async () => {
    const rows = Array.from({ length: 200 }, (_, index) => `| row ${index} | ${'value '.repeat(8)}|`);
    const made = await chunksOf(['# Rates', '', '| Name | Rate |', '|---|---|', ...rows].join('\n'));
    expect(made.length).toBeGreaterThan(3);
    for (const one of made) expect(one.text).toContain('| Name | Rate |\n|---|---|\n| row ');
    for (const row of rows) expect(made.some((one) => one.text.split('\n').includes(row))).toBe(true);
    expect(made[0]?.text.startsWith('# Rates')).toBe(true);
  });

  it('keeps the fence in every piece of code', async () => {
    const lines = Array.from({ length: 300 }, (_, index) => `  step_${index}(a,  b)`);
    const made = await chunksOf(`Text.\n\n~~~js\n${lines.join('\n')}\n~~~\n\nMore text.`);
    expect(made.length).toBeGreaterThan(3);
    for (const one of made) expect(one.text.match(/^~~~/gm)?.length).toBe(2);
    for (const one of made) expect(one.text).toMatch(/~~~js\n {2}step_/);
    for (const line of lines) expect(made.some((one) => one.text.split('\n').includes(line))).toBe(true);
  });

  it('keeps the fence of code that is split inside a list', async () => {
    const lines = Array.from({ length: 300 }, (_, index) => `  step_${index}(a,  b)`);
    const made = await chunksOf(`- ~~~\n${lines.join('\n')}\n  ~~~\n- end`);
    for (const one of made.slice(1, -1)) expect(one.text).toMatch(/^ {2}~~~\n(?: {2}step_.*\n)+ {2}~~~$/);
  });

  it('splits a long list between items', async () => {
    const items = Array.from({ length: 100 }, () => `- ${prose(1)}`);
    const made = await chunksOf(items.join('\n'), { ...DEFAULT_CHUNK_OPTIONS, overlapTokens: 0 });
    expect(made.length).toBeGreaterThan(2);
    expect(made.flatMap((one) => one.text.split('\n'))).toEqual(items);
  });

  it('takes a long underlined text for text, not for a heading', async () => {
    const made = await chunksOf(`${prose(40)}\n---\n\n${prose(3)}`);
    expect(made.every((one) => one.headingPath.length === 0)).toBe(true);
  });

  it('counts <|endoftext|> as text', async () => {
    const [one] = await chunksOf('a <|endoftext|> b');
    expect(one).toMatchObject({ text: 'a <|endoftext|> b', tokenCount: 8 });
  });

  it('makes no chunk of nothing', async () => {
    expect(await chunksOf('')).toEqual([]);
    expect(await chunksOf([' ', '\n'])).toEqual([]);
  });
});

describe('pages', () => {
  it('closes a chunk at the end of a page that has enough on it, in one section, too', async () => {
    const pages = [prose(6), prose(6), prose(6)];
    const made = await chunksOf(pages);
    expect(made.map((one) => [one.pageFrom, one.pageTo])).toEqual([
      [1, 1],
      [2, 2],
      [3, 3],
    ]);
    expect(made.map((one) => one.text)).toEqual(pages);
  });

  it('repeats the end of the page before only where a sentence goes on', async () => {
    const first = prose(20).replace(/\.$/, '');
    const made = await chunksOf([first, prose(20)]);
    const next = made.find((one) => one.pageFrom === 2);
    expect(next?.text.startsWith(first.slice(-20).split(' ').at(-1) ?? '-')).toBe(false);
    expect(next?.text).toContain(first.slice(-20));
  });

  it('takes a running title along with the text below it, under the headings of that text', async () => {
    const page = (title: string) => `Harbour Mutual ${title}\n\n---\n\n# ${title}\n\n${prose(8)}`;
    const made = await chunksOf([page('Fire'), page('Water')]);
    expect(made.map((one) => [one.pageFrom, one.pageTo, ...one.headingPath])).toEqual([
      [1, 1, 'Fire'],
      [2, 2, 'Water'],
    ]);
  });

  it('splits a list that goes on over a page boundary at the boundary', async () => {
    const list = (count: number) => Array.from({ length: count }, () => `- ${prose(1)}`).join('\n');
    const made = await chunksOf([list(4), list(4)]);
    expect(made.map((one) => [one.pageFrom, one.pageTo])).toEqual([
      [1, 1],
      [2, 2],
    ]);
  });

  it('carries a few words on to the next page and says so', async () => {
    const made = await chunksOf(['Short start', prose(10)]);
    expect(made.map((one) => [one.pageFrom, one.pageTo])).toEqual([[1, 2]]);
  });

  it('does not count blank pages', async () => {
    const made = await chunksOf(['', prose(10), '', prose(10), '']);
    expect(made.map((one) => [one.pageFrom, one.pageTo])).toEqual([
      [2, 2],
      [4, 4],
    ]);
  });

  it('finds every sentence first on its own page', async () => {
    const pages = Array.from({ length: 12 }, () => `## T${serial}\n\n${prose(5)}\n\n${prose(30)}\n\n${prose(9)}`);
    const made = await chunksOf(pages);
    pages.forEach((page, index) => {
      for (const sentence of page.match(/word[^.]+\./g) ?? []) {
        const found = made.filter((one) => one.text.includes(sentence));
        expect(found.length).toBeGreaterThan(0);
        for (const one of found) expect([one.pageFrom, one.pageTo]).toEqual([index + 1, index + 1]);
      }
    });
  });
});

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
  fc.string({ unit: 'binary', maxLength: 300 }),
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
    ['default sizes', DEFAULT_CHUNK_OPTIONS, 60],
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
      { numRuns: 60 },
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
      { numRuns: 60 },
    );
  });

  it('one chunk at a time gives the same chunks', async () => {
    const { markdown, pageStarts } = assemble([{ number: 1, markdown: prose(100) }]);
    const one: Chunk[] = [];
    for await (const made of chunks(markdown, pageStarts, small, tokenizer)) one.push(made);
    expect(one).toEqual(await chunk(markdown, pageStarts, small, tokenizer));
  });
});

describe('sizes', () => {
  it('are part of the version unless they are the usual ones', () => {
    expect(chunkerVersion(DEFAULT_CHUNK_OPTIONS)).toBe('1');
    expect(chunkerVersion({ targetTokens: 300, maxTokens: 600, overlapTokens: 20 })).toBe('1+t300m600o20');
  });

  it.each([
    { targetTokens: 31 },
    { maxTokens: 399 },
    { overlapTokens: 201 },
    { overlapTokens: -1 },
    { targetTokens: Number.NaN },
    { targetTokens: 99.5 },
  ])('%o is refused', async (wrong) => {
    const options = { ...DEFAULT_CHUNK_OPTIONS, ...wrong };
    expect(() => chunkerVersion(options)).toThrow(expect.objectContaining({ code: 'E103' }));
    await expect(chunksOf('a', options)).rejects.toMatchObject({ code: 'E103' });
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
