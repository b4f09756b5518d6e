/** Normalised markdown: the nine rules, code and tables, page assembly. */
import { describe, expect, it } from 'vitest';
import { assemble, normalise } from '../../src/domain/markdown.ts';

describe('the nine rules', () => {
  it.each([
    ['1 line endings', 'a\r\nb\rc\u2028d\fe', 'a\nb\nc\nd\ne\n'],
    ['2 blank lines', 'a\n\n\n \n\nb', 'a\n\nb\n'],
    ['2 blank lines at the start', '\n\n a', 'a\n'],
    ['3 trailing spaces', 'a  \nb\t\n- c \u00a0', 'a\nb\n- c\n'],
    ['4 headings', '##Title\n#   T\n#', '## Title\n# T\n#\n'],
    ['4 not a number sign, not seven', '#1 priority\n####### x', '#1 priority\n####### x\n'],
    ['5 images', '![alt](a.png) and ![a [b] c](<b c> "t")', '![img] and ![img]\n'],
    ['5 links', 'see [the policy](https://x.y/a_(b)c "t") and [*this*](z)', 'see the policy and *this*\n'],
    ['5 an image inside a link', '[![alt](i.png)](https://x.y)', '![img]\n'],
    [
      '5 neither references nor escapes nor broken links',
      '[1][2] \\[a](b) [c](d e) [f]',
      '[1][2] \\[a](b) [c](d e) [f]\n',
    ],
    ['5 a data URI', `![x](data:image/png;base64,${'A'.repeat(5000)})`, '![img]\n'],
    ['6 bullets', '* a\n+ b\n• c\n•d', '- a\n- b\n- c\n- d\n'],
    ['6 indents', '* a\n    * b\n        * c\n    * d\n* e', '- a\n  - b\n    - c\n  - d\n- e\n'],
    ['6 under a number', '10. a\n    * b', '10. a\n    - b\n'],
    ['6 continuation', '*   a\n\n    more\n    * b', '- a\n\n  more\n  - b\n'],
    ['6 rules are not bullets', '* * *\n***', '* * *\n***\n'],
    ['7 runs of spaces', 'a   b `c   d`  e\n  f', 'a b `c   d` e\nf\n'],
    ['8 zero-width, control, bidi, tags', '\ufeffa\u200bb\u0000c\u202ed\u00ade\u{e0041}f\u0085g', 'abcdef\ng\n'],
    ['8 joiners in emoji', '👨‍👩‍👧 ❤️', '👨👩👧 ❤\n'],
    ['9 final newline', 'a\n\n\n', 'a\n'],
    ['9 nothing at all', '', '\n'],
    ['9 nothing visible', ' \n\u200b\n\t', '\n'],
  ])('%s', (_rule, from, to) => {
    expect(normalise(from)).toBe(to);
  });

  it('makes lone surrogates storable as UTF-8', () => {
    const text = normalise('a\ud83d b\udc00 \ud83d\u200b\ude00');
    expect(text).toBe('a\ufffd b\ufffd \ufffd\ufffd\n');
    expect(Buffer.from(text, 'utf8').toString('utf8')).toBe(text);
  });
});

describe('code and tables', () => {
  it.each([
    ['a fence', '```js\n* a  b\n\n\n#x\n![i](x)\n```\n'],
    ['a tilde fence around a backtick fence', '~~~\n```\na  b\n~~~\n'],
    ['a longer fence around a shorter one', '````\n```\na  b\n```\n````\n'],
    ['indented code', 'a\n\n    b  c\n      d\n\ne\n'],
    ['a fence in a list', '- a\n\n  ```\n  b  c\n    d\n  ```\n- e\n'],
    ['a fence in a quote', '> ```\n>  a  b\n> ```\n'],
    ['a table', '| a   | b |\n|-----|---|\n| c  d | ![i](x) [t](u) |\n'],
  ])('leaves %s as it is', (_what, text) => {
    expect(normalise(text)).toBe(text);
  });

  it.each([
    ['an open fence', '```\na\n\n', '```\na\n```\n'],
    ['a fence whose quote ends', '> ~~~~\n> a  b\nc  d', '> ~~~~\n> a  b\n> ~~~~\nc d\n'],
    ['a fence whose list item ends', '- ```\n  a  b\nc  d', '- ```\n  a  b\n  ```\nc d\n'],
    ['a fence at the end of a list item', '- a\n  ```', '- a\n  ```\n  ```\n'],
  ])('closes %s', (_what, from, to) => {
    expect(normalise(from)).toBe(to);
  });

  it('moves code along with its list item', () => {
    expect(normalise('* a\n    * b\n\n      ```\n      c  d\n        e\n      ```')).toBe(
      '- a\n  - b\n\n    ```\n    c  d\n      e\n    ```\n',
    );
  });

  it('takes control characters and tabs out of code, too', () => {
    expect(normalise('```\na\0b\u202e\tc\n```')).toBe('```\nab  c\n```\n');
  });
});

describe('assemble', () => {
  it('joins pages with one blank line and gives blank pages the start of the next one', () => {
    const pages = ['', '# A\n\n```\nx', ' \n', 'b\n', ''].map((markdown, index) => ({ number: index + 1, markdown }));
    expect(assemble(pages)).toEqual({
      markdown: '# A\n\n```\nx\n```\n\nb\n',
      pageStarts: [
        { number: 1, start: 0 },
        { number: 2, start: 0 },
        { number: 3, start: 16 },
        { number: 4, start: 16 },
        { number: 5, start: 18 },
      ],
    });
  });

  it('counts offsets in UTF-16 units', () => {
    const { pageStarts } = assemble([
      { number: 1, markdown: '😀' },
      { number: 2, markdown: 'b' },
    ]);
    expect(pageStarts[1]).toEqual({ number: 2, start: 4 });
  });

  it('reads an indented page after a list as part of the list, not as code', () => {
    const { markdown } = assemble([
      { number: 1, markdown: '- a' },
      { number: 2, markdown: '    b  c' },
    ]);
    expect(markdown).toBe('- a\n\n  b c\n');
  });

  it('of no pages, or of blank ones, is one line end', () => {
    expect(assemble([])).toEqual({ markdown: '\n', pageStarts: [] });
    expect(assemble([{ number: 1, markdown: '' }])).toEqual({ markdown: '\n', pageStarts: [{ number: 1, start: 1 }] });
  });
});
