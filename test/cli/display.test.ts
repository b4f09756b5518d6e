/** What hostile text looks like on a screen. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { display, truncate, width } from '../../src/cli/ui/display.ts';
import { setPage } from '../../src/cli/ui/page.ts';
import { unpainted } from '../../src/cli/ui/paint.ts';
import type { Page } from '../../src/cli/ui/ui.ts';
import { FORBIDDEN, payloads } from '../setup/hostile-text.ts';

const page = (build: (page: Page) => void, cols = 80) =>
  setPage(build, { cols, paint: unpainted, ascii: true, accessible: false });

describe('display', () => {
  it('T93: leaves no control, bidi or zero-width character of 200 payloads', () => {
    const all = payloads();
    expect(all.length).toBeGreaterThanOrEqual(200);
    for (const text of all) expect(display(text)).not.toMatch(FORBIDDEN);
    expect(display('a\x1b[2Jb\u202ec\r')).toBe('a\\x1b[2Jb\\u202ec\\r');
  });

  it('T93: is safe for any text, and changes nothing that is printable', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => void expect(display(text)).not.toMatch(FORBIDDEN)));
    for (const text of ['plain', 'Größe', '日本語.pdf', 'naïve – “quoted”', 'नमस्ते', '🙂'])
      expect(display(text)).toBe(text);
  });

  it('shows two names that differ in a hidden character as different', () => {
    expect(display('a\u200bb')).not.toBe(display('ab'));
    expect(display('a\u200bb')).not.toBe(display('a\u200cb'));
  });

  it('keeps line ends only where they are wanted', () => {
    expect(display('a\nb')).toBe('a\\nb');
    expect(display('a\nb\r', '\n')).toBe('a\nb\\r');
  });

  it('T93: bounds a megabyte of combining marks', () => {
    const bomb = display(`e${'\u0301'.repeat(1_000_000)}`);
    expect(bomb.length).toBeLessThan(40);
    expect(bomb).toContain('marks]');
  });

  it('cuts to a width, in the middle, between characters', () => {
    expect(truncate('a-very-long-file-name-2024.pdf', 15)).toBe('a-very...24.pdf');
    expect(width(truncate('日本語の長い名前です.pdf', 11))).toBeLessThanOrEqual(11);
    fc.assert(
      fc.property(
        fc.string({ unit: 'grapheme' }).map((text) => display(text)),
        fc.integer({ min: 1, max: 40 }),
        (text, cols) => {
          expect(width(truncate(text, cols))).toBeLessThanOrEqual(cols);
        },
      ),
    );
  });
});

describe('page', () => {
  it('T93: prints nothing but printable characters, line ends and what it was given in order', async () => {
    for (const text of payloads()) {
      const printed = await page((p) => {
        p.line('file ', text);
        p.field('Name', text);
        p.status('ok', text);
        p.table({ columns: [{ head: 'FILE', flex: true }], rows: [[text]] });
        p.passage(text);
      });
      expect(printed.replaceAll('\n', '')).not.toMatch(FORBIDDEN);
    }
  });

  it('never sets a line wider than the terminal, and loses no word', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.string({ unit: 'grapheme-ascii', minLength: 1, maxLength: 60 }), { minLength: 1, maxLength: 12 }),
        fc.integer({ min: 20, max: 120 }),
        async (words, cols) => {
          const printed = await page((p) => p.field('Label', words.join(' ')), cols);
          for (const line of printed.split('\n')) expect(line.length).toBeLessThanOrEqual(cols);
          expect(printed.replace(/\s/g, '')).toBe(`Label${words.join('')}`.replace(/\s/g, ''));
        },
      ),
      { numRuns: 60 },
    );
  });

  it.each([20, 40, 80, 200])('keeps every value of a table at %i columns', async (cols) => {
    const rows = [
      ['a81f3c2e', 'complete', 'policy-2024.pdf', '$0.0910'],
      ['b92e4d11', 'failed', 'scan-locked.pdf', null],
    ];
    const printed = await page(
      (p) =>
        p.table({
          columns: [
            { head: 'JOB' },
            { head: 'STATUS' },
            { head: 'FILE', flex: true },
            { head: 'COST', align: 'right' },
          ],
          rows,
        }),
      cols,
    );
    for (const line of printed.split('\n')) expect(line.length).toBeLessThanOrEqual(cols);
    for (const value of rows.flat()) expect(printed).toContain(value ?? '-');
  });

  it('cuts only flex columns when a table is too wide, and turns to records when that is not enough', async () => {
    const table = (flex: boolean) => ({
      columns: [{ head: 'ID' }, { head: 'FILE', flex }],
      rows: [['0123456789', 'x'.repeat(200)]],
    });
    const cut = await page((p) => p.table(table(true)));
    expect(cut).toContain('0123456789  xxxx');
    expect(cut).toContain('xx...xx');
    expect(cut.split('\n').every((line) => line.length <= 80)).toBe(true);
    const records = await page((p) => p.table(table(false)));
    expect(records).toContain('id: 0123456789\nfile:');
    expect(records.replace(/[^x]/g, '')).toHaveLength(200);
  });

  it('sets tables without borders and without spaces at the end of lines', async () => {
    const printed = await page((p) =>
      p.table({
        columns: [{ head: 'RUN' }, { head: 'COST', align: 'right' }, { head: 'FILE' }],
        rows: [
          ['r1', '$1.0000', 'a.pdf'],
          ['r22', '-', 'b'],
        ],
      }),
    );
    expect(printed).toBe('RUN     COST  FILE\nr1   $1.0000  a.pdf\nr22        -  b\n');
  });

  it('writes labelled records for screen readers at any width', async () => {
    const printed = await setPage(
      (p) =>
        p.table({
          columns: [{ head: 'RUN' }, { head: 'COST' }],
          rows: [
            ['r1', '$1'],
            ['r2', '$2'],
          ],
        }),
      { cols: 200, paint: unpainted, ascii: true, accessible: true },
    );
    expect(printed).toBe('run: r1\ncost: $1\n\nrun: r2\ncost: $2\n');
  });
});
