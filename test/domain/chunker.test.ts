/** Structure, pages and sizes of chunks. */
import { describe, expect, it } from 'vitest';
import { type Chunk, chunk, chunkerVersion, DEFAULT_CHUNK_OPTIONS } from '../../src/domain/chunker.ts';
import { assemble } from '../../src/domain/markdown.ts';
import { loadTokenizer } from '../../src/domain/tokens.ts';

const tokenizer = await loadTokenizer();

async function chunksOf(pages: string | string[], options = DEFAULT_CHUNK_OPTIONS): Promise<Chunk[]> {
  const texts = typeof pages === 'string' ? [pages] : pages;
  const { markdown, pageStarts } = assemble(texts.map((text, index) => ({ number: index + 1, markdown: text })));
  return chunk(markdown, pageStarts, options, tokenizer);
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
