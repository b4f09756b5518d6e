/** What holds for every normalised text, hostile ones included. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { assemble, normalise } from '../../src/domain/markdown.ts';

fc.configureGlobal({ seed: 20261123 });

/** Pieces of markdown that meet in every bad way: fences in lists in quotes, links that become fences, halves of pairs. */
const fragments = [
  ...['\n', '\n', '\n', '\n\n', '\n\n\n', '\r\n', '\r', ' ', '  ', '    ', '      ', '\t'],
  ...['a', 'b c', 'é', '😀', '👨‍👩‍👧', '\ud83d', '\udc00', '\0', '\u200b', '\ufeff', '\u202e', '\u00a0'],
  ...[
    '*',
    '* ',
    '- ',
    '  - ',
    '    - ',
    '+ ',
    '• ',
    '1. ',
    '12) ',
    '#',
    '## ',
    '>',
    '> ',
    '---',
    '***',
    '===',
    '-',
    '_',
  ],
  ...['`', '`` ', '```', '```js', '~~~', '~~~~', '|', '| a  b |', '|---|', '<', '\\'],
  ...['[', '](x)', '](x "t")', '![', '](', '(x)', ')', '[x](y)', '![i](j)', '[```](x)', '[> q](x)', '[](x)', '[1][2]'],
];
const anyMarkdown = fc.array(fc.constantFrom(...fragments), { maxLength: 40 }).map((parts) => parts.join(''));
const anyPages = fc
  .array(anyMarkdown, { maxLength: 5 })
  .map((texts) => texts.map((markdown, index) => ({ number: index + 1, markdown })));

describe('properties', () => {
  it('normalising twice changes nothing', () => {
    fc.assert(
      fc.property(fc.oneof(anyMarkdown, fc.string({ unit: 'binary', maxLength: 60 })), (text) => {
        const once = normalise(text);
        expect(normalise(once)).toBe(once);
      }),
      { numRuns: 4000 },
    );
  });

  it('no trailing space, no control or zero-width character, one final newline; no blank run outside code', () => {
    fc.assert(
      fc.property(anyMarkdown, (text) => {
        const once = normalise(text);
        expect(once).not.toMatch(/[ \t]$/m);
        expect(once).not.toMatch(/[\0-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]/);
        expect(once).toMatch(/^\n$|[^\n]\n$/);
        if (!/```|~~~/.test(once)) expect(once).not.toMatch(/\n\n\n/);
      }),
      { numRuns: 3000 },
    );
  });

  it('keeps every letter and digit outside of link targets and images', () => {
    const words = fc.constantFrom(
      'w ',
      'x',
      '1. ',
      '\n',
      '\n\n',
      '    ',
      '- ',
      '# ',
      '> ',
      '`',
      '```\n',
      '| ',
      '[',
      ']',
      '(',
      '\t',
    );
    fc.assert(
      fc.property(fc.array(words, { maxLength: 40 }), (parts) => {
        const text = parts.join('').replaceAll('](', '] (');
        expect(normalise(text).replace(/[^\w]/g, '')).toBe(text.replace(/[^\w]/g, ''));
      }),
      { numRuns: 2000 },
    );
  });

  it('assembled pages are a fixed point of normalise', () => {
    fc.assert(
      fc.property(anyPages, (pages) => {
        const { markdown } = assemble(pages);
        expect(normalise(markdown)).toBe(markdown);
      }),
      { numRuns: 3000 },
    );
  });

  it('page starts are in order, at a line, and at the text of their page', () => {
    const words = fc.array(fc.array(fc.constantFrom('word', '# title', '```', '- item', '', ' '), { maxLength: 6 }), {
      maxLength: 6,
    });
    fc.assert(
      fc.property(words, (texts) => {
        const pages = texts.map((lines, index) => ({ number: index + 1, markdown: lines.join('\n') }));
        const { markdown, pageStarts } = assemble(pages);
        expect(pageStarts.map((page) => page.number)).toEqual(pages.map((page) => page.number));
        let before = 0;
        pageStarts.forEach(({ start }, index) => {
          expect(start).toBeGreaterThanOrEqual(before);
          if (start > 0 && start < markdown.length) expect(markdown[start - 1]).toBe('\n');
          const first = pages[index]?.markdown.trim().split('\n')[0] ?? '';
          expect(markdown.slice(start, start + first.length)).toBe(first);
          before = start;
        });
      }),
      { numRuns: 1000 },
    );
  });
});

describe('hostile text', () => {
  it.each([
    ['100,000 brackets', '['.repeat(100_000)],
    ['100,000 closed brackets', '[a'.repeat(100_000) + '](b)'.repeat(100_000)],
    ['20,000 open targets', '[a](b'.repeat(20_000)],
    ['20,000 open titles', '[a](b "'.repeat(20_000)],
    ['50,000 quote marks', '>'.repeat(50_000)],
    ['one line of 2 MB', 'word '.repeat(400_000)],
    ['a million letters', 'a'.repeat(1_000_000)],
    ['a million backticks', '`'.repeat(1_000_000)],
    ['backtick runs of every length', Array.from({ length: 1000 }, (_, index) => '`'.repeat(index + 1)).join(' ')],
    ['half a million bullets on a line', '* '.repeat(500_000)],
    ['a list 2,000 deep', Array.from({ length: 2000 }, (_, index) => `${' '.repeat(2 * index)}* x`).join('\n')],
    ['100,000 tabs', `${'\t'.repeat(100_000)}x`],
    ['20,000 fences', '```\n'.repeat(20_000)],
    ['a chain of targets', `![a]${'(b)'.repeat(100_000)}`],
  ])('%s', (_what, text) => {
    const once = normalise(text);
    expect(once.length).toBeLessThanOrEqual(4 * text.length + 16);
    expect(normalise(once) === once).toBe(true);
  });
});
